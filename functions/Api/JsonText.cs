using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Unicode;

namespace QuantumFlux.Api;

/// <summary>The text of a JSON body: received, and read as JSON that leaves no doubt of what it means.</summary>
public static class JsonText
{
    /// <summary>What errors call the body as a whole.</summary>
    public const string Parameter = "body";

    private const int DepthMax = 64;
    private const int BytesAtFirst = 64 * 1024;

    /// <summary>Receives a body.</summary>
    /// <exception cref="ApiException">413 when it is too large.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReceiveAsync(HttpRequest request, int bytesMax, CancellationToken cancellationToken)
    {
        if (request.ContentLength > bytesMax)
        {
            throw ApiException.PayloadTooLarge(bytesMax);
        }

        // What a client only announces takes no memory.
        var most = (request.ContentLength is { } length ? (int)length : bytesMax) + 1;
        var (buffer, count) = (new byte[Math.Min(most, BytesAtFirst)], 0);
        while (true)
        {
            count += await request.Body.ReadAtLeastAsync(buffer.AsMemory(count), buffer.Length - count, throwOnEndOfStream: false, cancellationToken);
            if (count < buffer.Length)
            {
                return buffer.AsMemory(0, count);
            }

            if (count == most)
            {
                throw ApiException.PayloadTooLarge(bytesMax);
            }

            Array.Resize(ref buffer, (int)Math.Min(most, 2L * buffer.Length));
        }
    }

    /// <summary>Ends a request whose body is not said to be JSON in UTF-8.</summary>
    /// <exception cref="ApiException">415.</exception>
    public static void RequireJson(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0)
        {
            throw ApiException.UnsupportedMediaType("Content-Encoding", "is not supported");
        }

        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            || !(string.Equals(type.MediaType, "application/json", StringComparison.OrdinalIgnoreCase)
                || (type.MediaType?.EndsWith("+json", StringComparison.OrdinalIgnoreCase) ?? false)))
        {
            throw ApiException.UnsupportedMediaType("Content-Type", "must be application/json");
        }

        if (type.CharSet?.Trim('"') is { } charset && !string.Equals(charset, "utf-8", StringComparison.OrdinalIgnoreCase))
        {
            throw ApiException.UnsupportedMediaType("Content-Type", "must have no charset but utf-8");
        }
    }

    /// <summary>Reads any JSON value. The memory is the element's own: nothing has to be given back.</summary>
    /// <exception cref="ApiException">400 when it is none, is not valid UTF-8, or holds a member twice.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json)
    {
        CheckUtf8(json);
        try
        {
            return JsonElement.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = DepthMax });
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw Malformed(exception);
        }
    }

    /// <summary>Finds a list of objects that is a member of an object, without reading what is in them.</summary>
    /// <param name="json">The object.</param>
    /// <param name="list">The member's name.</param>
    /// <param name="countMax">The most objects.</param>
    /// <returns>What the member begins with, None when it is not there; where it is; and its objects, none when it is not a list of as many as are allowed.</returns>
    /// <exception cref="ApiException">400 when it is not JSON, is not valid UTF-8, or holds the member twice.</exception>
    public static (JsonTokenType Kind, (int Start, int End) Place, IReadOnlyList<ReadOnlyMemory<byte>> Items) FindList(
        ReadOnlyMemory<byte> json, string list, int countMax)
    {
        CheckUtf8(json.Span);
        var (kind, start, end, isFaulty, items) = (JsonTokenType.None, 0, 0, false, new List<ReadOnlyMemory<byte>>());
        try
        {
            var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = DepthMax });
            while (reader.Read())
            {
                if (reader.CurrentDepth != 1 || reader.TokenType != JsonTokenType.PropertyName || !reader.ValueTextEquals(list))
                {
                    continue;
                }

                if (kind != JsonTokenType.None)
                {
                    throw Twice();
                }

                reader.Read();
                (kind, start) = (reader.TokenType, (int)reader.TokenStartIndex);
                while (kind == JsonTokenType.StartArray && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    var item = (int)reader.TokenStartIndex;
                    isFaulty |= reader.TokenType != JsonTokenType.StartObject || items.Count == countMax;
                    reader.Skip();
                    if (!isFaulty)
                    {
                        items.Add(json[item..(int)reader.BytesConsumed]);
                    }
                }

                if (kind != JsonTokenType.StartArray)
                {
                    reader.Skip();
                }

                end = (int)reader.BytesConsumed;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw Malformed(exception);
        }

        return (kind, (start, end), isFaulty ? [] : items);
    }

    // The parser checks the UTF-8 of a string only when the string is read; here all of it is checked, once.
    private static void CheckUtf8(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
        {
            throw ApiException.InvalidParameter(Parameter, "is not valid UTF-8");
        }
    }

    private static ApiException Malformed(Exception exception) => exception switch
    {
        // It could be read to its end, and no place is told.
        JsonException { LineNumber: null } => Twice(),
        JsonException json => ApiException.InvalidParameter(
            Parameter, string.Create(CultureInfo.InvariantCulture, $"is not valid JSON near line {json.LineNumber + 1}, byte {json.BytePositionInLine}")),

        // An escaped lone surrogate, which no text can hold.
        _ => ApiException.InvalidParameter(Parameter, "holds a member name that is not valid Unicode"),
    };

    private static ApiException Twice() => ApiException.InvalidParameter(Parameter, "holds a member twice");
}
