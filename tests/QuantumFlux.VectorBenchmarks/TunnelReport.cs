using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>What tunneling finds, beside what a plain search finds that computes as many distances.</summary>
public static class TunnelReport
{
    private const int Candidates = 100;
    private const int ClustersMax = 96;
    private const double Share = 0.5;

    /// <summary>Prints it.</summary>
    public static void Print(VectorData data, Metric metric, int k, Recall recall, TextWriter output)
    {
        using var index = new SegmentIndex(data.Base, metric);
        var plain = Enumerable.Range(1, ClustersMax).Select(clusters => Measure(clusters, 0)).ToList();
        output.WriteLine($"{"clusters",-10}{"plain recall",14}{"distances",11}{"tunneled",12}{"distances",11}{"plain, as many",16}{"queries that lost",19}");
        foreach (var clusters in new[] { 1, 2, 4, 8, 16, 32 })
        {
            var without = plain[clusters - 1];
            var with = Measure(clusters, Share);
            var next = plain.FindIndex(other => other.Distances >= with.Distances);
            if (next < 1)
            {
                break;
            }

            var (less, more) = (plain[next - 1], plain[next]);
            var equal = less.Recall + ((more.Recall - less.Recall) * (with.Distances - less.Distances) / (more.Distances - less.Distances));
            var lost = Enumerable.Range(0, data.Query.Count).Count(query => with.ByQuery[query] < without.ByQuery[query]);
            output.WriteLine($"{clusters,-10}{without.Recall,14:F4}{without.Distances,11:F0}{with.Recall,12:F4}{with.Distances,11:F0}{equal,16:F4}{lost,19}");
        }

        Outcome Measure(int clusters, double share)
        {
            var looked = 0L;
            var found = recall.ByQuery(
                (query, ids) =>
                {
                    var (count, distances) = index.Search(query, ids, SearchReach.Of(clusters), Candidates, share);
                    looked += distances;
                    return count;
                },
                data.Query.Count);
            return new Outcome(found.Average() / k, (double)looked / data.Query.Count, found);
        }
    }

    private sealed record Outcome(double Recall, double Distances, int[] ByQuery);
}
