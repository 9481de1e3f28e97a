namespace QuantumFlux.Vectors;

/// <summary>A query's vector, and what a search makes of it once.</summary>
public sealed class QueryVector
{
    /// <param name="metric">How it is compared.</param>
    /// <param name="values">Its coordinates, finite.</param>
    public QueryVector(Metric metric, float[] values)
    {
        Metric = metric;
        Values = values;
        Divisor = metric.Divisor(values);
        var rotation = Rotation.Of(values.Length);
        Rotated = new float[rotation.Length];
        rotation.Rotate(values, Divisor, Rotated);
        Norm = MathF.Sqrt(VectorMath.Dot(Rotated, Rotated));
        Codes = new BitCodes.QueryTable(Rotated);
    }

    public Metric Metric { get; }

    /// <summary>The coordinates as they were sent.</summary>
    public float[] Values { get; }

    /// <summary>What they are divided by before they are compared.</summary>
    public float Divisor { get; }

    /// <summary>The coordinates, divided and rotated.</summary>
    public float[] Rotated { get; }

    /// <summary>The length of <see cref="Rotated"/>.</summary>
    public float Norm { get; }

    /// <summary>What adds up codes.</summary>
    public BitCodes.QueryTable Codes { get; }

    /// <summary>The part of a key that a cluster gives to all of its vectors.</summary>
    /// <param name="centre">The cluster's centre, in steps.</param>
    /// <param name="scale">What a step stands for.</param>
    public float ClusterKey(ReadOnlySpan<sbyte> centre, float scale) =>
        Metric == Metric.Dot ? -scale * VectorMath.Dot(Rotated, centre) : VectorMath.SquaredDistance(Rotated, centre, scale);

    /// <summary>The key of a vector as it was sent.</summary>
    public double Key(ReadOnlySpan<float> vector) => Metric.Key(Values, Divisor, vector);
}
