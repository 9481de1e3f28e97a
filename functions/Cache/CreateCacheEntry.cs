using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>What a client asks to be kept, beside the value.</summary>
/// <param name="Key">The key.</param>
/// <param name="TimeToLive">How long; null means for ever.</param>
/// <param name="Compression">How it is to be compressed.</param>
/// <param name="Encryption">How it is to be encrypted.</param>
/// <param name="ReplicationFactor">How many dimensions are to hold it.</param>
public sealed record CreateCacheEntry(
    string Key, TimeSpan? TimeToLive, CacheCompression Compression, CacheEncryption Encryption, int ReplicationFactor)
{
    private const string Brotli = "quantum_lz47";
    private const string Aes256 = "qr_aes_4096";

    /// <summary>Reads everything but the value; the caller reads that, and then asks for the faults.</summary>
    public static CreateCacheEntry From(JsonBody body)
    {
        var key = body.RequiredText("key", CacheLimits.CheckKey);
        var ttlSeconds = body.Whole("ttl_seconds", 1, CacheLimits.TtlSecondsMax);
        var options = body.Object("options");
        var compression = options.Choice("compression", Brotli, "none", Brotli) == Brotli ? CacheCompression.Brotli : CacheCompression.None;
        var encryption = options.Choice("encryption", Aes256, "qr_aes_2048", Aes256) == Aes256 ? CacheEncryption.Aes256 : CacheEncryption.Aes128;
        var replicationFactor = options.Whole("replication_factor", 1, StorageAccounts.DimensionMax) ?? CacheLimits.ReplicationDefault;
        return new CreateCacheEntry(
            key, ttlSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null, compression, encryption, (int)replicationFactor);
    }

    /// <summary>The word for a compression on the wire.</summary>
    public static string Word(CacheCompression compression) => compression == CacheCompression.Brotli ? Brotli : "none";
}
