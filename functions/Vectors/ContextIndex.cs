using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace QuantumFlux.Vectors;

/// <summary>A row that is in a context.</summary>
/// <param name="Row">The row.</param>
/// <param name="Weight">How strongly it is.</param>
/// <param name="Until">When its superposition ends, in UTC ticks; the largest number when it never does.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct ContextEntry(int Row, float Weight, long Until);

/// <summary>Which rows of a segment are in which context.</summary>
/// <remarks>
/// The bytes: the number of contexts; for each, in the order of their names' bytes, where its name begins and how long it is, and its first entry and how
/// many there are; the names; and from a multiple of 16 on, the entries, by context and then by row. Numbers have 32 bits.
/// </remarks>
public static class ContextIndex
{
    private const int DirectoryNumbers = 4;
    private const int EntryBytes = 16;

    /// <summary>Writes the index of rows with their facts, which come in their order.</summary>
    public static byte[] Write(IEnumerable<VectorFacts> rows)
    {
        var contexts = new SortedDictionary<byte[], List<ContextEntry>>(Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        var row = 0;
        foreach (var facts in rows)
        {
            foreach (var context in facts.Contexts)
            {
                var name = Encoding.UTF8.GetBytes(context.Name);
                if (!contexts.TryGetValue(name, out var entries))
                {
                    contexts.Add(name, entries = []);
                }

                entries.Add(new ContextEntry(row, (float)context.Weight, facts.CoherentUntil?.UtcTicks ?? long.MaxValue));
            }

            row++;
        }

        var output = new ArrayBufferWriter<byte>();
        var directoryBytes = sizeof(int) * (1 + (DirectoryNumbers * contexts.Count));
        WriteInt(contexts.Count);
        var (nameAt, entryAt) = (directoryBytes, 0);
        foreach (var (name, entries) in contexts)
        {
            WriteInt(nameAt);
            WriteInt(name.Length);
            WriteInt(entryAt);
            WriteInt(entries.Count);
            (nameAt, entryAt) = (nameAt + name.Length, entryAt + entries.Count);
        }

        foreach (var name in contexts.Keys)
        {
            output.Write(name);
        }

        output.Write(new byte[(EntryBytes - (output.WrittenCount % EntryBytes)) % EntryBytes]);
        foreach (var entries in contexts.Values)
        {
            output.Write(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(entries)));
        }

        return output.WrittenSpan.ToArray();

        void WriteInt(int value)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(sizeof(int)), value);
            output.Advance(sizeof(int));
        }
    }

    /// <summary>The rows in a context, by row; empty when none is.</summary>
    public static ReadOnlySpan<ContextEntry> Find(ReadOnlySpan<byte> index, string context)
    {
        var name = Encoding.UTF8.GetBytes(context);
        var numbers = MemoryMarshal.Cast<byte, int>(index);
        var count = numbers[0];
        var (low, high) = (0, count - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var entry = numbers.Slice(1 + (DirectoryNumbers * middle), DirectoryNumbers);
            var order = index.Slice(entry[0], entry[1]).SequenceCompareTo(name);
            if (order == 0)
            {
                var last = numbers.Slice(1 + (DirectoryNumbers * (count - 1)), DirectoryNumbers);
                var start = (last[0] + last[1] + EntryBytes - 1) / EntryBytes * EntryBytes;
                return MemoryMarshal.Cast<byte, ContextEntry>(index[start..]).Slice(entry[2], entry[3]);
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return [];
    }
}
