using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace QuantumFlux.Api;

/// <summary>What the service tells about itself: spans of the source and instruments of the meter <c>QuantumFlux</c>.</summary>
public sealed class Telemetry
{
    /// <summary>The name of the activity source and of the meter.</summary>
    public const string Name = "QuantumFlux";

    private static readonly ActivitySource _source = new(Name);

    private readonly Histogram<double> _duration;
    private readonly Counter<long> _maintenanceItems;
    private readonly Histogram<double> _maintenanceDuration;

    public Telemetry(IMeterFactory meters)
    {
        var meter = meters.Create(Name);
        _duration = meter.CreateHistogram<double>(
            "quantumflux.request.duration", "s", "How long a request took, by method, route, status and error code.");
        _maintenanceItems = meter.CreateCounter<long>(
            "quantumflux.maintenance.items", "{item}", "What timers did, by timer and outcome.");
        _maintenanceDuration = meter.CreateHistogram<double>(
            "quantumflux.maintenance.duration", "s", "How long a run of a timer took, by timer.");
    }

    /// <summary>Starts the span of a request; null when nobody listens.</summary>
    public static Activity? StartRequest(string method, string route, string requestId) =>
        _source.StartActivity(ActivityKind.Server, name: $"{method} {route}", tags:
        [
            new("http.request.method", method),
            new("http.route", route),
            new("quantumflux.request_id", requestId),
        ]);

    /// <summary>Counts a finished request.</summary>
    /// <param name="method">Its verb.</param>
    /// <param name="route">Its route template: never the path, of which there are too many.</param>
    /// <param name="status">The status that it was answered with.</param>
    /// <param name="code">The error code, or null.</param>
    /// <param name="duration">From its arrival at the gate to the end of its answer.</param>
    public void RequestEnded(string method, string route, int status, string? code, TimeSpan duration)
    {
        if (_duration.Enabled)
        {
            _duration.Record(
                duration.TotalSeconds,
                new("http.request.method", method),
                new("http.route", route),
                new("http.response.status_code", status),
                new("error.type", code));
        }
    }

    /// <summary>Counts what a timer did.</summary>
    /// <param name="timer">The timer, such as <c>decoherence</c>.</param>
    /// <param name="outcome">What became of the items, such as <c>collapsed</c>; <c>failed</c> for those that are tried again next time.</param>
    /// <param name="count">How many items; none is not counted.</param>
    public void MaintenanceDone(string timer, string outcome, int count)
    {
        if (count > 0)
        {
            _maintenanceItems.Add(count, new("timer", timer), new("outcome", outcome));
        }
    }

    /// <summary>Notes how long a run of a timer took.</summary>
    public void MaintenanceRan(string timer, TimeSpan duration) =>
        _maintenanceDuration.Record(duration.TotalSeconds, new KeyValuePair<string, object?>("timer", timer));
}
