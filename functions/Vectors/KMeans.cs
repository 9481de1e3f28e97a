using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>Finds clusters: points of which each vector has one near.</summary>
public static class KMeans
{
    private const int Iterations = 8;
    private const int RowsAtOnce = 4;

    /// <summary>Clusters a sample (Lloyd's algorithm, 8 rounds).</summary>
    /// <param name="sample">The vectors, one after the other.</param>
    /// <param name="length">The coordinates of a vector, a multiple of 8.</param>
    /// <param name="count">How many clusters; at most as many as there are vectors.</param>
    /// <param name="random">Chooses where they begin.</param>
    /// <param name="cancellationToken">Ends the work early.</param>
    /// <returns>Their centres, one after the other.</returns>
    public static float[] Find(ReadOnlyMemory<float> sample, int length, int count, Random random, CancellationToken cancellationToken)
    {
        var rows = sample.Length / length;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, rows);
        var starts = Enumerable.Range(0, rows).ToArray();
        random.Shuffle(starts);
        var centres = new float[count * length];
        for (var cluster = 0; cluster < count; cluster++)
        {
            sample.Span.Slice(starts[cluster] * length, length).CopyTo(centres.AsSpan(cluster * length));
        }

        var (nearest, keys) = (new int[rows], new float[rows]);
        for (var iteration = 0; iteration < Iterations; iteration++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Assign(sample.Span, length, centres, nearest, keys);
            MoveCentres(sample.Span, length, nearest, keys, centres);
        }

        return centres;
    }

    /// <summary>Finds for each vector the centre that is nearest.</summary>
    /// <param name="vectors">The vectors, one after the other.</param>
    /// <param name="length">The coordinates of a vector, a multiple of 8.</param>
    /// <param name="centres">The centres, one after the other.</param>
    /// <param name="nearest">Receives the number of the nearest centre for each vector.</param>
    /// <param name="squaredDistances">Receives the squared distances to them, as exact as the rounding of |x|² − 2xc + |c|² lets them be.</param>
    public static void Assign(ReadOnlySpan<float> vectors, int length, ReadOnlySpan<float> centres, Span<int> nearest, Span<float> squaredDistances)
    {
        var (rows, count) = (vectors.Length / length, centres.Length / length);
        Span<float> norms = new float[count];
        for (var cluster = 0; cluster < count; cluster++)
        {
            var centre = centres.Slice(cluster * length, length);
            norms[cluster] = VectorMath.Dot(centre, centre);
        }

        Span<float> best = stackalloc float[RowsAtOnce];
        Span<int> found = stackalloc int[RowsAtOnce];
        Span<float> products = stackalloc float[2 * RowsAtOnce];
        for (var row = 0; row < rows; row += RowsAtOnce)
        {
            // The last ones are taken once more where there are not enough.
            var first = Math.Max(0, Math.Min(row, rows - RowsAtOnce));
            var some = vectors.Slice(first * length, Math.Min(RowsAtOnce, rows) * length);
            best.Fill(float.MaxValue);
            for (var cluster = 0; cluster < count; cluster += 2)
            {
                var two = centres.Slice(cluster * length, Math.Min(2, count - cluster) * length);
                Products(some, two, length, products);
                for (var index = 0; index < some.Length / length; index++)
                {
                    for (var other = 0; other < two.Length / length; other++)
                    {
                        var key = norms[cluster + other] - (2 * products[(2 * index) + other]);
                        if (key < best[index])
                        {
                            (best[index], found[index]) = (key, cluster + other);
                        }
                    }
                }
            }

            for (var index = 0; index < some.Length / length; index++)
            {
                var vector = some.Slice(index * length, length);
                nearest[first + index] = found[index];
                squaredDistances[first + index] = Math.Max(0, best[index] + VectorMath.Dot(vector, vector));
            }
        }
    }

    // Inner products of up to four vectors with up to two centres: what is loaded once is used several times, which halves the time and more.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Products(ReadOnlySpan<float> vectors, ReadOnlySpan<float> centres, int length, Span<float> products)
    {
        if (vectors.Length != RowsAtOnce * length || centres.Length != 2 * length || length % Vector<float>.Count != 0)
        {
            for (var row = 0; row < vectors.Length / length; row++)
            {
                for (var centre = 0; centre < centres.Length / length; centre++)
                {
                    products[(2 * row) + centre] = VectorMath.Dot(vectors.Slice(row * length, length), centres.Slice(centre * length, length));
                }
            }

            return;
        }

        ref var v0 = ref MemoryMarshal.GetReference(vectors);
        ref var v1 = ref MemoryMarshal.GetReference(vectors[length..]);
        ref var v2 = ref MemoryMarshal.GetReference(vectors[(2 * length)..]);
        ref var v3 = ref MemoryMarshal.GetReference(vectors[(3 * length)..]);
        ref var c0 = ref MemoryMarshal.GetReference(centres);
        ref var c1 = ref MemoryMarshal.GetReference(centres[length..]);
        Vector<float> s00 = default, s01 = default, s10 = default, s11 = default, s20 = default, s21 = default, s30 = default, s31 = default;
        for (nuint index = 0; index < (nuint)length; index += (nuint)Vector<float>.Count)
        {
            var (left, right) = (Vector.LoadUnsafe(ref c0, index), Vector.LoadUnsafe(ref c1, index));
            var x = Vector.LoadUnsafe(ref v0, index);
            s00 = Vector.FusedMultiplyAdd(x, left, s00);
            s01 = Vector.FusedMultiplyAdd(x, right, s01);
            x = Vector.LoadUnsafe(ref v1, index);
            s10 = Vector.FusedMultiplyAdd(x, left, s10);
            s11 = Vector.FusedMultiplyAdd(x, right, s11);
            x = Vector.LoadUnsafe(ref v2, index);
            s20 = Vector.FusedMultiplyAdd(x, left, s20);
            s21 = Vector.FusedMultiplyAdd(x, right, s21);
            x = Vector.LoadUnsafe(ref v3, index);
            s30 = Vector.FusedMultiplyAdd(x, left, s30);
            s31 = Vector.FusedMultiplyAdd(x, right, s31);
        }

        (products[0], products[1], products[2], products[3]) = (Vector.Sum(s00), Vector.Sum(s01), Vector.Sum(s10), Vector.Sum(s11));
        (products[4], products[5], products[6], products[7]) = (Vector.Sum(s20), Vector.Sum(s21), Vector.Sum(s30), Vector.Sum(s31));
    }

    // Each centre moves into the middle of its vectors. One that has none begins anew at a vector that lies far from its own centre.
    private static void MoveCentres(ReadOnlySpan<float> sample, int length, ReadOnlySpan<int> nearest, Span<float> keys, Span<float> centres)
    {
        var sizes = new int[centres.Length / length];
        centres.Clear();
        for (var row = 0; row < nearest.Length; row++)
        {
            sizes[nearest[row]]++;
            VectorMath.Add(sample.Slice(row * length, length), 1, centres.Slice(nearest[row] * length, length));
        }

        for (var cluster = 0; cluster < sizes.Length; cluster++)
        {
            var centre = centres.Slice(cluster * length, length);
            if (sizes[cluster] > 0)
            {
                foreach (ref var value in centre)
                {
                    value /= sizes[cluster];
                }
            }
            else
            {
                var farthest = 0;
                for (var row = 1; row < keys.Length; row++)
                {
                    farthest = keys[row] > keys[farthest] ? row : farthest;
                }

                keys[farthest] = 0;
                sample.Slice(farthest * length, length).CopyTo(centre);
            }
        }
    }
}
