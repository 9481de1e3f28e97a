using System.Collections.Concurrent;
using System.Globalization;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public sealed class VectorSimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, 200)]
    public void WhateverFailsEverybodySeesWhatTheLogSaysAndNothingAcknowledgedIsLost(int firstSeed, int lastSeed)
    {
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last])
        {
            (firstSeed, lastSeed) = (int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture));
        }

        var (acknowledged, refused, survived, states, built, deleted, truncated) = (0, 0, 0, 0, 0, 0, 0L);
        var failures = new ConcurrentBag<XunitException>();
        Parallel.For(firstSeed, lastSeed + 1, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, (seed, loop) =>
        {
            try
            {
                var simulation = new VectorSimulation(seed);
                simulation.Run();
                Interlocked.Add(ref acknowledged, simulation.Acknowledged);
                Interlocked.Add(ref refused, simulation.Refused);
                Interlocked.Add(ref survived, simulation.Survived);
                Interlocked.Add(ref states, simulation.States);
                Interlocked.Add(ref built, simulation.Built);
                Interlocked.Add(ref deleted, simulation.Deleted);
                Interlocked.Add(ref truncated, simulation.Truncated);
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
            $"{lastSeed - firstSeed + 1} worlds, {acknowledged} acknowledged writes, {refused} refused, {survived} there although nobody had heard so, " +
            $"{states} states, {built} segments built, {deleted} deleted, {truncated} records truncated.");

        // A single world may lack any of this.
        Assert.True(
            lastSeed - firstSeed < 100 || (refused > 0 && survived > 0 && built > 0 && deleted > 0 && truncated > 0), "These worlds prove little.");
    }
}
