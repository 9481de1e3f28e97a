using System.Numerics;

namespace QuantumFlux.Objects;

/// <summary>What state an entanglement is in.</summary>
public enum PairStatus
{
    /// <summary>Carries no writes (created too weak), or has writes under way to objects that one transaction could not hold.</summary>
    Pending,

    /// <summary>Keeps its objects in lock-step.</summary>
    Active,

    /// <summary>Expired, or lost its coherence.</summary>
    Collapsed,

    /// <summary>Ended by its owner.</summary>
    Dissolved,
}

/// <summary>Two objects kept in lock-step: an entanglement as it is stored.</summary>
/// <param name="Id">Its id, <c>ent_</c> and 32 hex digits.</param>
/// <param name="KeyId">The API key that made it, among whose entanglements it counts; null when it counts among nobody's.</param>
/// <param name="SourceId">The object whose content both hold at first.</param>
/// <param name="TargetId">The object that takes it over.</param>
/// <param name="Status">Its stored state; <see cref="StatusAt"/> also knows about expiry.</param>
/// <param name="Strength">How firmly it holds, 0 to 1; the ceiling of its coherence.</param>
/// <param name="Pathway">The dimensions that hold its content.</param>
/// <param name="IsBidirectional">Whether writes go both ways.</param>
/// <param name="IsVerified">Whether content is verified against its hash when the pair is made.</param>
/// <param name="IsCrystalCached">Whether the pair asks for its content to be cached.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="ExpiresAt">When it ends by itself; null means never.</param>
/// <param name="SyncedVersion">The version that both objects got with the last sync; 0 when there was none.</param>
/// <param name="SyncedBytes">The size of that version.</param>
/// <param name="Statistics">What it has done.</param>
/// <param name="Dissolution">How it ended; null while it has not.</param>
/// <param name="RowETag">The state of its row in storage; null when it is not stored yet.</param>
public sealed record Pair(
    string Id,
    string? KeyId,
    string SourceId,
    string TargetId,
    PairStatus Status,
    double Strength,
    IReadOnlyList<int> Pathway,
    bool IsBidirectional,
    bool IsVerified,
    bool IsCrystalCached,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    long SyncedVersion,
    long SyncedBytes,
    PairStatistics Statistics,
    Dissolution? Dissolution,
    string? RowETag)
{
    /// <summary>The least coherence with which an entanglement serves; from the specification's error message.</summary>
    public const double CoherenceMin = 0.47;

    /// <summary>How long a temporal entanglement lives (design, section 6).</summary>
    public static readonly TimeSpan TemporalLifetime = TimeSpan.FromHours(24);

    /// <summary>How long a collapsed entanglement can still be read.</summary>
    public static readonly TimeSpan CollapsedLifetime = TimeSpan.FromDays(30);

    /// <summary>The time in which unsynced writes let the coherence fall to 1/e.</summary>
    public static readonly TimeSpan CoherenceTime = TimeSpan.FromHours(1);

    /// <summary>When it expired or lost its coherence; null while that has not happened, or nothing has noticed it yet.</summary>
    public DateTimeOffset? CollapsedAt { get; init; }

    /// <summary>The state at a moment: an expired entanglement has collapsed, whether or not anything has noticed yet.</summary>
    public PairStatus StatusAt(DateTimeOffset now) =>
        Status is PairStatus.Active or PairStatus.Pending && ExpiresAt <= now ? PairStatus.Collapsed : Status;

    /// <summary>
    /// How well the pair holds together: strength × success ratio of the recent syncs × e^(−age/τ) (design, section 6).
    /// </summary>
    /// <param name="unsyncedFor">The age of the oldest write that has not reached the other object; zero when there is none.</param>
    /// <param name="unrecorded">What happened on this instance since the row was written.</param>
    public double Coherence(TimeSpan unsyncedFor, SyncRecord unrecorded) =>
        Strength
        * Statistics.With(unrecorded).RecentSuccessRatio
        * Math.Exp(-Math.Max(0, unsyncedFor / CoherenceTime));

    /// <summary>The link that one of the two objects keeps.</summary>
    public Link LinkOf(string objectId) => new(
        Id,
        objectId == SourceId ? TargetId : SourceId,
        (IsBidirectional, objectId == SourceId) switch
        {
            (true, _) => LinkDirection.Both,
            (false, true) => LinkDirection.Out,
            (false, false) => LinkDirection.In,
        },
        Status == PairStatus.Active,
        ExpiresAt,
        Pathway,
        IsCrystalCached);
}

/// <summary>How an entanglement ended.</summary>
/// <param name="At">When.</param>
/// <param name="BackupId">Where both contents were kept; null when no backup was asked for.</param>
public sealed record Dissolution(DateTimeOffset At, string? BackupId);

/// <summary>What an entanglement has done, all of it counted or measured.</summary>
/// <param name="SyncCount">Writes that reached the other object, the first one at creation included.</param>
/// <param name="TransferredBytes">The sum of their sizes.</param>
/// <param name="LatencyTotal">The sum of the measured durations of syncs.</param>
/// <param name="LatencyCount">How many syncs were measured: it trails <paramref name="SyncCount"/>, since a sync is over only after its row is written.</param>
/// <param name="FailureCount">Writes that storage did not take.</param>
/// <param name="Recent">The last outcomes, newest in the lowest bit, 1 for a success.</param>
/// <param name="RecentCount">How many outcomes <paramref name="Recent"/> holds, 0 to 64.</param>
/// <param name="Downtime">How long the pair could not be written in all.</param>
public sealed record PairStatistics(
    long SyncCount,
    long TransferredBytes,
    TimeSpan LatencyTotal,
    long LatencyCount,
    long FailureCount,
    ulong Recent,
    int RecentCount,
    TimeSpan Downtime)
{
    public static PairStatistics None { get; } = new(0, 0, TimeSpan.Zero, 0, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The part of the last 64 syncs that did not fail; those that have not been yet have not failed either.</summary>
    public double RecentSuccessRatio => 1 - ((RecentCount - BitOperations.PopCount(Recent)) / 64.0);

    /// <summary>The part of all syncs that failed; 0 when there were none.</summary>
    public double ErrorRate => SyncCount + FailureCount == 0 ? 0 : (double)FailureCount / (SyncCount + FailureCount);

    /// <summary>The mean measured duration of a sync in nanoseconds; null when none has been measured yet.</summary>
    public double? AverageLatencyNanoseconds => LatencyCount == 0 ? null : LatencyTotal.TotalNanoseconds / LatencyCount;

    /// <summary>The part of its life in which the pair could be written, in percent.</summary>
    public double UptimePercentage(DateTimeOffset createdAt, DateTimeOffset now) =>
        now <= createdAt ? 100 : 100 * (1 - Math.Clamp(Downtime / (now - createdAt), 0, 1));

    /// <summary>The statistics with what happened since they were stored.</summary>
    public PairStatistics With(SyncRecord record)
    {
        var failures = (int)Math.Min(record.FailureCount, 64);
        return this with
        {
            LatencyTotal = LatencyTotal + record.LatencyTotal,
            LatencyCount = LatencyCount + record.LatencyCount,
            FailureCount = FailureCount + record.FailureCount,
            Recent = failures == 64 ? 0 : Recent << failures,
            RecentCount = Math.Min(64, RecentCount + failures),
            Downtime = Downtime + record.Downtime,
        };
    }

    /// <summary>The statistics after one more sync.</summary>
    public PairStatistics WithSync(long bytes) => this with
    {
        SyncCount = SyncCount + 1,
        TransferredBytes = TransferredBytes + bytes,
        Recent = (Recent << 1) | 1,
        RecentCount = Math.Min(64, RecentCount + 1),
    };
}
