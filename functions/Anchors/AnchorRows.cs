using System.Globalization;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Anchors;

/// <summary>What a timer has to do with an anchor.</summary>
public enum AnchorDueKind
{
    /// <summary>End it: what it locked is free again.</summary>
    Expire,

    /// <summary>Remove the last of it, a while after it ended.</summary>
    Forget,

    /// <summary>Pin the version of its next moment.</summary>
    Pin,
}

/// <summary>Something that falls due for an anchor, with all that ending it takes: so the timer need not read the anchor.</summary>
/// <param name="Kind">What is to be done.</param>
/// <param name="At">When.</param>
/// <param name="AnchorId">The anchor.</param>
/// <param name="DatasetId">The object that it is about.</param>
/// <param name="IsLocked">Whether it locks that object.</param>
/// <param name="ForgottenAt">Of an anchor that expires: when the last of it goes.</param>
public sealed record AnchorDue(
    AnchorDueKind Kind, DateTimeOffset At, string AnchorId, string DatasetId, bool IsLocked, DateTimeOffset? ForgottenAt)
{
    public AnchorDue(AnchorDueKind kind, DateTimeOffset at, Anchor anchor)
        : this(kind, at, anchor.Id, anchor.DatasetId, anchor.IsLocked, anchor.ForgottenAt)
    {
    }
}

/// <summary>
/// How anchors lie in the tenant's partition of the table <c>objects</c>: <c>a:ID</c> the anchor (its digits inverted, so that the newest comes first),
/// <c>ad:TIME:KIND:ID</c> when something falls due for it, and <c>al:OBJECT:ID</c> the version that it locks, which alone keeps content from clean-up.
/// All of them come and go in one transaction each time, so that none is ever found without the others.
/// </summary>
public static class AnchorRows
{
    public const string From = "a:";
    public const string Before = "a;";
    public const string DueFrom = "ad:";

    /// <summary>Where what is due at a moment ends.</summary>
    public static string DueBefore(DateTimeOffset now) => DueFrom + Ticks(now.AddTicks(1));

    /// <summary>The key of an anchor's row.</summary>
    /// <param name="anchorId">An id, see <see cref="Anchor.IsId"/>.</param>
    public static string Key(string anchorId) => From + Inverted(anchorId.AsSpan(Anchor.Prefix.Length));

    public static string DueKey(AnchorDue due) =>
        $"{DueFrom}{Ticks(due.At)}:{due.Kind}:{due.AnchorId}";

    /// <summary>All rows of a new anchor.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="anchor">The anchor.</param>
    /// <param name="pinned">The version that it pins.</param>
    public static IEnumerable<TableRow> All(string tenant, Anchor anchor, ObjectVersion pinned)
    {
        yield return Row(tenant, anchor);
        if (anchor.IsLocked)
        {
            yield return ObjectRows.LockRow(tenant, pinned, anchor.Id, anchor.ExpiresAt);
        }

        foreach (var due in Dues(anchor))
        {
            yield return DueRow(tenant, due);
        }
    }

    /// <summary>What falls due for an anchor that has not expired.</summary>
    public static IEnumerable<AnchorDue> Dues(Anchor anchor)
    {
        if (anchor.NextPinAt is { } next)
        {
            yield return new AnchorDue(AnchorDueKind.Pin, next, anchor);
        }

        if (anchor.ExpiresAt is { } end)
        {
            yield return new AnchorDue(AnchorDueKind.Expire, end, anchor);
            yield return new AnchorDue(AnchorDueKind.Forget, anchor.ForgottenAt!.Value, anchor);
        }
    }

    // No column is called Sha256: the row of an anchor keeps no content.
    public static TableRow Row(string tenant, Anchor anchor) => new TableRow(tenant, Key(anchor.Id))
        .Set("Dataset", anchor.DatasetId)
        .Set("FirstVersion", anchor.FirstVersion)
        .Set("AnchorType", anchor.Type.ToString())
        .Set("AnchorTime", anchor.AnchorTime.UtcTicks)
        .Set("Period", anchor.Period == TimeSpan.Zero ? null : anchor.Period.Ticks)
        .Set("AllowsDrift", anchor.AllowsDrift)
        .Set("Locked", anchor.IsLocked)
        .Set("MultiDimensional", anchor.IsMultiDimensional)
        .Set("CreatedAt", anchor.CreatedAt.UtcTicks)
        .Set("ExpiresAt", anchor.ExpiresAt?.UtcTicks)
        .Set("Version", anchor.Version)
        .Set("PinnedAt", anchor.PinnedAt.UtcTicks)
        .Set("Dimensions", ObjectRows.Format(anchor.Dimensions))
        .Set("NextPinAt", anchor.NextPinAt?.UtcTicks);

    public static Anchor Parse(TableRow row) => new(
        Anchor.Prefix + Inverted(row.Key.AsSpan(From.Length)),
        row.Text("Dataset")!,
        row.Whole("FirstVersion")!.Value,
        Enum.Parse<AnchorType>(row.Text("AnchorType")!),
        Moment(row.Whole("AnchorTime")!.Value),
        TimeSpan.FromTicks(row.Whole("Period") ?? 0),
        row.Flag("AllowsDrift")!.Value,
        row.Flag("Locked")!.Value,
        row.Flag("MultiDimensional")!.Value,
        Moment(row.Whole("CreatedAt")!.Value),
        row.Whole("ExpiresAt") is { } end ? Moment(end) : null,
        row.Whole("Version")!.Value,
        Moment(row.Whole("PinnedAt")!.Value),
        ObjectRows.ParseDimensions(row.Text("Dimensions")),
        row.Whole("NextPinAt") is { } next ? Moment(next) : null,
        row.ETag);

    public static TableRow DueRow(string tenant, AnchorDue due) => new TableRow(tenant, DueKey(due))
        .Set("Kind", due.Kind.ToString())
        .Set("At", due.At.UtcTicks)
        .Set("Anchor", due.AnchorId)
        .Set("Dataset", due.DatasetId)
        .Set("Locked", due.IsLocked)
        .Set("ForgottenAt", due.ForgottenAt?.UtcTicks);

    public static AnchorDue ParseDue(TableRow row) => new(
        Enum.Parse<AnchorDueKind>(row.Text("Kind")!),
        Moment(row.Whole("At")!.Value),
        row.Text("Anchor")!,
        row.Text("Dataset")!,
        row.Flag("Locked")!.Value,
        row.Whole("ForgottenAt") is { } end ? Moment(end) : null);

    // Each hex digit becomes 15 less it, and so back again.
    private static string Inverted(ReadOnlySpan<char> digits) =>
        string.Create(digits.Length, digits, static (inverted, digits) =>
        {
            for (var index = 0; index < digits.Length; index++)
            {
                inverted[index] = "fedcba9876543210"[char.IsAsciiDigit(digits[index]) ? digits[index] - '0' : digits[index] - 'a' + 10];
            }
        });

    private static string Ticks(DateTimeOffset moment) => moment.UtcTicks.ToString("D19", CultureInfo.InvariantCulture);

    private static DateTimeOffset Moment(long ticks) => new(ticks, TimeSpan.Zero);
}
