namespace QuantumFlux.Benchmarks;

/// <summary>How long two kinds of request take, sent in turns: one, the other, one, the other.</summary>
public static class Latency
{
    private const int WarmUps = 500;

    public static async Task<Comparison> CompareAsync(int samples, Func<Task> ours, Func<Task> bare)
    {
        for (var sample = 0; sample < WarmUps; sample++)
        {
            await ours();
            await bare();
        }

        var (oursTimes, bareTimes) = (new Times(samples), new Times(samples));
        for (var sample = 0; sample < samples; sample++)
        {
            await oursTimes.MeasureAsync(ours);
            await bareTimes.MeasureAsync(bare);
        }

        return new Comparison(oursTimes, bareTimes);
    }
}

/// <summary>The times of two kinds of request.</summary>
public sealed record Comparison(Times Ours, Times Bare)
{
    public override string ToString() =>
        $"{Milliseconds(Ours, 50),11}{Milliseconds(Bare, 50),14}{Ours.At(50) / Bare.At(50),8:F2}{Milliseconds(Ours, 99),11}{Milliseconds(Bare, 99),14}{Ours.Count,10}";

    private static string Milliseconds(Times times, double percentile) => $"{times.At(percentile).TotalMilliseconds:F3} ms";
}

/// <summary>Measured durations.</summary>
public sealed class Times(int capacity)
{
    private readonly List<TimeSpan> _times = new(capacity);

    public int Count => _times.Count;

    /// <summary>All of them together.</summary>
    public TimeSpan Total => new(_times.Sum(time => time.Ticks));

    public async Task MeasureAsync(Func<Task> action)
    {
        var started = TimeProvider.System.GetTimestamp();
        await action();
        _times.Add(TimeProvider.System.GetElapsedTime(started));
    }

    public void Add(Times others) => _times.AddRange(others._times);

    /// <summary>The duration that this part of all, in percent, does not exceed.</summary>
    public TimeSpan At(double percentile)
    {
        _times.Sort();
        return _times[(int)Math.Min(_times.Count - 1, _times.Count * percentile / 100)];
    }
}
