using System.Text.RegularExpressions;
using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>
/// The hash that a client says its content has: <c>Content-Digest: sha-256=:BASE64:</c> (RFC 9530). With it, content is checked from end to end.
/// Other algorithms are ignored, as the standard asks.
/// </summary>
public static partial class ContentDigest
{
    private const string Header = "Content-Digest";

    /// <summary>The SHA-256 of the header in lowercase hex; null when the request has none.</summary>
    /// <exception cref="ApiException">400 when the header is malformed.</exception>
    public static string? Read(HttpRequest request)
    {
        if (!request.Headers.TryGetValue(Header, out var value) || !value.ToString().Contains("sha-256=", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var match = Sha256().Match(value.ToString());
        return match.Success
            ? Convert.ToHexStringLower(Convert.FromBase64String(match.Groups["hash"].Value))
            : throw ApiException.InvalidParameter(Header, "must be sha-256=:BASE64: with the 32 bytes of the hash");
    }

    /// <summary>Ends the request when the content has another hash.</summary>
    /// <param name="parameter">Where the client said which hash it is.</param>
    /// <param name="expected">That hash in hex; null when it said none.</param>
    /// <param name="actual">The hash of what arrived, in hex.</param>
    /// <exception cref="ApiException">422 <c>CONTENT_MISMATCH</c>.</exception>
    public static void Require(string parameter, string? expected, string actual)
    {
        if (expected is not null && !string.Equals(expected, actual, StringComparison.OrdinalIgnoreCase))
        {
            throw ApiException.ContentMismatch(parameter, actual);
        }
    }

    /// <summary>The same for the header.</summary>
    public static void Require(string? expected, string actual) => Require(Header, expected, actual);

    [GeneratedRegex("(^|,)\\s*sha-256=:(?<hash>[A-Za-z0-9+/]{43}=):\\s*(,|$)", RegexOptions.IgnoreCase)]
    private static partial Regex Sha256();
}
