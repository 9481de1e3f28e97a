using System.Buffers;
using System.Text.Json;

namespace QuantumFlux.Api;

/// <summary>An answer with a JSON body, written out when it is made: what is sent is what was kept, to the byte.</summary>
public sealed class JsonAnswer : IResult
{
    // As much as the server takes before it waits for the client.
    private const int BytesBetweenFlushes = 64 * 1024;

    private readonly IReadOnlyList<ReadOnlyMemory<byte>> _body;

    /// <summary>Makes an answer.</summary>
    /// <param name="value">What the body says.</param>
    /// <param name="status">The HTTP status.</param>
    /// <param name="headers">Further headers that belong to the answer, such as <c>ETag</c>.</param>
    public JsonAnswer(object value, int status, IReadOnlyList<(string Name, string Value)> headers)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Json.Options.Encoder }))
        {
            JsonSerializer.Serialize(writer, value, Json.Options);
        }

        _body = [buffer.WrittenMemory];
        Status = status;
        Headers = headers;
    }

    /// <summary>Makes an answer of JSON that is written out already.</summary>
    public JsonAnswer(ReadOnlyMemory<byte> json, int status)
        : this([json], status)
    {
    }

    /// <summary>Makes an answer of JSON that is written out already, in pieces, which are not copied.</summary>
    public JsonAnswer(IReadOnlyList<ReadOnlyMemory<byte>> json, int status) => (_body, Status, Headers) = (json, status, []);

    /// <summary>The HTTP status.</summary>
    public int Status { get; }

    /// <summary>The length of the body in bytes.</summary>
    public int BodyBytes => _body.Sum(part => part.Length);

    /// <summary>The headers that belong to the answer, beside those of its content.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; }

    /// <summary>The media type of the body, whose text is JSON.</summary>
    public string ContentType { get; init; } = Json.ContentType;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = Status;
        response.ContentType = ContentType;
        response.ContentLength = BodyBytes;
        foreach (var (name, value) in Headers)
        {
            response.Headers[name] = value;
        }

        // Methods are case-sensitive: the server takes "Head" for a method of its own, whose answer has a body.
        if (httpContext.Request.Method == HttpMethods.Head)
        {
            return;
        }

        // A long answer goes out as fast as the client takes it: the server keeps a copy of no more than that.
        var unsent = 0;
        foreach (var part in _body)
        {
            response.BodyWriter.Write(part.Span);
            unsent += part.Length;
            if (unsent >= BytesBetweenFlushes)
            {
                unsent = 0;
                if ((await response.BodyWriter.FlushAsync(httpContext.RequestAborted)).IsCompleted)
                {
                    return;
                }
            }
        }

        await response.BodyWriter.FlushAsync(httpContext.RequestAborted);
    }
}
