using System.Globalization;

namespace QuantumFlux.Storage;

/// <summary>One row of a table: two keys and up to 250 named columns, 1 MiB in all.</summary>
/// <remarks>
/// A column holds text (up to 32,768 UTF-16 characters), a 64-bit integer, a double, a Boolean or bytes (up to 64 KiB; see
/// <see cref="SetLarge"/> for more). A column set to null is not stored. Column names are letters and digits and start with a letter;
/// <see cref="OperationColumn"/> is reserved.
/// </remarks>
public sealed class TableRow(string partition, string key)
{
    /// <summary>The most bytes that one column holds.</summary>
    public const int ColumnBytesMax = 64 * 1024;

    /// <summary>The column in which implementations keep the id of the write, to recognise it when its answer was lost. Never among <see cref="Values"/>.</summary>
    public const string OperationColumn = "Operation";

    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);

    /// <summary>The partition key. Rows of one partition can be written in one transaction.</summary>
    public string Partition { get; } = partition;

    /// <summary>The row key, unique in its partition; partitions are sorted by it.</summary>
    public string Key { get; } = key;

    /// <summary>The version of the row when it was read; null on a row that was not.</summary>
    public string? ETag { get; init; }

    /// <summary>The columns: <see cref="string"/>, <see cref="long"/>, <see cref="double"/>, <see cref="bool"/> or <see cref="byte"/>[].</summary>
    public IReadOnlyDictionary<string, object> Values => _values;

    public TableRow Set(string column, string? value) => SetValue(column, value);

    public TableRow Set(string column, long? value) => SetValue(column, value);

    public TableRow Set(string column, double? value) => SetValue(column, value);

    public TableRow Set(string column, bool? value) => SetValue(column, value);

    public TableRow Set(string column, byte[]? value) => SetValue(column, value);

    /// <summary>The text of a column; null when the row does not have it.</summary>
    public string? Text(string column) => _values.GetValueOrDefault(column) as string;

    /// <summary>The integer of a column; null when the row does not have it.</summary>
    public long? Whole(string column) => _values.GetValueOrDefault(column) as long?;

    /// <summary>The number of a column; null when the row does not have it. Integers count, because a service may drop the type of a whole number.</summary>
    public double? Number(string column) => _values.GetValueOrDefault(column) switch
    {
        double number => number,
        long integer => integer,
        _ => null,
    };

    /// <summary>The truth of a column; null when the row does not have it.</summary>
    public bool? Flag(string column) => _values.GetValueOrDefault(column) as bool?;

    /// <summary>The bytes of a column; null when the row does not have it.</summary>
    public byte[]? Bytes(string column) => _values.GetValueOrDefault(column) as byte[];

    /// <summary>Stores bytes beyond the limit of one column, in as many columns as they need: the name followed by 0, 1, 2 ….</summary>
    public TableRow SetLarge(string column, ReadOnlySpan<byte> value)
    {
        var index = 0;
        do
        {
            var part = value[..Math.Min(value.Length, ColumnBytesMax)];
            SetValue(string.Create(CultureInfo.InvariantCulture, $"{column}{index++}"), part.ToArray());
            value = value[part.Length..];
        }
        while (!value.IsEmpty);

        // A longer value may have stood here before.
        while (_values.Remove(string.Create(CultureInfo.InvariantCulture, $"{column}{index}")))
        {
            index++;
        }

        return this;
    }

    /// <summary>The bytes that <see cref="SetLarge"/> stored; null when the row has none.</summary>
    public byte[]? Large(string column)
    {
        var parts = new List<byte[]>();
        while (Bytes(column + parts.Count) is { } part)
        {
            parts.Add(part);
        }

        if (parts.Count < 2)
        {
            return parts.FirstOrDefault();
        }

        var value = new byte[parts.Sum(part => part.Length)];
        var offset = 0;
        foreach (var part in parts)
        {
            part.CopyTo(value, offset);
            offset += part.Length;
        }

        return value;
    }

    private TableRow SetValue(string column, object? value)
    {
        if (value is null)
        {
            _values.Remove(column);
        }
        else
        {
            _values[column] = value;
        }

        return this;
    }
}
