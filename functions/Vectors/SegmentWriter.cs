using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace QuantumFlux.Vectors;

/// <summary>A vector, wherever it is: in a segment, or in the tail of the log.</summary>
/// <param name="Segment">The segment that has it, held by the caller; null when it comes from the log.</param>
/// <param name="Row">Its row there.</param>
/// <param name="Vector">The vector, when it comes from the log.</param>
public readonly record struct SegmentRow(Segment? Segment, int Row, StoredVector? Vector)
{
    public ReadOnlySpan<float> Values => Segment is null ? Vector!.Values : Segment.Vector(Row);

    public VectorFacts Facts => Segment is null ? Vector!.Facts : Segment.Facts(Row);

    public ReadOnlySpan<byte> IdBytes => Segment is null ? Encoding.UTF8.GetBytes(Vector!.Id) : Segment.IdBytes(Row);

    public string Id => Segment is null ? Vector!.Id : Segment.IdOf(Row);
}

/// <summary>What a new segment is to hold.</summary>
/// <param name="Metric">How its vectors are compared.</param>
/// <param name="Dimension">The coordinates of each.</param>
/// <param name="Rows">The vectors, in the order in which they were written; none twice.</param>
/// <param name="Gone">What <see cref="GoneRows.Write"/> says of the other segments.</param>
/// <param name="FirstSequence">The first record of the log that it covers.</param>
/// <param name="LastSequence">The last one.</param>
public sealed record SegmentContent(
    Metric Metric, int Dimension, IReadOnlyList<SegmentRow> Rows, byte[] Gone, long FirstSequence, long LastSequence);

/// <summary>
/// Clusters and codes vectors, and writes them as a segment. Memory: the sample for clustering, then <see cref="StretchBytes"/>, and some bytes a vector;
/// not the vectors, however alike they are.
/// </summary>
public static class SegmentWriter
{
    /// <summary>What the vectors take in memory that are put into blocks at once: those of a larger cluster are taken in stretches, in the order of writing.</summary>
    public const int StretchBytes = 16 * 1024 * 1024;

    // Fewer are looked at one by one faster than clusters are chosen.
    private const int RowsOfOneCluster = 1_000;

    private const int SampleRowsPerCluster = 64;
    private const int ChunkRows = 256;

    /// <summary>How many clusters a number of vectors is put into: about its root, so that choosing clusters and reading them cost alike.</summary>
    public static int Clusters(int rows) => rows < RowsOfOneCluster ? Math.Min(rows, 1) : (int)Math.Round(Math.Sqrt(rows));

    /// <summary>Makes a segment.</summary>
    /// <returns>Its bytes.</returns>
    public static MappedBytes Write(SegmentContent content, CancellationToken cancellationToken)
    {
        var clustering = Clustering.Of(content, cancellationToken);
        var rows = clustering.Order.Select(index => content.Rows[index]).ToArray();
        var starts = RowStarts(rows, content.Dimension, cancellationToken);
        var contexts = ContextIndex.Write(rows.Select(row => row.Facts));
        var fields = Fields(rows);
        var header = Header(content, clustering.Clusters.Length, [
            clustering.CentreBytes.Length,
            (long)clustering.Clusters.Length * Marshal.SizeOf<ClusterEntry>(),
            content.Gone.Length,
            clustering.MiddleBytes,
            clustering.Clusters.Sum(cluster => SegmentFormat.ChunkBytes(cluster.Rows, clustering.Length)),
            starts.Length * (long)sizeof(int),
            rows.Length * (long)sizeof(ulong),
            rows.Length * (long)sizeof(int),
            rows.Length * (long)sizeof(int),
            contexts.Length,
            fields.Length,
            (long)starts[^1] * SegmentFormat.RowAlignment,
        ]);

        var output = new MappedBytes(header.TotalBytes);
        try
        {
            var writer = new PartWriter(output, header);
            writer.Append(header.ToBytes());
            writer.Write<sbyte>(SegmentPart.Centres, clustering.CentreBytes);
            writer.Write<ClusterEntry>(SegmentPart.Clusters, clustering.Clusters);
            writer.Write<byte>(SegmentPart.Gone, content.Gone);
            WriteChunks(writer, content, clustering, rows, cancellationToken);
            writer.Write<int>(SegmentPart.RowStarts, starts);
            WriteIds(writer, rows);
            writer.Write<int>(SegmentPart.Order, Inverse(clustering.Order));
            writer.Write<byte>(SegmentPart.Contexts, contexts);
            writer.Write<byte>(SegmentPart.Fields, fields);
            WriteRows(writer, rows, cancellationToken);
            writer.End();
            return output;
        }
        catch
        {
            output.Dispose();
            throw;
        }
    }

    private static void WriteChunks(
        PartWriter writer, SegmentContent content, Clustering clustering, SegmentRow[] rows, CancellationToken cancellationToken)
    {
        var encoder = new ChunkEncoder(content.Metric, content.Dimension);
        writer.Begin(SegmentPart.Middles);
        encoder.EncodeMiddles(clustering, writer.Take(clustering.MiddleBytes));
        writer.Begin(SegmentPart.Chunks);
        for (var cluster = 0; cluster < clustering.Clusters.Length; cluster++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var entry = clustering.Clusters[cluster];
            var chunk = writer.Take(SegmentFormat.ChunkBytes(entry.Rows, clustering.Length));
            encoder.Encode(rows.AsSpan(entry.FirstRow, entry.Rows), clustering.Centre(cluster), chunk);
        }
    }

    private static void WriteIds(PartWriter writer, SegmentRow[] rows)
    {
        var hashes = rows.Select(row => SegmentFormat.HashId(row.IdBytes)).ToArray();
        var hashed = Enumerable.Range(0, rows.Length).ToArray();
        Array.Sort(hashes, hashed);
        writer.Write<ulong>(SegmentPart.IdHashes, hashes);
        writer.Write<int>(SegmentPart.IdRows, hashed);
    }

    private static void WriteRows(PartWriter writer, SegmentRow[] rows, CancellationToken cancellationToken)
    {
        writer.Begin(SegmentPart.Rows);
        var (output, header) = (new ArrayBufferWriter<byte>(), new byte[SegmentFormat.RowHeaderBytes]);
        foreach (var row in rows)
        {
            cancellationToken.ThrowIfCancellationRequested();
            output.ResetWrittenCount();
            row.Facts.Write(output);
            var id = row.IdBytes;
            var zeros = -(id.Length + output.WrittenCount) & (SegmentFormat.RowAlignment - 1);
            BinaryPrimitives.WriteUInt16LittleEndian(header, checked((ushort)id.Length));
            BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(sizeof(ushort)), (ushort)zeros);
            writer.Append(MemoryMarshal.AsBytes(row.Values));
            writer.Append(header);
            writer.Append(id);
            writer.Append(output.WrittenSpan);
            writer.Skip(zeros);
        }
    }

    private static int[] RowStarts(SegmentRow[] rows, int dimension, CancellationToken cancellationToken)
    {
        var starts = new int[rows.Length + 1];
        var output = new ArrayBufferWriter<byte>();
        for (var row = 0; row < rows.Length; row++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            output.ResetWrittenCount();
            rows[row].Facts.Write(output);
            var bytes = (dimension * sizeof(float)) + SegmentFormat.RowHeaderBytes + rows[row].IdBytes.Length + output.WrittenCount;
            starts[row + 1] = checked(starts[row] + ((bytes + SegmentFormat.RowAlignment - 1) / SegmentFormat.RowAlignment));
        }

        return starts;
    }

    private static byte[] Fields(SegmentRow[] rows)
    {
        var writer = new FieldIndexWriter();
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Facts.Metadata is { IsEmpty: false } metadata)
            {
                writer.Add(row, MetadataFields.Parse(metadata.Span));
            }
        }

        var output = new ArrayBufferWriter<byte>();
        writer.Write(output);
        return output.WrittenSpan.ToArray();
    }

    private static SegmentHeader Header(SegmentContent content, int clusters, long[] lengths)
    {
        var parts = new (long Offset, long Bytes)[lengths.Length];
        long offset = SegmentFormat.HeaderBytes;
        for (var part = 0; part < parts.Length; part++)
        {
            parts[part] = (offset, lengths[part]);
            offset = SegmentFormat.Align(offset + lengths[part]);
        }

        return new SegmentHeader(content.Metric, content.Dimension, content.Rows.Count, clusters, content.FirstSequence, content.LastSequence, parts);
    }

    // The order of writing, as rows: what was written as the n-th lies in the row that this says.
    private static int[] Inverse(int[] order)
    {
        var inverse = new int[order.Length];
        for (var row = 0; row < order.Length; row++)
        {
            inverse[order[row]] = row;
        }

        return inverse;
    }

    /// <summary>The clusters of a segment's vectors.</summary>
    /// <param name="Length">The coordinates of a rotated vector.</param>
    /// <param name="Centres">Their rotated centres, one after the other: exactly what the bytes say.</param>
    /// <param name="CentreBytes">The same in bytes.</param>
    /// <param name="Clusters">The clusters.</param>
    /// <param name="Order">Which vector of the content lies in each row.</param>
    /// <param name="Middles">The rotated middles of all blocks, one after the other.</param>
    private sealed record Clustering(int Length, float[] Centres, sbyte[] CentreBytes, ClusterEntry[] Clusters, int[] Order, float[] Middles)
    {
        /// <summary>The bytes of the coded middles.</summary>
        public long MiddleBytes => (long)SegmentFormat.Blocks(Middles.Length / Length) * SegmentFormat.BlockBytes(Length);

        public ReadOnlySpan<float> Centre(int cluster) => Centres.AsSpan(cluster * Length, Length);

        public static Clustering Of(SegmentContent content, CancellationToken cancellationToken)
        {
            var rotation = Rotation.Of(content.Dimension);
            var count = SegmentWriter.Clusters(content.Rows.Count);
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

    /// <summary>Codes the vectors of a cluster.</summary>
    private sealed class ChunkEncoder(Metric metric, int dimension)
    {
        private readonly Rotation _rotation = Rotation.Of(dimension);
        private readonly float[] _residual = new float[Rotation.Of(dimension).Length];

        /// <summary>Codes a cluster.</summary>
        /// <param name="rows">Its rows.</param>
        /// <param name="centre">Its centre.</param>
        /// <param name="chunk">Receives the codes; it is zero.</param>
        public void Encode(ReadOnlySpan<SegmentRow> rows, ReadOnlySpan<float> centre, Span<byte> chunk)
        {
            var length = _rotation.Length;
            var blockBytes = SegmentFormat.BlockBytes(length);
            var bytesAt = SegmentFormat.Blocks(rows.Length) * blockBytes;
            var rowBytes = MemoryMarshal.Cast<byte, sbyte>(chunk.Slice(bytesAt, rows.Length * length));
            var entries = MemoryMarshal.Cast<byte, RowEntry>(chunk[(bytesAt + (rows.Length * length))..]);
            for (var row = 0; row < rows.Length; row++)
            {
                var values = rows[row].Values;
                _rotation.Rotate(values, metric.Divisor(values), _residual);
                for (var index = 0; index < length; index++)
                {
                    _residual[index] -= centre[index];
                }

                WriteCode(centre, chunk.Slice(row / BitCodes.BlockVectors * blockBytes, blockBytes), row % BitCodes.BlockVectors);
                entries[row] = Quantize(centre, rowBytes.Slice(row * length, length));
            }
        }

        /// <summary>Codes the middles of all blocks.</summary>
        /// <param name="clustering">The clusters.</param>
        /// <param name="bytes">Receives the codes; it is zero.</param>
        public void EncodeMiddles(Clustering clustering, Span<byte> bytes)
        {
            var length = _rotation.Length;
            var blockBytes = SegmentFormat.BlockBytes(length);
            for (var cluster = 0; cluster < clustering.Clusters.Length; cluster++)
            {
                var entry = clustering.Clusters[cluster];
                var centre = clustering.Centre(cluster);
                for (var middle = entry.FirstBlock; middle < entry.FirstBlock + entry.Blocks; middle++)
                {
                    for (var index = 0; index < length; index++)
                    {
                        _residual[index] = clustering.Middles[((long)middle * length) + index] - centre[index];
                    }

                    WriteCode(centre, bytes.Slice(middle / BitCodes.BlockVectors * blockBytes, blockBytes), middle % BitCodes.BlockVectors);
                }
            }
        }

        private void WriteCode(ReadOnlySpan<float> centre, Span<byte> block, int place)
        {
            BitCodes.Write(_residual, place, block);
            var numbers = MemoryMarshal.Cast<byte, float>(block[BitCodes.BlockBytes(_rotation.Length)..]);
            (numbers[place], numbers[BitCodes.BlockVectors + place]) = CodeNumbers(centre);
        }

        // RaBitQ's estimate of ⟨r, q⟩ for a residual r with the code b (±1 a coordinate) is |r|² / Σ|rᵢ| × ⟨b, q⟩. It is used for q − centre, so that
        // its error shrinks with the distance to the cluster, and ⟨b, q⟩ needs no table of each cluster's own.
        private (float Constant, float Factor) CodeNumbers(ReadOnlySpan<float> centre)
        {
            double squares = 0, sum = 0, alongCentre = 0, codeAlongCentre = 0;
            for (var index = 0; index < _residual.Length; index++)
            {
                var value = _residual[index];
                squares += (double)value * value;
                sum += Math.Abs(value);
                alongCentre += (double)value * centre[index];
                codeAlongCentre += value > 0 ? centre[index] : -centre[index];
            }

            var factor = sum > 0 ? squares / sum : 0;
            return metric == Metric.Dot
                ? ((float)((factor * codeAlongCentre) - alongCentre), (float)-factor)
                : ((float)(squares + (2 * factor * codeAlongCentre)), (float)(-2 * factor));
        }

        private RowEntry Quantize(ReadOnlySpan<float> centre, Span<sbyte> bytes)
        {
            var scale = SignedBytes.Round(_residual, bytes);
            double squares = 0, missed = 0, alongCentre = 0, bytesAlongCentre = 0;
            for (var index = 0; index < _residual.Length; index++)
            {
                var value = _residual[index];
                var kept = (double)bytes[index] * scale;
                squares += (double)value * value;
                missed += (value - kept) * (value - kept);
                alongCentre += (double)value * centre[index];
                bytesAlongCentre += kept * centre[index];
            }

            return new RowEntry(
                (float)(metric == Metric.Dot ? bytesAlongCentre - alongCentre : squares + (2 * bytesAlongCentre)), scale, (float)Math.Sqrt(missed));
        }
    }

    /// <summary>Writes parts where the header says that they lie.</summary>
    private sealed class PartWriter(MappedBytes output, SegmentHeader header)
    {
        private long _position;

        public void Write<T>(SegmentPart part, ReadOnlySpan<T> values)
            where T : unmanaged
        {
            Begin(part);
            Append(MemoryMarshal.AsBytes(values));
        }

        public void Begin(SegmentPart part) => MoveTo(header.Parts[(int)part].Offset);

        public void Append(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(output.Span(_position, bytes.Length));
            _position += bytes.Length;
        }

        /// <summary>The next bytes, zero still, to be written in their place.</summary>
        public Span<byte> Take(long bytes)
        {
            var taken = output.Span(_position, checked((int)bytes));
            _position += bytes;
            return taken;
        }

        // What is not written is zero from the beginning.
        public void Skip(int bytes) => _position += bytes;

        public void End() => MoveTo(header.TotalBytes);

        private void MoveTo(long offset) => _position = offset - _position is >= 0 and < SegmentFormat.Alignment
            ? offset
            : throw new InvalidOperationException("A part of a segment has another length than was planned.");
    }
}
