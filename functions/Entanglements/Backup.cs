using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Entanglements;

/// <summary>What two objects held when their entanglement was dissolved. Pointers, so that it costs the same for any size.</summary>
/// <param name="Id">Its id, <c>bak_</c> and 32 hex digits.</param>
/// <param name="EntanglementId">The entanglement.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="Versions">The version of each object.</param>
public sealed record Backup(string Id, string EntanglementId, DateTimeOffset CreatedAt, IReadOnlyList<ObjectVersion> Versions);

/// <summary>Keeps backups, one row each.</summary>
public sealed class BackupStore(StorageAccounts storage)
{
    public const string Prefix = "bak_";

    private static readonly string[] _slots = ["Source", "Target"];

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>The row of a new backup, for the transaction that dissolves the entanglement.</summary>
    public static TableAction Add(string tenant, Backup backup)
    {
        var row = new TableRow(tenant, Key(backup.Id))
            .Set("Entanglement", backup.EntanglementId)
            .Set("CreatedAt", backup.CreatedAt.UtcTicks);
        foreach (var (slot, version) in _slots.Zip(backup.Versions))
        {
            row.Set(slot + "Id", version.ObjectId)
                .Set(slot + "Version", version.Version)
                .Set(slot + "Sha256", version.Content.Sha256)
                .Set(slot + "Size", version.Content.SizeBytes)
                .Set(slot + "Dimensions", ObjectRows.Format(version.Content.Dimensions))
                .Set(slot + "Blob", version.Content.Blob)
                .Set(slot + "Type", version.ContentType);
        }

        return TableAction.Insert(row);
    }

    /// <summary>A backup, or null when there is none. One storage request.</summary>
    public async Task<Backup?> FindAsync(string tenant, string id, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, Key(id), null, cancellationToken) is { } row
            ? new Backup(
                id,
                row.Text("Entanglement")!,
                new DateTimeOffset(row.Whole("CreatedAt")!.Value, TimeSpan.Zero),
                [.. _slots.Select(slot => new ObjectVersion(
                    row.Text(slot + "Id")!,
                    row.Whole(slot + "Version")!.Value,
                    new ContentPointer(
                        row.Text(slot + "Sha256")!,
                        row.Whole(slot + "Size")!.Value,
                        ObjectRows.ParseDimensions(row.Text(slot + "Dimensions")),
                        row.Text(slot + "Blob")),
                    row.Text(slot + "Type")!))])
            : null;

    private static string Key(string id) => "b:" + TableKey.Escape(id);
}
