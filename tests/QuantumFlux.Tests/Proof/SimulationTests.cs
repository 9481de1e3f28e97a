using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Proof;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
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
        var (first, last) = Seeds(firstSeed, lastSeed);
        var acknowledged = 0L;
        for (var seed = first; seed <= last; seed++)
        {
            try
            {
                var simulation = new Simulation(seed, shape);
                simulation.Run(clients: 6, operations: shape == Shape.Few ? 40 : 8);
                acknowledged += simulation.Acknowledged;
            }
            catch (Exception exception)
            {
                throw new XunitException($"Seed {seed} of {shape}: {exception.Message}", exception);
            }
        }

        output.WriteLine($"{last - first + 1} worlds, {acknowledged} acknowledged writes.");
    }

    private static (int First, int Last) Seeds(int firstSeed, int lastSeed) =>
        Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last]
            ? (int.Parse(first, System.Globalization.CultureInfo.InvariantCulture), int.Parse(last, System.Globalization.CultureInfo.InvariantCulture))
            : (firstSeed, lastSeed);
}
