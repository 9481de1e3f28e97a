using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

public sealed class SimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(Shape.Few, 1, 200)]
    [InlineData(Shape.Hub, 1, 120)]
    [InlineData(Shape.Chain, 1, 60)]
    [InlineData(Shape.TwoHubs, 1, 40)]
    [InlineData(Shape.TwoHubs, 165, 165)] // Two components join, and a write spreads, while an entanglement within them is made.
    public void WhateverFailsAndWheneverNothingAcknowledgedIsLostAndNoPartnerLags(Shape shape, int firstSeed, int lastSeed)
    {
        var acknowledged = Worlds.Run(firstSeed, lastSeed, seed =>
        {
            var simulation = new Simulation(seed, shape);
            simulation.Run(clients: 6, operations: shape == Shape.Few ? 40 : 8);
            return simulation.Acknowledged;
        });

        output.WriteLine($"{acknowledged.Count} worlds, {acknowledged.Sum()} acknowledged writes.");
    }
}
