using QuantumFlux.Api;
using QuantumFlux.Objects;

namespace QuantumFlux.Anchors;

/// <summary>A request to pin a version of a dataset.</summary>
public sealed record CreateAnchor(
    string DatasetId,
    DateTimeOffset AnchorTime,
    AnchorType Type,
    TimeSpan? Duration,
    TimeSpan Period,
    bool AllowsDrift,
    bool IsLocked,
    bool IsMultiDimensional)
{
    // A hundred years: what is to stay longer is eternal.
    private const long DurationSecondsMax = 100L * 365 * 24 * 60 * 60;

    // The timer that pins again runs every minute, and somebody may want to count in years.
    private const long PeriodSecondsMin = 60;
    private const long PeriodSecondsMax = 366L * 24 * 60 * 60;

    private static readonly TimeSpan _periodDefault = TimeSpan.FromDays(1);

    /// <summary>Reads and checks the request.</summary>
    /// <exception cref="ApiException">400 with every fault.</exception>
    public static CreateAnchor From(JsonBody body)
    {
        var dataset = body.RequiredText("dataset_id", ObjectLimits.CheckId);
        var anchorTime = body.RequiredMoment("anchor_time");
        var type = body.RequiredChoice("anchor_type", "fixed", "sliding", "periodic");
        var duration = body.Whole("duration_seconds", 1, DurationSecondsMax);
        var period = body.Whole("period_seconds", PeriodSecondsMin, PeriodSecondsMax);
        if (period is not null && type != "periodic")
        {
            body.Faults.Add("period_seconds", "is for periodic anchors alone");
        }

        var options = body.Object("options");
        var (allowsDrift, isLocked, isMultiDimensional) =
            (options.Flag("allow_drift", false), options.Flag("quantum_lock", true), options.Flag("multi_dimensional", false));
        body.ThrowIfInvalid();

        return new CreateAnchor(
            dataset,
            anchorTime,
            Enum.Parse<AnchorType>(type, ignoreCase: true),
            duration is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            type != "periodic" ? TimeSpan.Zero : period is { } between ? TimeSpan.FromSeconds(between) : _periodDefault,
            allowsDrift,
            isLocked,
            isMultiDimensional);
    }

    /// <summary>The anchor that the request describes, before it has pinned anything. Its lifetime counts from now, whatever moment it stands for.</summary>
    public Anchor ToAnchor(string id, DateTimeOffset now) => new(
        id,
        DatasetId,
        0,
        Type,
        AnchorTime,
        Period,
        AllowsDrift,
        IsLocked,
        IsMultiDimensional,
        now,
        now + Duration,
        0,
        now,
        [],
        null,
        null);
}
