using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>Rows, filters and transactions as the table service's JSON and multipart bodies. Pure: bytes in, bytes out.</summary>
public static class TableWire
{
    // Only what JSON demands is escaped: a text of any alphabet keeps its size. The bodies are never part of a page.
    private static readonly JsonWriterOptions _writerOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private enum Annotation
    {
        None,
        Int64,
        Double,
        Binary,
    }

    /// <summary>Text as a literal of a filter or an address, with its apostrophes doubled. Everything that becomes part of either passes through here.</summary>
    public static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    /// <summary>The path of a row, percent-encoded.</summary>
    public static string RowPath(string table, string partition, string key) =>
        $"/{table}(PartitionKey={Uri.EscapeDataString(Quote(partition))},RowKey={Uri.EscapeDataString(Quote(key))})";

    /// <summary>The filter of a query, not percent-encoded.</summary>
    public static string Filter(TableQuery query)
    {
        var filter = $"PartitionKey eq {Quote(query.Partition)}";
        if (query.From.Length > 0)
        {
            filter += $" and RowKey ge {Quote(query.From)}";
        }

        return query.Before is null ? filter : $"{filter} and RowKey lt {Quote(query.Before)}";
    }

    /// <summary>A row as a JSON object, with the id of the write.</summary>
    public static ReadOnlyMemory<byte> Row(TableRow row, string operation)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var writer = new Utf8JsonWriter(buffer, _writerOptions);
        WriteRow(writer, row, operation);
        return buffer.WrittenMemory;
    }

    /// <summary>A transaction as the multipart body of <c>POST /$batch</c>, whose boundary is <c>batch_</c> and the id of the write.</summary>
    /// <param name="endpoint">The table service's address, without a trailing slash.</param>
    /// <param name="table">The table's name.</param>
    /// <param name="actions">The actions.</param>
    /// <param name="operation">The id of the write: letters and digits.</param>
    /// <exception cref="StorageException">Status 413: the body is larger than <see cref="ITables.TransactionBytesMax"/>.</exception>
    public static ReadOnlyMemory<byte> Batch(string endpoint, string table, IReadOnlyList<TableAction> actions, string operation)
    {
        var buffer = new ArrayBufferWriter<byte>(1024 * actions.Count);
        using var writer = new Utf8JsonWriter(buffer, _writerOptions);
        Append(buffer, $"--batch_{operation}\r\nContent-Type: multipart/mixed; boundary=changeset_{operation}\r\n\r\n");
        foreach (var action in actions)
        {
            var (method, path) = action.Kind switch
            {
                TableActionKind.Insert => ("POST", $"/{table}"),
                TableActionKind.Delete => ("DELETE", RowPath(table, action.Row.Partition, action.Row.Key)),
                _ => ("PUT", RowPath(table, action.Row.Partition, action.Row.Key)),
            };

            Append(buffer, $"--changeset_{operation}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n");
            Append(buffer, $"{method} {endpoint}{path} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0;\r\n");
            if (action.ETag is { } etag)
            {
                Append(buffer, $"If-Match: {etag}\r\n");
            }

            if (action.Kind == TableActionKind.Delete)
            {
                Append(buffer, "\r\n\r\n");
            }
            else
            {
                Append(buffer, "Content-Type: application/json\r\nPrefer: return-no-content\r\n\r\n");
                WriteRow(writer, action.Row, operation);
                writer.Reset();
                Append(buffer, "\r\n");
            }

            if (buffer.WrittenCount > ITables.TransactionBytesMax)
            {
                throw new StorageException($"A transaction is larger than {ITables.TransactionBytesMax} bytes.", 413, "RequestBodyTooLarge");
            }
        }

        Append(buffer, $"--changeset_{operation}--\r\n--batch_{operation}--\r\n");
        return buffer.WrittenMemory;
    }

    /// <summary>Reads the multipart answer to a transaction: the ETag of every action, or the one error that undid all.</summary>
    /// <exception cref="FormatException">The answer has another number of parts than the transaction.</exception>
    public static BatchAnswer ReadBatch(ReadOnlySpan<byte> body, int actions)
    {
        var etags = new List<string?>(actions);
        while (body.IndexOf("HTTP/1.1 "u8) is var start and >= 0)
        {
            body = body[(start + 9)..];
            if (!Utf8Parser.TryParse(body, out int status, out _))
            {
                break;
            }

            string? etag = null;
            var contentId = 0;
            while (NextLine(ref body) is { IsEmpty: false } line)
            {
                if (HeaderValue(line, "etag:"u8) is { IsEmpty: false } tag)
                {
                    etag = Encoding.ASCII.GetString(tag);
                }
                else if (HeaderValue(line, "content-id:"u8) is { IsEmpty: false } id)
                {
                    _ = Utf8Parser.TryParse(id, out contentId, out _);
                }
            }

            if (status >= 400)
            {
                var (code, message) = StorageRest.ReadError(body);
                return new BatchAnswer(status, code, FailedIndex(message, contentId, actions), []);
            }

            etags.Add(etag);
        }

        return etags.Count == actions
            ? new BatchAnswer(202, null, -1, etags)
            : throw new FormatException($"The answer to a transaction of {actions} actions has {etags.Count} parts.");
    }

    /// <summary>Reads one row.</summary>
    /// <exception cref="JsonException">The body is not what the service sends.</exception>
    public static TableRow ReadRow(ReadOnlySpan<byte> json, string partition, string key)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        return ReadRow(ref reader, new RowReader(partition, key));
    }

    /// <summary>Reads the id of the write that made a row; empty when another program made it.</summary>
    /// <exception cref="JsonException">The body is not what the service sends.</exception>
    public static string ReadOperation(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("Operation"u8))
            {
                reader.Read();
                return reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
            }
        }

        return "";
    }

    /// <summary>Reads the rows of a page, all of one partition.</summary>
    /// <exception cref="JsonException">The body is not what the service sends.</exception>
    public static IReadOnlyList<TableRow> ReadRows(ReadOnlySpan<byte> json, string partition)
    {
        var rows = new List<TableRow>();
        var state = new RowReader(partition, null);
        var reader = new Utf8JsonReader(json);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isValue = reader.ValueTextEquals("value"u8);
            reader.Read();
            if (!isValue)
            {
                reader.Skip();
                continue;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
            {
                rows.Add(ReadRow(ref reader, state));
            }
        }

        return rows;
    }

    private static TableRow ReadRow(ref Utf8JsonReader reader, RowReader state)
    {
        state.Start();
        var annotation = Annotation.None;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            if (name.EndsWith("@odata.type"u8))
            {
                // It stands right before the value that it describes.
                reader.Read();
                annotation = reader.ValueTextEquals("Edm.Int64"u8) ? Annotation.Int64
                    : reader.ValueTextEquals("Edm.Double"u8) ? Annotation.Double
                    : reader.ValueTextEquals("Edm.Binary"u8) ? Annotation.Binary
                    : Annotation.None;
                continue;
            }

            if (name.SequenceEqual("odata.etag"u8))
            {
                reader.Read();
                state.ETag = reader.GetString();
            }
            else if (name.SequenceEqual("RowKey"u8))
            {
                reader.Read();
                state.Key ??= reader.GetString();
            }
            else if (name.SequenceEqual("PartitionKey"u8) || name.SequenceEqual("Timestamp"u8) || name.SequenceEqual("Operation"u8) || name.Contains((byte)'.'))
            {
                reader.Skip();
            }
            else
            {
                var column = state.Name(ref reader);
                reader.Read();
                state.Add(column, ReadValue(ref reader, annotation));
            }

            annotation = Annotation.None;
        }

        return state.End();
    }

    private static object? ReadValue(ref Utf8JsonReader reader, Annotation annotation) => (reader.TokenType, annotation) switch
    {
        (JsonTokenType.True, _) => true,
        (JsonTokenType.False, _) => false,
        (JsonTokenType.String, Annotation.Int64) => long.Parse(reader.ValueSpan, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
        (JsonTokenType.String, Annotation.Double) => ReadDouble(reader.GetString()!),
        (JsonTokenType.String, Annotation.Binary) => reader.GetBytesFromBase64(),
        (JsonTokenType.String, _) => reader.GetString(),
        (JsonTokenType.Number, Annotation.Double) => reader.GetDouble(),
        // Without an annotation, a number with a point or an exponent is a double and any other an Edm.Int32.
        (JsonTokenType.Number, _) => reader.ValueSpan.ContainsAny(".eE"u8) ? reader.GetDouble() : reader.GetInt64(),
        // A projected column that the row does not have.
        (JsonTokenType.Null, _) => null,
        _ => throw new JsonException($"A column is a {reader.TokenType}."),
    };

    private static double ReadDouble(string text) => text switch
    {
        "Infinity" => double.PositiveInfinity,
        "-Infinity" => double.NegativeInfinity,
        _ => double.Parse(text, CultureInfo.InvariantCulture),
    };

    private static void WriteRow(Utf8JsonWriter writer, TableRow row, string operation)
    {
        writer.WriteStartObject();
        writer.WriteString("PartitionKey"u8, row.Partition);
        writer.WriteString("RowKey"u8, row.Key);
        writer.WriteString("Operation"u8, operation);
        foreach (var (name, value) in row.Values)
        {
            switch (value)
            {
                case string text:
                    writer.WriteString(name, text);
                    break;
                case bool flag:
                    writer.WriteBoolean(name, flag);
                    break;
                case long whole:
                    WriteAnnotation(writer, name, "Edm.Int64"u8);
                    WriteInt64(writer, name, whole);
                    break;
                case double number:
                    WriteAnnotation(writer, name, "Edm.Double"u8);
                    WriteDouble(writer, name, number);
                    break;
                case byte[] bytes:
                    WriteAnnotation(writer, name, "Edm.Binary"u8);
                    writer.WriteBase64String(name, bytes);
                    break;
                default:
                    throw new InvalidOperationException($"The column {name} holds a {value.GetType().Name}.");
            }
        }

        writer.WriteEndObject();
        writer.Flush();
    }

    private static void WriteAnnotation(Utf8JsonWriter writer, string column, ReadOnlySpan<byte> type)
    {
        const string Suffix = "@odata.type";
        Span<char> name = stackalloc char[column.Length + Suffix.Length];
        column.CopyTo(name);
        Suffix.CopyTo(name[column.Length..]);
        writer.WriteString(name, type);
    }

    // The service takes 64-bit integers as strings: a JSON number is a double to many readers.
    private static void WriteInt64(Utf8JsonWriter writer, string column, long value)
    {
        Span<byte> digits = stackalloc byte[20];
        _ = value.TryFormat(digits, out var length, default, CultureInfo.InvariantCulture);
        writer.WriteString(column, digits[..length]);
    }

    private static void WriteDouble(Utf8JsonWriter writer, string column, double value)
    {
        if (!double.IsFinite(value))
        {
            writer.WriteString(column, double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8);
            return;
        }

        Span<byte> digits = stackalloc byte[34];
        _ = value.TryFormat(digits, out var length, "R", CultureInfo.InvariantCulture);
        if (!digits[..length].ContainsAny(".eE"u8))
        {
            ".0"u8.CopyTo(digits[length..]);
            length += 2;
        }

        writer.WritePropertyName(column);
        writer.WriteRawValue(digits[..length], skipInputValidation: true);
    }

    private static ReadOnlySpan<byte> NextLine(ref ReadOnlySpan<byte> body)
    {
        var end = body.IndexOf((byte)'\n');
        var line = end < 0 ? body : body[..end];
        body = end < 0 ? default : body[(end + 1)..];
        return line.TrimEnd((byte)'\r');
    }

    private static ReadOnlySpan<byte> HeaderValue(ReadOnlySpan<byte> line, ReadOnlySpan<byte> lowerName) =>
        line.Length > lowerName.Length && Ascii.EqualsIgnoreCase(line[..lowerName.Length], lowerName) ? line[lowerName.Length..].Trim((byte)' ') : default;

    // "2:The specified entity already exists." names the third action. The content id, which counts from 1, is the second best.
    private static int FailedIndex(string? message, int contentId, int actions)
    {
        var colon = message?.IndexOf(':', StringComparison.Ordinal) ?? -1;
        return colon > 0 && int.TryParse(message.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < actions
            ? index
            : Math.Clamp(contentId - 1, 0, actions - 1);
    }

    private static void Append(ArrayBufferWriter<byte> buffer, string text) => Encoding.UTF8.GetBytes(text, buffer);

    /// <summary>What is gathered of a row until its key is known. Column names are kept from row to row: the rows of a page mostly have the same.</summary>
    private sealed class RowReader(string partition, string? key)
    {
        private readonly List<(string Column, object Value)> _values = [];
        private readonly List<string> _names = [];
        private int _next;

        public string? Key { get; set; }

        public string? ETag { get; set; }

        public void Start()
        {
            Key = key;
            ETag = null;
            _values.Clear();
            _next = 0;
        }

        public string Name(ref Utf8JsonReader reader)
        {
            for (var tried = 0; tried < _names.Count; tried++, _next++)
            {
                _next = _next < _names.Count ? _next : 0;
                if (reader.ValueTextEquals(_names[_next]))
                {
                    return _names[_next++];
                }
            }

            _names.Add(reader.GetString()!);
            _next = _names.Count;
            return _names[^1];
        }

        public void Add(string column, object? value)
        {
            if (value is not null)
            {
                _values.Add((column, value));
            }
        }

        public TableRow End()
        {
            var row = new TableRow(partition, Key ?? throw new JsonException("A row has no key.")) { ETag = ETag };
            foreach (var (column, value) in _values)
            {
                _ = value switch
                {
                    string text => row.Set(column, text),
                    long whole => row.Set(column, whole),
                    double number => row.Set(column, number),
                    bool flag => row.Set(column, flag),
                    _ => row.Set(column, (byte[])value),
                };
            }

            return row;
        }
    }
}

/// <summary>The answer to a transaction.</summary>
/// <param name="Status">202 when everything was applied, else the status of the action that refused.</param>
/// <param name="Code">Storage's error code, or null.</param>
/// <param name="Index">The action that refused; -1 when all were applied.</param>
/// <param name="ETags">The new ETag of each action's row, null for a deleted one; empty when nothing was applied.</param>
public sealed record BatchAnswer(int Status, string? Code, int Index, IReadOnlyList<string?> ETags);
