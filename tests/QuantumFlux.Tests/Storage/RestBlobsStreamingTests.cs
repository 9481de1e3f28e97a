using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Large blobs over REST against Azurite.</summary>
[Collection(MeasuredAlone.Name)]
public sealed class RestBlobsStreamingTests : BlobsStreamingConformance
{
    protected override async Task<IBlobs> OpenAsync() => new RestBlobs(await AzuriteFixture.Address);
}
