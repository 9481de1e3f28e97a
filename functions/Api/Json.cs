using System.Buffers;
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

    /// <summary>The one set of options; read-only.</summary>
    public static JsonSerializerOptions Options { get; } = CreateOptions();

    /// <summary>A moment as the specification writes it: <c>2024-11-19T14:23:47.470Z</c>.</summary>
    public static string Format(DateTimeOffset moment) =>
        moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>An answer with a JSON body.</summary>
    public static IResult Result(object value, int status = StatusCodes.Status200OK, string contentType = ContentType) =>
        new JsonResult(value, status, contentType);

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

    private sealed class JsonResult(object value, int status, string contentType) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            var buffer = new ArrayBufferWriter<byte>(1024);
            using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Options.Encoder }))
            {
                JsonSerializer.Serialize(writer, value, Options);
            }

            var response = httpContext.Response;
            response.StatusCode = status;
            response.ContentType = contentType;
            response.ContentLength = buffer.WrittenCount;

            // Methods are case-sensitive: the server takes "Head" for a method of its own, whose answer has a body.
            return httpContext.Request.Method == HttpMethods.Head
                ? Task.CompletedTask
                : response.Body.WriteAsync(buffer.WrittenMemory, httpContext.RequestAborted).AsTask();
        }
    }
}
