using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>A segment as the manifest names it.</summary>
/// <param name="Id">Its id, by which its blob is found.</param>
/// <param name="FirstSequence">The first record of the log that it covers.</param>
/// <param name="LastSequence">The last one; the next segment's first follows it.</param>
/// <param name="Rows">How many vectors it holds, those included that have been replaced or deleted since.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="HeadBytes">How much of it one has to read to know which clusters it has and what is gone of other segments.</param>
/// <param name="CoveredAt">Since when the log's records up to the last one are in segments.</param>
/// <param name="Seen">The last record that its builder knew of, perhaps behind the last that it covers: what was replaced or deleted by then is not in it.</param>
/// <param name="Version">The manifest's version that it came with: of two segments, the one with the larger number was built later.</param>
public sealed record SegmentInfo(
    string Id, long FirstSequence, long LastSequence, int Rows, long Bytes, long HeadBytes, DateTimeOffset CoveredAt, long Seen, long Version);

/// <summary>A segment that is being built.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Until">Until when nobody else builds one. The builder gives up before.</param>
public sealed record SegmentLease(string Id, DateTimeOffset Until);

/// <summary>A segment that nobody needs any more, or that was perhaps never finished.</summary>
/// <param name="Id">Its id.</param>
/// <param name="After">When its blob may be deleted: then nobody reads or writes it any more.</param>
public sealed record RetiredSegment(string Id, DateTimeOffset After);

/// <summary>
/// What names the segments of a tenant: a row beside its log, changed under its ETag alone. It knows every blob that there may be, before it is written
/// and until it is deleted, so none is ever lost sight of.
/// </summary>
/// <param name="Segments">The segments, the oldest first. Together they cover the log up to <see cref="Covered"/>.</param>
/// <param name="Building">The one that is being built; null when none is.</param>
/// <param name="Retired">Those that are to be deleted.</param>
/// <param name="Truncated">Up to which record the log has been cut off.</param>
/// <param name="Version">How often it was changed: of two, the one with the larger number is newer.</param>
/// <param name="ETag">The state of its row; null when there is none yet.</param>
public sealed record VectorManifest(
    IReadOnlyList<SegmentInfo> Segments, SegmentLease? Building, IReadOnlyList<RetiredSegment> Retired, long Truncated, long Version, string? ETag)
{
    private const string Column = "Manifest";

    /// <summary>The manifest of a tenant without segments.</summary>
    public static VectorManifest None { get; } = new([], null, [], 0, 0, null);

    /// <summary>The last record of the log that is in segments; 0 when none is.</summary>
    public long Covered => Segments is [.., var last] ? last.LastSequence : 0;

    /// <summary>The last record of the log that one has to know to make use of the segments.</summary>
    public long Seen => Segments.Count == 0 ? 0 : Segments.Max(segment => segment.Seen);

    /// <summary>The segment that was built last, which knows what was gone of all others; null when there is none.</summary>
    public SegmentInfo? Newest => Segments.MaxBy(segment => segment.Version);

    public static VectorManifest Parse(TableRow row) =>
        JsonSerializer.Deserialize<VectorManifest>(row.Large(Column), Json.Options)! with { ETag = row.ETag };

    /// <summary>The write that puts it in the place of the one that it was made from, of which it has version and ETag.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="key">The key of its row.</param>
    public TableAction ToAction(string tenant, string key)
    {
        var row = new TableRow(tenant, key).SetLarge(Column, JsonSerializer.SerializeToUtf8Bytes(this with { Version = Version + 1, ETag = null }, Json.Options));
        return ETag is { } etag ? TableAction.Replace(row, etag) : TableAction.Insert(row);
    }
}
