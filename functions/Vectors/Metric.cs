namespace QuantumFlux.Vectors;

/// <summary>What makes two vectors similar. Fixed by the first vector of a tenant, for as long as there is any.</summary>
public enum Metric
{
    /// <summary>The cosine of the angle between them, −1 to 1; with a vector of zeros 0.</summary>
    Cosine,

    /// <summary>Their inner product.</summary>
    Dot,

    /// <summary>1 / (1 + their Euclidean distance): 1 for equal ones, towards 0 the further apart.</summary>
    Euclidean,
}

/// <summary>
/// Search works with keys, of which the smallest is the nearest: the squared distance for <see cref="Metric.Euclidean"/> and, between unit vectors, for
/// <see cref="Metric.Cosine"/>; the negative inner product for <see cref="Metric.Dot"/>.
/// </summary>
public static class MetricKeys
{
    /// <summary>The score that users see; the larger, the more similar.</summary>
    public static double Score(this Metric metric, double key) => metric switch
    {
        // |a − b|² = 2 − 2 cos for unit vectors.
        Metric.Cosine => 1 - (key / 2),
        Metric.Dot => -key,
        _ => 1 / (1 + Math.Sqrt(Math.Max(0, key))),
    };

    /// <summary>The key of two vectors.</summary>
    /// <param name="metric">How they are compared.</param>
    /// <param name="a">The one.</param>
    /// <param name="divisor">Its <see cref="Divisor"/>.</param>
    /// <param name="b">The other.</param>
    public static double Key(this Metric metric, ReadOnlySpan<float> a, float divisor, ReadOnlySpan<float> b) => metric switch
    {
        Metric.Cosine => 2 - (2 * Math.Clamp((double)VectorMath.Dot(a, b) / divisor / metric.Divisor(b), -1, 1)),
        Metric.Dot => -VectorMath.Dot(a, b),
        _ => VectorMath.SquaredDistance(a, b),
    };

    /// <summary>What a vector is divided by before it is compared: its length for <see cref="Metric.Cosine"/>, else 1. A vector of zeros stays one.</summary>
    public static float Divisor(this Metric metric, ReadOnlySpan<float> vector)
    {
        if (metric != Metric.Cosine)
        {
            return 1;
        }

        // In doubles: the squares of what is stored in single precision can leave its range.
        double sum = 0;
        foreach (var value in vector)
        {
            sum += (double)value * value;
        }

        return sum == 0 ? 1 : (float)Math.Sqrt(sum);
    }
}
