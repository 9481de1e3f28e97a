using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>A log over REST in Azurite.</summary>
public sealed class LogRestTests : LogConformance
{
    protected override async Task<ITables> OpenAsync() => new RestTables(await AzuriteFixture.Address);

    protected override async Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault, Func<Task>? meanwhile = null) =>
        new RestTables(await AzuriteFixture.Address, transport: new FaultyTransport(Faults.Transport(fault), meanwhile));
}
