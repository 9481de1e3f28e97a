namespace QuantumFlux.Api;

/// <summary>The error envelope of both APIs: <c>{"error": {…}}</c>.</summary>
public sealed record ApiErrorEnvelope(ApiError Error);

/// <summary>What went wrong.</summary>
/// <param name="Code">Stable; clients branch on it.</param>
/// <param name="Message">One sentence for people.</param>
/// <param name="Timestamp">When the request failed.</param>
/// <param name="RequestId">The request's id, as in the <c>X-Request-Id</c> header and in the logs.</param>
/// <param name="Documentation">Where the code is explained.</param>
/// <param name="Details">Facts by name; empty when there is nothing to say.</param>
public sealed record ApiError(
    string Code,
    string Message,
    DateTimeOffset Timestamp,
    string RequestId,
    string Documentation,
    IReadOnlyDictionary<string, object?> Details)
{
    private const string DocumentationRoot = "https://docs.quantumflux.example/errors/";

    public static ApiError From(ApiException exception, string requestId, DateTimeOffset now) => new(
        exception.Code,
        exception.Message,
        now,
        requestId,
        DocumentationRoot + Page(exception.Code),
        exception.Details);

    // The specification prints this one page's address, and it is not the code's own name.
    private static string Page(string code) => code == "QUANTUM_COHERENCE_LOST"
        ? "quantum-coherence"
        : code.ToLowerInvariant().Replace('_', '-');
}
