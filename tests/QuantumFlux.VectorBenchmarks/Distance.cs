using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Distances of vectors of equal dimension. Smaller is nearer, whatever the metric.</summary>
public static class Distance
{
    // Shorter ones are done sooner with the narrower vectors, as their sum is. Measured with AVX-512 on one kind of core.
    private const int WideLengthMin = 512;

    /// <summary>A term of the sum.</summary>
    private interface ITerm
    {
        static abstract float Add(float x, float y, float sum);

        static abstract Vector256<float> Add(Vector256<float> x, Vector256<float> y, Vector256<float> sum);

        static abstract Vector512<float> Add(Vector512<float> x, Vector512<float> y, Vector512<float> sum);
    }

    /// <summary>The squared Euclidean distance, or the inner product with its sign changed.</summary>
    public static float Between(Metric metric, ReadOnlySpan<float> a, ReadOnlySpan<float> b) => metric == Metric.L2 ? SquaredL2(a, b) : -Dot(a, b);

    /// <summary>The same in double precision, one term after the other. Slow.</summary>
    public static double ExactBetween(Metric metric, ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = 0.0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += metric == Metric.L2 ? ((double)a[index] - b[index]) * ((double)a[index] - b[index]) : -(double)a[index] * b[index];
        }

        return sum;
    }

    /// <summary>The squared Euclidean distance.</summary>
    public static float SquaredL2(ReadOnlySpan<float> a, ReadOnlySpan<float> b) => Sum<SquaredDifference>(a, b);

    /// <summary>The inner product.</summary>
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b) => Sum<Product>(a, b);

    // Four sums at a time, because a sum must wait for its last addition, and a core can start two in each cycle.
    private static float Sum<TTerm>(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
        where TTerm : ITerm
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(b.Length, a.Length);
        ref var x = ref MemoryMarshal.GetReference(a);
        ref var y = ref MemoryMarshal.GetReference(b);
        nuint index = 0, length = (nuint)a.Length;
        Vector256<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;

        if (Vector512.IsHardwareAccelerated && length >= WideLengthMin)
        {
            var wide = (nuint)Vector512<float>.Count;
            Vector512<float> wide0 = default, wide1 = default, wide2 = default, wide3 = default;
            for (; index + (4 * wide) <= length; index += 4 * wide)
            {
                wide0 = TTerm.Add(Vector512.LoadUnsafe(ref x, index), Vector512.LoadUnsafe(ref y, index), wide0);
                wide1 = TTerm.Add(Vector512.LoadUnsafe(ref x, index + wide), Vector512.LoadUnsafe(ref y, index + wide), wide1);
                wide2 = TTerm.Add(Vector512.LoadUnsafe(ref x, index + (2 * wide)), Vector512.LoadUnsafe(ref y, index + (2 * wide)), wide2);
                wide3 = TTerm.Add(Vector512.LoadUnsafe(ref x, index + (3 * wide)), Vector512.LoadUnsafe(ref y, index + (3 * wide)), wide3);
            }

            var all = wide0 + wide1 + (wide2 + wide3);
            (sum0, sum1) = (all.GetLower(), all.GetUpper());
        }

        var width = (nuint)Vector256<float>.Count;
        for (; index + (4 * width) <= length; index += 4 * width)
        {
            sum0 = TTerm.Add(Vector256.LoadUnsafe(ref x, index), Vector256.LoadUnsafe(ref y, index), sum0);
            sum1 = TTerm.Add(Vector256.LoadUnsafe(ref x, index + width), Vector256.LoadUnsafe(ref y, index + width), sum1);
            sum2 = TTerm.Add(Vector256.LoadUnsafe(ref x, index + (2 * width)), Vector256.LoadUnsafe(ref y, index + (2 * width)), sum2);
            sum3 = TTerm.Add(Vector256.LoadUnsafe(ref x, index + (3 * width)), Vector256.LoadUnsafe(ref y, index + (3 * width)), sum3);
        }

        for (; index + width <= length; index += width)
        {
            sum0 = TTerm.Add(Vector256.LoadUnsafe(ref x, index), Vector256.LoadUnsafe(ref y, index), sum0);
        }

        var sum = Vector256.Sum(sum0 + sum1 + (sum2 + sum3));
        for (; index < length; index++)
        {
            sum = TTerm.Add(a[(int)index], b[(int)index], sum);
        }

        return sum;
    }

    private readonly struct SquaredDifference : ITerm
    {
        public static float Add(float x, float y, float sum) => sum + ((x - y) * (x - y));

        public static Vector256<float> Add(Vector256<float> x, Vector256<float> y, Vector256<float> sum) => Vector256.FusedMultiplyAdd(x - y, x - y, sum);

        public static Vector512<float> Add(Vector512<float> x, Vector512<float> y, Vector512<float> sum) => Vector512.FusedMultiplyAdd(x - y, x - y, sum);
    }

    private readonly struct Product : ITerm
    {
        public static float Add(float x, float y, float sum) => sum + (x * y);

        public static Vector256<float> Add(Vector256<float> x, Vector256<float> y, Vector256<float> sum) => Vector256.FusedMultiplyAdd(x, y, sum);

        public static Vector512<float> Add(Vector512<float> x, Vector512<float> y, Vector512<float> sum) => Vector512.FusedMultiplyAdd(x, y, sum);
    }
}
