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

    // The first one signs; what the others signed stays valid.
    private readonly IReadOnlyList<byte[]> _keys = master.DeriveAll("quantum_signature"u8);

    /// <summary>Signs a resource.</summary>
    /// <param name="parts">What identifies the resource and what it holds. Their boundaries count: they are signed with their lengths.</param>
    public string Sign(params IEnumerable<string> parts) => Sign(_keys[0], parts);

    /// <summary>Whether a request carries a signature to check.</summary>
    public static bool IsGiven(HttpRequest request) => request.Headers.ContainsKey(Header);

    /// <summary>Checks the signature that a request for a resource carries, in constant time. A request without one passes.</summary>
    /// <param name="request">The request.</param>
    /// <param name="parts">What a signature of the resource is over.</param>
    /// <exception cref="ApiException">400 <c>INVALID_QUANTUM_SIGNATURE</c>.</exception>
    public void Check(HttpRequest request, IEnumerable<string> parts)
    {
        if (request.Headers.TryGetValue(Header, out var given)
            && !_keys.Any(key => AreEqual(given.ToString(), Sign(key, parts))))
        {
            throw ApiException.InvalidSignature();
        }
    }

    /// <summary>Checks a request whose resource has the one signature given, or none, so that no signature can be right.</summary>
    /// <exception cref="ApiException">400 <c>INVALID_QUANTUM_SIGNATURE</c>.</exception>
    public static void Check(HttpRequest request, string? expected)
    {
        if (request.Headers.TryGetValue(Header, out var given) && (expected is null || !AreEqual(given.ToString(), expected)))
        {
            throw ApiException.InvalidSignature();
        }
    }

    private static string Sign(byte[] key, IEnumerable<string> parts)
    {
        var text = new StringBuilder();
        foreach (var part in parts)
        {
            text.Append(part.Length).Append(':').Append(part);
        }

        var mac = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text.ToString()));
        return Prefix + Convert.ToHexStringLower(mac.AsSpan(0, SignedBytes));
    }

    private static bool AreEqual(string given, string expected) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given), Encoding.UTF8.GetBytes(expected));
}
