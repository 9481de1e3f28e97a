using System.Globalization;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>What an entry's value goes through before it is stored.</summary>
public enum CacheCompression
{
    /// <summary>Nothing: <c>none</c>.</summary>
    None,

    /// <summary>Brotli: <c>quantum_lz47</c>.</summary>
    Brotli,
}

/// <summary>What an entry's value is encrypted with.</summary>
public enum CacheEncryption
{
    /// <summary>AES-128-GCM: <c>qr_aes_2048</c>.</summary>
    Aes128,

    /// <summary>AES-256-GCM: <c>qr_aes_4096</c>.</summary>
    Aes256,
}

/// <summary>A value under a key, all about it but the value itself.</summary>
/// <param name="Key">The key, 1 to 256 characters of any kind.</param>
/// <param name="CacheId">This write of it: <c>cch_</c> and 32 hex digits. Writing the key again makes another one.</param>
/// <param name="StoredAt">When it was written, in whole milliseconds, so that what the answer says is what counts.</param>
/// <param name="ExpiresAt">From when it is no longer there; null means never.</param>
/// <param name="Compression">How it is compressed.</param>
/// <param name="Encryption">How it is encrypted.</param>
/// <param name="OriginalBytes">The length of the value's JSON as it was sent.</param>
/// <param name="CompressedBytes">Its length after compression. Encryption adds 16 bytes for each 64 KiB.</param>
/// <param name="Dimensions">The dimensions that hold a copy.</param>
/// <param name="IsBlob">Whether the copies are blobs; else they are rows.</param>
/// <param name="MasterKeyId">The master key under which the entry's own key is wrapped.</param>
public sealed record CacheEntry(
    string Key,
    string CacheId,
    DateTimeOffset StoredAt,
    DateTimeOffset? ExpiresAt,
    CacheCompression Compression,
    CacheEncryption Encryption,
    long OriginalBytes,
    long CompressedBytes,
    IReadOnlyList<int> Dimensions,
    bool IsBlob,
    string MasterKeyId)
{
    /// <summary>How long an expired entry answers 410 before it is forgotten and answers 404.</summary>
    public static readonly TimeSpan ExpiredFor = TimeSpan.FromDays(1);

    /// <summary>The strong ETag: it names the write, so that every write changes it.</summary>
    public string ETag => $"\"{CacheId[CacheLimits.IdPrefix.Length..]}\"";

    /// <summary>How many bytes one stored byte stands for.</summary>
    public double Ratio => Math.Round(OriginalBytes / (double)CompressedBytes, 2);

    /// <summary>Whether its time is over.</summary>
    public bool IsExpired(DateTimeOffset now) => now >= ExpiresAt;

    /// <summary>Whether its time has been over for so long that it counts as never stored.</summary>
    public bool IsForgotten(DateTimeOffset now) => now >= ForgottenAt;

    /// <summary>When it may be removed; null means never.</summary>
    public DateTimeOffset? ForgottenAt => ExpiresAt + ExpiredFor;

    /// <summary>What a signature of an entry is over: what it is, where it is and what it holds.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="sha256">The hash of the value's JSON.</param>
    public IEnumerable<string> SignedParts(string tenant, byte[] sha256) =>
        [tenant, "crystal", Key, CacheId, Json.Format(StoredAt), Convert.ToHexStringLower(sha256)];

    /// <summary>Ends the request for an entry that has expired.</summary>
    /// <exception cref="ApiException">410, and 404 a day later.</exception>
    public void RequireAlive(DateTimeOffset now)
    {
        if (IsForgotten(now))
        {
            throw CacheLimits.NotFound();
        }

        if (IsExpired(now))
        {
            throw ApiException.Expired("key", "cache entry", ExpiresAt!.Value);
        }
    }
}

/// <summary>The limits of the cache.</summary>
public static class CacheLimits
{
    public const string IdPrefix = "cch_";

    /// <summary>The longest key, in Unicode characters.</summary>
    public const int KeyCharactersMax = 256;

    /// <summary>The longest time to live, in seconds: a hundred years.</summary>
    public const long TtlSecondsMax = 100L * 365 * 24 * 60 * 60;

    /// <summary>
    /// The largest body of a request, in bytes, which is what the Functions platform lets through. The specification's 2.7 GB of compressed value would
    /// have to come in one request; content of that size is an object, written by an upload.
    /// </summary>
    public const long RequestBytesMax = 100 * 1024 * 1024;

    /// <summary>
    /// The largest stored value that lies in table rows, in bytes; larger ones lie in blobs.
    /// </summary>
    /// <remarks>
    /// The prices (US, a month): a table transaction $0.036 a million whatever its rows, $0.045 a GB; a blob write $5 a million for each copy, a blob read
    /// $0.40 a million, $0.018 a GB. A copy of S GB that is kept L months and read R times costs 0.045·S·L as a row (the read of the entry's
    /// row brings it along) and 0.000005 + 0.0000004·R + 0.018·S·L as a blob. Both cost the same at S = (0.000005 + 0.0000004·R) / (0.027·L):
    /// 185 KB for an entry that is kept a month and never read, 385 KB when it is read 13 times a month, 790 KB when it is kept a week and read never.
    /// Entries of a cache are read, and are kept for less, so the crossing point lies above what the service allows: seven copies in Base64 fit one
    /// transaction of 4 MiB up to 4,194,304 / 7 · 3/4 = 449,389 bytes each, columns and keys included. 384 KiB leaves them room.
    /// </remarks>
    public const int RowBytesMax = 384 * 1024;

    /// <summary>The most operations of one batch.</summary>
    public const int BatchOperationsMax = 100;

    /// <summary>The largest body of a batch, in bytes.</summary>
    public const int BatchBytesMax = 4 * 1024 * 1024;

    /// <summary>The largest value that a batch answers with, in bytes of JSON; all of them are in memory at once. Larger ones are read by themselves.</summary>
    public const int BatchValueBytesMax = 256 * 1024;

    /// <summary>The copies of an entry when the request does not say; from the specification.</summary>
    public const int ReplicationDefault = 3;

    // The specification's default pathway first, so that three copies are in its dimensions.
    private static readonly int[] _dimensions = [1, 3, 7, 2, 4, 5, 6];

    /// <summary>The dimensions that hold so many copies.</summary>
    public static IReadOnlyList<int> DimensionsOf(int replicationFactor) => _dimensions[..replicationFactor];

    /// <summary>Says what a key must be when a text is none, else null.</summary>
    public static string? CheckKey(string key) => key.Length is > 0 and <= 2 * KeyCharactersMax && key.EnumerateRunes().Count() <= KeyCharactersMax
        ? null
        : string.Create(CultureInfo.InvariantCulture, $"must be 1 to {KeyCharactersMax} characters");

    public static ApiException NotFound() => ApiException.NotFound("key", "cache entry");
}
