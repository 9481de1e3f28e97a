using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>What a query costs as the vectors grow in number: the first 1,000 of a set, the first 10,000, and so on.</summary>
public static class ScaleReport
{
    private const int First = 1_000;
    private const int Step = 10;

    /// <summary>Prints it.</summary>
    public static void Print(VectorData data, Metric metric, int k, TextWriter output)
    {
        output.WriteLine($"{"vectors",-12}{"mode",-22}{"recall",8}{"p50 ms",9}{"p99 ms",9}{"distances",11}{"× before",10}{"build s",9}");
        var before = new Dictionary<string, double>();
        for (var count = First; count < data.Base.Count * Step; count *= Step)
        {
            var some = new VectorRows(Math.Min(count, data.Base.Count), data.Base.Dimensions);
            data.Base.Values[..some.Values.Length].CopyTo(some.Values);
            var smaller = data with { Base = some, GroundTruth = [] };
            var recall = new Recall(smaller, metric, k, GroundTruth.Compute(some, data.Query, metric, k));
            var started = TimeProvider.System.GetTimestamp();
            using var index = new SegmentIndex(some, metric);
            var build = TimeProvider.System.GetElapsedTime(started);
            foreach (var (name, mode, isTunneling) in new[]
            {
                ("balanced", QueryMode.Balanced, false), ("balanced + tunneling", QueryMode.Balanced, true), ("precise", QueryMode.Precise, false),
            })
            {
                var looked = 0L;
                var built = new Built(0, [new Setting(name, index.Query(mode, isTunneling, onLooked: distances => looked += distances))]);
                var measured = new Harness(smaller, metric, k, recall).Measure(new Contender("", (_, _) => built)).Single();

                // Five passes: to warm up, for recall, and three that are measured.
                var distances = looked / (5.0 * measured.Queries);
                var milliseconds = 1000 / measured.PerSecondP50;
                var growth = before.TryGetValue(name, out var last) ? $"{milliseconds / last:F2}" : "";
                output.WriteLine($"{some.Count,-12}{name,-22}{measured.Recall,8:F4}{milliseconds,9:F3}{measured.P99Milliseconds,9:F3}{distances,11:F0}{growth,10}{build.TotalSeconds,9:F1}");
                before[name] = milliseconds;
            }
        }
    }
}
