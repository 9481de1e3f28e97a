using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Idempotency;

/// <summary>
/// The secret of one operation. It follows from the master key and the <c>Idempotency-Key</c>, which is not stored, so what it seals opens only for a
/// client that sends the key again: an answer may hold an API key.
/// </summary>
public sealed class OperationKey
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly byte[] _key;

    /// <summary>The secret of an operation.</summary>
    /// <param name="master">The master key.</param>
    /// <param name="age">Under which master key it began: 0 for the current one, 1 for the first of the previous ones, and so on.</param>
    /// <param name="idempotencyKey">The header's value.</param>
    /// <param name="operationId">The operation, so that a key that is used again long after gives other secrets.</param>
    public OperationKey(MasterKey master, int age, string idempotencyKey, string operationId) =>
        _key = master.DeriveAll(Encoding.UTF8.GetBytes($"idempotency:{operationId}:{idempotencyKey}"))[age];

    /// <summary>
    /// What a key stands for: a tenant's requests of one verb to one route. 64 hex digits, from which only the master key leads back; one text for each
    /// master key, the current one's first.
    /// </summary>
    public static IReadOnlyList<string> ScopesOf(MasterKey master, string tenant, string method, string route, string idempotencyKey)
    {
        var named = Encoding.UTF8.GetBytes($"{tenant}\n{method}\n{route}\n{idempotencyKey}");
        return [.. master.DeriveAll("idempotency_scope"u8).Select(key => Convert.ToHexStringLower(HMACSHA256.HashData(key, named)))];
    }

    /// <summary>Bytes for one purpose (HKDF-SHA-256, RFC 5869, its second step), the same each time.</summary>
    public byte[] Derive(string purpose, int length = MasterKey.Bytes) =>
        HKDF.Expand(HashAlgorithmName.SHA256, _key, length, Encoding.UTF8.GetBytes(purpose));

    /// <summary>Encrypts (AES-256-GCM): nonce, tag, text.</summary>
    /// <param name="plain">The text.</param>
    /// <param name="identity">What it belongs to. It opens for nothing else.</param>
    public byte[] Seal(ReadOnlySpan<byte> plain, ReadOnlySpan<byte> identity)
    {
        var bytes = new byte[NonceBytes + TagBytes + plain.Length];
        var sealedText = bytes.AsSpan(NonceBytes + TagBytes);
        RandomNumberGenerator.Fill(bytes.AsSpan(0, NonceBytes));
        using var aes = new AesGcm(Derive("answer"), TagBytes);
        aes.Encrypt(bytes.AsSpan(0, NonceBytes), plain, sealedText, bytes.AsSpan(NonceBytes, TagBytes), identity);
        return bytes;
    }

    /// <summary>Decrypts what <see cref="Seal"/> made.</summary>
    /// <exception cref="StorageException">It is not that: storage has lost or changed something, and nothing of it is to be believed.</exception>
    public byte[] Open(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> identity)
    {
        try
        {
            var plain = new byte[bytes.Length - NonceBytes - TagBytes];
            using var aes = new AesGcm(Derive("answer"), TagBytes);
            aes.Decrypt(bytes[..NonceBytes], bytes[(NonceBytes + TagBytes)..], bytes.Slice(NonceBytes, TagBytes), plain, identity);
            return plain;
        }
        catch (Exception exception) when (exception is CryptographicException or OverflowException or ArgumentException)
        {
            throw new StorageException("A kept answer is not what was stored.", 0, null, exception);
        }
    }
}
