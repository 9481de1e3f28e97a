using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace QuantumFlux.Api;

/// <summary>How this service writes JSON: snake_case names, UTC times with milliseconds, nulls written out.</summary>
public static class Json
{
    /// <summary>The header of an answer, unless its media type is another one whose text is JSON.</summary>
    public const string ContentType = "application/json; charset=utf-8";

    private static readonly ReadOnlyMemory<byte> _resultsName = "{\"results\":"u8.ToArray();

    /// <summary>The one set of options; read-only.</summary>
    public static JsonSerializerOptions Options { get; } = CreateOptions();

    /// <summary>A moment as the specification writes it: <c>2024-11-19T14:23:47.470Z</c>.</summary>
    public static string Format(DateTimeOffset moment) =>
        moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>An answer with a JSON body.</summary>
    /// <param name="value">What the body says.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="headers">Further headers that belong to the answer.</param>
    public static JsonAnswer Result(object value, int status = StatusCodes.Status200OK, params (string Name, string Value)[] headers) =>
        new(value, status, headers);

    /// <summary>An answer whose first member, <c>results</c>, is written out already. It is sent from where it lies.</summary>
    /// <param name="results">The member's value, in one piece or several.</param>
    /// <param name="rest">The other members; one at least.</param>
    public static JsonAnswer Results(IReadOnlyList<ReadOnlyMemory<byte>> results, object rest)
    {
        var end = JsonSerializer.SerializeToUtf8Bytes(rest, Options);
        end[0] = (byte)',';
        return new JsonAnswer([_resultsName, .. results, end], StatusCodes.Status200OK);
    }

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            // The answers are never embedded in HTML (nosniff is sent), so text stays readable.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            Converters = { new MomentConverter(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }

    private sealed class MomentConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetDateTimeOffset();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(Format(value));
    }
}
