using System.Globalization;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Something that a request began and maintenance must end if the request did not.</summary>
/// <param name="Key">The row's key.</param>
/// <param name="Kind"><c>delete</c>: remove the versions of a deleted object; <c>repair</c>: bring back a copy of content.</param>
/// <param name="ObjectId">For <c>delete</c>: the object.</param>
/// <param name="FirstVersion">For <c>delete</c>: the number that the object's versions carry.</param>
/// <param name="Version">For <c>delete</c>: the newest version to remove.</param>
/// <param name="Content">For <c>repair</c>: the content.</param>
/// <param name="Dimension">For <c>repair</c>: the dimension that lacks it.</param>
/// <param name="RowETag">The state of the item's row when it was read; <c>*</c> for one that was not.</param>
public sealed record WorkItem(
    string Key, string Kind, string? ObjectId, long FirstVersion, long Version, ContentPointer? Content, int Dimension, string RowETag = "*")
{
    public const string From = "j:";
    public const string Before = "j;";
    public const string Delete = "delete";
    public const string Repair = "repair";

    public static WorkItem ForDeletion(string objectId, long firstVersion, long newest) => new(
        string.Create(CultureInfo.InvariantCulture, $"{From}{Delete}:{TableKey.Escape(objectId)}:{newest:D19}"),
        Delete,
        objectId,
        firstVersion,
        newest,
        null,
        0);

    public static WorkItem ForRepair(ContentPointer content, int dimension) => new(
        string.Create(CultureInfo.InvariantCulture, $"{From}{Repair}:{content.Sha256}:{dimension}"), Repair, null, 0, 0, content, dimension);

    public static WorkItem Parse(TableRow row) => new(
        row.Key,
        row.Text("Kind")!,
        row.Text("Object"),
        row.Whole("FirstVersion") ?? 0,
        row.Whole("Version") ?? 0,
        row.Text("Sha256") is { } sha256
            ? new ContentPointer(sha256, row.Whole("Size")!.Value, ObjectRows.ParseDimensions(row.Text("Dimensions")), row.Text("Blob"))
            : null,
        (int)(row.Whole("Dimension") ?? 0),
        row.ETag!);

    public TableRow ToRow(string tenant) => new TableRow(tenant, Key)
        .Set("Kind", Kind)
        .Set("Object", ObjectId)
        .Set("FirstVersion", FirstVersion)
        .Set("Version", Version)
        .Set("Sha256", Content?.Sha256)
        .Set("Size", Content?.SizeBytes)
        .Set("Dimensions", Content is null ? null : ObjectRows.Format(Content.Dimensions))
        .Set("Blob", Content?.Blob)
        .Set("Dimension", (long)Dimension);
}

/// <summary>
/// Knows which tenants have work waiting, so that maintenance reads only those. A tenant is announced before its work is written, in a table of
/// its own, since no transaction spans the two; an announcement without work is harmless and is taken back later.
/// </summary>
public sealed class WorkStore(StorageAccounts storage, TimeProvider time)
{
    private const string Table = "work";
    private const string Partition = "objects";

    /// <summary>How long an announcement stays although no work was found: longer than any request runs, which may be between the two.</summary>
    private static readonly TimeSpan _announcedForMin = TimeSpan.FromMinutes(10);

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Says that a tenant is about to have work. One storage request.</summary>
    public Task AnnounceAsync(string tenant, CancellationToken cancellationToken) =>
        _tables.WriteAsync(
            Table, [TableAction.Upsert(new TableRow(Partition, tenant).Set("AnnouncedAt", time.GetUtcNow().UtcTicks))], cancellationToken);

    /// <summary>A page of the tenants that may have work. One storage request.</summary>
    public Task<TablePage> AnnouncedAsync(string? continuation, CancellationToken cancellationToken) =>
        _tables.QueryAsync(Table, new TableQuery(Partition, "", null, Continuation: continuation), cancellationToken);

    /// <summary>Takes an announcement back when it is old enough and has not been made again.</summary>
    public async Task RetractAsync(TableRow announcement, CancellationToken cancellationToken)
    {
        if (time.GetUtcNow().UtcTicks - announcement.Whole("AnnouncedAt")!.Value >= _announcedForMin.Ticks)
        {
            await _tables.WriteAsync(Table, [TableAction.Delete(Partition, announcement.Key, announcement.ETag!)], cancellationToken);
        }
    }

    /// <summary>A tenant's work, up to a thousand items. One storage request.</summary>
    public async Task<IReadOnlyList<WorkItem>> ItemsAsync(string tenant, CancellationToken cancellationToken) =>
        [.. (await _tables.FirstAsync(ObjectRows.Table, new TableQuery(tenant, WorkItem.From, WorkItem.Before), cancellationToken)).Select(WorkItem.Parse)];

    /// <summary>Takes a finished item off the record, unless it was put there anew since.</summary>
    public Task RemoveAsync(string tenant, WorkItem item, CancellationToken cancellationToken) =>
        _tables.WriteAsync(ObjectRows.Table, [TableAction.Delete(tenant, item.Key, item.RowETag)], cancellationToken);
}
