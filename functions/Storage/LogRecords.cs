using System.Buffers.Binary;

namespace QuantumFlux.Storage;

/// <summary>How the records of a <see cref="Log"/> lie in a row: one behind the other, each after its length in four bytes, the lowest first.</summary>
public static class LogRecords
{
    /// <summary>What a record takes beside its own bytes.</summary>
    public const int OverheadBytes = sizeof(int);

    /// <summary>The most bytes of records in a row: fifteen full columns. Keys, names and the other columns have the rest of the row's mebibyte.</summary>
    public const int RowBytesMax = 15 * TableRow.ColumnBytesMax;

    /// <summary>Cuts records into rows, each as full as can be.</summary>
    /// <param name="records">The records, none larger than a row.</param>
    /// <returns>For each row the number of its records and their bytes.</returns>
    public static IEnumerable<(int Count, byte[] Data)> Pack(IReadOnlyList<ReadOnlyMemory<byte>> records)
    {
        for (var start = 0; start < records.Count;)
        {
            var (end, bytes) = (start, 0);
            while (end < records.Count && bytes + OverheadBytes + records[end].Length <= RowBytesMax)
            {
                bytes += OverheadBytes + records[end++].Length;
            }

            var data = new byte[bytes];
            var rest = data.AsSpan();
            for (var index = start; index < end; index++)
            {
                BinaryPrimitives.WriteInt32LittleEndian(rest, records[index].Length);
                records[index].Span.CopyTo(rest[OverheadBytes..]);
                rest = rest[(OverheadBytes + records[index].Length)..];
            }

            yield return (end - start, data);
            start = end;
        }
    }

    /// <summary>The records of a row, as slices of its bytes.</summary>
    /// <exception cref="InvalidDataException">The bytes end within a record.</exception>
    public static IEnumerable<ReadOnlyMemory<byte>> Unpack(ReadOnlyMemory<byte> data)
    {
        while (!data.IsEmpty)
        {
            var length = data.Length < OverheadBytes ? -1 : BinaryPrimitives.ReadInt32LittleEndian(data.Span);
            if (length < 0 || length > data.Length - OverheadBytes)
            {
                throw new InvalidDataException("A row of a log ends within a record.");
            }

            yield return data.Slice(OverheadBytes, length);
            data = data[(OverheadBytes + length)..];
        }
    }
}
