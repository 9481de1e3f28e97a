using System.Globalization;
using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>What filters of different strength leave to find, and what they cost.</summary>
public static class FilterReport
{
    private const int QueriesMax = 300;

    /// <summary>Prints it.</summary>
    public static void Print(VectorData data, Metric metric, int k, TextWriter output)
    {
        using var index = new SegmentIndex(
            data.Base, metric, row => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $$"""{"percent":{{row % 100}},"myriad":{{row % 10_000}}}""")));
        var queries = Math.Min(QueriesMax, data.Query.Count);
        output.WriteLine($"{"filter",-34}{"mode",-12}{"keeps",8}{"recall",9}{"results",9}{"p50 ms",9}{"p99 ms",9}{"distances",11}");
        foreach (var (name, json, keeps) in new (string, string, Func<int, bool>)[]
        {
            ("myriad = 7 (0.01 %)", """{"metadata.myriad":7}""", row => row % 10_000 == 7),
            ("percent = 7 (1 %)", """{"metadata.percent":7}""", row => row % 100 == 7),
            ("percent < 10 (10 %)", """{"metadata.percent":{"$lt":10}}""", row => row % 100 < 10),
            ("percent < 50 (50 %)", """{"metadata.percent":{"$lt":50}}""", row => row % 100 < 50),
        })
        {
            var filter = Filter.Parse(JsonDocument.Parse(json).RootElement, new Faults());
            int[] kept = [.. Enumerable.Range(0, data.Base.Count).Where(keeps)];
            foreach (var mode in new[] { QueryMode.Precise, QueryMode.Balanced })
            {
                Measure(name, mode, filter, kept);
            }
        }

        void Measure(string name, QueryMode mode, Filter filter, int[] kept)
        {
            var (right, found, looked, times) = (0, 0, 0L, new List<TimeSpan>());
            for (var number = -queries / 3; number < queries; number++)
            {
                // The first ones warm up.
                var query = data.Query[Math.Abs(number)];
                var asked = new VectorQuery(query.ToArray(), null, mode, false, k, TimeSpan.MaxValue, filter, false, false, true);
                var started = TimeProvider.System.GetTimestamp();
                var answer = new VectorSearch(index.State, asked, DateTimeOffset.UnixEpoch, TimeProvider.System, () => false).Run();
                var elapsed = TimeProvider.System.GetElapsedTime(started);
                if (number < 0)
                {
                    continue;
                }

                times.Add(elapsed);
                looked += answer.Looked;
                found += answer.Hits.Count;
                right += Right(query, answer, kept);
            }

            times.Sort();
            output.WriteLine(
                $"{name,-34}{mode,-12}{kept.Length,8}{right / (double)(queries * Math.Min(k, kept.Length)),9:F4}{found / (double)queries,9:F1}"
                + $"{times[queries / 2].TotalMilliseconds,9:F3}{times[queries * 99 / 100].TotalMilliseconds,9:F3}{looked / (double)queries,11:F0}");
        }

        // How many of the answer are as near as the k-th nearest of those that the filter keeps.
        int Right(ReadOnlySpan<float> query, VectorHits answer, int[] kept)
        {
            var distances = new double[kept.Length];
            for (var place = 0; place < kept.Length; place++)
            {
                distances[place] = Distance.ExactBetween(metric, query, data.Base[kept[place]]);
            }

            Array.Sort(distances);
            var bound = distances[Math.Min(k, kept.Length) - 1];
            bound += 1e-6 * Math.Abs(bound);
            var right = 0;
            foreach (var hit in answer.Hits)
            {
                var row = int.Parse(hit.Vector.IdBytes, CultureInfo.InvariantCulture);
                right += Array.BinarySearch(kept, row) >= 0 && Distance.ExactBetween(metric, query, data.Base[row]) <= bound ? 1 : 0;
            }

            return right;
        }
    }
}
