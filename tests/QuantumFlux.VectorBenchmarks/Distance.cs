using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Distances of vectors of equal dimension. Smaller is nearer, whatever the metric. For cosines the vectors have been scaled to unit length.</summary>
public static class Distance
{
    /// <summary>The squared Euclidean distance, or the inner product with its sign changed: by the product's own kernels.</summary>
    public static float Between(Metric metric, ReadOnlySpan<float> a, ReadOnlySpan<float> b) =>
        metric == Metric.Euclidean ? VectorMath.SquaredDistance(a, b) : -VectorMath.Dot(a, b);

    /// <summary>The same in double precision, one term after the other. Slow.</summary>
    public static double ExactBetween(Metric metric, ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = 0.0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += metric == Metric.Euclidean ? ((double)a[index] - b[index]) * ((double)a[index] - b[index]) : -(double)a[index] * b[index];
        }

        return sum;
    }
}
