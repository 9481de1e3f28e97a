using Azure.Core;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Tables over REST against Azurite.</summary>
public sealed class RestTablesTests : TablesConformance
{
    protected override async Task<ITables> OpenAsync() => new RestTables(await AzuriteFixture.Address);

    protected override async Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault) =>
        new RestTables(await AzuriteFixture.Address, transport: new FaultyTransport(Faults.Of(fault)));
}

/// <summary>The faults of the conformance suites as those of a transport.</summary>
public static class Faults
{
    public static Func<int, Request, Fault> Of(LostAnswer fault) => (number, _) => (fault, number) switch
    {
        (LostAnswer.Always, _) => Fault.ResetBefore,
        (LostAnswer.Dropped, 1) => Fault.ResetAfter,
        (LostAnswer.Busy, 1) => Fault.BusyAfter,
        (LostAnswer.NotApplied, 1) => Fault.BusyBefore,
        _ => Fault.None,
    };
}
