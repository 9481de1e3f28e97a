namespace QuantumFlux.Vectors;

/// <summary>Puts a cluster's vectors in such an order that each 32 are near each other, so that the middle of a block says where its vectors are.</summary>
public static class BlockOrder
{
    private const int Iterations = 4;

    /// <summary>Orders vectors: halves them across the direction in which they are spread widest, and so on with the halves.</summary>
    /// <param name="vectors">The vectors, one after the other.</param>
    /// <param name="length">The coordinates of each.</param>
    /// <param name="rows">Which of them to order; they are exchanged.</param>
    public static void Sort(ReadOnlySpan<float> vectors, int length, Span<int> rows)
    {
        var blocks = (rows.Length + BitCodes.BlockVectors - 1) / BitCodes.BlockVectors;
        if (blocks <= 1)
        {
            return;
        }

        var direction = WidestDirection(vectors, length, rows);
        var along = new float[rows.Length];
        for (var index = 0; index < rows.Length; index++)
        {
            along[index] = VectorMath.Dot(vectors.Slice(rows[index] * length, length), direction);
        }

        along.AsSpan().Sort(rows);

        // Whole blocks on the left, so that no more than one block is not full.
        var half = blocks / 2 * BitCodes.BlockVectors;
        Sort(vectors, length, rows[..half]);
        Sort(vectors, length, rows[half..]);
    }

    /// <summary>The middle of some vectors.</summary>
    public static void Mean(ReadOnlySpan<float> vectors, int length, ReadOnlySpan<int> rows, Span<float> mean)
    {
        mean.Clear();
        foreach (var row in rows)
        {
            VectorMath.Add(vectors.Slice(row * length, length), 1f / rows.Length, mean);
        }
    }

    // The first principal component, by power iteration: it need not be exact.
    private static float[] WidestDirection(ReadOnlySpan<float> vectors, int length, ReadOnlySpan<int> rows)
    {
        var (mean, direction, next) = (new float[length], new float[length], new float[length]);
        Mean(vectors, length, rows, mean);

        // From the vector that lies farthest from the middle.
        var farthest = 0f;
        foreach (var row in rows)
        {
            var vector = vectors.Slice(row * length, length);
            if (VectorMath.SquaredDistance(vector, mean) is var distance && distance > farthest)
            {
                farthest = distance;
                vector.CopyTo(direction);
                VectorMath.Add(mean, -1, direction);
            }
        }

        for (var iteration = 0; iteration < Iterations && farthest > 0; iteration++)
        {
            next.AsSpan().Clear();
            var middle = VectorMath.Dot(mean, direction);
            foreach (var row in rows)
            {
                var vector = vectors.Slice(row * length, length);
                VectorMath.Add(vector, VectorMath.Dot(vector, direction) - middle, next);
            }

            // The products add up to nothing, so the middle need not be taken from each vector.
            var norm = MathF.Sqrt(VectorMath.Dot(next, next));
            if (norm == 0)
            {
                break;
            }

            direction.AsSpan().Clear();
            VectorMath.Add(next, 1 / norm, direction);
        }

        return direction;
    }
}
