using QuantumFlux.Storage;
using Testcontainers.Azurite;

namespace QuantumFlux.AzureSdkTests;

/// <summary>Azurite in a container of its own for the tests of a class, in the place of the process that the same tests use elsewhere.</summary>
public sealed class Azurite : IAsyncLifetime
{
#pragma warning disable CS0618 // The image that the package was tested with is the one we want; the warning asks to name one here.
    private readonly AzuriteContainer _container = new AzuriteBuilder().Build();
#pragma warning restore CS0618

    /// <summary>Where it listens.</summary>
    public StorageAddress Address => StorageAddress.Parse(_container.GetConnectionString());

    public Task InitializeAsync() => _container.StartAsync();

    public Task DisposeAsync() => _container.DisposeAsync().AsTask();
}
