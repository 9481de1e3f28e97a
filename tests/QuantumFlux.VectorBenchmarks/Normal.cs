namespace QuantumFlux.VectorBenchmarks;

/// <summary>Random numbers of the normal distribution with mean 0, by the transform of Box and Muller.</summary>
public sealed class Normal(Random random)
{
    private float? _spare;

    public float Next()
    {
        if (_spare is { } spare)
        {
            _spare = null;
            return spare;
        }

        var radius = MathF.Sqrt(-2 * MathF.Log(1 - random.NextSingle()));
        var (sine, cosine) = MathF.SinCos(2 * MathF.PI * random.NextSingle());
        _spare = radius * sine;
        return radius * cosine;
    }

    /// <summary>As many as asked for, with this standard deviation.</summary>
    public float[] Next(int count, float deviation)
    {
        var values = new float[count];
        foreach (ref var value in values.AsSpan())
        {
            value = Next() * deviation;
        }

        return values;
    }
}
