namespace QuantumFlux.Tests.Proof;

/// <summary>
/// Runs everything that awaits on one thread, and always goes on with whichever of the waiting is next by the seed. So one seed is one interleaving,
/// the same each time.
/// </summary>
/// <param name="random">Chooses what goes on next.</param>
/// <param name="rest">
/// Called when everything waits, to let time pass: says whether something may go on now. Null when nothing waits for time.
/// </param>
public sealed class SimulationContext(Random random, Func<bool>? rest = null) : SynchronizationContext
{
    private readonly Lock _lock = new();
    private readonly List<(SendOrPostCallback Callback, object? State)> _ready = [];

    public override void Post(SendOrPostCallback d, object? state)
    {
        lock (_lock)
        {
            _ready.Add((d, state));
        }
    }

    /// <summary>Runs until a task is done.</summary>
    /// <exception cref="InvalidOperationException">Nothing can go on, and the task is not done: a deadlock.</exception>
    public void Run(Func<Task> start)
    {
        var outer = Current;
        SetSynchronizationContext(this);
        try
        {
            var task = start();
            while (!task.IsCompleted)
            {
                if (Next() is var (callback, state))
                {
                    callback(state);
                }
                else if (rest?.Invoke() != true)
                {
                    throw new InvalidOperationException("Everything waits, and nothing is left to wait for.");
                }
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(outer);
        }
    }

    private (SendOrPostCallback Callback, object? State)? Next()
    {
        lock (_lock)
        {
            if (_ready.Count == 0)
            {
                return null;
            }

            var index = random.Next(_ready.Count);
            var next = _ready[index];
            _ready[index] = _ready[^1];
            _ready.RemoveAt(_ready.Count - 1);
            return next;
        }
    }
}

/// <summary>The clock of a simulation. A delay ends whenever the simulation comes to it, without any real time passing.</summary>
public sealed class SimulatedTime : TimeProvider
{
    private readonly List<(long At, Action Fire)> _due = [];
    private long _ticks = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero).UtcTicks;

    /// <summary>Whether a delay ends when the clock has gone so far, and not before. For limits on what takes long, which else would never take as long.</summary>
    public bool IsPunctual { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Goes on to when the next punctual delay ends; false when none is under way.</summary>
    public bool Rest()
    {
        if (_due.Count == 0)
        {
            return false;
        }

        Advance(TimeSpan.FromTicks(_due.Min(timer => timer.At) - _ticks));
        return true;
    }

    public void Advance(TimeSpan by)
    {
        _ticks += by.Ticks;
        foreach (var (_, fire) in _due.Where(timer => timer.At <= _ticks).ToList())
        {
            fire();
        }

        _due.RemoveAll(timer => timer.At <= _ticks);
    }

    public override DateTimeOffset GetUtcNow() => new(_ticks, TimeSpan.Zero);

    public override long GetTimestamp() => _ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new PostedTimer();
        if (dueTime == Timeout.InfiniteTimeSpan)
        {
            return timer;
        }

        if (IsPunctual)
        {
            _due.Add((_ticks + dueTime.Ticks, () => timer.Fire(callback, state)));
        }
        else
        {
            SynchronizationContext.Current!.Post(_ => timer.Fire(callback, state), null);
        }

        return timer;
    }

    /// <summary>The same clock as another instance has it, a little off.</summary>
    public SkewedTime Skewed(TimeSpan by) => new(this, by);

    private sealed class PostedTimer : ITimer
    {
        private bool _isDisposed;

        public void Fire(TimerCallback callback, object? state)
        {
            if (!_isDisposed)
            {
                callback(state);
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period) => !_isDisposed;

        public void Dispose() => _isDisposed = true;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }

}

/// <summary>A clock that is a little off.</summary>
public sealed class SkewedTime(SimulatedTime time, TimeSpan by) : TimeProvider
{
    /// <summary>How far it is ahead.</summary>
    public TimeSpan By { get; set; } = by;

    public override long TimestampFrequency => time.TimestampFrequency;

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + By;

    public override long GetTimestamp() => time.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        time.CreateTimer(callback, state, dueTime, period);
}
