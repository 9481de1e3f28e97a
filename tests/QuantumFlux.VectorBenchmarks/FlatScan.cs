using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Exact search: every base vector is compared, as float32, on one thread.</summary>
public sealed class FlatScan(VectorRows rows, Metric metric)
{
    public const string Name = "flat f32";

    // The nearest distances lie on the stack.
    private const int StackedMax = 1024;

    /// <summary>The scan as a contender.</summary>
    public static Built Build(VectorRows rows, Metric metric) =>
        new((long)rows.Count * rows.Dimensions * sizeof(float), [new Setting("exact", new FlatScan(rows, metric).Search)]);

    /// <summary>Writes the nearest rows, nearest first, as many as there is room for.</summary>
    public int Search(ReadOnlySpan<float> query, Span<int> ids)
    {
        var nearest = new NearestRows(ids.Length <= StackedMax ? stackalloc float[ids.Length] : new float[ids.Length], ids);
        for (var row = 0; row < rows.Count; row++)
        {
            var distance = Distance.Between(metric, query, rows[row]);
            if (distance < nearest.Bound)
            {
                nearest.Add(row, distance);
            }
        }

        return nearest.Count;
    }
}
