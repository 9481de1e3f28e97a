namespace QuantumFlux.Api;

/// <summary>
/// One run of a timer: keeps a failing item from stopping the rest, says when it is time to leave the rest to the next run, and tells in
/// metrics and one line of the log what was done.
/// </summary>
/// <param name="timer">The timer's name in metrics, such as <c>decoherence</c>.</param>
public sealed partial class TimerRun(string timer, Telemetry telemetry, TimeProvider time, ILogger logger)
{
    /// <summary>The longest run. A function ends after 5 minutes (<c>host.json</c>), and what is under way then must still come to its end.</summary>
    public static readonly TimeSpan DurationMax = TimeSpan.FromMinutes(4);

    private const string Failed = "failed";

    private readonly long _started = time.GetTimestamp();
    private readonly SortedDictionary<string, int> _counts = new(StringComparer.Ordinal);

    /// <summary>Whether the rest is for the next run.</summary>
    public bool IsOver => time.GetElapsedTime(_started) >= DurationMax;

    /// <summary>Counts what was done.</summary>
    /// <param name="outcome">One of few words, such as <c>collapsed</c>.</param>
    /// <param name="count">How many items.</param>
    public void Count(string outcome, int count = 1) => _counts[outcome] = _counts.GetValueOrDefault(outcome) + count;

    /// <summary>Does something to one item. When it fails, that is counted, and the item comes up again next time.</summary>
    /// <param name="tenant">Whose item it is.</param>
    /// <param name="item">What it is, for the log.</param>
    /// <param name="step">Does it, and says whether it is done.</param>
    /// <param name="cancellationToken">Ends the run early; only then an exception passes.</param>
    /// <returns>Whether it is done.</returns>
    public async Task<bool> TryAsync(string tenant, string item, Func<Task<bool>> step, CancellationToken cancellationToken)
    {
        try
        {
            return await step();
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            Count(Failed);
            LogFailed(logger, exception, timer, item, tenant);
            return false;
        }
    }

    /// <summary>Ends the run and reports it.</summary>
    public void End()
    {
        var elapsed = time.GetElapsedTime(_started);
        telemetry.MaintenanceRan(timer, elapsed);
        foreach (var (outcome, count) in _counts)
        {
            telemetry.MaintenanceDone(timer, outcome, count);
        }

        if (_counts.Count > 0 && logger.IsEnabled(LogLevel.Information))
        {
            var counts = string.Join(", ", _counts.Select(entry => $"{entry.Value} {entry.Key}"));
            LogDone(logger, timer, counts, elapsed);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The timer {Timer} failed at {Item} of {Tenant}; it tries again next time.")]
    private static partial void LogFailed(ILogger logger, Exception exception, string timer, string item, string tenant);

    [LoggerMessage(Level = LogLevel.Information, Message = "The timer {Timer} did {Counts} in {Elapsed}.")]
    private static partial void LogDone(ILogger logger, string timer, string counts, TimeSpan elapsed);
}
