using System.Buffers;
using System.Buffers.Binary;

namespace QuantumFlux.Vectors;

/// <summary>Collects the metadata of a segment's rows and writes the <see cref="FieldIndex"/> of them.</summary>
/// <remarks>Keeps each different value of a path once, and 4 bytes for each occurrence of a value or a path in a row.</remarks>
public sealed class FieldIndexWriter
{
    /// <summary>How many bytes of a text the index keeps at most.</summary>
    public const int TextBytesMax = 256;

    /// <summary>How many bytes it keeps of a text that only one row has, or as many more as tell it from all others.</summary>
    public const int LoneTextBytesMin = 64;

    // A value's name here: the number of its path, big-endian, then its key. Of a text that goes on behind what is kept, the key has a zero byte
    // too many, which sorts it behind the text that ends there.
    private const int PathBytes = sizeof(int);
    private const int ValueBytesMax = PathBytes + 1 + TextBytesMax + 1;

    private readonly KeyInterner _paths = new();
    private readonly KeyInterner _values = new();

    // By path: the row added last that has a value there, and its last value.
    private readonly List<(int Row, int Value)> _lastValues = [];

    // By value: the row added last that has it.
    private readonly List<int> _lastRows = [];

    // The values of all rows, and for each row where its own begin.
    private readonly List<int> _occurrences = [];
    private readonly List<int> _rowStarts = [];

    /// <summary>Adds a row.</summary>
    /// <param name="row">Its number, above that of the row added before. Rows that are left out have no metadata.</param>
    /// <param name="fields">Its metadata.</param>
    /// <exception cref="ArgumentOutOfRangeException">The row is not above the one before.</exception>
    public void Add(int row, MetadataFields fields)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(row, _rowStarts.Count);
        while (_rowStarts.Count <= row)
        {
            _rowStarts.Add(_occurrences.Count);
        }

        foreach (var field in fields)
        {
            Add(row, field);
        }
    }

    /// <summary>Writes the index of all rows added. It can't take 2 GiB.</summary>
    /// <exception cref="OverflowException">It would.</exception>
    public void Write(IBufferWriter<byte> target)
    {
        var (values, pathStarts) = ValuesByPath();
        var (rows, rowsStarts) = RowsByValue(values);
        var fieldTable = new KeyTableWriter(target);
        var pathTable = new KeyTableWriter(target);
        foreach (var path in Sorted(Enumerable.Range(0, _paths.Count).ToArray(), _paths))
        {
            for (var place = pathStarts[path]; place < pathStarts[path + 1]; place++)
            {
                var rowsOfValue = rows.AsSpan(rowsStarts[place]..rowsStarts[place + 1]);
                var before = place > pathStarts[path] ? Key(values[place - 1]) : [];
                var after = place + 1 < pathStarts[path + 1] ? Key(values[place + 1]) : [];
                var key = Key(values[place]);
                var kept = KeptBytes(key, rowsOfValue.Length == 1, before, after);
                fieldTable.Add(key[..kept], kept < key.Length, Postings.Write(target, rowsOfValue));
            }

            pathTable.Add(_paths[path], isCut: false, fieldTable.Finish());
        }

        pathTable.Finish();
    }

    private static int KeptBytes(ReadOnlySpan<byte> key, bool isLone, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        var kept = Math.Min(key.Length, 1 + TextBytesMax);
        if (!isLone)
        {
            return kept;
        }

        var common = Math.Max(key.CommonPrefixLength(before), key.CommonPrefixLength(after));
        return Math.Min(kept, Math.Max(1 + LoneTextBytesMin, common + 1));
    }

    private void Add(int row, MetadataField field)
    {
        Span<byte> name = stackalloc byte[ValueBytesMax];
        var path = _paths.Intern(field.Path);
        BinaryPrimitives.WriteInt32BigEndian(name, path);
        name[PathBytes] = ValueKey.Present;
        Note(row, name[..(PathBytes + 1)]);
        if (path == _lastValues.Count)
        {
            _lastValues.Add((-1, -1));
        }

        if (field.Kind == MetadataKind.Container)
        {
            return;
        }

        var text = field.Text[..Math.Min(field.Text.Length, TextBytesMax)];
        var length = PathBytes + ValueKey.Write(name[PathBytes..], field.Kind, field.Number, text);
        if (text.Length < field.Text.Length)
        {
            name[length++] = 0;
        }

        var value = Note(row, name[..length]);
        var last = _lastValues[path];
        _lastValues[path] = (row, value);
        if (last.Row == row && last.Value != value)
        {
            name[PathBytes] = ValueKey.Several;
            Note(row, name[..(PathBytes + 1)]);
        }
    }

    private int Note(int row, ReadOnlySpan<byte> name)
    {
        var value = _values.Intern(name);
        if (value == _lastRows.Count)
        {
            _lastRows.Add(-1);
        }

        if (_lastRows[value] != row)
        {
            _lastRows[value] = row;
            _occurrences.Add(value);
        }

        return value;
    }

    // All values, by path and then in their order, and where those of each path begin.
    private (int[] Values, int[] PathStarts) ValuesByPath()
    {
        var starts = Starts(_paths.Count, Enumerable.Range(0, _values.Count).Select(Path));
        var values = new int[_values.Count];
        var next = starts.ToArray();
        for (var value = 0; value < values.Length; value++)
        {
            values[next[Path(value)]++] = value;
        }

        for (var path = 0; path < _paths.Count; path++)
        {
            Sorted(values.AsSpan(starts[path]..starts[path + 1]), _values);
        }

        return (values, starts);
    }

    // The rows of all values in this order, ascending for each value, and where those of each value begin.
    private (int[] Rows, int[] Starts) RowsByValue(ReadOnlySpan<int> values)
    {
        var places = new int[values.Length];
        for (var place = 0; place < values.Length; place++)
        {
            places[values[place]] = place;
        }

        var starts = Starts(values.Length, _occurrences.Select(value => places[value]));
        var rows = new int[_occurrences.Count];
        var next = starts.ToArray();
        for (var row = 0; row < _rowStarts.Count; row++)
        {
            var end = row + 1 < _rowStarts.Count ? _rowStarts[row + 1] : _occurrences.Count;
            for (var occurrence = _rowStarts[row]; occurrence < end; occurrence++)
            {
                rows[next[places[_occurrences[occurrence]]]++] = row;
            }
        }

        return (rows, starts);
    }

    // Where each of the groups begins, and behind the last one where it ends, when items stand group by group.
    private static int[] Starts(int groups, IEnumerable<int> groupsOfItems)
    {
        var starts = new int[groups + 1];
        foreach (var group in groupsOfItems)
        {
            starts[group + 1]++;
        }

        for (var group = 0; group < groups; group++)
        {
            starts[group + 1] += starts[group];
        }

        return starts;
    }

    private int Path(int value) => BinaryPrimitives.ReadInt32BigEndian(_values[value]);

    private ReadOnlySpan<byte> Key(int value) => _values[value][PathBytes..];

    private static Span<int> Sorted(Span<int> numbers, KeyInterner keys)
    {
        Sort(numbers, new ulong[numbers.Length], keys);
        return numbers;
    }

    // By the next 7 bytes behind what all keys have in common; those that are the same so far by what follows them, and so on.
    private static void Sort(Span<int> numbers, Span<ulong> heads, KeyInterner keys)
    {
        if (numbers.Length < 2)
        {
            return;
        }

        var first = keys[numbers[0]];
        var common = first.Length;
        foreach (var number in numbers)
        {
            common = keys[number].CommonPrefixLength(first[..common]);
        }

        for (var index = 0; index < numbers.Length; index++)
        {
            heads[index] = Head(keys[numbers[index]][common..]);
        }

        MemoryExtensions.Sort(heads, numbers);
        for (var start = 0; start < numbers.Length;)
        {
            var end = start + 1;
            while (end < numbers.Length && heads[end] == heads[start])
            {
                end++;
            }

            Sort(numbers[start..end], heads[start..end], keys);
            start = end;
        }
    }

    // The lowest byte tells keys that end from keys that go on with zeros, and from keys that go on behind the 7 bytes.
    private static ulong Head(ReadOnlySpan<byte> rest)
    {
        Span<byte> head = stackalloc byte[sizeof(ulong)];
        var length = Math.Min(rest.Length, sizeof(ulong) - 1);
        rest[..length].CopyTo(head);
        head[^1] = (byte)Math.Min(rest.Length, sizeof(ulong));
        return BinaryPrimitives.ReadUInt64BigEndian(head);
    }
}
