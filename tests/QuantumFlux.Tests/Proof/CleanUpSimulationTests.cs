using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

public sealed class CleanUpSimulationTests(ITestOutputHelper output)
{
    [Fact]
    public void WhateverFailsCleanUpRemovesNothingThatIsNeededAndInTheEndAllThatIsNot()
    {
        var worlds = Worlds.Run(1, 500, seed =>
        {
            var simulation = new CleanUpSimulation(seed);
            simulation.Run();
            return (simulation.Acknowledged, simulation.Anchors, simulation.LockedDeletions, simulation.Contents);
        });

        var (before, after) = (worlds.Sum(world => world.Contents.Before), worlds.Sum(world => world.Contents.After));
        output.WriteLine(
            $"{worlds.Count} worlds, {worlds.Sum(world => world.Acknowledged)} acknowledged writes and {worlds.Sum(world => world.Anchors)} anchors, " +
            $"{worlds.Sum(world => world.LockedDeletions)} deletions refused by locks; the last two clean-ups left {after} of {before} contents.");

        // A single world may have nothing left to remove at its end.
        Assert.True(after < before || worlds.Count < 100, "No clean-up removed anything.");
    }
}
