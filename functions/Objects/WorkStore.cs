using System.Globalization;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>A copy of content that a dimension lacks.</summary>
/// <param name="Content">The content.</param>
/// <param name="Dimension">The dimension that lacks it.</param>
/// <param name="RowETag">The state of the row when it was read; null when it is not stored yet.</param>
public sealed record Repair(ContentPointer Content, int Dimension, string? RowETag = null)
{
    public const string From = "j:";
    public const string Before = "j;";

    private string Key => string.Create(CultureInfo.InvariantCulture, $"{From}{Content.Sha256}:{Dimension}");

    public static Repair Parse(TableRow row) => new(
        new ContentPointer(row.Text("Sha256")!, row.Whole("Size")!.Value, ObjectRows.ParseDimensions(row.Text("Dimensions")), row.Text("Blob")),
        (int)row.Whole("Dimension")!.Value,
        row.ETag!);

    /// <summary>Puts it on record; for the transaction of the version that has the content.</summary>
    public TableAction Plan(string tenant) => TableAction.Upsert(new TableRow(tenant, Key)
        .Set("Sha256", Content.Sha256)
        .Set("Size", Content.SizeBytes)
        .Set("Dimensions", ObjectRows.Format(Content.Dimensions))
        .Set("Blob", Content.Blob)
        .Set("Dimension", (long)Dimension));

    /// <summary>Takes it off the record, unless it was put there anew since it was read.</summary>
    public TableAction Remove(string tenant) => TableAction.Delete(tenant, Key, RowETag!);
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

    /// <summary>A page of a tenant's missing copies. One storage request.</summary>
    public async Task<(IReadOnlyList<Repair> Repairs, string? Continuation)> RepairsAsync(
        string tenant, string? continuation, CancellationToken cancellationToken)
    {
        var page = await _tables.QueryAsync(
            ObjectRows.Table, new TableQuery(tenant, Repair.From, Repair.Before, Continuation: continuation), cancellationToken);
        return ([.. page.Rows.Select(Repair.Parse)], page.Continuation);
    }

    /// <summary>Takes a repaired copy off the record, unless it was put there anew since.</summary>
    public Task RemoveAsync(string tenant, Repair repair, CancellationToken cancellationToken) =>
        _tables.WriteAsync(ObjectRows.Table, [repair.Remove(tenant)], cancellationToken);
}
