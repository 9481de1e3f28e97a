using System.Globalization;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>What falls due.</summary>
public enum CacheDueKind
{
    /// <summary>The day after an entry's expiry is over: it is removed.</summary>
    Forget,

    /// <summary>Content outside of the entries' table is looked after: when no entry has it, it is removed.</summary>
    Check,

    /// <summary>A copy is missing or broken: it is brought back.</summary>
    Repair,

    /// <summary>The mark of a change is of no use any more: it is removed. See <see cref="CacheEffect"/>.</summary>
    Effect,
}

/// <summary>Something to be done for one write of an entry at some time. It may be out of date by then: the entry itself decides.</summary>
/// <param name="Kind">What.</param>
/// <param name="At">When.</param>
/// <param name="Key">The key.</param>
/// <param name="CacheId">The write.</param>
/// <param name="StoredAt">When it was written.</param>
/// <param name="Dimensions">The dimensions that may hold its content.</param>
/// <param name="IsBlob">Whether that is in blobs.</param>
public sealed record CacheDue(
    CacheDueKind Kind, DateTimeOffset At, string Key, string CacheId, DateTimeOffset StoredAt, IReadOnlyList<int> Dimensions, bool IsBlob)
{
    private static readonly TimeSpan _checkAfterMin = TimeSpan.FromHours(1);
    private static readonly TimeSpan _checkAfterMax = TimeSpan.FromDays(1);

    /// <summary>The key of its row.</summary>
    public string RowKey => KeyOf(Kind, At, CacheId);

    /// <summary>The key of the row of something that falls due.</summary>
    public static string KeyOf(CacheDueKind kind, DateTimeOffset at, string id) =>
        string.Create(CultureInfo.InvariantCulture, $"{CacheRows.DueFrom}{at.UtcTicks:D19}:{(int)kind}:{TableKey.Escape(id)}");

    /// <summary>The removal of an entry that expires.</summary>
    public static CacheDue ForForgetting(CacheEntry entry) => Of(CacheDueKind.Forget, entry.ForgottenAt!.Value, entry);

    /// <summary>The repair of an entry's copies: always the same row, however often the need is noticed.</summary>
    public static CacheDue ForRepair(CacheEntry entry) => Of(CacheDueKind.Repair, entry.StoredAt, entry);

    /// <summary>
    /// The look after content outside of the table. An overwrite does not read what it overwrites, so nobody tells that old content is free; instead each
    /// is looked after when it is an hour old, and again when it has doubled its age, or a day later. So what is left over stays about as long as it was of use,
    /// and what stays costs one request a day. An hour is longer than a write takes
    /// once its value is there, so what a broken one left is found too.
    /// </summary>
    public CacheDue Next(DateTimeOffset now)
    {
        var age = now - StoredAt;
        return this with { At = now + (age < _checkAfterMin ? _checkAfterMin : age > _checkAfterMax ? _checkAfterMax : age) };
    }

    public TableRow ToRow(string tenant) => new TableRow(tenant, RowKey)
        .Set("Kind", (long)Kind)
        .Set("At", At.UtcTicks)
        .Set("Key", Key)
        .Set("CacheId", CacheId)
        .Set("StoredAt", StoredAt.UtcTicks)
        .Set("Dimensions", string.Join(',', Dimensions))
        .Set("IsBlob", IsBlob);

    public static CacheDue Parse(TableRow row) => new(
        (CacheDueKind)row.Whole("Kind")!.Value,
        new DateTimeOffset(row.Whole("At")!.Value, TimeSpan.Zero),
        row.Text("Key")!,
        row.Text("CacheId")!,
        new DateTimeOffset(row.Whole("StoredAt")!.Value, TimeSpan.Zero),
        [.. row.Text("Dimensions")!.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(part => int.Parse(part, CultureInfo.InvariantCulture))],
        row.Flag("IsBlob")!.Value);

    private static CacheDue Of(CacheDueKind kind, DateTimeOffset at, CacheEntry entry) =>
        new(kind, at, entry.Key, entry.CacheId, entry.StoredAt, entry.Dimensions, entry.IsBlob);
}
