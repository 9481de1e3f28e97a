using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

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
/// Clusters and codes vectors, and writes them as a segment. Memory: the sample for clustering, then <see cref="Clustering.StretchBytes"/>, and some bytes a vector;
/// not the vectors, however alike they are.
/// </summary>
public static class SegmentWriter
{
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
