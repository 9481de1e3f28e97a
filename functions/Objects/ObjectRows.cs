using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>
/// How objects and pairs lie in the table <c>objects</c>. The partition is the tenant; the kind of a row is the start of its key:
/// <c>h:ID</c> heads, <c>v:ID:VERSION</c> versions (newest first), <c>c:SHA256:DIMENSION</c> content of row size, <c>c:SHA256:0</c> which blob holds
/// larger content, <c>e:ID</c> pairs, <c>ej:VERSION</c> writes under way, <c>d:ID</c> dissolved pairs, <c>n:KEYID</c> how many pairs an API key
/// has, <c>b:ID:NUMBER</c> what a backup holds, <c>u:ID</c> upload sessions, <c>i:HASH</c> and <c>it:HOUR:HASH</c> claims of Idempotency-Keys,
/// <c>j:…</c> copies to repair, <c>a:ID</c> anchors, <c>ad:TIME</c> when they fall due, <c>al:OBJECT:ANCHOR</c> the versions that they lock,
/// <c>t:KIND:MOMENT:ID</c> what else falls due, <c>x:…</c> the log of vectors and its manifest (<see cref="Vectors.TenantVectors"/>).
/// </summary>
/// <remarks>
/// Pairs and writes under way lie side by side, so that one range query reads both.
/// <para>
/// Every row but those of content (<c>c:</c>) and of repairs (<c>j:</c>) that has a column <c>Sha256</c> keeps that content, and the blob in its
/// column <c>Blob</c>, from being cleaned up, but for a lock that is over; see <see cref="ContentSweep"/> for what a row that points to content must keep to.
/// </para>
/// </remarks>
public static class ObjectRows
{
    public const string Table = "objects";

    private const string HeadsFrom = "h:";
    private const string PairCountsFrom = "n:";

    /// <summary>The range of content.</summary>
    public const string ContentFrom = "c:";
    public const string ContentBefore = "c;";

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

    public static string PairCountKey(string keyId) => PairCountsFrom + TableKey.Escape(keyId);

    public static bool IsPairCount(TableRow row) => row.Key.StartsWith(PairCountsFrom, StringComparison.Ordinal);

    public static string DissolvedKey(string pairId) => "d:" + TableKey.Escape(pairId);

    public static string ContentKey(string sha256, int dimension) => string.Create(CultureInfo.InvariantCulture, $"{ContentFrom}{sha256}:{dimension}");

    /// <summary>The hash of the content that a row of content is about.</summary>
    public static string ContentSha256(TableRow row) => row.Key.Split(':')[1];

    public static string UnderWayKey(long version) => UnderWayFrom + version.ToString("D19", CultureInfo.InvariantCulture);

    /// <summary>The key of a row that says that something falls due.</summary>
    /// <param name="kind">What sort of thing: letters and digits.</param>
    /// <param name="dueAt">When.</param>
    /// <param name="id">What tells it from others of the moment, as part of a key.</param>
    public static string DueKey(string kind, DateTimeOffset dueAt, string id) => $"{DueFrom(kind, dueAt.UtcTicks)}{id}";

    /// <summary>The rows of a kind that are due until a moment, inclusive; the oldest first.</summary>
    public static TableQuery DueUntil(string tenant, string kind, DateTimeOffset now) =>
        new(tenant, $"t:{kind}:", DueFrom(kind, now.UtcTicks + 1));

    public static bool IsUnderWay(TableRow row) => row.Key.StartsWith(UnderWayFrom, StringComparison.Ordinal);

    public static string LocksFrom(string objectId) => $"al:{TableKey.Escape(objectId)}:";

    public static string LocksBefore(string objectId) => $"al:{TableKey.Escape(objectId)};";

    public static string LockKey(string objectId, string anchorId) => LocksFrom(objectId) + anchorId;

    public static TableRow HeadRow(string tenant, ObjectHead head)
    {
        var row = Fill(new TableRow(tenant, HeadKey(head.Id)), head.Current)
            .Set("FirstVersion", head.FirstVersion)
            .Set("HasLocks", head.HasLocks ? true : null);

        // It goes with the last entanglement that asks for it.
        if (!head.Crystal.IsEmpty && head.Links.Any(link => link.IsCoupled && link.IsCrystalCached))
        {
            row.SetLarge("Crystal", head.Crystal.Span);
        }

        return head.Links.Count == 0
            ? row
            : row.SetLarge("Links", JsonSerializer.SerializeToUtf8Bytes(head.Links.Select(StoredLink.From)));
    }

    public static ObjectHead ParseHead(TableRow row) => new(
        ParseVersion(row, TableKey.Unescape(row.Key[HeadsFrom.Length..])),
        row.Whole("FirstVersion")!.Value,
        row.Large("Links") is { } links ? [.. JsonSerializer.Deserialize<StoredLink[]>(links)!.Select(link => link.ToLink())] : [],
        row.ETag,
        row.Flag("HasLocks") is true,
        row.Large("Crystal"));

    public static TableRow VersionRow(string tenant, ObjectVersion version, long firstVersion) =>
        Fill(new TableRow(tenant, VersionKey(version.ObjectId, version.Version)), version).Set("FirstVersion", firstVersion);

    /// <summary>Whether a version's row is of the object that a head is about.</summary>
    public static bool IsVersionOf(TableRow row, long firstVersion) => row.Whole("FirstVersion") == firstVersion;

    public static ObjectVersion ParseVersion(TableRow row, string objectId) => new(
        objectId,
        row.Whole("Version")!.Value,
        new ContentPointer(row.Text("Sha256")!, row.Whole("Size")!.Value, ParseDimensions(row.Text("Dimensions")), row.Text("Blob")),
        row.Text("Type")!);

    /// <summary>A lock: while it is there and not over, the object stays; until then, so does the content that it points to.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="version">The version that is kept.</param>
    /// <param name="anchorId">The anchor that keeps it.</param>
    /// <param name="expiresAt">When the lock is over; null means never.</param>
    public static TableRow LockRow(string tenant, ObjectVersion version, string anchorId, DateTimeOffset? expiresAt) =>
        Fill(new TableRow(tenant, LockKey(version.ObjectId, anchorId)), version).Set("Anchor", anchorId).Set("ExpiresAt", expiresAt?.UtcTicks);

    /// <summary>Whether a row is a lock that keeps nothing any more.</summary>
    public static bool IsLockOver(TableRow row, DateTimeOffset now) =>
        row.Key.StartsWith("al:", StringComparison.Ordinal) && row.Whole("ExpiresAt") <= now.UtcTicks;

    public static TableRow PairRow(string tenant, Pair pair)
    {
        var statistics = pair.Statistics;
        return new TableRow(tenant, pair.Dissolution is null ? PairKey(pair.Id) : DissolvedKey(pair.Id))
            .Set("PairId", pair.Id)
            .Set("KeyId", pair.KeyId)
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
            .Set("CollapsedAt", pair.CollapsedAt?.UtcTicks)
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
        row.Text("KeyId"),
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
        row.ETag)
    {
        CollapsedAt = row.Whole("CollapsedAt") is { } collapsed ? Moment(collapsed) : null,
    };

    public static TableRow PairCountRow(string tenant, PairCount count) => new TableRow(tenant, PairCountKey(count.KeyId))
        .Set("KeyId", count.KeyId)
        .Set("Count", count.Count)
        .Set("ExpiredUntil", count.ExpiredUntil.UtcTicks);

    public static PairCount ParsePairCount(TableRow row) =>
        new(row.Text("KeyId")!, row.Whole("Count")!.Value, Moment(row.Whole("ExpiredUntil")!.Value), row.ETag);

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

    private static string DueFrom(string kind, long ticks) => string.Create(CultureInfo.InvariantCulture, $"t:{kind}:{ticks:D19}:");

    private static DateTimeOffset Moment(long ticks) => new(ticks, TimeSpan.Zero);

    /// <summary>Gives a row the columns of a version, which point to its content.</summary>
    public static TableRow Fill(TableRow row, ObjectVersion version) => row
        .Set("Version", version.Version)
        .Set("Sha256", version.Content.Sha256)
        .Set("Size", version.Content.SizeBytes)
        .Set("Dimensions", Format(version.Content.Dimensions))
        .Set("Blob", version.Content.Blob)
        .Set("Type", version.ContentType);

    // Short names: a well-connected object has hundreds of links in its row, and every write to it writes them again.
    private sealed record StoredLink(
        string E,
        string O,
        LinkDirection D,
        bool C,
        long? X,
        string? P,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool K = false)
    {
        public static StoredLink From(Link link) =>
            new(link.PairId, link.OtherId, link.Direction, link.IsCoupled, link.ExpiresAt?.UtcTicks, Format(link.Pathway), link.IsCrystalCached);

        public Link ToLink() => new(E, O, D, C, X is { } ticks ? Moment(ticks) : null, ParseDimensions(P), K);
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
