using System.Diagnostics;

namespace QuantumFlux.Benchmarks;

/// <summary>As many requests as a number of connections take, each sending its next one when the last is answered.</summary>
public static class Load
{
    private static readonly TimeSpan _warmUp = TimeSpan.FromSeconds(1);

    public static async Task<LoadResult> RunAsync(int connections, TimeSpan duration, HostProcess host, Func<Task> request)
    {
        await SendAsync(connections, _warmUp, request);

        using var self = Process.GetCurrentProcess();
        var (client, server) = (self.TotalProcessorTime, host.ProcessorTime);
        var started = TimeProvider.System.GetTimestamp();
        var times = await SendAsync(connections, duration, request);
        var elapsed = TimeProvider.System.GetElapsedTime(started);
        self.Refresh();
        return new LoadResult(
            times,
            times.Count / elapsed.TotalSeconds,
            (self.TotalProcessorTime - client) / times.Count,
            (host.ProcessorTime - server) / times.Count);
    }

    private static async Task<Times> SendAsync(int connections, TimeSpan duration, Func<Task> request)
    {
        var started = TimeProvider.System.GetTimestamp();
        var all = new Times(0);
        foreach (var times in await Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(SendInTurnAsync))))
        {
            all.Add(times);
        }

        return all;

        async Task<Times> SendInTurnAsync()
        {
            var times = new Times(10_000);
            while (TimeProvider.System.GetElapsedTime(started) < duration)
            {
                await times.MeasureAsync(request);
            }

            return times;
        }
    }
}

/// <summary>What a load came to.</summary>
/// <param name="Times">The requests' durations.</param>
/// <param name="PerSecond">Requests a second.</param>
/// <param name="ClientTime">The processor time that this program took for each request, on the same machine.</param>
/// <param name="HostTime">The processor time that the host took for each request.</param>
public sealed record LoadResult(Times Times, double PerSecond, TimeSpan ClientTime, TimeSpan HostTime)
{
    public override string ToString() =>
        $"{PerSecond,13:F0}{Times.At(50).TotalMilliseconds,6:F1}{Times.At(99).TotalMilliseconds,6:F1}{ClientTime.TotalMilliseconds,28:F3}{HostTime.TotalMilliseconds,7:F3}";
}
