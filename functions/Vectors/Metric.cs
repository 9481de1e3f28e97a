namespace QuantumFlux.Vectors;

/// <summary>What makes two vectors similar. Fixed by the first vector of a tenant, for as long as there is any.</summary>
public enum Metric
{
    /// <summary>The cosine of the angle between them, −1 to 1; with a vector of zeros, or one shorter than single precision can divide by, 0.</summary>
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
    // The smallest number of full precision: shorter vectors have no direction to speak of.
    private const double LengthMin = 1.17549435e-38;

    // Products of the coordinates of vectors whose lengths multiply to less leave the range of single precision.
    private const double LengthsMin = 1e-24;

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
        Metric.Cosine => 2 - (2 * Cosine(a, b, (double)divisor * metric.Divisor(b))),
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

        var length = Math.Sqrt(sum);
        return length < LengthMin ? 1 : (float)length;
    }

    private static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b, double lengths)
    {
        if (lengths >= LengthsMin)
        {
            return Math.Clamp(VectorMath.Dot(a, b) / lengths, -1, 1);
        }

        double sum = 0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += (double)a[index] * b[index];
        }

        return Math.Clamp(sum / lengths, -1, 1);
    }
}
