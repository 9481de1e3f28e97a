using System.Security.Cryptography;
using System.Text;

namespace QuantumFlux.Api;

/// <summary>
/// Signatures of resources: <c>qs_</c> and 32 hex digits, the first half of an HMAC-SHA-256 over a resource's identity and content.
/// A client that keeps one can have it checked later, and so learns whether the resource is still the one it saw.
/// </summary>
public sealed class QuantumSignature(MasterKey master)
{
    private const string Header = "X-Quantum-Signature";
    private const string Prefix = "qs_";
    private const int SignedBytes = 16;

    private readonly byte[] _key = master.Derive("quantum_signature"u8);

    /// <summary>Signs a resource.</summary>
    /// <param name="parts">What identifies the resource and what it holds. Their boundaries count: they are signed with their lengths.</param>
    public string Sign(params IEnumerable<string> parts)
    {
        var text = new StringBuilder();
        foreach (var part in parts)
        {
            text.Append(part.Length).Append(':').Append(part);
        }

        var mac = HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(text.ToString()));
        return Prefix + Convert.ToHexStringLower(mac.AsSpan(0, SignedBytes));
    }

    /// <summary>Checks the signature that a request carries, in constant time. A request without one passes.</summary>
    /// <param name="request">The request.</param>
    /// <param name="expected">The resource's signature; null when the request names no signed resource, so that no signature can be right.</param>
    /// <exception cref="ApiException">400 <c>INVALID_QUANTUM_SIGNATURE</c>.</exception>
    public static void Check(HttpRequest request, string? expected)
    {
        if (request.Headers.TryGetValue(Header, out var given)
            && (expected is null
                || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given.ToString()), Encoding.UTF8.GetBytes(expected))))
        {
            throw ApiException.InvalidSignature();
        }
    }
}
