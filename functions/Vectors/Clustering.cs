namespace QuantumFlux.Vectors;

/// <summary>The clusters of a segment's vectors.</summary>
/// <param name="Length">The coordinates of a rotated vector.</param>
/// <param name="Centres">Their rotated centres, one after the other: exactly what the bytes say.</param>
/// <param name="CentreBytes">The same in bytes.</param>
/// <param name="Clusters">The clusters.</param>
/// <param name="Order">Which vector of the content lies in each row.</param>
/// <param name="Middles">The rotated middles of all blocks, one after the other.</param>
public sealed record Clustering(int Length, float[] Centres, sbyte[] CentreBytes, ClusterEntry[] Clusters, int[] Order, float[] Middles)
{
    /// <summary>What the vectors take in memory that are put into blocks at once: those of a larger cluster are taken in stretches, in the order of writing.</summary>
    public const int StretchBytes = 16 * 1024 * 1024;

    // Fewer are looked at one by one faster than clusters are chosen.
    private const int RowsOfOneCluster = 1_000;

    private const int SampleRowsPerCluster = 64;
    private const int ChunkRows = 256;

    /// <summary>The bytes of the coded middles.</summary>
    public long MiddleBytes => (long)SegmentFormat.Blocks(Middles.Length / Length) * SegmentFormat.BlockBytes(Length);

    /// <summary>The rotated centre of a cluster.</summary>
    public ReadOnlySpan<float> Centre(int cluster) => Centres.AsSpan(cluster * Length, Length);

    /// <summary>How many clusters a number of vectors is put into: about its root, so that choosing clusters and reading them cost alike.</summary>
    public static int Count(int rows) => rows < RowsOfOneCluster ? Math.Min(rows, 1) : (int)Math.Round(Math.Sqrt(rows));

    /// <summary>Puts the vectors of a segment into clusters; the same vectors always into the same.</summary>
    public static Clustering Of(SegmentContent content, CancellationToken cancellationToken)
    {
        var rotation = Rotation.Of(content.Dimension);
        var count = Count(content.Rows.Count);
        if (count == 0)
        {
            return new Clustering(rotation.Length, [], [], [], [], []);
        }

        var centres = FindCentres(content, rotation, count, cancellationToken);
        var (bytes, scales) = RoundToBytes(centres, rotation.Length);
        var (nearest, distances) = Assign(content, rotation, centres, cancellationToken);
        var entries = Entries(nearest, distances, scales, rotation.Length, out var order);
        return new Clustering(rotation.Length, centres, bytes, entries, order, Arrange(content, rotation, entries, order, cancellationToken));
    }

    // A method of its own: when it returns, its sample is garbage, also where the compiler keeps what a method has to its end.
    private static float[] FindCentres(SegmentContent content, Rotation rotation, int count, CancellationToken cancellationToken)
    {
        var rows = content.Rows;
        var sampled = (int)Math.Min(rows.Count, (long)count * SampleRowsPerCluster);
        var sample = new float[(long)sampled * rotation.Length];
        for (var index = 0; index < sampled; index++)
        {
            var values = rows[(int)((long)index * rows.Count / sampled)].Values;
            rotation.Rotate(values, content.Metric.Divisor(values), sample.AsSpan(index * rotation.Length));
        }

        // The same vectors make the same segment.
        return KMeans.Find(sample, rotation.Length, count, new Random(count), cancellationToken);
    }

    // A centre may be any point. One that bytes can tell is as good, and a quarter as long.
    private static (sbyte[] Bytes, float[] Scales) RoundToBytes(float[] centres, int length)
    {
        var (bytes, scales) = (new sbyte[centres.Length], new float[centres.Length / length]);
        for (var cluster = 0; cluster < scales.Length; cluster++)
        {
            var centre = centres.AsSpan(cluster * length, length);
            scales[cluster] = SignedBytes.Round(centre, bytes.AsSpan(cluster * length, length));
            for (var index = 0; index < length; index++)
            {
                centre[index] = bytes[(cluster * length) + index] * scales[cluster];
            }
        }

        return (bytes, scales);
    }

    // Puts the rows of each cluster in such an order that blocks hold neighbours, and gives the blocks' middles.
    private static float[] Arrange(
        SegmentContent content, Rotation rotation, ClusterEntry[] clusters, int[] order, CancellationToken cancellationToken)
    {
        var length = rotation.Length;
        var middles = new float[(long)clusters.Sum(cluster => cluster.Blocks) * length];

        // Whole blocks, so that only a cluster's last one is not full.
        var stretch = StretchBytes / sizeof(float) / length / BitCodes.BlockVectors * BitCodes.BlockVectors;
        var vectors = new float[Math.Min(clusters.Max(cluster => cluster.Rows), stretch) * length];
        foreach (var cluster in clusters)
        {
            for (var first = 0; first < cluster.Rows; first += stretch)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var rows = order.AsSpan(cluster.FirstRow + first, Math.Min(stretch, cluster.Rows - first));
                ArrangeStretch(content, rotation, rows, vectors, middles.AsSpan((cluster.FirstBlock + (first / BitCodes.BlockVectors)) * length));
            }
        }

        return middles;
    }

    private static void ArrangeStretch(SegmentContent content, Rotation rotation, Span<int> rows, float[] vectors, Span<float> middles)
    {
        var length = rotation.Length;
        for (var row = 0; row < rows.Length; row++)
        {
            var values = content.Rows[rows[row]].Values;
            rotation.Rotate(values, content.Metric.Divisor(values), vectors.AsSpan(row * length, length));
        }

        var places = Enumerable.Range(0, rows.Length).ToArray();
        BlockOrder.Sort(vectors, length, places);
        var before = rows.ToArray();
        for (var row = 0; row < rows.Length; row++)
        {
            rows[row] = before[places[row]];
        }

        for (var first = 0; first < rows.Length; first += BitCodes.BlockVectors)
        {
            BlockOrder.Mean(
                vectors,
                length,
                places.AsSpan(first, Math.Min(BitCodes.BlockVectors, rows.Length - first)),
                middles.Slice(first / BitCodes.BlockVectors * length, length));
        }
    }

    private static (int[] Nearest, float[] SquaredDistances) Assign(
        SegmentContent content, Rotation rotation, float[] centres, CancellationToken cancellationToken)
    {
        var (nearest, distances) = (new int[content.Rows.Count], new float[content.Rows.Count]);
        var some = new float[ChunkRows * rotation.Length];
        for (var start = 0; start < nearest.Length; start += ChunkRows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var taken = Math.Min(ChunkRows, nearest.Length - start);
            for (var index = 0; index < taken; index++)
            {
                var values = content.Rows[start + index].Values;
                rotation.Rotate(values, content.Metric.Divisor(values), some.AsSpan(index * rotation.Length));
            }

            KMeans.Assign(some.AsSpan(0, taken * rotation.Length), rotation.Length, centres, nearest.AsSpan(start, taken), distances.AsSpan(start, taken));
            for (var index = 0; index < taken; index++)
            {
                // Exactly this time: a search relies on the radius.
                distances[start + index] = VectorMath.SquaredDistance(
                    some.AsSpan(index * rotation.Length, rotation.Length),
                    centres.AsSpan(nearest[start + index] * rotation.Length, rotation.Length));
            }
        }

        return (nearest, distances);
    }

    private static ClusterEntry[] Entries(int[] nearest, float[] squaredDistances, float[] scales, int length, out int[] order)
    {
        var count = scales.Length;
        var (sizes, radii) = (new int[count], new float[count]);
        for (var row = 0; row < nearest.Length; row++)
        {
            var cluster = nearest[row];
            sizes[cluster]++;
            radii[cluster] = Math.Max(radii[cluster], squaredDistances[row]);
        }

        var entries = new ClusterEntry[count];
        var next = new int[count];
        var (first, firstBlock, offset) = (0, 0, 0L);
        for (var cluster = 0; cluster < count; cluster++)
        {
            var unit = checked((int)(offset / SegmentFormat.Alignment));
            entries[cluster] = new ClusterEntry(first, sizes[cluster], firstBlock, unit, scales[cluster], MathF.Sqrt(radii[cluster]));
            next[cluster] = first;
            first += sizes[cluster];
            firstBlock += entries[cluster].Blocks;
            offset += SegmentFormat.ChunkBytes(sizes[cluster], length);
        }

        order = new int[nearest.Length];
        for (var row = 0; row < nearest.Length; row++)
        {
            order[next[nearest[row]]++] = row;
        }

        return entries;
    }
}
