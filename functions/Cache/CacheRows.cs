using System.Globalization;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>
/// How the cache lies in the table <c>cache</c>. The partition is the tenant; the kind of a row is the start of its key: <c>k:KEY</c> entries, with the first
/// copy of a value of row size; <c>c:KEY:DIMENSION</c> its further copies in the main account; <c>o:CACHE_ID</c> the copy in a dimension with an account of its
/// own; <c>x:TICKS:KIND:CACHE_ID</c> what falls due.
/// </summary>
/// <remarks>
/// A copy repeats all that is known of its entry, so that each can be read by itself. Copies in the main account are replaced together with their entry,
/// in one transaction. Those outside of it (blobs, and rows in other accounts) are written before it under the id of the write, and never changed.
/// </remarks>
public static class CacheRows
{
    public const string Table = "cache";

    public const string EntriesFrom = "k:";
    public const string EntriesBefore = "k;";
    public const string DueFrom = "x:";

    public const string DataColumn = "Data";
    public const string HitCountColumn = "HitCount";
    public const string LastAccessedColumn = "LastAccessed";

    // What a key adds to the row keys above still fits into 512 characters.
    private const int KeyPartCharactersMax = 400;

    /// <summary>The columns of an entry without its value and what opens it.</summary>
    public static IReadOnlyList<string> ListColumns { get; } =
    [
        "Key", "CacheId", "StoredAt", "ExpiresAt", "Compression", "Encryption", "Original", "Compressed", "Dimensions", "IsBlob", "MasterKeyId",
        HitCountColumn, LastAccessedColumn,
    ];

    public static string EntryKey(string key) => EntriesFrom + Part(key);

    /// <summary>What the row keys of all entries with a prefix begin with; others may begin so too when the prefix is long.</summary>
    public static string EntryPrefix(string prefix) => EntriesFrom + TableKey.EscapeLongPrefix(prefix, KeyPartCharactersMax);

    public static string CopyKey(string key, int dimension) => string.Create(CultureInfo.InvariantCulture, $"{CopiesFrom(key)}{dimension}");

    public static string CopiesFrom(string key) => $"c:{Part(key)}:";

    public static string CopiesBefore(string key) => $"c:{Part(key)};";

    public static string OutsideKey(string cacheId) => "o:" + TableKey.Escape(cacheId);

    /// <summary>The range of what is due until a moment ends before this.</summary>
    public static string DueBefore(DateTimeOffset now) => string.Create(CultureInfo.InvariantCulture, $"{DueFrom}{now.UtcTicks + 1:D19}:");

    /// <summary>The row of an entry or of a copy.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="rowKey">Its key.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="closed">Its secrets, wrapped.</param>
    /// <param name="data">The stored value; null when it lies elsewhere.</param>
    public static TableRow Row(string tenant, string rowKey, CacheEntry entry, byte[] closed, byte[]? data)
    {
        var row = new TableRow(tenant, rowKey)
            .Set("Key", entry.Key)
            .Set("CacheId", entry.CacheId)
            .Set("StoredAt", entry.StoredAt.UtcTicks)
            .Set("ExpiresAt", entry.ExpiresAt?.UtcTicks)
            .Set("Compression", (long)entry.Compression)
            .Set("Encryption", (long)entry.Encryption)
            .Set("Original", entry.OriginalBytes)
            .Set("Compressed", entry.CompressedBytes)
            .Set("Dimensions", string.Join(',', entry.Dimensions))
            .Set("IsBlob", entry.IsBlob)
            .Set("MasterKeyId", entry.MasterKeyId)
            .Set("Sealed", closed);
        return data is null ? row : row.SetLarge(DataColumn, data);
    }

    /// <summary>The row of an entry as it stands, with its reads.</summary>
    public static TableRow OwnRow(string tenant, FoundEntry found, byte[]? data) => Row(tenant, EntryKey(found.Entry.Key), found.Entry, found.Closed, data)
        .Set(HitCountColumn, found.Hits.Count)
        .Set(LastAccessedColumn, found.Hits.Last?.UtcTicks);

    /// <summary>The id of the write that a row is of.</summary>
    public static string? CacheId(TableRow row) => row.Text("CacheId");

    /// <summary>The wrapped secrets of a row.</summary>
    public static byte[] Sealed(TableRow row) => row.Bytes("Sealed") ?? [];

    /// <summary>The entry that a row is of; null when the row is not as it was written, as far as that can be seen without opening it.</summary>
    public static CacheEntry? TryParse(TableRow row)
    {
        if (row.Text("Key") is { } key
            && row.Text("CacheId") is { } id
            && id.StartsWith(CacheLimits.IdPrefix, StringComparison.Ordinal)
            && TryMoment(row.Whole("StoredAt"), out var storedAt)
            && storedAt is not null
            && TryMoment(row.Whole("ExpiresAt"), out var expiresAt)
            && (expiresAt is null || expiresAt <= DateTimeOffset.MaxValue - CacheEntry.ExpiredFor)
            && row.Whole("Compression") is (long)CacheCompression.None or (long)CacheCompression.Brotli
            && row.Whole("Encryption") is (long)CacheEncryption.Aes128 or (long)CacheEncryption.Aes256
            && row.Whole("Original") is > 0 and <= CacheLimits.RequestBytesMax and var original
            && row.Whole("Compressed") is > 0 and <= 2 * CacheLimits.RequestBytesMax and var compressed
            && TryDimensions(row.Text("Dimensions"), out var dimensions)
            && row.Flag("IsBlob") is { } isBlob
            && row.Text("MasterKeyId") is { } masterKeyId)
        {
            return new CacheEntry(
                key,
                id,
                storedAt.Value,
                expiresAt,
                (CacheCompression)row.Whole("Compression")!.Value,
                (CacheEncryption)row.Whole("Encryption")!.Value,
                original,
                compressed,
                dimensions,
                isBlob,
                masterKeyId);
        }

        return null;
    }

    /// <summary>How often a row's entry has been read, as far as storage knows.</summary>
    public static Hits Hits(TableRow row) => new(
        row.Whole(HitCountColumn) ?? 0, TryMoment(row.Whole(LastAccessedColumn), out var last) ? last : null);

    private static string Part(string key) => TableKey.EscapeLong(key, KeyPartCharactersMax);

    private static bool TryMoment(long? ticks, out DateTimeOffset? moment)
    {
        var isMoment = ticks is null || (ticks >= DateTimeOffset.MinValue.Ticks && ticks <= DateTimeOffset.MaxValue.Ticks);
        moment = isMoment && ticks is { } number ? new DateTimeOffset(number, TimeSpan.Zero) : null;
        return isMoment;
    }

    private static bool TryDimensions(string? text, out IReadOnlyList<int> dimensions)
    {
        var numbers = new List<int>();
        foreach (var part in text?.Split(',') ?? [])
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > StorageAccounts.DimensionMax)
            {
                numbers.Clear();
                break;
            }

            numbers.Add(number);
        }

        dimensions = numbers;
        return numbers.Count > 0;
    }
}

/// <summary>How often something has been read, and when last.</summary>
/// <param name="Count">How often.</param>
/// <param name="Last">When last; null when never.</param>
public sealed record Hits(long Count, DateTimeOffset? Last)
{
    /// <summary>Both together.</summary>
    public Hits Plus(Hits other) => new(Count + other.Count, Last is null || other.Last > Last ? other.Last ?? Last : Last);
}
