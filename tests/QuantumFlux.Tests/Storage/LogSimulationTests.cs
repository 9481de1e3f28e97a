using QuantumFlux.Tests.Proof;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Storage;

public sealed class LogSimulationTests(ITestOutputHelper output)
{
    [Fact]
    public void WhateverFailsEveryReaderSeesOneHistoryWithAllThatWasAcknowledgedOnce()
    {
        var worlds = Worlds.Run(1, 200, seed =>
        {
            var simulation = new LogSimulation(seed);
            simulation.Run();
            return (simulation.Acknowledged, simulation.Recognised, simulation.Removed, simulation.LeftBehind);
        });

        var (recognised, removed, leftBehind) = (worlds.Sum(world => world.Recognised), worlds.Sum(world => world.Removed), worlds.Sum(world => world.LeftBehind));
        output.WriteLine(
            $"{worlds.Count} worlds, {worlds.Sum(world => world.Acknowledged)} acknowledged appends, {recognised} of them by their rows, {removed} rows removed, " +
            $"{leftBehind} readers left behind.");

        // A single world may lack any of this.
        Assert.True(worlds.Count < 100 || (recognised > 0 && removed > 0 && leftBehind > 0), "These worlds prove little.");
    }
}
