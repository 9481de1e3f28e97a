using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>What only the service may know of an entry.</summary>
/// <param name="DataKey">The key of its value, used for nothing else: 16 bytes, or 32.</param>
/// <param name="Sha256">The hash of the value's JSON. Secret, because whoever sees it could try likely values.</param>
public sealed record CacheSecrets(byte[] DataKey, byte[] Sha256)
{
    /// <summary>A new key for a value.</summary>
    public static byte[] NewDataKey(CacheEncryption encryption) => RandomNumberGenerator.GetBytes(encryption == CacheEncryption.Aes128 ? 16 : 32);
}

/// <summary>
/// Wraps an entry's secrets with AES-256-GCM under a key derived from the master key for the tenant, and binds to them everything that is stored of
/// the entry: who changes a row, or puts it in another's place, makes it one that does not open.
/// </summary>
/// <remarks>
/// Nonces are random, which is safe for 2^32 entries of one tenant under one master key (NIST SP 800-38D, section 8.3). A new master key needs no entry
/// rewritten: the old one goes on opening what it wrapped.
/// </remarks>
public sealed class CacheSeal(MasterKey master)
{
    private const byte Form = 1;
    private const int HashBytes = 32;

    /// <summary>The master key that new entries are wrapped under.</summary>
    public string MasterKeyId => master.CurrentId;

    /// <summary>Wraps an entry's secrets: a byte for the form, the nonce, hash and key encrypted, the tag.</summary>
    public byte[] Close(string tenant, CacheEntry entry, CacheSecrets secrets)
    {
        byte[] plain = [.. secrets.Sha256, .. secrets.DataKey];
        var closed = new byte[1 + ChunkCipher.NonceBytes + plain.Length + ChunkCipher.TagBytes];
        closed[0] = Form;
        var nonce = closed.AsSpan(1, ChunkCipher.NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(master.Derive(entry.MasterKeyId, Purpose(tenant))!, ChunkCipher.TagBytes);
        aes.Encrypt(nonce, plain, closed.AsSpan(1 + ChunkCipher.NonceBytes, plain.Length), closed.AsSpan(^ChunkCipher.TagBytes..), Bound(tenant, entry));
        return closed;
    }

    /// <summary>Unwraps an entry's secrets; null when anything about the entry is not as it was written, or its master key is not known here.</summary>
    public CacheSecrets? Open(string tenant, CacheEntry entry, byte[] closed)
    {
        var keyBytes = closed.Length - 1 - ChunkCipher.NonceBytes - HashBytes - ChunkCipher.TagBytes;
        if (keyBytes is not (16 or 32) || closed[0] != Form || master.Derive(entry.MasterKeyId, Purpose(tenant)) is not { } key)
        {
            return null;
        }

        var plain = new byte[HashBytes + keyBytes];
        using var aes = new AesGcm(key, ChunkCipher.TagBytes);
        try
        {
            aes.Decrypt(
                closed.AsSpan(1, ChunkCipher.NonceBytes),
                closed.AsSpan(1 + ChunkCipher.NonceBytes, plain.Length),
                closed.AsSpan(^ChunkCipher.TagBytes..),
                plain,
                Bound(tenant, entry));
            return new CacheSecrets(plain[HashBytes..], plain[..HashBytes]);
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    private static byte[] Purpose(string tenant) => Encoding.UTF8.GetBytes("crystal_cache:" + tenant);

    // With their lengths, so that no two entries give the same bytes.
    private static byte[] Bound(string tenant, CacheEntry entry)
    {
        var text = new StringBuilder();
        foreach (var part in new[]
        {
            tenant,
            entry.Key,
            entry.CacheId,
            Number(entry.StoredAt.UtcTicks),
            Number(entry.ExpiresAt?.UtcTicks ?? 0),
            Number((long)entry.Compression),
            Number((long)entry.Encryption),
            Number(entry.OriginalBytes),
            Number(entry.CompressedBytes),
            string.Join(',', entry.Dimensions),
            entry.IsBlob ? "blob" : "rows",
            entry.MasterKeyId,
        })
        {
            text.Append(CultureInfo.InvariantCulture, $"{part.Length}:").Append(part);
        }

        return Encoding.UTF8.GetBytes(text.ToString());

        static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
    }
}
