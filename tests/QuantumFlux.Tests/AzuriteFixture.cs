using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests;

/// <summary>One Azurite in memory for all tests of this process, on free ports. It ends with the process.</summary>
public static class AzuriteFixture
{
    private static readonly Lazy<Task<AzuriteProcess>> _azurite = new(() =>
        AzuriteProcess.StartAsync(LocalFolders.Find(), isEphemeral: true, Console.WriteLine, CancellationToken.None));

    private static readonly Lazy<Task<StorageAddress>> _ready = new(async () => (await _azurite.Value).Address);

    /// <summary>Where it is, once it answers; the first caller starts it.</summary>
    public static Task<StorageAddress> Address => _ready.Value;
}
