using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using QuantumFlux.Api;

namespace QuantumFlux.Local;

/// <summary>
/// Gives the error envelope to requests that Kestrel refuses before the application sees them: a malformed request line or header, a path that no
/// UTF-8 encodes, limits exceeded, headers that never end. By itself Kestrel answers them with a bare status.
/// </summary>
/// <remarks>
/// Kestrel tells of each in an event, before it answers, with the request's features. What gets no envelope even so: bytes that do not begin like HTTP/1
/// at all (TLS, HTTP/2), of which Kestrel closes the connection or answers in that protocol; and a client that closes its side of
/// the connection before it has the answer, which counts as gone.
/// </remarks>
public sealed class RefusedRequests(TimeProvider time) : IObserver<KeyValuePair<string, object?>>
{
    private const string Refused = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    /// <summary>Begins to answer the refused requests of an application.</summary>
    public static void Answer(WebApplication app) => app.Services.GetRequiredService<DiagnosticListener>().Subscribe(
        new RefusedRequests(app.Services.GetRequiredService<TimeProvider>()),
        static name => name == Refused);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        // Only the application asks for its services. When it has, it is reading the body, and the gate answers.
        if (value.Value is IFeatureCollection features
            && features.Get<IBadRequestExceptionFeature>()?.Error is BadHttpRequestException exception
            && features.Get<IServiceProvidersFeature>() is null
            && !features.GetRequiredFeature<IHttpResponseFeature>().HasStarted)
        {
            // It all goes into the connection's buffer, so it is done when the call returns, or failed because the client has gone.
            _ = AnswerAsync(features, ApiException.Malformed(exception));
        }
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    private async Task AnswerAsync(IFeatureCollection features, ApiException error)
    {
        var now = time.GetUtcNow();
        var requestId = Ids.New("req_", now);

        // The client's wish counts when it was read before what is at fault.
        var request = features.GetRequiredFeature<IHttpRequestFeature>();
        var (body, contentType) = ErrorResult.Body(error, requestId, now, request.Headers.Accept);
        var json = JsonSerializer.SerializeToUtf8Bytes(body, Json.Options);
        var response = features.GetRequiredFeature<IHttpResponseFeature>();
        response.StatusCode = error.Status;
        response.Headers["X-Request-Id"] = requestId;
        response.Headers["X-Error-Code"] = error.Code;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.CacheControl = "no-store";
        response.Headers.Connection = "close";
        response.Headers.Vary = "Accept";
        response.Headers.ContentType = contentType;
        response.Headers.ContentLength = json.Length;
        await features.GetRequiredFeature<IHttpResponseBodyFeature>().StartAsync();

        // Kestrel has no response body as long as it has no request, so ours follows the headers into the connection.
        if (request.Method != HttpMethods.Head)
        {
            await features.GetRequiredFeature<IConnectionTransportFeature>().Transport.Output.WriteAsync(json);
        }
    }
}
