using System.Collections.Concurrent;
using System.Globalization;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Storage;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public sealed class LogSimulationTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, 200)]
    public void WhateverFailsEveryReaderSeesOneHistoryWithAllThatWasAcknowledgedOnce(int firstSeed, int lastSeed)
    {
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last])
        {
            (firstSeed, lastSeed) = (int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture));
        }

        var (acknowledged, recognised, removed, leftBehind) = (0, 0, 0, 0);
        var failures = new ConcurrentBag<XunitException>();
        Parallel.For(firstSeed, lastSeed + 1, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, (seed, loop) =>
        {
            try
            {
                var simulation = new LogSimulation(seed);
                simulation.Run();
                Interlocked.Add(ref acknowledged, simulation.Acknowledged);
                Interlocked.Add(ref recognised, simulation.Recognised);
                Interlocked.Add(ref removed, simulation.Removed);
                Interlocked.Add(ref leftBehind, simulation.LeftBehind);
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
            $"{lastSeed - firstSeed + 1} worlds, {acknowledged} acknowledged appends, {recognised} of them by their rows, {removed} rows removed, " +
            $"{leftBehind} readers left behind.");

        // A single world may lack any of this.
        Assert.True(lastSeed - firstSeed < 100 || (recognised > 0 && removed > 0 && leftBehind > 0), "These worlds prove little.");
    }
}
