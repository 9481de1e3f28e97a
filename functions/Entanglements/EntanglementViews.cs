using System.Globalization;
using QuantumFlux.Api;
using QuantumFlux.Objects;

namespace QuantumFlux.Entanglements;

/// <summary>The answer to a creation.</summary>
/// <param name="LatencyNs">How long the transaction took that put both objects into lock-step, in nanoseconds; null when the host ended before it could say.</param>
/// <param name="EstimatedStability">The recent success ratio of the route's dimensions, in percent.</param>
public sealed record CreatedEntanglementView(
    string EntanglementId,
    string Status,
    double Strength,
    DateTimeOffset CreatedAt,
    long? LatencyNs,
    IReadOnlyList<int> DimensionalRoute,
    string QuantumSignature,
    string EstimatedStability,
    DateTimeOffset? ExpiresAt)
{
    public static CreatedEntanglementView From(Pair pair, TimeSpan? latency, string signature, double stability) => new(
        pair.Id,
        Entanglement.Word(pair.Status),
        pair.Strength,
        pair.CreatedAt,
        (long?)latency?.TotalNanoseconds,
        pair.Pathway,
        signature,
        (100 * stability).ToString("F3", CultureInfo.InvariantCulture) + "%",
        pair.ExpiresAt);
}

/// <summary>One entanglement in a list.</summary>
public sealed record EntanglementListEntry(
    string EntanglementId,
    string SourceId,
    string TargetId,
    string Status,
    double Strength,
    DateTimeOffset CreatedAt,
    DateTimeOffset? LastSync,
    long SyncCount)
{
    public static EntanglementListEntry From(Pair pair, PairStatus status) => new(
        pair.Id,
        pair.SourceId,
        pair.TargetId,
        Entanglement.Word(status),
        pair.Strength,
        pair.CreatedAt,
        LastSyncOf(pair),
        pair.Statistics.SyncCount);

    /// <summary>The moment of the last sync; null when there was none.</summary>
    public static DateTimeOffset? LastSyncOf(Pair pair) => pair.SyncedVersion == 0 ? null : VersionNumber.ToMoment(pair.SyncedVersion);
}

/// <summary>A page of entanglements.</summary>
public sealed record EntanglementListView(IReadOnlyList<EntanglementListEntry> Entanglements, Pagination Pagination);

/// <summary>One of the two objects of an entanglement; size and time are null when the object is gone.</summary>
public sealed record EntangledObjectView(string ObjectId, string Type, long? SizeBytes, DateTimeOffset? LastModified);

/// <summary>What an entanglement has done.</summary>
/// <param name="SyncCount">Writes that reached the other object.</param>
/// <param name="DataTransferredBytes">The sum of their sizes.</param>
/// <param name="AverageLatencyNs">The mean measured duration of a sync; null when none has been measured.</param>
/// <param name="ErrorRate">The part of syncs that failed, 0 to 1.</param>
/// <param name="UptimePercentage">The part of its life in which it could be written.</param>
public sealed record EntanglementStatisticsView(
    long SyncCount, long DataTransferredBytes, double? AverageLatencyNs, double ErrorRate, double UptimePercentage);

/// <summary>How well an entanglement holds.</summary>
public sealed record DimensionalMetricsView(IReadOnlyList<int> Pathway, double StabilityIndex, double QuantumCoherence);

/// <summary>All about one entanglement.</summary>
/// <param name="CrystalCache">Whether its creation asked for the content to be cached.</param>
public sealed record EntanglementView(
    string EntanglementId,
    EntangledObjectView Source,
    EntangledObjectView Target,
    string Status,
    double Strength,
    EntanglementStatisticsView Statistics,
    DimensionalMetricsView DimensionalMetrics,
    DateTimeOffset CreatedAt,
    DateTimeOffset? LastSync,
    DateTimeOffset? ExpiresAt,
    string QuantumSignature,
    bool CrystalCache);

/// <summary>The answer to a dissolution. <c>BackupId</c> is null when no backup was asked for.</summary>
public sealed record DissolvedEntanglementView(
    string EntanglementId, string Status, DateTimeOffset DissolvedAt, long FinalSyncCount, string? BackupId)
{
    public static DissolvedEntanglementView From(Pair pair) => new(
        pair.Id, Entanglement.Word(PairStatus.Dissolved), pair.Dissolution!.At, pair.Statistics.SyncCount, pair.Dissolution.BackupId);
}
