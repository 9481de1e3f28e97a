using QuantumFlux.Tests.Proof;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Vectors;

public sealed class VectorSimulationTests(ITestOutputHelper output)
{
    [Fact]
    public void WhateverFailsEverybodySeesWhatTheLogSaysAndNothingAcknowledgedIsLost()
    {
        var worlds = Worlds.Run(1, 100, seed =>
        {
            var simulation = new VectorSimulation(seed);
            simulation.Run();
            return (simulation.Acknowledged, simulation.Refused, simulation.Survived, simulation.States, simulation.Built, simulation.Deleted, simulation.Truncated);
        });

        var (refused, survived) = (worlds.Sum(world => world.Refused), worlds.Sum(world => world.Survived));
        var (built, deleted, truncated) = (worlds.Sum(world => world.Built), worlds.Sum(world => world.Deleted), worlds.Sum(world => world.Truncated));
        output.WriteLine(
            $"{worlds.Count} worlds, {worlds.Sum(world => world.Acknowledged)} acknowledged writes, {refused} refused, {survived} there although nobody had heard so, " +
            $"{worlds.Sum(world => world.States)} states, {built} segments built, {deleted} deleted, {truncated} records truncated.");

        // A single world may lack any of this.
        Assert.True(worlds.Count < 50 || (refused > 0 && survived > 0 && built > 0 && deleted > 0 && truncated > 0), "These worlds prove little.");
    }
}
