using System.Text.Json.Serialization;

namespace QuantumFlux.Api;

/// <summary>The error envelope of both APIs: <c>{"error": {…}}</c>.</summary>
public sealed record ApiErrorEnvelope(ApiError Error);

/// <summary>What went wrong.</summary>
/// <param name="Code">Stable; clients branch on it.</param>
/// <param name="Message">One sentence for people.</param>
/// <param name="RetryAfter">Of a 429 alone: when to try again, in whole seconds, as in the <c>Retry-After</c> header; null when no moment is known.</param>
/// <param name="WindowReset">Of a 429 alone: when the window ends whose limit was met; null when the limit has none.</param>
/// <param name="Timestamp">When the request failed.</param>
/// <param name="RequestId">The request's id, as in the <c>X-Request-Id</c> header and in the logs.</param>
/// <param name="Documentation">Where the code is explained.</param>
/// <param name="Details">Facts by name; empty when there is nothing to say.</param>
public sealed record ApiError(
    string Code,
    string Message,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? RetryAfter,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? WindowReset,
    DateTimeOffset Timestamp,
    string RequestId,
    string Documentation,
    IReadOnlyDictionary<string, object?> Details)
{
    private const string DocumentationRoot = "https://docs.quantumflux.example/";

    public static ApiError From(ApiException exception, string requestId, DateTimeOffset now) => new(
        exception.Code,
        exception.Message,
        exception.Status == StatusCodes.Status429TooManyRequests ? exception.RetryAfterSeconds : null,
        exception.WindowReset,
        now,
        requestId,
        DocumentationRoot + Page(exception.Code),
        exception.Details);

    // The specification prints the addresses of two pages, and they are not the codes' own names.
    private static string Page(string code) => code switch
    {
        "QUANTUM_COHERENCE_LOST" => "errors/quantum-coherence",
        "RATE_LIMIT_EXCEEDED" => "rate-limits",
        _ => "errors/" + code.ToLowerInvariant().Replace('_', '-'),
    };
}
