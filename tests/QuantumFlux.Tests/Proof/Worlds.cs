using System.Collections.Concurrent;
using System.Globalization;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Proof;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public static class Worlds
{
    /// <summary>Runs one world for each seed, as many at once as there are processors.</summary>
    /// <param name="firstSeed">The first seed, unless <c>SIMULATION_SEEDS</c> says otherwise.</param>
    /// <param name="lastSeed">The last one.</param>
    /// <param name="run">Makes the world of a seed, and says what came of it. What it throws ends all.</param>
    /// <returns>What came of each.</returns>
    public static IReadOnlyCollection<T> Run<T>(int firstSeed, int lastSeed, Func<int, T> run)
    {
        if (Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var first, var last])
        {
            (firstSeed, lastSeed) = (int.Parse(first, CultureInfo.InvariantCulture), int.Parse(last, CultureInfo.InvariantCulture));
        }

        var outcomes = new ConcurrentBag<T>();
        var failures = new ConcurrentBag<XunitException>();
        var next = firstSeed - 1;

        // Threads of their own: the pool's are for the hosts that other tests run in this process.
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => new Thread(RunSome)).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return failures.TryPeek(out var failure) ? throw failure : outcomes;

        void RunSome()
        {
            while (failures.IsEmpty && Interlocked.Increment(ref next) is var seed && seed <= lastSeed)
            {
                try
                {
                    outcomes.Add(run(seed));
                }
                catch (Exception exception)
                {
                    failures.Add(new XunitException($"Seed {seed}: {exception.Message}", exception));
                }
            }
        }
    }
}
