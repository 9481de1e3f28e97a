using System.Buffers;
using System.Buffers.Binary;

namespace QuantumFlux.Vectors;

/// <summary>The rows that have a value, as bytes. Lists of rows stand one behind the other without anything between them.</summary>
/// <remarks>
/// <para>A list begins with a number whose two lowest bits say how it goes on; the smallest of the three is written. All numbers are <see cref="Varint"/>s.</para>
/// <list type="bullet">
/// <item>0, gaps: (how many rows) × 4, then the first row, then for each other row how far it lies behind the one before it.</item>
/// <item>1, bits: (how many words) × 4 + 1, then the number of the first word (its first row / 64), then the words, 8 bytes each, little-endian, the
/// lowest bit for the lowest row.</item>
/// <item>2, neighbours: 2, then the first row, then how many rows follow one another from there.</item>
/// </list>
/// </remarks>
internal static class Postings
{
    private const uint Gaps = 0;
    private const uint Bits = 1;
    private const uint Neighbours = 2;
    private const int WordBits = 64;

    // As many bytes as take some ten microseconds.
    private const int BytesBetweenLooks = 32 * 1024;

    /// <summary>Writes a list and returns how many bytes it took.</summary>
    /// <param name="target">Gets the bytes.</param>
    /// <param name="rows">At least one row, in ascending order.</param>
    public static int Write(IBufferWriter<byte> target, ReadOnlySpan<int> rows)
    {
        var (first, last) = (rows[0], rows[^1]);
        if (rows.Length > 1 && last - first == rows.Length - 1)
        {
            return Varint.Write(target, Neighbours) + Varint.Write(target, (uint)first) + Varint.Write(target, (uint)rows.Length);
        }

        var firstWord = first / WordBits;
        var words = last / WordBits - firstWord + 1;
        if (GapBytes(rows) <= (long)words * sizeof(ulong))
        {
            return WriteGaps(target, rows);
        }

        var written = Varint.Write(target, (uint)words << 2 | Bits) + Varint.Write(target, (uint)firstWord);
        var next = 0;
        for (var word = firstWord; word < firstWord + words; word++)
        {
            var bits = 0UL;
            for (; next < rows.Length && rows[next] / WordBits == word; next++)
            {
                bits |= 1UL << rows[next];
            }

            BinaryPrimitives.WriteUInt64LittleEndian(target.GetSpan(sizeof(ulong)), bits);
            target.Advance(sizeof(ulong));
        }

        return written + words * sizeof(ulong);
    }

    /// <summary>Adds the rows of all these lists to a set.</summary>
    /// <param name="target">The set.</param>
    /// <param name="lists">The lists.</param>
    /// <param name="isOver">Says when time is up; then some of the rows are missing. Null for never.</param>
    public static void AddTo(RowSet target, ReadOnlySpan<byte> lists, Func<bool>? isOver = null)
    {
        var look = BytesBetweenLooks;
        for (var position = 0; position < lists.Length;)
        {
            if (position >= look)
            {
                if (isOver?.Invoke() == true)
                {
                    return;
                }

                look = position + BytesBetweenLooks;
            }

            var head = Varint.Read(lists, ref position);
            var count = (int)(head >> 2);
            var row = (int)Varint.Read(lists, ref position);
            switch (head & 3)
            {
                case Gaps:
                    target.Add(row);
                    for (; count > 1; count--)
                    {
                        row += (int)Varint.Read(lists, ref position);
                        target.Add(row);
                    }

                    break;
                case Bits:
                    target.AddBits(row, lists.Slice(position, count * sizeof(ulong)));
                    position += count * sizeof(ulong);
                    break;
                case Neighbours:
                    target.AddRange(row, (int)Varint.Read(lists, ref position));
                    break;
                default:
                    throw new InvalidDataException("A list of rows in the index begins with an unknown number.");
            }
        }
    }

    private static int WriteGaps(IBufferWriter<byte> target, ReadOnlySpan<int> rows)
    {
        var written = Varint.Write(target, (uint)rows.Length << 2 | Gaps);
        var before = 0;
        foreach (var row in rows)
        {
            written += Varint.Write(target, (uint)(row - before));
            before = row;
        }

        return written;
    }

    private static long GapBytes(ReadOnlySpan<int> rows)
    {
        var bytes = 0L;
        var before = 0;
        foreach (var row in rows)
        {
            bytes += Varint.Bytes((uint)(row - before));
            before = row;
        }

        return bytes;
    }
}
