namespace QuantumFlux.Vectors;

/// <summary>Coordinates as signed bytes, in steps of which the largest coordinate takes 127.</summary>
public static class SignedBytes
{
    private const float Most = 127;

    /// <summary>Rounds coordinates to whole steps.</summary>
    /// <returns>What a step stands for; 0 when all coordinates are.</returns>
    public static float Round(ReadOnlySpan<float> vector, Span<sbyte> bytes)
    {
        var widest = 0f;
        foreach (var value in vector)
        {
            widest = Math.Max(widest, Math.Abs(value));
        }

        var step = widest / Most;
        for (var index = 0; index < vector.Length; index++)
        {
            bytes[index] = step == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(vector[index] / step), -Most, Most);
        }

        return step;
    }
}
