using System.Globalization;
using Microsoft.Extensions.Primitives;

namespace QuantumFlux.Api;

/// <summary>Answers with an error: its status, its headers, and the envelope or, when the client would rather read those, problem details.</summary>
/// <param name="error">What went wrong.</param>
/// <param name="requestId">The request's id.</param>
/// <param name="now">When it went wrong.</param>
public sealed class ErrorResult(ApiException error, string requestId, DateTimeOffset now) : IResult
{
    private static readonly string[] _contentHeaders =
        ["Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified", "Repr-Digest", "X-Object-Version"];

    public Task ExecuteAsync(HttpContext httpContext)
    {
        // What was said of content that is not sent does not hold for the error.
        var headers = httpContext.Response.Headers;
        foreach (var name in _contentHeaders)
        {
            headers.Remove(name);
        }

        headers["X-Error-Code"] = error.Code;
        headers.Vary = "Accept";
        headers.CacheControl = "no-store";
        if (error.Status == StatusCodes.Status401Unauthorized)
        {
            headers.WWWAuthenticate = "Bearer";
        }

        if (error.Allow.Count > 0)
        {
            headers.Allow = string.Join(", ", error.Allow);
        }

        if (error.LengthBytes is { } length)
        {
            headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{length}");
        }

        if (error.RetryAfterSeconds is { } seconds)
        {
            headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        var (body, contentType) = Body(error, requestId, now, httpContext.Request.Headers.Accept);
        return new JsonAnswer(body, error.Status, []) { ContentType = contentType }.ExecuteAsync(httpContext);
    }

    /// <summary>The error as the client wants to read it, and the content type of that.</summary>
    public static (object Body, string ContentType) Body(ApiException error, string requestId, DateTimeOffset now, StringValues accept) =>
        Problem.IsPreferred(accept)
            ? (Problem.From(error, requestId, now), Problem.ContentType)
            : (new ApiErrorEnvelope(ApiError.From(error, requestId, now)), Json.ContentType);
}
