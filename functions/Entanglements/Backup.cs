using System.Globalization;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Entanglements;

/// <summary>What two objects held when their entanglement was dissolved. Pointers, so that it costs the same for any size.</summary>
/// <param name="Id">Its id, <c>bak_</c> and 32 hex digits.</param>
/// <param name="EntanglementId">The entanglement.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="Versions">The version of each object.</param>
public sealed record Backup(string Id, string EntanglementId, DateTimeOffset CreatedAt, IReadOnlyList<ObjectVersion> Versions);

/// <summary>Keeps backups: a row for each object, which points to content as a version's does, so that clean-up leaves that alone.</summary>
public sealed class BackupStore(StorageAccounts storage)
{
    public const string Prefix = "bak_";

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>The rows of a new backup, for the transaction that dissolves the entanglement.</summary>
    public static IReadOnlyList<TableAction> Add(string tenant, Backup backup) =>
        [.. backup.Versions.Select((version, number) => TableAction.Insert(
            ObjectRows.Fill(new TableRow(tenant, string.Create(CultureInfo.InvariantCulture, $"{RowsFrom(backup.Id)}{number}")), version)
                .Set("Object", version.ObjectId)
                .Set("Entanglement", backup.EntanglementId)
                .Set("CreatedAt", backup.CreatedAt.UtcTicks)))];

    /// <summary>A backup, or null when there is none. One storage request.</summary>
    public async Task<Backup?> FindAsync(string tenant, string id, CancellationToken cancellationToken)
    {
        var rows = await _tables.FirstAsync(ObjectRows.Table, new TableQuery(tenant, RowsFrom(id), RowsBefore(id)), cancellationToken);
        return rows.Count == 0
            ? null
            : new Backup(
                id,
                rows[0].Text("Entanglement")!,
                new DateTimeOffset(rows[0].Whole("CreatedAt")!.Value, TimeSpan.Zero),
                [.. rows.Select(row => ObjectRows.ParseVersion(row, row.Text("Object")!))]);
    }

    private static string RowsFrom(string id) => $"b:{TableKey.Escape(id)}:";

    private static string RowsBefore(string id) => $"b:{TableKey.Escape(id)};";
}
