using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>Azurite in memory for the tests of a class, as the local host starts it.</summary>
public sealed class Azurite : IAsyncLifetime
{
    private AzuriteProcess? _process;

    /// <summary>Where it listens.</summary>
    public StorageAddress Address => _process!.Address;

    public async Task InitializeAsync() =>
        _process = await AzuriteProcess.StartAsync(LocalFolders.Find(), isEphemeral: true, Console.WriteLine, CancellationToken.None);

    public async Task DisposeAsync() => await _process!.DisposeAsync();
}
