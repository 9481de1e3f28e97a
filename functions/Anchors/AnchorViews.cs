using QuantumFlux.Api;
using QuantumFlux.Objects;

namespace QuantumFlux.Anchors;

/// <summary>The answer to a creation.</summary>
/// <param name="StabilityIndex">The recent success ratio of the dimensions that hold the pinned content, 0 to 1.</param>
public sealed record CreatedAnchorView(
    string AnchorId,
    string DatasetId,
    DateTimeOffset AnchorTime,
    AnchorType AnchorType,
    AnchorStatus Status,
    string QuantumSignature,
    double StabilityIndex,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt)
{
    public static CreatedAnchorView From(Anchor anchor, string signature, double stability) => new(
        anchor.Id,
        anchor.DatasetId,
        anchor.AnchorTime,
        anchor.Type,
        anchor.StatusAt(anchor.CreatedAt),
        signature,
        stability,
        anchor.CreatedAt,
        anchor.ExpiresAt);
}

/// <summary>One anchor in a list.</summary>
public sealed record AnchorListEntry(
    string AnchorId,
    string DatasetId,
    DateTimeOffset AnchorTime,
    AnchorType AnchorType,
    AnchorStatus Status,
    double StabilityIndex,
    double DriftAmountMs)
{
    public static AnchorListEntry From(Anchor anchor, double stability, DateTimeOffset now) => new(
        anchor.Id,
        anchor.DatasetId,
        anchor.AnchorTime,
        anchor.Type,
        anchor.StatusAt(now),
        stability,
        anchor.DriftAt(now).TotalMilliseconds);
}

/// <summary>A numbered page of anchors.</summary>
public sealed record AnchorPageView(IReadOnlyList<AnchorListEntry> Anchors, Pagination Pagination);

/// <summary>The anchors after one of them.</summary>
public sealed record AnchorListView(IReadOnlyList<AnchorListEntry> Anchors, bool HasMore);

/// <summary>All about one anchor.</summary>
/// <param name="DriftAmountMs">See <see cref="Anchor.DriftAt"/>.</param>
/// <param name="PeriodSeconds">How often a periodic anchor pins; null for others.</param>
/// <param name="Version">The version that it pins now, see <see cref="VersionNumber"/>; null when it pins none: it has expired, or its dataset is gone.</param>
public sealed record AnchorView(
    string AnchorId,
    string DatasetId,
    DateTimeOffset AnchorTime,
    AnchorType AnchorType,
    AnchorStatus Status,
    double StabilityIndex,
    double DriftAmountMs,
    bool QuantumLock,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    bool AllowDrift,
    bool MultiDimensional,
    long? PeriodSeconds,
    long? Version,
    string QuantumSignature)
{
    public static AnchorView From(Anchor anchor, long? version, double stability, string signature, DateTimeOffset now) => new(
        anchor.Id,
        anchor.DatasetId,
        anchor.AnchorTime,
        anchor.Type,
        anchor.StatusAt(now),
        stability,
        anchor.DriftAt(now).TotalMilliseconds,
        anchor.IsLocked,
        anchor.CreatedAt,
        anchor.ExpiresAt,
        anchor.AllowsDrift,
        anchor.IsMultiDimensional,
        anchor.Type == AnchorType.Periodic ? (long)anchor.Period.TotalSeconds : null,
        version,
        signature);
}

/// <summary>The answer to a removal.</summary>
public sealed record RemovedAnchorView(string AnchorId, string Status, double FinalDriftMs, DateTimeOffset RemovedAt);
