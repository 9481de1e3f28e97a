using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Proof;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(Shape.Few, 200)]
    [InlineData(Shape.Hub, 120)]
    [InlineData(Shape.Chain, 60)]
    [InlineData(Shape.TwoHubs, 40)]
    public void WhateverFailsAndWheneverNothingAcknowledgedIsLostAndNoPartnerLags(Shape shape, int seeds)
    {
        var (first, last) = Seeds(seeds);
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

    private static (int First, int Last) Seeds(int count) =>
        Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last]
            ? (int.Parse(first, System.Globalization.CultureInfo.InvariantCulture), int.Parse(last, System.Globalization.CultureInfo.InvariantCulture))
            : (1, count);
}
