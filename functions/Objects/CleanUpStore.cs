using System.Globalization;
using Microsoft.Extensions.Caching.Memory;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>What a <see cref="CleanUpItem"/> is about.</summary>
public enum CleanUpKind
{
    /// <summary>The versions of a deleted object are to be removed. Afterwards the item stays as a <see cref="Sweep"/>.</summary>
    Versions,

    /// <summary>An upload is over: its session and what was uploaded are to be removed.</summary>
    Upload,

    /// <summary>Content that nothing points to is to be looked for and removed.</summary>
    Sweep,
}

/// <summary>How far a sweep has come, so that it goes on after the run that began it has ended.</summary>
/// <param name="Place">The place where content lies that is being gone through, see <see cref="ContentSweep"/>.</param>
/// <param name="After">How far into it; null means its beginning.</param>
/// <param name="HasFailed">Whether anything was left behind, so that the sweep must be made again.</param>
public sealed record SweepProgress(int Place, string? After, bool HasFailed);

/// <summary>Something that is to be cleaned up at a moment.</summary>
/// <param name="Key">The row's key, which begins with the moment.</param>
/// <param name="Kind">What it is about.</param>
/// <param name="Subject">The id of the object or the upload; empty for a sweep.</param>
/// <param name="FirstVersion">Of a deleted object: the number that its versions carry.</param>
/// <param name="Version">Of a deleted object: its newest version.</param>
/// <param name="Progress">Of a sweep that has begun: how far it has come; null otherwise.</param>
/// <param name="RowETag">The state of the row when it was read; null when it is not stored yet.</param>
public sealed record CleanUpItem(
    string Key, CleanUpKind Kind, string Subject, long FirstVersion = 0, long Version = 0, SweepProgress? Progress = null, string? RowETag = null);

/// <summary>
/// Keeps what is to be cleaned up and when, in each tenant's partition in the order of time. Whatever leaves something behind puts it on record here
/// before or together with what it does, so that the clean-up reads what is due and nothing else.
/// </summary>
public sealed class CleanUpStore(StorageAccounts storage, DueTenants due) : IDisposable
{
    /// <summary>The kind of the tenants' announcements, and of the rows.</summary>
    public const string DueKind = "content";

    /// <summary>
    /// How long after something became useless it is removed. Whoever has read it before may still be about to point to it, so this is longer than any
    /// request runs, with <see cref="Leeway"/> to spare.
    /// </summary>
    public static readonly TimeSpan Grace = TimeSpan.FromDays(1);

    /// <summary>More than the clocks of two instances differ, and longer than one step of a sweep takes.</summary>
    public static readonly TimeSpan Leeway = TimeSpan.FromHours(1);

    private const int KnownMax = 100_000;

    private readonly ITables _tables = storage.Main.Tables;
    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = KnownMax });

    /// <summary>Says that a tenant is about to have something to clean up. One storage request an hour, else none.</summary>
    public Task AnnounceAsync(string tenant, DateTimeOffset dueAt, CancellationToken cancellationToken) =>
        due.AnnounceAsync(DueKind, tenant, dueAt, cancellationToken);

    /// <summary>The row that has a deleted object's versions removed; for the deletion's own transaction, after an announcement.</summary>
    public static TableAction Remove(string tenant, ObjectHead head, DateTimeOffset dueAt) => TableAction.Insert(ToRow(tenant, new CleanUpItem(
        ObjectRows.DueKey(DueKind, dueAt, string.Create(CultureInfo.InvariantCulture, $"{TableKey.Escape(head.Id)}:{head.FirstVersion}")),
        CleanUpKind.Versions,
        head.Id,
        head.FirstVersion,
        head.Current.Version)));

    /// <summary>The row that has an upload removed; for the transaction that begins it, after an announcement.</summary>
    public static TableAction Remove(string tenant, Upload upload, DateTimeOffset dueAt) => TableAction.Insert(ToRow(tenant, new CleanUpItem(
        ObjectRows.DueKey(DueKind, dueAt, TableKey.Escape(upload.Id)), CleanUpKind.Upload, upload.Id)));

    /// <summary>
    /// Has a tenant swept once content that is about to be written outside of a transaction is old enough: nothing may ever come to point to it. At most
    /// two storage requests an hour.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="writtenAt">The moment that the content will carry.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task PlanSweepAsync(string tenant, DateTimeOffset writtenAt, CancellationToken cancellationToken)
    {
        var hour = TimeSpan.TicksPerHour;
        var dueAt = new DateTimeOffset(((writtenAt + Grace).UtcTicks + hour - 1) / hour * hour, TimeSpan.Zero);
        if (!_known.TryGetValue((tenant, dueAt), out _))
        {
            await AnnounceAsync(tenant, dueAt, cancellationToken);
            var item = new CleanUpItem(ObjectRows.DueKey(DueKind, dueAt, "sweep"), CleanUpKind.Sweep, "");
            await _tables.WriteAsync(ObjectRows.Table, [TableAction.Upsert(ToRow(tenant, item))], cancellationToken);
            _known.Set((tenant, dueAt), true, new MemoryCacheEntryOptions { Size = 1 });
        }
    }

    /// <summary>A page of what is due, the oldest first. One storage request.</summary>
    public async Task<(IReadOnlyList<CleanUpItem> Items, string? Continuation)> DueAsync(
        string tenant, DateTimeOffset now, string? continuation, CancellationToken cancellationToken)
    {
        var page = await _tables.QueryAsync(ObjectRows.Table, ObjectRows.DueUntil(tenant, DueKind, now) with { Continuation = continuation }, cancellationToken);
        return ([.. page.Rows.Select(Parse)], page.Continuation);
    }

    /// <summary>Puts down how far an item has come.</summary>
    /// <returns>The item as it is stored now; null when another instance was at it.</returns>
    public async Task<CleanUpItem?> ReplaceAsync(string tenant, CleanUpItem item, CancellationToken cancellationToken)
    {
        var result = await _tables.WriteAsync(ObjectRows.Table, [TableAction.Replace(ToRow(tenant, item), item.RowETag!)], cancellationToken);
        if (!result.IsDone)
        {
            return null;
        }

        // An answer that was lost comes without an ETag.
        return result.ETags is [{ } etag]
            ? item with { RowETag = etag }
            : await _tables.GetAsync(ObjectRows.Table, tenant, item.Key, null, cancellationToken) is { } row ? Parse(row) : null;
    }

    /// <summary>Takes items off the record that are as they were read.</summary>
    /// <returns>False when another instance was at one of them: then perhaps not all are off.</returns>
    public async Task<bool> RemoveAsync(string tenant, IReadOnlyList<CleanUpItem> items, CancellationToken cancellationToken)
    {
        var isDone = true;
        foreach (var some in items.Chunk(ITables.TransactionRowsMax))
        {
            isDone &= (await _tables.WriteAsync(
                ObjectRows.Table, [.. some.Select(item => TableAction.Delete(tenant, item.Key, item.RowETag!))], cancellationToken)).IsDone;
        }

        return isDone;
    }

    public void Dispose() => _known.Dispose();

    private static CleanUpItem Parse(TableRow row) => new(
        row.Key,
        Enum.Parse<CleanUpKind>(row.Text("Kind")!),
        row.Text("Subject") ?? "",
        row.Whole("FirstVersion") ?? 0,
        row.Whole("Version") ?? 0,
        row.Whole("Place") is { } place ? new SweepProgress((int)place, row.Text("After"), row.Flag("HasFailed") ?? false) : null,
        row.ETag);

    private static TableRow ToRow(string tenant, CleanUpItem item) => new TableRow(tenant, item.Key)
        .Set("Kind", item.Kind.ToString())
        .Set("Subject", item.Subject)
        .Set("FirstVersion", item.FirstVersion)
        .Set("Version", item.Version)
        .Set("Place", (long?)item.Progress?.Place)
        .Set("After", item.Progress?.After)
        .Set("HasFailed", item.Progress?.HasFailed);
}
