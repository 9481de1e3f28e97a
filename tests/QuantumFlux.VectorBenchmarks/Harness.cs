using System.Diagnostics;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Measures contenders: one query at a time, on the calling thread.</summary>
/// <remarks><c>peers.py</c> measures in the same way; what is changed here is changed there.</remarks>
/// <param name="data">The vectors.</param>
/// <param name="metric">What near means.</param>
/// <param name="k">How many neighbours are asked for.</param>
/// <param name="recall">Says how good answers are.</param>
public sealed class Harness(VectorData data, Metric metric, int k, Recall recall)
{
    private const int Passes = 3;

    // A slow contender is asked so many of the queries as it answers in this time.
    private static readonly TimeSpan _passMax = TimeSpan.FromSeconds(5);

    /// <summary>Builds a contender and measures each of its settings.</summary>
    public IEnumerable<Measurement> Measure(Contender contender)
    {
        var processorBefore = Process.GetCurrentProcess().TotalProcessorTime;
        var started = TimeProvider.System.GetTimestamp();
        var built = contender.Build(data.Base, metric);
        var build = TimeProvider.System.GetElapsedTime(started);
        var processor = Process.GetCurrentProcess().TotalProcessorTime - processorBefore;

        foreach (var setting in built.Settings)
        {
            var (queries, found, passes) = Measure(setting.Search);
            yield return new Measurement(
                contender.Name,
                setting.Name,
                found,
                Median(passes, times => 1 / times[queries / 2].TotalSeconds),
                Median(passes, times => queries / times.Sum(time => time.TotalSeconds)),
                Median(passes, times => times[queries * 99 / 100].TotalMilliseconds),
                queries,
                build.TotalSeconds,
                processor.TotalSeconds,
                (double)built.Bytes / data.Base.Count,
                "counted");
        }
    }

    private static double Median(TimeSpan[][] passes, Func<TimeSpan[], double> value) => passes.Select(value).Order().ElementAt(Passes / 2);

    private (int Queries, double Recall, TimeSpan[][] Passes) Measure(Search search)
    {
        using var pinned = PinnedThread.Pin();
        var queries = WarmUp(search);
        return (queries, recall.Of(search, queries), [.. Enumerable.Range(0, Passes).Select(_ => Pass(search, queries))]);
    }

    // Returns how many queries a pass has time for.
    private int WarmUp(Search search)
    {
        var ids = new int[k];
        var started = TimeProvider.System.GetTimestamp();
        var queries = 0;
        while (queries < data.Query.Count && TimeProvider.System.GetElapsedTime(started) < _passMax)
        {
            search(data.Query[queries++], ids);
        }

        return queries;
    }

    // The time of each query, shortest first.
    private TimeSpan[] Pass(Search search, int queries)
    {
        var ids = new int[k];
        var times = new TimeSpan[queries];
        for (var query = 0; query < queries; query++)
        {
            var started = TimeProvider.System.GetTimestamp();
            search(data.Query[query], ids);
            times[query] = TimeProvider.System.GetElapsedTime(started);
        }

        Array.Sort(times);
        return times;
    }
}
