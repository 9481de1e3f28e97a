using System.Text.Json.Serialization;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace QuantumFlux.Api;

/// <summary>What went wrong as problem details (RFC 9457): the facts of <see cref="ApiError"/> under that standard's names.</summary>
/// <param name="Type">What kind of problem it is: the documentation's address, or for a 429 that of the kind that the registry of problem types has.</param>
/// <param name="Title">The same for people.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">The error's message.</param>
/// <param name="Instance">This one occurrence: the request's id, which is a UUID, as a URN.</param>
/// <param name="Code">As in the envelope, like all that follow.</param>
/// <param name="ViolatedPolicies">Of a 429 alone: the names of the limits that were met (draft-ietf-httpapi-ratelimit-headers); else null.</param>
public sealed record Problem(
    string Type,
    string Title,
    int Status,
    string Detail,
    string Instance,
    string Code,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? RetryAfter,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? WindowReset,
    DateTimeOffset Timestamp,
    string RequestId,
    string Documentation,
    IReadOnlyDictionary<string, object?> Details,
    [property: JsonPropertyName("violated-policies"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? ViolatedPolicies)
{
    public const string ContentType = "application/problem+json";

    private const string Envelope = "application/json";
    private const string QuotaExceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded";

    public static Problem From(ApiException exception, string requestId, DateTimeOffset now)
    {
        var error = ApiError.From(exception, requestId, now);
        var isQuota = exception.ViolatedPolicies.Count > 0;
        return new Problem(
            isQuota ? QuotaExceeded : error.Documentation,
            error.Code[0] + error.Code[1..].ToLowerInvariant().Replace('_', ' '),
            exception.Status,
            error.Message,
            $"urn:uuid:{Guid.ParseExact(requestId.AsSpan("req_".Length), "N")}",
            error.Code,
            error.RetryAfter,
            error.WindowReset,
            error.Timestamp,
            error.RequestId,
            error.Documentation,
            error.Details,
            isQuota ? exception.ViolatedPolicies : null);
    }

    /// <summary>Whether a client would rather read this than the envelope: it names the type, and no less willingly than <c>application/json</c>.</summary>
    /// <param name="accept">The lines of the <c>Accept</c> header. Entries that are malformed, or whose weight is, are passed over; wildcards name nothing.</param>
    public static bool IsPreferred(StringValues accept)
    {
        // A comma in a quoted parameter splits too: no type that counts here has one.
        var (problem, envelope) = (0.0, 0.0);
        foreach (var entry in accept.SelectMany(line => (line ?? "").Split(',')))
        {
            if (!MediaTypeHeaderValue.TryParse(entry, out var range)
                || (range.Quality is null && range.Parameters.Any(parameter => parameter.Name.Equals("q", StringComparison.OrdinalIgnoreCase))))
            {
                continue;
            }

            if (range.MediaType.Equals(ContentType, StringComparison.OrdinalIgnoreCase))
            {
                problem = Math.Max(problem, range.Quality ?? 1);
            }
            else if (range.MediaType.Equals(Envelope, StringComparison.OrdinalIgnoreCase))
            {
                envelope = Math.Max(envelope, range.Quality ?? 1);
            }
        }

        return problem > 0 && problem >= envelope;
    }
}
