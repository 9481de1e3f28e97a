using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace QuantumFlux.Vectors;

/// <summary>Part of an index, by its bytes.</summary>
internal readonly record struct IndexSlice(int Start, int Length);

/// <summary>
/// Where a key lies among the contents of a <see cref="KeyTable"/>, by positions in the index: the contents of smaller keys end at
/// <paramref name="Doubtful"/>; then come those of a cut key that may be smaller or larger or equal, up to <paramref name="Equal"/>; then those of the
/// key itself, up to <paramref name="Greater"/>, where those of larger keys begin.
/// </summary>
internal readonly record struct KeyPlace(int Doubtful, int Equal, int Greater)
{
    public IndexSlice DoubtfulSlice => new(Doubtful, Equal - Doubtful);

    public IndexSlice EqualSlice => new(Equal, Greater - Equal);
}

/// <summary>A sorted list of keys with some content for each, read in place: opening it reads 8 bytes, finding a key reads about log2(keys) of them.</summary>
/// <remarks>
/// <para>Keys are bytes in ascending order. A key may be cut: it then stands for keys that go on behind what is kept, and no other key begins with it.</para>
/// <para>The bytes (whole numbers of 4 bytes are little-endian, <c>v</c> is a <see cref="Varint"/>):</para>
/// <code>
/// contents   of all keys, in the order of the keys, with nothing between them
/// entries    one for each key: v (how many bytes it has in common with the key before) | v (how many others follow)
///            | v (bytes of content × 2, + 1 when the key is cut) | those other bytes of the key
/// blocks     for every 16th key but the first, whose entry has nothing in common with the one before: 4 bytes where its content begins, within the
///            contents | 4 bytes where its entry begins, within the entries
/// trailer    4 bytes, length of the contents | 4 bytes, length of the entries
/// </code>
/// </remarks>
internal readonly ref struct KeyTable
{
    public const int KeysPerBlock = 16;
    public const int KeyBytesMax = MetadataFields.PathBytesMax;
    public const int BlockBytes = 2 * sizeof(uint);
    public const int TrailerBytes = 2 * sizeof(uint);

    private readonly ReadOnlySpan<byte> _entries;
    private readonly ReadOnlySpan<byte> _blocks;
    private readonly int _start;
    private readonly int _end;

    /// <summary>Opens a table.</summary>
    /// <param name="index">The bytes that it is part of.</param>
    /// <param name="place">Which part of them it is.</param>
    public KeyTable(ReadOnlySpan<byte> index, IndexSlice place)
    {
        var table = index.Slice(place.Start, place.Length);
        var trailer = table[^TrailerBytes..];
        var contentBytes = Number(trailer, 0);
        var entryBytes = Number(trailer, sizeof(uint));
        _entries = table.Slice(contentBytes, entryBytes);
        _blocks = table[(contentBytes + entryBytes)..^TrailerBytes];
        _start = place.Start;
        _end = place.Start + contentBytes;
    }

    /// <summary>The contents of all keys.</summary>
    public IndexSlice Contents => new(_start, _end - _start);

    /// <summary>Finds where a key is, or would be.</summary>
    public KeyPlace Find(ReadOnlySpan<byte> key)
    {
        Span<byte> current = stackalloc byte[KeyBytesMax];
        var (content, position) = Block(LastBlockBefore(key));
        var doubtful = content;
        while (position < _entries.Length)
        {
            var entry = Entry.Read(_entries, ref position);
            entry.Rest.CopyTo(current[entry.Common..]);
            ReadOnlySpan<byte> found = current[..(entry.Common + entry.Rest.Length)];
            var order = entry.CompareTo(found, key);
            if (order >= 0)
            {
                return new KeyPlace(doubtful, content, order == 0 ? content + entry.ContentBytes : content);
            }

            doubtful = entry.IsCut && key.StartsWith(found) ? content : content + entry.ContentBytes;
            content += entry.ContentBytes;
        }

        return new KeyPlace(doubtful, content, content);
    }

    private int LastBlockBefore(ReadOnlySpan<byte> key)
    {
        var (low, high) = (0, _blocks.Length / BlockBytes);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            var position = Block(middle).Entry;
            var entry = Entry.Read(_entries, ref position);
            if (entry.CompareTo(entry.Rest, key) < 0)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }

    private (int Content, int Entry) Block(int block)
    {
        if (block == 0)
        {
            return (_start, 0);
        }

        var start = (block - 1) * BlockBytes;
        return (_start + Number(_blocks, start), Number(_blocks, start + sizeof(uint)));
    }

    private static int Number(ReadOnlySpan<byte> bytes, int start) => checked((int)BinaryPrimitives.ReadUInt32LittleEndian(bytes[start..]));

    private readonly ref struct Entry
    {
        public required int Common { get; init; }

        public required ReadOnlySpan<byte> Rest { get; init; }

        public required int ContentBytes { get; init; }

        public required bool IsCut { get; init; }

        public static Entry Read(ReadOnlySpan<byte> entries, ref int position)
        {
            var common = (int)Varint.Read(entries, ref position);
            var rest = (int)Varint.Read(entries, ref position);
            var content = Varint.Read(entries, ref position);
            position += rest;
            return new Entry
            {
                Common = common,
                Rest = entries.Slice(position - rest, rest),
                ContentBytes = (int)(content >> 1),
                IsCut = (content & 1) != 0,
            };
        }

        // A cut key goes on, so it is larger than what is kept of it.
        public int CompareTo(ReadOnlySpan<byte> found, ReadOnlySpan<byte> key)
        {
            var order = found.SequenceCompareTo(key);
            return order == 0 && IsCut ? 1 : order;
        }
    }
}

/// <summary>Writes a <see cref="KeyTable"/>: first write a key's content to the target, then <see cref="Add"/> the key; last of all <see cref="Finish"/>.</summary>
internal sealed class KeyTableWriter(IBufferWriter<byte> target)
{
    private readonly ArrayBufferWriter<byte> _entries = new();
    private readonly ArrayBufferWriter<byte> _blocks = new();
    private readonly byte[] _before = new byte[KeyTable.KeyBytesMax];
    private int _beforeBytes;
    private int _keys;
    private int _contentBytes;

    /// <summary>Adds a key.</summary>
    /// <param name="key">Above all keys so far; at most <see cref="KeyTable.KeyBytesMax"/> bytes.</param>
    /// <param name="isCut">Whether it stands for keys that go on.</param>
    /// <param name="contentBytes">How many bytes of content were written for it.</param>
    public void Add(ReadOnlySpan<byte> key, bool isCut, int contentBytes)
    {
        if (_keys % KeyTable.KeysPerBlock == 0)
        {
            _beforeBytes = 0;
            if (_keys > 0)
            {
                WriteNumber(_blocks, _contentBytes);
                WriteNumber(_blocks, _entries.WrittenCount);
            }
        }

        var common = key.CommonPrefixLength(_before.AsSpan(0, _beforeBytes));
        Varint.Write(_entries, (uint)common);
        Varint.Write(_entries, (uint)(key.Length - common));
        Varint.Write(_entries, checked((uint)contentBytes << 1) | (isCut ? 1u : 0u));
        _entries.Write(key[common..]);
        key.CopyTo(_before);
        _beforeBytes = key.Length;
        _keys++;
        _contentBytes = checked(_contentBytes + contentBytes);
    }

    /// <summary>Ends the table, so that the next one can begin.</summary>
    /// <returns>How many bytes it has, contents included.</returns>
    public int Finish()
    {
        var bytes = checked(_contentBytes + _entries.WrittenCount + _blocks.WrittenCount + KeyTable.TrailerBytes);
        target.Write(_entries.WrittenSpan);
        target.Write(_blocks.WrittenSpan);
        WriteNumber(target, _contentBytes);
        WriteNumber(target, _entries.WrittenCount);
        _entries.ResetWrittenCount();
        _blocks.ResetWrittenCount();
        (_keys, _beforeBytes, _contentBytes) = (0, 0, 0);
        return bytes;
    }

    private static void WriteNumber(IBufferWriter<byte> target, int number)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(target.GetSpan(sizeof(uint)), (uint)number);
        target.Advance(sizeof(uint));
    }
}
