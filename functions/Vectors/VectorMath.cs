using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QuantumFlux.Vectors;

/// <summary>
/// Inner products and distances, in the widest registers that pay. Sums are made in another order than one number after the other, so the last bits differ.
/// Compiled at once for what the machine has: the first searches of a cold instance should not wait for the compiler to find out that they matter.
/// </summary>
public static class VectorMath
{
    /// <summary>The inner product of two vectors of one length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(b.Length, a.Length, nameof(b));
        ref var left = ref MemoryMarshal.GetReference(a);
        ref var right = ref MemoryMarshal.GetReference(b);
        var width = (nuint)Vector<float>.Count;
        var (length, index) = ((nuint)a.Length, (nuint)0);

        // Four sums, so that an addition need not wait for the one before.
        Vector<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (; index + (4 * width) <= length; index += 4 * width)
        {
            sum0 = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref left, index), Vector.LoadUnsafe(ref right, index), sum0);
            sum1 = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref left, index + width), Vector.LoadUnsafe(ref right, index + width), sum1);
            sum2 = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref left, index + (2 * width)), Vector.LoadUnsafe(ref right, index + (2 * width)), sum2);
            sum3 = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref left, index + (3 * width)), Vector.LoadUnsafe(ref right, index + (3 * width)), sum3);
        }

        for (; index + width <= length; index += width)
        {
            sum0 = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref left, index), Vector.LoadUnsafe(ref right, index), sum0);
        }

        var sum = Vector.Sum((sum0 + sum1) + (sum2 + sum3));
        for (; index < length; index++)
        {
            sum += a[(int)index] * b[(int)index];
        }

        return sum;
    }

    /// <summary>The squared Euclidean distance between two vectors of one length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(b.Length, a.Length, nameof(b));
        ref var left = ref MemoryMarshal.GetReference(a);
        ref var right = ref MemoryMarshal.GetReference(b);
        var width = (nuint)Vector<float>.Count;
        var (length, index) = ((nuint)a.Length, (nuint)0);
        Vector<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (; index + (4 * width) <= length; index += 4 * width)
        {
            var difference0 = Vector.LoadUnsafe(ref left, index) - Vector.LoadUnsafe(ref right, index);
            var difference1 = Vector.LoadUnsafe(ref left, index + width) - Vector.LoadUnsafe(ref right, index + width);
            var difference2 = Vector.LoadUnsafe(ref left, index + (2 * width)) - Vector.LoadUnsafe(ref right, index + (2 * width));
            var difference3 = Vector.LoadUnsafe(ref left, index + (3 * width)) - Vector.LoadUnsafe(ref right, index + (3 * width));
            sum0 = Vector.FusedMultiplyAdd(difference0, difference0, sum0);
            sum1 = Vector.FusedMultiplyAdd(difference1, difference1, sum1);
            sum2 = Vector.FusedMultiplyAdd(difference2, difference2, sum2);
            sum3 = Vector.FusedMultiplyAdd(difference3, difference3, sum3);
        }

        for (; index + width <= length; index += width)
        {
            var difference = Vector.LoadUnsafe(ref left, index) - Vector.LoadUnsafe(ref right, index);
            sum0 = Vector.FusedMultiplyAdd(difference, difference, sum0);
        }

        var sum = Vector.Sum((sum0 + sum1) + (sum2 + sum3));
        for (; index < length; index++)
        {
            sum += (a[(int)index] - b[(int)index]) * (a[(int)index] - b[(int)index]);
        }

        return sum;
    }

    /// <summary>Adds a multiple of a vector to another one of the same length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(ReadOnlySpan<float> vector, float factor, Span<float> sum)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(sum.Length, vector.Length, nameof(sum));
        ref var from = ref MemoryMarshal.GetReference(vector);
        ref var to = ref MemoryMarshal.GetReference(sum);
        var width = (nuint)Vector<float>.Count;
        var (length, index, factors) = ((nuint)vector.Length, (nuint)0, new Vector<float>(factor));
        for (; index + width <= length; index += width)
        {
            Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref from, index), factors, Vector.LoadUnsafe(ref to, index)).StoreUnsafe(ref to, index);
        }

        for (; index < length; index++)
        {
            sum[(int)index] += vector[(int)index] * factor;
        }
    }

    /// <summary>The inner product of a vector with one of small whole numbers, of one length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<sbyte> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(b.Length, a.Length, nameof(b));
        ref var left = ref MemoryMarshal.GetReference(a);
        ref var right = ref MemoryMarshal.GetReference(b);
        var (length, index) = ((nuint)a.Length, (nuint)0);
        float sum;
        if (Avx512F.IsSupported)
        {
            Vector512<float> sum0 = default, sum1 = default;
            for (; index + 32 <= length; index += 32)
            {
                sum0 = Vector512.FusedMultiplyAdd(Sixteen(ref right, index), Vector512.LoadUnsafe(ref left, index), sum0);
                sum1 = Vector512.FusedMultiplyAdd(Sixteen(ref right, index + 16), Vector512.LoadUnsafe(ref left, index + 16), sum1);
            }

            for (; index + 16 <= length; index += 16)
            {
                sum0 = Vector512.FusedMultiplyAdd(Sixteen(ref right, index), Vector512.LoadUnsafe(ref left, index), sum0);
            }

            sum = Vector512.Sum(sum0 + sum1);
        }
        else
        {
            Vector<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
            var width = (nuint)Vector<float>.Count;
            for (; index + (4 * width) <= length; index += 4 * width)
            {
                var (first, second, third, fourth) = Widen(Vector.LoadUnsafe(ref right, index));
                sum0 = Vector.FusedMultiplyAdd(first, Vector.LoadUnsafe(ref left, index), sum0);
                sum1 = Vector.FusedMultiplyAdd(second, Vector.LoadUnsafe(ref left, index + width), sum1);
                sum2 = Vector.FusedMultiplyAdd(third, Vector.LoadUnsafe(ref left, index + (2 * width)), sum2);
                sum3 = Vector.FusedMultiplyAdd(fourth, Vector.LoadUnsafe(ref left, index + (3 * width)), sum3);
            }

            sum = Vector.Sum((sum0 + sum1) + (sum2 + sum3));
        }

        for (; index < length; index++)
        {
            sum += a[(int)index] * b[(int)index];
        }

        return sum;
    }

    /// <summary>The squared Euclidean distance between a vector and one of small whole numbers, of one length, in steps.</summary>
    /// <param name="a">The one.</param>
    /// <param name="b">The other.</param>
    /// <param name="step">What a step of it stands for.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<sbyte> b, float step)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(b.Length, a.Length, nameof(b));
        ref var left = ref MemoryMarshal.GetReference(a);
        ref var right = ref MemoryMarshal.GetReference(b);
        var (length, index) = ((nuint)a.Length, (nuint)0);
        float sum;
        if (Avx512F.IsSupported)
        {
            Vector512<float> sum0 = default, sum1 = default;
            var steps = Vector512.Create(-step);
            for (; index + 32 <= length; index += 32)
            {
                var difference0 = Vector512.FusedMultiplyAdd(Sixteen(ref right, index), steps, Vector512.LoadUnsafe(ref left, index));
                var difference1 = Vector512.FusedMultiplyAdd(Sixteen(ref right, index + 16), steps, Vector512.LoadUnsafe(ref left, index + 16));
                sum0 = Vector512.FusedMultiplyAdd(difference0, difference0, sum0);
                sum1 = Vector512.FusedMultiplyAdd(difference1, difference1, sum1);
            }

            for (; index + 16 <= length; index += 16)
            {
                var difference = Vector512.FusedMultiplyAdd(Sixteen(ref right, index), steps, Vector512.LoadUnsafe(ref left, index));
                sum0 = Vector512.FusedMultiplyAdd(difference, difference, sum0);
            }

            sum = Vector512.Sum(sum0 + sum1);
        }
        else
        {
            Vector<float> sum0 = default, sum1 = default;
            var (width, steps) = ((nuint)Vector<float>.Count, new Vector<float>(-step));
            for (; index + (4 * width) <= length; index += 4 * width)
            {
                var (first, second, third, fourth) = Widen(Vector.LoadUnsafe(ref right, index));
                first = Vector.FusedMultiplyAdd(first, steps, Vector.LoadUnsafe(ref left, index));
                second = Vector.FusedMultiplyAdd(second, steps, Vector.LoadUnsafe(ref left, index + width));
                third = Vector.FusedMultiplyAdd(third, steps, Vector.LoadUnsafe(ref left, index + (2 * width)));
                fourth = Vector.FusedMultiplyAdd(fourth, steps, Vector.LoadUnsafe(ref left, index + (3 * width)));
                sum0 = Vector.FusedMultiplyAdd(third, third, Vector.FusedMultiplyAdd(first, first, sum0));
                sum1 = Vector.FusedMultiplyAdd(fourth, fourth, Vector.FusedMultiplyAdd(second, second, sum1));
            }

            sum = Vector.Sum(sum0 + sum1);
        }

        for (; index < length; index++)
        {
            var difference = a[(int)index] - (b[(int)index] * step);
            sum += difference * difference;
        }

        return sum;
    }

    private static Vector512<float> Sixteen(ref sbyte bytes, nuint index) =>
        Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.LoadUnsafe(ref bytes, index)));

    private static (Vector<float> First, Vector<float> Second, Vector<float> Third, Vector<float> Fourth) Widen(Vector<sbyte> bytes)
    {
        Vector.Widen(bytes, out Vector<short> low, out Vector<short> high);
        Vector.Widen(low, out Vector<int> first, out Vector<int> second);
        Vector.Widen(high, out Vector<int> third, out Vector<int> fourth);
        return (Vector.ConvertToSingle(first), Vector.ConvertToSingle(second), Vector.ConvertToSingle(third), Vector.ConvertToSingle(fourth));
    }
}
