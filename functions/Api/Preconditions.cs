using Microsoft.AspNetCore.Http.Headers;
using Microsoft.Net.Http.Headers;

namespace QuantumFlux.Api;

/// <summary>The conditions of a request (RFC 9110, section 13) against the current state of what it names.</summary>
public static class Preconditions
{
    /// <summary>Ends a write whose condition does not hold.</summary>
    /// <param name="request">The request, whose <c>If-Match</c> and <c>If-None-Match</c> count.</param>
    /// <param name="etag">The current strong ETag with its quotes, or null when there is nothing yet.</param>
    /// <exception cref="ApiException">412 when a condition fails, 400 when a header is malformed.</exception>
    public static void CheckWrite(HttpRequest request, string? etag)
    {
        if (Tags(request, HeaderNames.IfMatch) is { } wanted && !Matches(wanted, etag, isStrong: true))
        {
            throw ApiException.PreconditionFailed(HeaderNames.IfMatch);
        }

        if (Tags(request, HeaderNames.IfNoneMatch) is { } unwanted && Matches(unwanted, etag, isStrong: false))
        {
            throw ApiException.PreconditionFailed(HeaderNames.IfNoneMatch);
        }
    }

    /// <summary>Whether a read can be answered with 304, because the client holds this very state.</summary>
    /// <exception cref="ApiException">412 when <c>If-Match</c> or <c>If-Unmodified-Since</c> fails, 400 when a header is malformed.</exception>
    public static bool IsNotModified(HttpRequest request, string etag, DateTimeOffset lastModified)
    {
        var headers = request.GetTypedHeaders();
        if (Tags(request, HeaderNames.IfMatch) is { } wanted)
        {
            if (!Matches(wanted, etag, isStrong: true))
            {
                throw ApiException.PreconditionFailed(HeaderNames.IfMatch);
            }
        }
        else if (headers.IfUnmodifiedSince is { } unmodified && WholeSeconds(lastModified) > unmodified)
        {
            throw ApiException.PreconditionFailed(HeaderNames.IfUnmodifiedSince);
        }

        return Tags(request, HeaderNames.IfNoneMatch) is { } held
            ? Matches(held, etag, isStrong: false)
            : headers.IfModifiedSince is { } since && WholeSeconds(lastModified) <= since;
    }

    /// <summary>The one byte range that a read asks for; null means the whole content (also for several ranges, which a server may ignore).</summary>
    /// <exception cref="ApiException">416 when the range lies outside the content.</exception>
    public static (long From, long To)? Range(RequestHeaders headers, string etag, DateTimeOffset lastModified, long length)
    {
        if (headers.Range is not { Ranges.Count: 1 } range
            || !range.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase)
            || (headers.Headers.ContainsKey(HeaderNames.IfRange) && !HoldsIfRange(headers.IfRange, etag, lastModified)))
        {
            return null;
        }

        var (from, to) = range.Ranges.Single() switch
        {
            { From: { } first, To: var last } => (first, Math.Min(last ?? long.MaxValue, length - 1)),
            { To: { } suffix } => (suffix == 0 ? length : Math.Max(0, length - suffix), length - 1),
            _ => (0, length - 1),
        };
        return from < length ? (from, to) : throw ApiException.RangeNotSatisfiable(length);
    }

    // A condition that cannot be read does not hold.
    private static bool HoldsIfRange(RangeConditionHeaderValue? condition, string etag, DateTimeOffset lastModified) => condition switch
    {
        { EntityTag: { } tag } => !tag.IsWeak && tag.Tag.Equals(etag, StringComparison.Ordinal),
        { LastModified: { } moment } => WholeSeconds(lastModified) == moment,
        _ => false,
    };

    private static IList<EntityTagHeaderValue>? Tags(HttpRequest request, string header)
    {
        if (!request.Headers.TryGetValue(header, out var values))
        {
            return null;
        }

        // Strictly: a condition of which a part cannot be read must not hold or fail by the rest.
        return EntityTagHeaderValue.TryParseStrictList(values!, out var tags) && tags.Count > 0
            ? tags
            : throw ApiException.InvalidParameter(header, "must be * or a list of entity tags in double quotes");
    }

    private static bool Matches(IEnumerable<EntityTagHeaderValue> tags, string? etag, bool isStrong) =>
        etag is not null
        && tags.Any(tag => tag.Tag == "*" || (tag.Tag.Equals(etag, StringComparison.Ordinal) && !(isStrong && tag.IsWeak)));

    // HTTP dates have no fraction.
    private static DateTimeOffset WholeSeconds(DateTimeOffset moment) => moment.AddTicks(-(moment.Ticks % TimeSpan.TicksPerSecond));
}
