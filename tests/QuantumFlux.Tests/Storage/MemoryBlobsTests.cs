using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Blobs in memory, held to the same behaviour as the real ones.</summary>
public sealed class MemoryBlobsTests : BlobsConformance
{
    // What the implementations of one test share is the storage, so the fault is armed on the one there is.
    private readonly MemoryBlobs _blobs;
    private MemoryHook? _hook;

    public MemoryBlobsTests() => _blobs = new MemoryBlobs(TimeProvider.System, (operation, moment) => _hook?.Invoke(operation, moment) ?? default);

    protected override Task<IBlobs> OpenAsync()
    {
        _hook = null;
        return Task.FromResult<IBlobs>(_blobs);
    }

    protected override Task<IBlobs> OpenWithLostAnswerAsync(LostAnswer fault)
    {
        _hook = Faults.Hook(fault);
        return Task.FromResult<IBlobs>(_blobs);
    }

    protected override HttpClient CreateUploadClient() => new(_blobs.Uploads);
}
