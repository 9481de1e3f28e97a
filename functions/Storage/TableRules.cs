namespace QuantumFlux.Storage;

/// <summary>What Table Storage takes, checked before anything is sent, so that every implementation refuses the same things in the same way.</summary>
/// <remarks>The limits are those of the service's documentation ("Understanding the Table service data model"); an emulator may be laxer.</remarks>
public static class TableRules
{
    /// <summary>The most columns that one row holds beside its keys. The service takes 252; one is our own, one is spare.</summary>
    public const int ColumnsMax = 250;

    /// <summary>The most UTF-16 characters that a text column holds.</summary>
    public const int TextCharactersMax = 32 * 1024;

    /// <summary>The largest row in bytes, as <see cref="RowBytes"/> counts them.</summary>
    public const int RowBytesMax = 1024 * 1024;

    private const int ColumnNameCharactersMax = 255;

    // What the operation column adds to a row: 8 + twice its name + 4 + twice 32 hex digits.
    private const int OperationColumnBytes = 8 + (2 * 9) + 4 + (2 * 32);

    /// <summary>Checks the actions of one write.</summary>
    /// <exception cref="ArgumentException">No action, too many, two on one row, rows of several partitions, or an ETag missing or too many.</exception>
    /// <exception cref="StorageException">Status 400, not transient: a key, a column or a row that the service refuses.</exception>
    public static void Check(IReadOnlyList<TableAction> actions)
    {
        if (actions.Count is 0 or > ITables.TransactionRowsMax)
        {
            throw new ArgumentException($"A write takes 1 to {ITables.TransactionRowsMax} actions, not {actions.Count}.", nameof(actions));
        }

        var partition = actions[0].Row.Partition;
        var keys = actions.Count > 1 ? new HashSet<string>(actions.Count, StringComparer.Ordinal) : null;
        foreach (var action in actions)
        {
            if (!string.Equals(action.Row.Partition, partition, StringComparison.Ordinal))
            {
                throw new ArgumentException("The rows of one write belong to one partition.", nameof(actions));
            }

            if (keys?.Add(action.Row.Key) == false)
            {
                throw new ArgumentException("A write touches a row only once.", nameof(actions));
            }

            if ((action.Kind is TableActionKind.Replace or TableActionKind.Delete) == string.IsNullOrEmpty(action.ETag))
            {
                throw new ArgumentException("Replace and delete need an ETag, insert and upsert take none.", nameof(actions));
            }

            CheckKey(action.Row.Key);
            if (action.Kind != TableActionKind.Delete)
            {
                CheckColumns(action.Row);
            }
        }

        CheckKey(partition);
    }

    /// <summary>Checks a partition or row key. Text from outside goes through <see cref="TableKey.Escape"/> first and always passes.</summary>
    /// <exception cref="StorageException">Status 400: too long, or a character that the service forbids.</exception>
    public static void CheckKey(string key)
    {
        if (key.Length > TableKey.CharactersMax)
        {
            throw new StorageException($"A key is longer than {TableKey.CharactersMax} characters.", 400, "KeyValueTooLarge");
        }

        foreach (var character in key)
        {
            if (character is '/' or '\\' or '#' or '?' or < ' ' or (>= '\u007f' and <= '\u009f'))
            {
                throw new StorageException($"A key holds U+{(int)character:X4}, which Table Storage forbids.", 400, "OutOfRangeInput");
            }
        }

        CheckUnicode(key);
    }

    /// <summary>Checks the limits of a page.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not 1 to <see cref="ITables.PageRowsMax"/>.</exception>
    public static void Check(TableQuery query)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(query.Limit, 1, nameof(query));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(query.Limit, ITables.PageRowsMax, nameof(query));
    }

    /// <summary>The size of a row in bytes, as the service counts it.</summary>
    /// <remarks>4 + twice the keys' characters, and for each column 8 + twice its name + its value; text is two bytes a character and four for its length.</remarks>
    public static int RowBytes(TableRow row)
    {
        var bytes = 4 + (2 * (row.Partition.Length + row.Key.Length)) + OperationColumnBytes;
        foreach (var (name, value) in row.Values)
        {
            bytes += 8 + (2 * name.Length) + value switch
            {
                string text => 4 + (2 * text.Length),
                byte[] binary => 4 + binary.Length,
                bool => 1,
                _ => 8,
            };
        }

        return bytes;
    }

    private static void CheckColumns(TableRow row)
    {
        if (row.Values.Count > ColumnsMax)
        {
            throw new StorageException($"A row has {row.Values.Count} columns; at most {ColumnsMax} are possible.", 400, "TooManyProperties");
        }

        foreach (var (name, value) in row.Values)
        {
            if (name is TableRow.OperationColumn or "PartitionKey" or "RowKey" or "Timestamp" || !IsColumnName(name))
            {
                throw new StorageException($"'{name}' cannot be the name of a column.", 400, "PropertyNameInvalid");
            }

            if (value is byte[] { Length: > TableRow.ColumnBytesMax } or string { Length: > TextCharactersMax })
            {
                throw new StorageException($"The column {name} is larger than a column can be.", 400, "PropertyValueTooLarge");
            }

            if (value is string text)
            {
                CheckUnicode(text);
            }
        }

        if (RowBytes(row) is var bytes and > RowBytesMax)
        {
            throw new StorageException($"A row has {bytes} bytes; at most {RowBytesMax} are possible.", 400, "EntityTooLarge");
        }
    }

    private static bool IsColumnName(string name)
    {
        if (name.Length is 0 or > ColumnNameCharactersMax || !char.IsAsciiLetter(name[0]))
        {
            return false;
        }

        foreach (var character in name)
        {
            if (!char.IsAsciiLetterOrDigit(character))
            {
                return false;
            }
        }

        return true;
    }

    // Half a surrogate pair has no form in UTF-8: it would come back as another character.
    private static void CheckUnicode(string text)
    {
        for (var index = text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff'); index >= 0 && index < text.Length; index++)
        {
            if (char.IsHighSurrogate(text[index]) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
            {
                index++;
            }
            else if (char.IsSurrogate(text[index]))
            {
                throw new StorageException("A text holds half of a surrogate pair, which cannot be stored.", 400, "InvalidInput");
            }
        }
    }
}
