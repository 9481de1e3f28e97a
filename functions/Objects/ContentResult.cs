using Microsoft.Net.Http.Headers;
using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>Answers a GET or HEAD with an object's content: ranges, conditions, streaming.</summary>
/// <param name="version">The version to answer with.</param>
/// <param name="copy">Copies a range of the content: the first byte, how many, where to.</param>
/// <param name="isCached">Whether the content came with the object's head, for an entanglement with <c>crystal_cache</c>; the answer then says so.</param>
public sealed class ContentResult(ObjectVersion version, Func<long, long, Stream, Task> copy, bool isCached = false) : IResult
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var (request, response) = (httpContext.Request, httpContext.Response);
        var etag = version.ETag;
        var length = version.Content.SizeBytes;
        response.Headers.ETag = etag;
        response.Headers.LastModified = HeaderUtilities.FormatDate(version.WrittenAt);
        response.Headers.AcceptRanges = "bytes";

        // Entangled objects change without anyone writing them: a cache may keep content, but must ask before it uses it.
        response.Headers.CacheControl = "private, no-cache";
        response.Headers["X-Object-Version"] = version.Version.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (isCached)
        {
            response.Headers["X-Crystal-Cache"] = "hit";
        }

        if (Preconditions.IsNotModified(request, etag, version.WrittenAt))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = version.ContentType;
        response.Headers["Repr-Digest"] = $"sha-256=:{Convert.ToBase64String(Convert.FromHexString(version.Content.Sha256))}:";
        var from = 0L;
        if (HttpMethods.IsGet(request.Method)
            && Preconditions.Range(request.GetTypedHeaders(), etag, version.WrittenAt, length) is var (first, last))
        {
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = FormattableString.Invariant($"bytes {first}-{last}/{length}");
            (from, length) = (first, last - first + 1);
        }

        response.ContentLength = length;
        if (HttpMethods.IsGet(request.Method) && length > 0)
        {
            await copy(from, length, response.Body);
        }
    }
}
