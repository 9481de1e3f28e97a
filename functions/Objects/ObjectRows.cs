using System.Globalization;
using System.Text.Json;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>
/// How objects and pairs lie in the table <c>objects</c>. The partition is the tenant; the kind of a row is the start of its key:
/// <c>h:ID</c> heads, <c>v:ID:VERSION</c> versions (newest first), <c>c:SHA256:DIMENSION</c> content of row size, <c>c:SHA256:0</c> which blob holds
/// larger content, <c>e:ID</c> pairs, <c>ej:VERSION</c> writes under way, <c>d:ID</c> dissolved pairs, <c>b:ID</c> backups, <c>u:ID</c> upload
/// sessions, <c>j:…</c> other work, <c>a:ID</c> anchors, <c>ad:TIME</c> when they fall due, <c>al:OBJECT:ANCHOR</c> the versions that they lock.
/// </summary>
/// <remarks>Pairs and writes under way lie side by side, so that one range query reads both.</remarks>
public static class ObjectRows
{
    public const string Table = "objects";

    private const string HeadsFrom = "h:";

    /// <summary>The range of pairs and of writes under way.</summary>
    public const string PairsFrom = "e:";
    public const string PairsBefore = "ek";

    /// <summary>The range of writes under way alone.</summary>
    public const string UnderWayFrom = "ej:";
    public const string UnderWayBefore = "ej;";

    /// <summary>The columns of a head that a list needs.</summary>
    public static IReadOnlyList<string> HeadColumns { get; } = ["Version", "FirstVersion", "Sha256", "Size", "Type", "Dimensions", "Blob"];

    public static string HeadKey(string objectId) => HeadsFrom + TableKey.Escape(objectId);

    public static string VersionsFrom(string objectId) => $"v:{TableKey.Escape(objectId)}:";

    public static string VersionsBefore(string objectId) => $"v:{TableKey.Escape(objectId)};";

    public static string VersionKey(string objectId, long version) => VersionsFrom(objectId) + TableKey.Descending(version);

    public static string PairKey(string pairId) => PairsFrom + TableKey.Escape(pairId);

    public static string DissolvedKey(string pairId) => "d:" + TableKey.Escape(pairId);

    public static string ContentKey(string sha256, int dimension) => string.Create(CultureInfo.InvariantCulture, $"c:{sha256}:{dimension}");

    public static string UnderWayKey(long version) => UnderWayFrom + version.ToString("D19", CultureInfo.InvariantCulture);

    public static bool IsUnderWay(TableRow row) => row.Key.StartsWith(UnderWayFrom, StringComparison.Ordinal);

    public static string LocksFrom(string objectId) => $"al:{TableKey.Escape(objectId)}:";

    public static string LocksBefore(string objectId) => $"al:{TableKey.Escape(objectId)};";

    public static string LockKey(string objectId, string anchorId) => LocksFrom(objectId) + anchorId;

    public static TableRow HeadRow(string tenant, ObjectHead head)
    {
        var row = Fill(new TableRow(tenant, HeadKey(head.Id)), head.Current)
            .Set("FirstVersion", head.FirstVersion)
            .Set("HasLocks", head.HasLocks ? true : null);
        return head.Links.Count == 0
            ? row
            : row.SetLarge("Links", JsonSerializer.SerializeToUtf8Bytes(head.Links.Select(StoredLink.From)));
    }

    public static ObjectHead ParseHead(TableRow row) => new(
        ParseVersion(row, TableKey.Unescape(row.Key[HeadsFrom.Length..])),
        row.Whole("FirstVersion")!.Value,
        row.Large("Links") is { } links ? [.. JsonSerializer.Deserialize<StoredLink[]>(links)!.Select(link => link.ToLink())] : [],
        row.ETag,
        row.Flag("HasLocks") is true);

    public static TableRow VersionRow(string tenant, ObjectVersion version, long firstVersion) =>
        Fill(new TableRow(tenant, VersionKey(version.ObjectId, version.Version)), version).Set("FirstVersion", firstVersion);

    /// <summary>Whether a version's row is of the object that a head is about.</summary>
    public static bool IsVersionOf(TableRow row, long firstVersion) => row.Whole("FirstVersion") == firstVersion;

    public static ObjectVersion ParseVersion(TableRow row, string objectId) => new(
        objectId,
        row.Whole("Version")!.Value,
        new ContentPointer(row.Text("Sha256")!, row.Whole("Size")!.Value, ParseDimensions(row.Text("Dimensions")), row.Text("Blob")),
        row.Text("Type")!);

    /// <summary>A lock: while it is there and not over, the object stays; while it is there, so does the content that it points to.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="version">The version that is kept.</param>
    /// <param name="anchorId">The anchor that keeps it.</param>
    /// <param name="expiresAt">When the lock is over; null means never.</param>
    public static TableRow LockRow(string tenant, ObjectVersion version, string anchorId, DateTimeOffset? expiresAt) =>
        Fill(new TableRow(tenant, LockKey(version.ObjectId, anchorId)), version).Set("Anchor", anchorId).Set("ExpiresAt", expiresAt?.UtcTicks);

    public static TableRow PairRow(string tenant, Pair pair)
    {
        var statistics = pair.Statistics;
        return new TableRow(tenant, pair.Dissolution is null ? PairKey(pair.Id) : DissolvedKey(pair.Id))
            .Set("PairId", pair.Id)
            .Set("Source", pair.SourceId)
            .Set("Target", pair.TargetId)
            .Set("Status", pair.Status.ToString())
            .Set("Strength", pair.Strength)
            .Set("Dimensions", Format(pair.Pathway))
            .Set("Bidirectional", pair.IsBidirectional)
            .Set("Verified", pair.IsVerified)
            .Set("CrystalCached", pair.IsCrystalCached)
            .Set("CreatedAt", pair.CreatedAt.UtcTicks)
            .Set("ExpiresAt", pair.ExpiresAt?.UtcTicks)
            .Set("SyncedVersion", pair.SyncedVersion)
            .Set("SyncedBytes", pair.SyncedBytes)
            .Set("SyncCount", statistics.SyncCount)
            .Set("TransferredBytes", statistics.TransferredBytes)
            .Set("LatencyTotal", statistics.LatencyTotal.Ticks)
            .Set("LatencyCount", statistics.LatencyCount)
            .Set("FailureCount", statistics.FailureCount)
            .Set("Recent", unchecked((long)statistics.Recent))
            .Set("RecentCount", (long)statistics.RecentCount)
            .Set("Downtime", statistics.Downtime.Ticks)
            .Set("DissolvedAt", pair.Dissolution?.At.UtcTicks)
            .Set("BackupId", pair.Dissolution?.BackupId);
    }

    public static Pair ParsePair(TableRow row) => new(
        row.Text("PairId")!,
        row.Text("Source")!,
        row.Text("Target")!,
        Enum.Parse<PairStatus>(row.Text("Status")!),
        row.Number("Strength")!.Value,
        ParseDimensions(row.Text("Dimensions")),
        row.Flag("Bidirectional")!.Value,
        row.Flag("Verified")!.Value,
        row.Flag("CrystalCached")!.Value,
        Moment(row.Whole("CreatedAt")!.Value),
        row.Whole("ExpiresAt") is { } expires ? Moment(expires) : null,
        row.Whole("SyncedVersion")!.Value,
        row.Whole("SyncedBytes")!.Value,
        new PairStatistics(
            row.Whole("SyncCount")!.Value,
            row.Whole("TransferredBytes")!.Value,
            TimeSpan.FromTicks(row.Whole("LatencyTotal")!.Value),
            row.Whole("LatencyCount")!.Value,
            row.Whole("FailureCount")!.Value,
            unchecked((ulong)row.Whole("Recent")!.Value),
            (int)row.Whole("RecentCount")!.Value,
            TimeSpan.FromTicks(row.Whole("Downtime")!.Value)),
        row.Whole("DissolvedAt") is { } dissolved ? new Dissolution(Moment(dissolved), row.Text("BackupId")) : null,
        row.ETag);

    public static TableRow UnderWayRow(string tenant, WriteUnderWay write) => new TableRow(tenant, UnderWayKey(write.Version))
        .Set("Version", write.Version)
        .Set("Sha256", write.Sha256)
        .SetLarge("Objects", JsonSerializer.SerializeToUtf8Bytes(write.ObjectIds));

    public static WriteUnderWay ParseUnderWay(TableRow row) => new(
        row.Whole("Version")!.Value,
        row.Text("Sha256")!,
        JsonSerializer.Deserialize<string[]>(row.Large("Objects"))!);

    public static string? Format(IReadOnlyList<int> dimensions) =>
        dimensions.Count == 0 ? null : string.Join(',', dimensions.Select(dimension => dimension.ToString(CultureInfo.InvariantCulture)));

    public static IReadOnlyList<int> ParseDimensions(string? text) =>
        text is null ? [] : [.. text.Split(',').Select(part => int.Parse(part, CultureInfo.InvariantCulture))];

    private static DateTimeOffset Moment(long ticks) => new(ticks, TimeSpan.Zero);

    private static TableRow Fill(TableRow row, ObjectVersion version) => row
        .Set("Version", version.Version)
        .Set("Sha256", version.Content.Sha256)
        .Set("Size", version.Content.SizeBytes)
        .Set("Dimensions", Format(version.Content.Dimensions))
        .Set("Blob", version.Content.Blob)
        .Set("Type", version.ContentType);

    // Short names: a well-connected object has hundreds of links in its row, and every write to it writes them again.
    private sealed record StoredLink(string E, string O, LinkDirection D, bool C, long? X, string? P)
    {
        public static StoredLink From(Link link) =>
            new(link.PairId, link.OtherId, link.Direction, link.IsCoupled, link.ExpiresAt?.UtcTicks, Format(link.Pathway));

        public Link ToLink() => new(E, O, D, C, X is { } ticks ? Moment(ticks) : null, ParseDimensions(P));
    }
}

/// <summary>A write that has not reached every object it must move.</summary>
/// <param name="Version">The version that all of them are to get.</param>
/// <param name="Sha256">The content that all of them are to get.</param>
/// <param name="ObjectIds">
/// All of them, the one that was written first. Those that have the version show where it is to go on from, also when the one that was written has
/// gone or lost its entanglements since.
/// </param>
public sealed record WriteUnderWay(long Version, string Sha256, IReadOnlyList<string> ObjectIds);
