using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>Finds the API key that a request comes with.</summary>
public sealed class Authentication(KeyStore keys, FailedAuthentications failures, TimeProvider time)
{
    // The legacy header was deprecated with version 3.7.2 and its sunset is the date that the specification prints.
    private const string LegacyDeprecation = "@1731628800";
    private const string LegacySunset = "Wed, 19 Nov 2025 00:00:00 GMT";

    /// <summary>The key of a request, which is usable now.</summary>
    /// <exception cref="ApiException">
    /// 401 <c>AUTHENTICATION_REQUIRED</c> or <c>INVALID_API_KEY</c>; 429 <c>RATE_LIMIT_EXCEEDED</c> when the caller's address has failed too often. Keys that
    /// this instance has seen to be good are never limited so.
    /// </exception>
    public async Task<ApiKey> FindKeyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var address = request.HttpContext.Connection.RemoteIpAddress;

        // The specification's own header first, then the usual one, then the deprecated one. The first that is there decides.
        string? secret;
        if (request.Headers.TryGetValue("QFlux-Token", out var token))
        {
            secret = Bearer(token.ToString());
        }
        else if (request.Headers.Authorization is { Count: > 0 } authorization)
        {
            secret = Bearer(authorization.ToString());
        }
        else if (request.Headers.TryGetValue("X-API-Key", out var legacy))
        {
            secret = legacy.ToString();
            var headers = request.HttpContext.Response.Headers;
            headers["Deprecation"] = LegacyDeprecation;
            headers["Sunset"] = LegacySunset;
        }
        else
        {
            failures.Add(address);
            throw ApiException.AuthenticationRequired();
        }

        if (failures.StateOf(address) is { IsAdmitted: false } state && (secret is null || !keys.IsKnownGood(secret)))
        {
            throw FailedAuthentications.Refusal(state);
        }

        var key = secret is null ? null : await keys.FindAsync(secret, cancellationToken);
        var now = time.GetUtcNow();
        if (key is null || !key.IsUsable(now))
        {
            failures.Add(address);
            throw ApiException.InvalidApiKey();
        }

        if (key.RotationAdvice(now) is { } advice)
        {
            request.HttpContext.Response.Headers["X-Key-Rotation"] = advice;
        }

        return key;
    }

    private static string? Bearer(string header)
    {
        const string Scheme = "Bearer ";
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : null;
    }
}
