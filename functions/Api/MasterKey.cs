using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;

namespace QuantumFlux.Api;

/// <summary>The secret of the deployment.</summary>
public sealed class MasterKeyOptions
{
    /// <summary>32 random bytes in Base64. There is no default: a host without one does not start.</summary>
    [Required]
    public string MasterKey { get; set; } = "";
}

/// <summary>The secret from which every other key of the service is derived, so that none of them serves two purposes.</summary>
public sealed class MasterKey(IOptions<MasterKeyOptions> options)
{
    /// <summary>Its length in bytes, and that of the keys derived from it.</summary>
    public const int Bytes = 32;

    private readonly byte[] _key = Convert.FromBase64String(options.Value.MasterKey);

    /// <summary>A key of its own for one purpose (HKDF-SHA-256, RFC 5869): 32 bytes, the same each time.</summary>
    /// <param name="purpose">What the key is for. Different purposes have unrelated keys.</param>
    public byte[] Derive(ReadOnlySpan<byte> purpose)
    {
        var derived = new byte[Bytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _key, derived, salt: default, purpose);
        return derived;
    }

    /// <summary>Whether a setting holds a master key.</summary>
    public static bool IsValid(string text)
    {
        var bytes = new byte[Bytes + 1];
        return Convert.TryFromBase64String(text, bytes, out var count) && count == Bytes;
    }
}
