using System.Globalization;
using System.Text;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;

namespace QuantumFlux.Tests.Storage;

/// <summary>
/// Several instances append to one log, follow it, note in a companion how far it is covered, and truncate it so far, while requests and answers get
/// lost, instances end at any storage call and clocks jump. What a record says depends on all that stands before it, so whoever follows the log
/// would notice if anything were lost, changed or there twice.
/// </summary>
public sealed class LogSimulation
{
    private const string Table = "log";
    private const string Tenant = "acc_simulation-live";
    private const string TakenKey = "taken";
    private const int Rounds = 4;
    private const int Clients = 5;
    private const int OperationsMax = 16;
    private const int AttemptsMax = 4;

    // How long an append lasts at most, and how far a clock is off at most: together, with a clock off at either end, less than the grace.
    private static readonly TimeSpan _appendTimeMax = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan _skewMax = TimeSpan.FromMinutes(3);

    private readonly Random _random;
    private readonly SimulationContext _context;
    private readonly SimulatedCluster _cluster;
    private readonly Log _log;
    private readonly List<(int Weight, Func<SimulatedInstance, Task> Act)> _actions;
    private readonly bool _hasLargeAppends;
    private readonly Dictionary<SimulatedInstance, Follower> _followers = [];
    private readonly List<(SimulatedInstance Instance, DateTimeOffset StartedAt)> _underWay = [];
    private readonly Dictionary<long, string> _history = [];
    private readonly List<Attempt> _attempts = [];
    private long _acknowledgedThrough;

    public LogSimulation(int seed)
    {
        _random = new Random(seed);
        _context = new SimulationContext(_random);
        _cluster = new SimulatedCluster(_random, _random.Next(4) * 0.02, _random.Next(3) * 0.005, pageRowsMax: _random.Next(1, 12), pauseMax: _random.Next(3) * 40);
        _log = new Log(_cluster.Storage.Main.Tables, Table, Tenant, "log");
        _hasLargeAppends = seed % 10 == 0;
        _actions =
        [
            (30, AppendAsync),
            (12, instance => FollowAsync(instance)),
            (12, CoverAsync),
            (12, TruncateAsync),
            (20, WaitAsync),
        ];
    }

    /// <summary>How many appends were acknowledged.</summary>
    public int Acknowledged => _attempts.Count(attempt => attempt.IsAppended is true);

    /// <summary>How many appends were acknowledged although their answer was lost.</summary>
    public int Recognised { get; private set; }

    /// <summary>How many rows were removed.</summary>
    public int Removed { get; private set; }

    /// <summary>How many readers found that what they were to read next was gone.</summary>
    public int LeftBehind { get; private set; }

    public void Run() => _context.Run(async () =>
    {
        await _cluster.Storage.Main.Tables.WriteAsync(Table, [TableAction.Insert(new TableRow(Tenant, TakenKey))], CancellationToken.None);
        _cluster.Start(3);
        for (var round = 0; round < Rounds; round++)
        {
            _cluster.IsTroubled = true;
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _cluster.ClientAsync(_random.Next(OperationsMax), ActAsync)));
            _cluster.IsTroubled = false;
            await SimulatedCluster.ServeAsync(_cluster.Open(), instance => FollowAsync(instance));
            await VerifyAsync();
            _cluster.Time.Advance(TimeSpan.FromMinutes(_random.Next(30)));
        }

        await SimulatedCluster.ServeAsync(_cluster.Open(), EndAsync);
    });

    private Task ActAsync(SimulatedInstance instance)
    {
        var choice = _random.Next(_actions.Sum(action => action.Weight));
        return _actions.First(action => (choice -= action.Weight) < 0).Act(instance);
    }

    // Each time that one looks, a clock may have jumped.
    private DateTimeOffset TimeOf(SimulatedInstance instance) => instance.Time.GetUtcNow() + (_skewMax * _random.Next(-1, 2));

    private async Task AppendAsync(SimulatedInstance instance)
    {
        for (var attempts = 0; attempts < AttemptsMax; attempts++)
        {
            // What the instance knows may be long out of date.
            var follower = _followers.GetValueOrDefault(instance, Follower.New);
            if (follower.Head is not { MustBeRead: false } || _random.Next(2) == 0)
            {
                follower = await FollowAsync(instance);
            }

            if (follower.Head is not { MustBeRead: false } head || await TryAppendAsync(instance, follower, head) != LogOutcome.Moved)
            {
                return;
            }

            // Others that the instance serves may have read on by now.
            _followers[instance] = _followers.GetValueOrDefault(instance, Follower.New) with { Head = null };
        }
    }

    private async Task<LogOutcome> TryAppendAsync(SimulatedInstance instance, Follower follower, LogHead head)
    {
        var isLarge = _hasLargeAppends && _random.Next(12) == 0;
        var attempt = new Attempt(_attempts.Count, isLarge ? 5 : _random.Next(1, 5), head.LastSequence, HasClaim: _random.Next(3) == 0);
        _attempts.Add(attempt);
        var texts = new List<string>();
        var after = follower;
        while (texts.Count < attempt.Count)
        {
            texts.Add(attempt.Text(texts.Count, after.State));
            after = after.Apply(texts[^1]);
        }

        var along = new List<TableAction>();
        if (attempt.HasClaim)
        {
            along.Add(TableAction.Insert(new TableRow(Tenant, attempt.ClaimKey)));
        }

        var isDoomed = _random.Next(12) == 0;
        if (isDoomed)
        {
            along.Insert(_random.Next(along.Count + 1), TableAction.Insert(new TableRow(Tenant, TakenKey)));
        }

        var underWay = (instance, _cluster.Time.GetUtcNow());
        _underWay.Add(underWay);
        try
        {
            var appended = await _log.AppendAsync(
                head, [.. texts.Select(text => ToBytes(text, isLarge ? 250 * 1024 : _random.Next(100)))], TimeOf(instance), along, CancellationToken.None);

            attempt.IsAppended = appended.Outcome == LogOutcome.Appended;
            Assert.False(isDoomed && attempt.IsAppended.Value, $"{attempt} was appended although what was to go along was refused");
            if (appended.Outcome == LogOutcome.Refused)
            {
                Assert.True(isDoomed && along[appended.Index].Row.Key == TakenKey, $"{attempt} was refused because of {along[appended.Index]}");
            }

            if (appended.Head is { } newHead)
            {
                Recognised += newHead.MustBeRead ? 1 : 0;
                Assert.Equal(head.LastSequence + attempt.Count, newHead.LastSequence);
                _acknowledgedThrough = Math.Max(_acknowledgedThrough, newHead.LastSequence);
                foreach (var (sequence, text) in attempt.Sequences.Zip(texts))
                {
                    See(sequence, text);
                }

                Remember(instance, after with { Head = newHead });
            }

            return appended.Outcome;
        }
        finally
        {
            _underWay.Remove(underWay);
        }
    }

    private async Task<Follower> FollowAsync(SimulatedInstance instance)
    {
        var follower = _followers.GetValueOrDefault(instance, Follower.New);
        var acknowledged = _acknowledgedThrough;
        var tail = await _log.ReadAsync(follower.Position, CancellationToken.None);

        Assert.True(tail.Head.LastSequence >= acknowledged, $"{acknowledged} was acknowledged, but the head is {tail.Head}");
        if (!tail.IsComplete)
        {
            LeftBehind++;
            Assert.True(tail.FirstSequence > follower.Position + 1, $"{follower} is behind {tail.Head}");
            var manifest = Assert.Single(tail.Companions);
            follower = new Follower(manifest.Whole("Covered")!.Value, manifest.Whole("State")!.Value, null);
            Assert.True(follower.Position >= tail.FirstSequence - 1, $"{follower} does not cover what is missing before {tail.FirstSequence}");
        }

        foreach (var record in tail.Records.Where(record => record.Sequence > follower.Position))
        {
            var text = ToText(record.Data);
            See(record.Sequence, text);
            Assert.True(text.EndsWith(Attempt.Suffix(follower.State), StringComparison.Ordinal), $"{text} does not follow from {follower}");
            follower = follower.Apply(text);
            Assert.Equal(record.Sequence, follower.Position);
        }

        // The companion may know more than the head.
        follower = follower with { Head = follower.Position == tail.Head.LastSequence ? tail.Head : null };
        Assert.True(!_history.TryGetValue(follower.Position, out var last) || Attempt.IsLast(last), $"{last} is not the end of its append");
        Remember(instance, follower);
        return follower;
    }

    private void See(long sequence, string text)
    {
        var known = _history.GetValueOrDefault(sequence, text);
        Assert.True(known == text, $"{sequence} was {known} and is {text}");
        _history[sequence] = text;
    }

    // Requests that an instance serves at once may come to know in any order.
    private void Remember(SimulatedInstance instance, Follower follower)
    {
        if (follower.Position >= _followers.GetValueOrDefault(instance, Follower.New).Position)
        {
            _followers[instance] = follower;
        }
    }

    private async Task CoverAsync(SimulatedInstance instance)
    {
        var (tables, key) = (_cluster.Storage.Main.Tables, _log.CompanionKey("manifest"));
        var follower = await FollowAsync(instance);
        var manifest = await tables.GetAsync(Table, Tenant, key, null, CancellationToken.None);
        if (follower.Position > (manifest?.Whole("Covered") ?? 0))
        {
            var row = new TableRow(Tenant, key).Set("Covered", follower.Position).Set("State", follower.State);
            await tables.WriteAsync(
                Table, [manifest is null ? TableAction.Insert(row) : TableAction.Replace(row, manifest.ETag!)], CancellationToken.None);
        }
    }

    private async Task TruncateAsync(SimulatedInstance instance)
    {
        var manifest = await _cluster.Storage.Main.Tables.GetAsync(Table, Tenant, _log.CompanionKey("manifest"), null, CancellationToken.None);
        if (manifest?.Whole("Covered") is { } covered)
        {
            var through = _random.Next(3) == 0 ? _random.NextInt64(covered) : covered;
            Removed += await _log.TruncateAsync(through, TimeOf(instance) - Log.Grace, CancellationToken.None);
        }
    }

    private Task WaitAsync(SimulatedInstance instance)
    {
        _underWay.RemoveAll(append => append.Instance.Crashed.IsCompleted);
        var now = _cluster.Time.GetUtcNow();
        var longest = _underWay.Count == 0 ? Log.Grace * 1.5 : _appendTimeMax - (now - _underWay.Min(append => append.StartedAt));
        _cluster.Time.Advance(longest * _random.NextDouble());
        return Task.CompletedTask;
    }

    private async Task VerifyAsync()
    {
        var rows = await _cluster.RowsAsync(Table, Tenant);
        var head = rows.Find(row => row.Key == "log:~")?.Whole("Last") ?? 0;
        var next = (long?)null;
        foreach (var row in rows.Where(row => row.Key.StartsWith("log:0", StringComparison.Ordinal)))
        {
            Assert.True(next is null || row.Whole("First") == next, $"there is a gap before {row.Key}");
            next = long.Parse(row.Key.AsSpan("log:".Length), CultureInfo.InvariantCulture) + 1;
        }

        Assert.True(next is null || next == head + 1, $"the rows end before {next}, the head is {head}");
        Assert.Equal(head, _history.Count);
        Assert.Equal(Enumerable.Range(1, (int)head), _history.Keys.Order().Select(sequence => (int)sequence));

        var parts = _history.ToLookup(entry => Attempt.NumberOf(entry.Value), entry => entry.Key);
        var claims = rows.Select(row => row.Key).ToHashSet();
        foreach (var attempt in _attempts)
        {
            var there = parts[attempt.Number].Order().ToList();
            Assert.True(there.Count == 0 || there.SequenceEqual(attempt.Sequences), $"{attempt} is at {string.Join(", ", there)}");
            Assert.True(attempt.IsAppended is null || attempt.IsAppended == there.Count > 0, $"{attempt} is {(there.Count > 0 ? "" : "not ")}there");
            Assert.True(claims.Contains(attempt.ClaimKey) == (attempt.HasClaim && there.Count > 0), $"{attempt} and what went along are not together");
        }
    }

    // In the end all can be covered and removed, and the log goes on.
    private async Task EndAsync(SimulatedInstance instance)
    {
        await CoverAsync(instance);
        _cluster.Time.Advance(Log.Grace + (3 * _skewMax));
        await _log.TruncateAsync(long.MaxValue, TimeOf(instance) - Log.Grace, CancellationToken.None);
        var tail = await _log.ReadAsync(0, CancellationToken.None);
        Assert.Empty(tail.Records);
        Assert.Equal(_history.Count, tail.Head.LastSequence);
        await AppendAsync(instance);
        await FollowAsync(instance);
        await VerifyAsync();
    }

    private static ReadOnlyMemory<byte> ToBytes(string text, int padding)
    {
        var bytes = new byte[text.Length + padding];
        Encoding.ASCII.GetBytes(text, bytes);
        return bytes;
    }

    private static string ToText(ReadOnlyMemory<byte> data) => Encoding.ASCII.GetString(data.Span.TrimEnd((byte)0));

    /// <summary>What someone has made of the log so far.</summary>
    /// <param name="Position">How far.</param>
    /// <param name="State">Differs with all that stands so far.</param>
    /// <param name="Head">The head there; null when it is not known.</param>
    private sealed record Follower(long Position, long State, LogHead? Head)
    {
        public static Follower New { get; } = new(0, 0, null);

        public Follower Apply(string text) => new(Position + 1, text.Aggregate(State, (state, letter) => unchecked((state * 1_099_511_628_211) + letter)), null);
    }

    /// <summary>One append.</summary>
    /// <param name="Number">Tells it from all others.</param>
    /// <param name="Count">How many records it has.</param>
    /// <param name="After">The sequence before its first.</param>
    /// <param name="HasClaim">Whether a row is inserted along. Such a row too proves, should the answer be lost, that it was applied.</param>
    private sealed record Attempt(int Number, int Count, long After, bool HasClaim)
    {
        /// <summary>How it ended; null when nobody knows.</summary>
        public bool? IsAppended { get; set; }

        public string ClaimKey => $"claim:{Number}";

        public IEnumerable<long> Sequences => Enumerable.Range(1, Count).Select(index => After + index);

        public static string Suffix(long state) => $" after {state}";

        public static int NumberOf(string text) => int.Parse(text.AsSpan(0, text.IndexOf(' ', StringComparison.Ordinal)), CultureInfo.InvariantCulture);

        public static bool IsLast(string text) => text.Contains("last", StringComparison.Ordinal);

        public override string ToString() => $"append {Number}, of {Count} after {After},";

        public string Text(int part, long state) => $"{Number} {(part == Count - 1 ? "last" : part)}{Suffix(state)}";
    }
}
