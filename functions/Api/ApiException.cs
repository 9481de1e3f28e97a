namespace QuantumFlux.Api;

/// <summary>Ends a request with an error of the documented envelope. Thrown anywhere below the gate, answered by the gate alone.</summary>
/// <param name="status">The HTTP status.</param>
/// <param name="code">The stable code that clients branch on.</param>
/// <param name="message">One sentence for people. Never a secret, never another tenant's data.</param>
/// <param name="details">Facts that help to mend the request, by name; null means none.</param>
public sealed class ApiException(int status, string code, string message, IReadOnlyDictionary<string, object?>? details = null)
    : Exception(message)
{
    private static readonly Dictionary<string, object?> _noDetails = [];

    public int Status { get; } = status;

    public string Code { get; } = code;

    public IReadOnlyDictionary<string, object?> Details { get; } = details ?? _noDetails;

    /// <summary>When to try again, for the <c>Retry-After</c> header; null means that the header is not sent.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The same in whole seconds, never earlier.</summary>
    public long? RetryAfterSeconds => RetryAfter is { } wait ? (long)Math.Ceiling(wait.TotalSeconds) : null;

    /// <summary>When the window ends whose limit was met; null unless it is a 429 with a window.</summary>
    public DateTimeOffset? WindowReset { get; init; }

    /// <summary>The names of the limits that were met; empty unless it is a 429.</summary>
    public IReadOnlyList<string> ViolatedPolicies { get; init; } = [];

    /// <summary>The verbs that the path takes, for the <c>Allow</c> header of a 405; empty otherwise.</summary>
    public IReadOnlyList<string> Allow { get; init; } = [];

    /// <summary>The length of what a range lies outside of, for the <c>Content-Range</c> header of a 416; null otherwise.</summary>
    public long? LengthBytes { get; init; }

    /// <summary>400: every fault of the request at once, by parameter.</summary>
    public static ApiException InvalidParameters(IReadOnlyDictionary<string, object?> faults) => new(
        StatusCodes.Status400BadRequest,
        "INVALID_PARAMETERS",
        faults.Count == 1
            ? $"Invalid parameter {faults.Keys.First()}: {faults.Values.First()}"
            : $"Invalid parameters: {string.Join(", ", faults.Keys)}",
        faults);

    /// <summary>400: one fault.</summary>
    public static ApiException InvalidParameter(string name, string reason) =>
        InvalidParameters(new Dictionary<string, object?> { [name] = reason });

    /// <summary>What the HTTP server found wrong with a request, with the status that it gave it.</summary>
    public static ApiException Malformed(BadHttpRequestException exception) => new(
        exception.StatusCode,
        exception.StatusCode switch
        {
            StatusCodes.Status405MethodNotAllowed => "METHOD_NOT_ALLOWED",
            StatusCodes.Status408RequestTimeout => "REQUEST_TIMEOUT",
            StatusCodes.Status411LengthRequired => "LENGTH_REQUIRED",
            StatusCodes.Status413PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            StatusCodes.Status414UriTooLong => "URI_TOO_LONG",
            StatusCodes.Status431RequestHeaderFieldsTooLarge => "REQUEST_HEADERS_TOO_LARGE",
            StatusCodes.Status505HttpVersionNotsupported => "HTTP_VERSION_NOT_SUPPORTED",
            _ => "INVALID_PARAMETERS",
        },
        "The request is not valid HTTP",
        new Dictionary<string, object?> { ["request"] = exception.Message });

    public static ApiException InvalidSignature() => new(
        StatusCodes.Status400BadRequest,
        "INVALID_QUANTUM_SIGNATURE",
        "Quantum signature verification failed",
        new Dictionary<string, object?> { ["X-Quantum-Signature"] = "is not the signature of this resource" });

    public static ApiException AuthenticationRequired() => new(
        StatusCodes.Status401Unauthorized, "AUTHENTICATION_REQUIRED", "No API key provided");

    /// <summary>401: unknown, malformed, expired and revoked keys all answer so.</summary>
    public static ApiException InvalidApiKey() => new(
        StatusCodes.Status401Unauthorized, "INVALID_API_KEY", "API key is invalid or expired");

    public static ApiException InsufficientPermissions(string scope) => new(
        StatusCodes.Status403Forbidden,
        "INSUFFICIENT_PERMISSIONS",
        $"The API key lacks the scope {scope}",
        new Dictionary<string, object?> { ["required_scope"] = scope });

    /// <summary>403: the tier may use only the default pathway.</summary>
    /// <param name="tier">The tier.</param>
    /// <param name="parameter">The parameter that asks for more.</param>
    /// <param name="expected">What it must be instead.</param>
    public static ApiException DimensionalRoutingDenied(string tier, string parameter, string expected) => new(
        StatusCodes.Status403Forbidden,
        "DIMENSIONAL_ROUTING_DENIED",
        $"The {tier} tier may use only the default dimensional pathway",
        new Dictionary<string, object?> { [parameter] = expected, ["tier"] = tier });

    /// <summary>404: also for what belongs to another tenant.</summary>
    public static ApiException NotFound(string parameter, string kind) => new(
        StatusCodes.Status404NotFound,
        "RESOURCE_NOT_FOUND",
        $"The requested {kind} does not exist",
        new Dictionary<string, object?> { [parameter] = $"names no {kind}" });

    public static ApiException MethodNotAllowed(params string[] allow) => new(
        StatusCodes.Status405MethodNotAllowed,
        "METHOD_NOT_ALLOWED",
        $"This path takes {string.Join(", ", allow)}",
        new Dictionary<string, object?> { ["allow"] = allow })
    {
        Allow = allow,
    };

    public static ApiException AlreadyEntangled(string entanglementId) => new(
        StatusCodes.Status409Conflict,
        "ALREADY_ENTANGLED",
        "Objects already in entangled state",
        new Dictionary<string, object?> { ["entanglement_id"] = entanglementId });

    public static ApiException QuantumConflict(string message, IReadOnlyDictionary<string, object?> details) => new(
        StatusCodes.Status409Conflict, "QUANTUM_CONFLICT", message, details);

    /// <summary>409: the first request with the same <c>Idempotency-Key</c> is not answered yet.</summary>
    public static ApiException IdempotencyInProgress() => new(
        StatusCodes.Status409Conflict,
        "IDEMPOTENCY_IN_PROGRESS",
        "A request with this Idempotency-Key is still running",
        new Dictionary<string, object?> { ["Idempotency-Key"] = "belongs to a request that is still running; send it again to get its answer" })
    {
        RetryAfter = TimeSpan.FromSeconds(1),
    };

    /// <summary>422: the <c>Idempotency-Key</c> was sent with another request before.</summary>
    public static ApiException IdempotencyKeyReused() => new(
        StatusCodes.Status422UnprocessableEntity,
        "IDEMPOTENCY_KEY_REUSED",
        "This Idempotency-Key was sent with another request",
        new Dictionary<string, object?> { ["Idempotency-Key"] = "belongs to a request with another path, query, content type or body" });

    /// <summary>410: it was there, and its time is over.</summary>
    public static ApiException Expired(string parameter, string kind, DateTimeOffset expiredAt) => new(
        StatusCodes.Status410Gone,
        "RESOURCE_EXPIRED",
        $"The requested {kind} has expired",
        new Dictionary<string, object?> { [parameter] = $"names an expired {kind}", ["expired_at"] = expiredAt });

    public static ApiException LengthRequired() => new(
        StatusCodes.Status411LengthRequired,
        "LENGTH_REQUIRED",
        "Send a Content-Length (0 for empty content) or Transfer-Encoding: chunked",
        new Dictionary<string, object?> { ["Content-Length"] = "is required" });

    public static ApiException PreconditionFailed(string header) => new(
        StatusCodes.Status412PreconditionFailed,
        "PRECONDITION_FAILED",
        $"The condition in {header} does not hold",
        new Dictionary<string, object?> { [header] = "does not match the current state" });

    public static ApiException PayloadTooLarge(long limitBytes) => new(
        StatusCodes.Status413PayloadTooLarge,
        "PAYLOAD_TOO_LARGE",
        $"The content is larger than {limitBytes} bytes",
        new Dictionary<string, object?> { ["body"] = "is too large", ["limit_bytes"] = limitBytes });

    public static ApiException UnsupportedMediaType(string header, string reason) => new(
        StatusCodes.Status415UnsupportedMediaType,
        "UNSUPPORTED_MEDIA_TYPE",
        $"{header} {reason}",
        new Dictionary<string, object?> { [header] = reason });

    public static ApiException RangeNotSatisfiable(long lengthBytes) => new(
        StatusCodes.Status416RangeNotSatisfiable,
        "RANGE_NOT_SATISFIABLE",
        $"The range lies outside the content of {lengthBytes} bytes",
        new Dictionary<string, object?> { ["Range"] = "lies outside the content", ["size_bytes"] = lengthBytes })
    {
        LengthBytes = lengthBytes,
    };

    public static ApiException ContentMismatch(string parameter, string actual) => new(
        StatusCodes.Status422UnprocessableEntity,
        "CONTENT_MISMATCH",
        "The content is not what the request says it is",
        new Dictionary<string, object?> { [parameter] = "is not the SHA-256 of the content", ["actual_sha256"] = actual });

    /// <summary>429: a limit was met.</summary>
    /// <param name="message">Limit and window in words, such as <c>Rate limit of 500 requests per hour exceeded</c>.</param>
    /// <param name="violatedPolicies">The names of the limits that were met.</param>
    /// <param name="retryAfter">When to try again, for the header and the body; null when no moment is known.</param>
    /// <param name="windowReset">When the window ends; null when the limit has none.</param>
    /// <param name="details">Facts about the limit; null means none.</param>
    public static ApiException RateLimitExceeded(
        string message,
        IReadOnlyList<string> violatedPolicies,
        TimeSpan? retryAfter,
        DateTimeOffset? windowReset = null,
        IReadOnlyDictionary<string, object?>? details = null) =>
        new(StatusCodes.Status429TooManyRequests, "RATE_LIMIT_EXCEEDED", message, details)
        {
            RetryAfter = retryAfter,
            WindowReset = windowReset,
            ViolatedPolicies = violatedPolicies,
        };

    /// <summary>503: storage or another dependency does not answer, or too many writers met; the same request may succeed later.</summary>
    public static ApiException Unavailable() => new(
        StatusCodes.Status503ServiceUnavailable, "SERVICE_UNAVAILABLE", "Service temporarily unavailable")
    {
        RetryAfter = TimeSpan.FromSeconds(2),
    };

    public static ApiException CoherenceLost(double coherence, double minimum, IReadOnlyList<int> route) => new(
        StatusCodes.Status503ServiceUnavailable,
        "QUANTUM_COHERENCE_LOST",
        FormattableString.Invariant($"Quantum coherence dropped below minimum threshold of {minimum}"),
        new Dictionary<string, object?>
        {
            ["current_coherence"] = coherence,
            ["minimum_required"] = minimum,
            ["dimensional_route"] = route,
        })
    {
        RetryAfter = TimeSpan.FromSeconds(60),
    };

    public static ApiException DimensionalInstability(IReadOnlyList<int> route) => new(
        StatusCodes.Status503ServiceUnavailable,
        "DIMENSIONAL_INSTABILITY",
        "Dimensional pathway unstable: none of its dimensions answers",
        new Dictionary<string, object?> { ["dimensional_route"] = route })
    {
        RetryAfter = TimeSpan.FromSeconds(5),
    };
}
