using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>What is nearest to each query, by comparing it with every base vector.</summary>
public static class GroundTruth
{
    private const int Threads = 2;

    // Base vectors that stay in a core's second-level cache while all queries are compared with them.
    private const int BlockBytes = 256 * 1024;

    // So many queries tell whether a file is of the metric that is asked for.
    private const int Samples = 20;

    // What sums of float32 in different orders differ by, and more.
    private const float RelativeErrorMax = 1e-5f;

    /// <summary>The nearest rows of each query, nearest first: those of the folder where it has enough and they are right, otherwise computed.</summary>
    /// <param name="data">The vectors.</param>
    /// <param name="metric">What near means.</param>
    /// <param name="k">How many, at most the number of base vectors.</param>
    /// <returns><paramref name="k"/> rows for each query, one query after the other.</returns>
    public static int[] Find(VectorData data, Metric metric, int k)
    {
        var (queries, columns) = (data.Query.Count, data.GroundTruth.Length / data.Query.Count);
        return columns >= k && Enumerable.Range(0, Math.Min(queries, Samples)).All(sample => IsRight(data, metric, k, columns, sample * (long)queries / Samples))
            ? [.. data.GroundTruth.Where((_, index) => index % columns < k)]
            : Compute(data.Base, data.Query, metric, k);
    }

    /// <summary>The nearest rows of each query, nearest first.</summary>
    public static int[] Compute(VectorRows rows, VectorRows queries, Metric metric, int k)
    {
        var ids = new int[queries.Count * k];
        var each = (queries.Count + Threads - 1) / Threads;
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, part =>
            ComputePart(rows, queries, metric, k, ids, Math.Min(queries.Count, part * each), Math.Min(queries.Count, (part + 1) * each)));
        return ids;
    }

    private static void ComputePart(VectorRows rows, VectorRows queries, Metric metric, int k, int[] ids, int fromQuery, int beforeQuery)
    {
        var distances = new float[(beforeQuery - fromQuery) * k];
        var blockRows = Math.Max(1, BlockBytes / (rows.Dimensions * sizeof(float)));
        for (var block = 0; block < rows.Count; block += blockRows)
        {
            for (var query = fromQuery; query < beforeQuery; query++)
            {
                var nearest = new NearestRows(distances.AsSpan((query - fromQuery) * k, k), ids.AsSpan(query * k, k), Math.Min(k, block));
                var vector = queries[query];
                for (var row = block; row < Math.Min(rows.Count, block + blockRows); row++)
                {
                    var distance = Distance.Between(metric, vector, rows[row]);
                    if (distance < nearest.Bound)
                    {
                        nearest.Add(row, distance);
                    }
                }
            }
        }
    }

    // By distance, as equally near rows may be named in either order.
    private static bool IsRight(VectorData data, Metric metric, int k, int columns, long query)
    {
        var vector = data.Query[(int)query];
        var ids = new int[k];
        new FlatScan(data.Base, metric).Search(vector, ids);
        for (var place = 0; place < k; place++)
        {
            var said = Distance.Between(metric, vector, data.Base[data.GroundTruth[(query * columns) + place]]);
            var found = Distance.Between(metric, vector, data.Base[ids[place]]);
            if (Math.Abs(said - found) > RelativeErrorMax * Math.Max(1, Math.Abs(found)))
            {
                return false;
            }
        }

        return true;
    }
}
