using Microsoft.Extensions.Options;
using QuantumFlux.Keys;
using QuantumFlux.Metering;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Metering;

/// <summary>
/// One small world in which clients of one key meet instances whose clocks jump, which end and start again, and whose storage fails. Everything
/// follows from the seed.
/// </summary>
public sealed class RateLimitSimulation
{
    private const int Instances = 4;
    private const int Clients = 64;

    private static readonly TimeSpan _latency = TimeSpan.FromMilliseconds(10);

    private readonly Random _random;
    private readonly SimulatedTime _time = new();
    private readonly MemoryTables _tables;
    private readonly RateLimitOptions _options;
    private readonly bool _isQStore;
    private readonly ApiKey _key;
    private readonly RatePolicy _policy;
    private readonly Instance[] _instances;
    private readonly List<Instance> _ending = [];
    private readonly List<Event> _events = [];
    private readonly Dictionary<(int Window, long Span), long> _admitted = [];
    private TimeSpan _pace;
    private bool _isOver;

    public RateLimitSimulation(int seed)
    {
        _random = new Random(seed);
        _tables = new MemoryTables(_time, FailAsync);
        _isQStore = seed % 4 == 0;
        HasFarJumps = seed % 5 == 0;
        _options = new RateLimitOptions();
        if (seed % 3 == 0)
        {
            _options.Free = new TierLimits { Minute = _random.Next(1, 12), Hour = _random.Next(12, 60), Day = 100, Month = 120 };
        }

        // Seconds are short: so that a world sees some minutes pass, their limits are mostly smaller than the real ones.
        if (seed % 16 != 0)
        {
            _options.QStore = new QStoreLimits { Second = _random.Next(2, 20), Minute = _random.Next(20, 200) };
        }

        var tier = (Tier)(seed % 3);
        _key = new ApiKey("key_simulated", new byte[32], "0000", "", "acc", KeyEnvironment.Live, tier, Scopes.All, default, default, null, null);
        _policy = _isQStore ? RatePolicy.ForQStore(_options) : RatePolicy.ForTier(_options, tier);
        _instances = [.. Enumerable.Range(0, Instances).Select(_ => NewInstance(TimeSpan.Zero))];
    }

    /// <summary>Whether clocks jump by hours and days. That may cost budget, so then it is not measured; but it must never give any twice.</summary>
    public bool HasFarJumps { get; }

    /// <summary>How many requests were admitted.</summary>
    public long Admitted { get; private set; }

    /// <summary>How many requests one exact counter, with nothing lost to instances that ended, would have admitted.</summary>
    public long Possible { get; private set; }

    /// <summary>How many storage requests were made.</summary>
    public int StorageRequests => _tables.Requests;

    /// <summary>Runs the world and checks what happened.</summary>
    public void Run(int requests)
    {
        new SimulationContext(_random).Run(async () =>
        {
            var left = requests;
            ChangePace();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => SendAsync(() => left-- > 0)));
            _isOver = true;
        });

        Possible = CountPossible();
        foreach (var ((window, span), count) in _admitted)
        {
            Assert.True(
                count <= _policy.Windows[window].Limit,
                $"{count} requests in one {_policy.Windows[window].Name} ({span}) instead of {_policy.Windows[window].Limit}");
        }
    }

    private async Task SendAsync(Func<bool> hasMore)
    {
        await Task.Yield();
        while (hasMore())
        {
            // Many requests come at once. Answers take milliseconds: long pauses come when nobody waits for one.
            var pause = _random.Next(2) == 0 ? TimeSpan.Zero : _pace * (4 * _random.NextDouble());
            while (pause > _latency && _instances.Concat(_ending).Any(instance => instance.Requests > 0))
            {
                await Task.Yield();
            }

            _time.Advance(pause);
            Disturb();
            var instance = _instances[_random.Next(Instances)];
            var arrival = new Event(SpansAt(instance.Time.GetUtcNow()));
            _events.Add(arrival);
            instance.Requests++;
            try
            {
                var state = await instance.Limits.AdmitAsync(_key, _isQStore, CancellationToken.None);
                if (state.IsAdmitted)
                {
                    Admitted++;
                    foreach (var (window, span) in SpansOf(state))
                    {
                        _admitted[(window, span)] = _admitted.GetValueOrDefault((window, span)) + 1;
                    }
                }
            }
            catch (StorageException)
            {
                // Not served, and not for want of budget.
                arrival.IsFailed = true;
            }
            finally
            {
                instance.Requests--;
                Retire(instance);
            }

            await Task.Yield();
        }
    }

    // Now and then an instance ends, a clock jumps, or the clients slow down or hurry.
    private void Disturb()
    {
        switch (_random.Next(1_200))
        {
            case 0 or 1:
                var ended = _random.Next(Instances);
                _ending.Add(_instances[ended]);
                Retire(_instances[ended]);
                _instances[ended] = NewInstance(_instances[ended].Time.Offset);
                break;
            case 2:
            case 6 or 7 or 8 or 9 or 10 or 11 when HasFarJumps:
                var jumped = _instances[_random.Next(Instances)];
                jumped.Time.Offset = _random.Next(3) switch
                {
                    0 => TimeSpan.Zero,
                    _ when HasFarJumps => TimeSpan.FromMinutes(_random.Next(2) == 0 ? _random.Next(-200, 200) : _random.Next(-100_000, 100_000)),
                    1 => TimeSpan.FromSeconds(_random.Next(-60, 60)),
                    _ => _isQStore ? TimeSpan.FromSeconds(_random.Next(-2, 60)) : TimeSpan.FromMinutes(_random.Next(-30, 30)),
                };
                break;
            case 3 or 4 or 5:
                ChangePace();
                break;
        }
    }

    private void ChangePace()
    {
        // From a third of what the shortest window admits to five times that.
        var factor = 0.3 * Math.Pow(16, _random.NextDouble());
        _pace = _policy.Windows[0].Length / (_policy.Windows[0].Limit * factor);
    }

    // An instance that ends takes with it what it has leased, once its last request is answered.
    private void Retire(Instance instance)
    {
        if (instance.Requests == 0 && _ending.Remove(instance))
        {
            Forget(instance);
        }
    }

    private void Forget(Instance instance)
    {
        if (!_isOver)
        {
            var unspent = instance.Limits.MeterOf(_key, _isQStore).Unspent();
            _events.Add(new Event([]) { Lost = [.. unspent.SelectMany((spans, window) => spans.Select(span => (window, span.Key, span.Value)))] });
        }
    }

    // What one counter would admit of the requests that storage did not fail, in the order of their arrival.
    private long CountPossible()
    {
        var possible = 0L;
        var counts = new Dictionary<(int, long), long>();
        foreach (var happened in _events.Where(happened => !happened.IsFailed))
        {
            foreach (var (window, span, units) in happened.Lost)
            {
                counts[(window, span)] = counts.GetValueOrDefault((window, span)) + units;
            }

            if (happened.Spans.Length > 0 && happened.Spans.All(span => counts.GetValueOrDefault(span) < _policy.Windows[span.Window].Limit))
            {
                possible++;
                foreach (var span in happened.Spans)
                {
                    counts[span] = counts.GetValueOrDefault(span) + 1;
                }
            }
        }

        return possible;
    }

    private async ValueTask<MemoryFault> FailAsync(string operation, MemoryMoment moment)
    {
        await Task.Yield();
        return _random.Next(100) switch
        {
            < 4 => MemoryFault.Lost,
            4 => MemoryFault.GiveUp,
            _ => MemoryFault.None,
        };
    }

    private (int Window, long Span)[] SpansAt(DateTimeOffset now) => [.. _policy.Windows.Select((window, index) => (index, window.SpanAt(now)))];

    private IEnumerable<(int Window, long Span)> SpansOf(RateState state) =>
        state.Windows.Select((entry, index) => (index, entry.Window.SpanAt(entry.ResetAt) - 1));

    private Instance NewInstance(TimeSpan offset)
    {
        var clock = new JumpingTime(_time) { Offset = offset };
        var accounts = new StorageAccounts(new StorageAccount(_tables, new MemoryBlobs(_time)), new Dictionary<int, StorageAccount>());
        return new Instance(new RateLimits(accounts, Options.Create(_options), clock), clock);
    }

    private sealed class Instance(RateLimits limits, JumpingTime time)
    {
        public RateLimits Limits { get; } = limits;

        public JumpingTime Time { get; } = time;

        public int Requests { get; set; }
    }

    private sealed class Event((int Window, long Span)[] spans)
    {
        public (int Window, long Span)[] Spans { get; } = spans;

        public (int Window, long Span, long Units)[] Lost { get; init; } = [];

        public bool IsFailed { get; set; }
    }

    private sealed class JumpingTime(SimulatedTime time) : TimeProvider
    {
        public TimeSpan Offset { get; set; }

        public override long TimestampFrequency => time.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + Offset;

        public override long GetTimestamp() => time.GetTimestamp();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            time.CreateTimer(callback, state, dueTime, period);
    }
}
