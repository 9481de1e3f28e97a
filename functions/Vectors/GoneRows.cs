using System.Buffers;

namespace QuantumFlux.Vectors;

/// <summary>Which rows of other segments have been replaced or deleted, as bytes: for each such segment its id, the length of what follows, and the rows.</summary>
public static class GoneRows
{
    /// <summary>Writes the rows of segments that are not alive.</summary>
    public static byte[] Write(IEnumerable<LiveSegment> segments)
    {
        var (output, list) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        foreach (var segment in segments.Where(segment => segment.Count < segment.Segment.Rows))
        {
            using var gone = new RowSet(segment.Segment.Rows);
            gone.Or(segment.Alive);
            gone.Complement();
            var rows = new int[gone.Count];
            var count = 0;
            foreach (var row in gone)
            {
                rows[count++] = row;
            }

            list.ResetWrittenCount();
            Postings.Write(list, rows);
            output.WriteText(segment.Segment.Id);
            output.WriteVarInt((ulong)list.WrittenCount);
            output.Write(list.WrittenSpan);
        }

        return output.WrittenSpan.ToArray();
    }

    /// <summary>Takes those of a segment out of a set.</summary>
    public static void Remove(ReadOnlySpan<byte> bytes, string segmentId, RowSet rows)
    {
        var reader = new ByteReader(bytes);
        while (!reader.Rest.IsEmpty)
        {
            var id = reader.Text();
            var list = reader.Bytes((int)reader.VarInt());
            if (id == segmentId)
            {
                using var gone = new RowSet(rows.Rows);
                Postings.AddTo(gone, list);
                rows.AndNot(gone);
                return;
            }
        }
    }
}
