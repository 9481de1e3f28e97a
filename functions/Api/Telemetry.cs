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

    public Telemetry(IMeterFactory meters)
    {
        _duration = meters.Create(Name).CreateHistogram<double>(
            "quantumflux.request.duration", "s", "How long a request took, by method, route, status and error code.");
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
}
