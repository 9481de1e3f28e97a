using System.Collections.Concurrent;
using System.Globalization;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Proof;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public sealed class CleanUpSimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, 500)]
    public void WhateverFailsCleanUpRemovesNothingThatIsNeededAndInTheEndAllThatIsNot(int firstSeed, int lastSeed)
    {
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last])
        {
            (firstSeed, lastSeed) = (int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture));
        }

        var (acknowledged, anchors, refused, before, after) = (0L, 0L, 0L, 0L, 0L);
        var failures = new ConcurrentBag<XunitException>();
        Parallel.For(firstSeed, lastSeed + 1, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, (seed, loop) =>
        {
            try
            {
                var simulation = new CleanUpSimulation(seed);
                simulation.Run();
                Interlocked.Add(ref acknowledged, simulation.Acknowledged);
                Interlocked.Add(ref anchors, simulation.Anchors);
                Interlocked.Add(ref refused, simulation.LockedDeletions);
                Interlocked.Add(ref before, simulation.Contents.Before);
                Interlocked.Add(ref after, simulation.Contents.After);
            }
            catch (Exception exception)
            {
                failures.Add(new XunitException($"Seed {seed}: {exception.Message}", exception));
                loop.Stop();
            }
        });
        if (failures.TryPeek(out var failure))
        {
            throw failure;
        }

        output.WriteLine(
            $"{lastSeed - firstSeed + 1} worlds, {acknowledged} acknowledged writes and {anchors} anchors, {refused} deletions refused by locks; " +
            $"the last two clean-ups left {after} of {before} contents.");

        // A single world may have nothing left to remove at its end.
        Assert.True(after < before || lastSeed - firstSeed < 100, "No clean-up removed anything.");
    }
}
