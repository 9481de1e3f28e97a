using System.Text.Json.Serialization;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>The answer to a write.</summary>
/// <param name="Key">The key.</param>
/// <param name="CacheId">The id of this write.</param>
/// <param name="StoredAt">When it was stored.</param>
/// <param name="ExpiresAt">From when it is no longer there; null means never.</param>
/// <param name="CompressedSizeBytes">The length of the value after compression.</param>
/// <param name="OriginalSizeBytes">The length of the value's JSON.</param>
/// <param name="CompressionRatio">The second by the first, to two decimals; below 1 when compression made it longer.</param>
/// <param name="QuantumSignature">Over key, id, time and value.</param>
public sealed record StoredCacheEntryView(
    string Key,
    string CacheId,
    DateTimeOffset StoredAt,
    DateTimeOffset? ExpiresAt,
    long CompressedSizeBytes,
    long OriginalSizeBytes,
    double CompressionRatio,
    string QuantumSignature)
{
    public static StoredCacheEntryView From(CacheEntry entry, string signature) => new(
        entry.Key,
        entry.CacheId,
        entry.StoredAt,
        entry.ExpiresAt,
        entry.CompressedBytes,
        entry.OriginalBytes,
        entry.Ratio,
        signature);
}

/// <summary>What is told of an entry beside its value.</summary>
/// <param name="StoredAt">When it was stored.</param>
/// <param name="ExpiresAt">From when it is no longer there; null means never.</param>
/// <param name="HitCount">How often it has been read, this time included. Reads on other instances come in seconds later.</param>
/// <param name="LastAccessed">When it was read last, this time included.</param>
public sealed record CacheMetadataView(DateTimeOffset StoredAt, DateTimeOffset? ExpiresAt, long HitCount, DateTimeOffset LastAccessed);

/// <summary>An entry of a list.</summary>
/// <param name="LastAccessed">When it was read last; null when it never was.</param>
public sealed record ListedCacheEntryView(
    string Key,
    string CacheId,
    DateTimeOffset StoredAt,
    DateTimeOffset? ExpiresAt,
    long CompressedSizeBytes,
    long OriginalSizeBytes,
    double CompressionRatio,
    long HitCount,
    DateTimeOffset? LastAccessed)
{
    public static ListedCacheEntryView From(CacheEntry entry, Hits hits) => new(
        entry.Key,
        entry.CacheId,
        entry.StoredAt,
        entry.ExpiresAt,
        entry.CompressedBytes,
        entry.OriginalBytes,
        entry.Ratio,
        hits.Count,
        hits.Last);
}

/// <summary>A page of entries.</summary>
public sealed record CacheListView(IReadOnlyList<ListedCacheEntryView> Entries, bool HasMore);

/// <summary>The answer to a removal.</summary>
public sealed record DeletedCacheEntryView(string Key, string Status, DateTimeOffset DeletedAt);

/// <summary>The answers to a batch, in the order of its operations.</summary>
public sealed record CacheBatchView(IReadOnlyList<CacheBatchResult> Results);

/// <summary>The answer to one operation of a batch.</summary>
/// <param name="Status">The HTTP status that it would have by itself.</param>
/// <param name="Body">What it would answer by itself: JSON.</param>
public sealed record CacheBatchResult(int Status, [property: JsonConverter(typeof(RawJsonConverter))] ReadOnlyMemory<byte> Body);
