using QuantumFlux.Api;
using QuantumFlux.Objects;

namespace QuantumFlux.Anchors;

/// <summary>Which moment an anchor stands for.</summary>
public enum AnchorType
{
    /// <summary>Always the same one.</summary>
    Fixed,

    /// <summary>One that follows the clock at a constant distance.</summary>
    Sliding,

    /// <summary>The last one of a regular row of moments.</summary>
    Periodic,
}

/// <summary>What state an anchor is in.</summary>
public enum AnchorStatus
{
    /// <summary>Holds what was current at the moment that it stands for.</summary>
    Active,

    /// <summary>Over: it holds nothing any more.</summary>
    Expired,

    /// <summary>Holds something, but not what was current at the moment that it stands for.</summary>
    Drifting,
}

/// <summary>
/// A temporal anchor: it pins a version of a dataset, the one that was current at a moment, so that it can be read as of that moment by the anchor's id
/// and, when locked, cannot be deleted.
/// </summary>
/// <param name="Id">Its id, <c>anc_</c> and 32 hex digits.</param>
/// <param name="DatasetId">The object that it is about.</param>
/// <param name="FirstVersion">The first version of that object: an object that is written anew under the name is another one.</param>
/// <param name="Type">Which moment it stands for.</param>
/// <param name="AnchorTime">The moment that the request named.</param>
/// <param name="Period">Of a periodic anchor: how long it stands for one moment; zero for others.</param>
/// <param name="AllowsDrift">Whether the request allowed it to be inexact.</param>
/// <param name="IsLocked">Whether it keeps the object from being deleted.</param>
/// <param name="IsMultiDimensional">Whether what it pins is copied to all dimensions.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="ExpiresAt">When it ends by itself; null means never.</param>
/// <param name="Version">The version that it pins; of a sliding one, the version that it pinned last time that it was written.</param>
/// <param name="PinnedAt">The moment, nearest to the one that it stood for, at which that version was known to be current.</param>
/// <param name="Dimensions">The dimensions that hold that version's content for it.</param>
/// <param name="NextPinAt">When it has to pin again; null means never.</param>
/// <param name="RowETag">The state of its row in storage; null when it is not stored yet.</param>
public sealed record Anchor(
    string Id,
    string DatasetId,
    long FirstVersion,
    AnchorType Type,
    DateTimeOffset AnchorTime,
    TimeSpan Period,
    bool AllowsDrift,
    bool IsLocked,
    bool IsMultiDimensional,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    long Version,
    DateTimeOffset PinnedAt,
    IReadOnlyList<int> Dimensions,
    DateTimeOffset? NextPinAt,
    string? RowETag)
{
    public const string Prefix = "anc_";

    /// <summary>
    /// The drift up to which an anchor counts as exact: what moments lose on the wire, which have milliseconds where versions have microseconds. So an anchor
    /// to the moment at which an answer says that an object was created is exact.
    /// </summary>
    public static readonly TimeSpan DriftTolerance = TimeSpan.FromMilliseconds(1);

    /// <summary>How long an expired anchor is still listed. It stands in rows: one that is stored keeps the time with which it was made.</summary>
    public static readonly TimeSpan ListedFor = TimeSpan.FromDays(30);

    /// <summary>How often a sliding anchor copies what it has come to point to, when it is to be in all dimensions.</summary>
    public static readonly TimeSpan SlideCopyInterval = TimeSpan.FromHours(1);

    /// <summary>When an expired anchor is forgotten; null for one that does not expire.</summary>
    public DateTimeOffset? ForgottenAt => ExpiresAt + ListedFor;

    /// <summary>When a timer has to look at it next; null means never.</summary>
    public DateTimeOffset? DueAt => NextPinAt ?? ExpiresAt;

    /// <summary>Whether a text can be an anchor's id.</summary>
    public static bool IsId(string text) => Ids.IsWellFormed(text, Prefix) && text.AsSpan(Prefix.Length).IndexOfAnyInRange('g', 'z') < 0;

    /// <summary>Says what an anchor's id must be when a text is none, else null.</summary>
    public static string? CheckId(string text) => IsId(text) ? null : $"must be an anchor's id, {Prefix} and 32 hex digits";

    public bool IsExpired(DateTimeOffset now) => ExpiresAt <= now;

    /// <summary>The state at a moment, whether or not a timer has come by.</summary>
    public AnchorStatus StatusAt(DateTimeOffset now) =>
        IsExpired(now) ? AnchorStatus.Expired
        : DriftAt(now) > DriftTolerance ? AnchorStatus.Drifting
        : AnchorStatus.Active;

    /// <summary>
    /// The moment that it stands for: <see cref="AnchorTime"/> for a fixed one; as long before now as that was before its creation for a sliding one; the
    /// last of the moments <see cref="AnchorTime"/> + n × <see cref="Period"/> for a periodic one.
    /// </summary>
    public DateTimeOffset MomentAt(DateTimeOffset now) => Type switch
    {
        AnchorType.Sliding => Plus(now, AnchorTime - CreatedAt),
        AnchorType.Periodic when now > AnchorTime => now.AddTicks(-((now - AnchorTime).Ticks % Period.Ticks)),
        _ => AnchorTime,
    };

    /// <summary>
    /// How far the pinned version lies from the moment that the anchor stands for: the distance from that moment to the nearest one at which the version is
    /// known to have been current. Zero when it was current at that very moment, however long before it was written. An expired anchor keeps
    /// what it had in the end.
    /// </summary>
    public TimeSpan DriftAt(DateTimeOffset now)
    {
        var until = ExpiresAt is { } end && end <= now ? end.AddTicks(-1) : now;
        var moment = MomentAt(until);
        return (moment - (Type == AnchorType.Sliding ? Nearest(moment, until) : PinnedAt)).Duration();
    }

    /// <summary>The anchor after it has pinned a version at a moment.</summary>
    /// <param name="version">The version that was current at <see cref="MomentAt"/>, or is nearest to it.</param>
    /// <param name="now">The moment.</param>
    public Anchor WithPin(ObjectVersion version, DateTimeOffset now) => this with
    {
        Version = version.Version,
        PinnedAt = Nearest(MomentAt(now), now),
        Dimensions = version.Content.Dimensions,
    };

    /// <summary>The anchor with the moment at which it must pin again: what is still to come, or returns, before it expires.</summary>
    public Anchor WithNextPin(DateTimeOffset now)
    {
        var moment = MomentAt(now);
        DateTimeOffset? next = Type switch
        {
            AnchorType.Sliding => IsMultiDimensional ? now + SlideCopyInterval : null,
            _ when moment > now => moment,
            AnchorType.Periodic => Plus(moment, Period),
            _ => null,
        };
        return this with { NextPinAt = next >= ExpiresAt ? null : next };
    }

    // Nothing is known of the object before its first version, nor after now.
    private DateTimeOffset Nearest(DateTimeOffset moment, DateTimeOffset now)
    {
        var known = moment < now ? moment : now;
        var first = VersionNumber.ToMoment(FirstVersion);
        return known > first ? known : first;
    }

    // Moments end with the year 9999.
    private static DateTimeOffset Plus(DateTimeOffset moment, TimeSpan by) =>
        new(Math.Clamp(moment.UtcTicks + by.Ticks, 0, DateTimeOffset.MaxValue.UtcTicks), TimeSpan.Zero);
}
