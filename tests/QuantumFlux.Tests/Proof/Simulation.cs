using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Api;
using QuantumFlux.Entanglements;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Proof;

/// <summary>How the objects of a simulation hang together at its start.</summary>
public enum Shape
{
    /// <summary>A handful of objects, none entangled.</summary>
    Few,

    /// <summary>One object with more partners than a transaction moves.</summary>
    Hub,

    /// <summary>A row of objects, each entangled with the next.</summary>
    Chain,

    /// <summary>Two objects with many partners each.</summary>
    TwoHubs,
}

/// <summary>
/// Several instances of the application over one storage in memory. Clients write, entangle, dissolve and delete through them at random, while
/// requests and answers get lost, storage gives up, instances end in the middle of what they do, and their clocks disagree. Then all is
/// quiet, maintenance runs, and everything that was promised must hold.
/// </summary>
public sealed class Simulation
{
    private const string Tenant = "acc_simulation-live";

    private readonly Random _random;
    private readonly SimulationContext _context;
    private readonly SimulatedCluster _cluster;
    private readonly Shape _shape;
    private readonly int _entanglementsMax;
    private readonly List<string> _ids = [];
    private readonly List<Write> _writes = [];
    private readonly List<Bond> _bonds = [];
    private readonly List<Removal> _removals = [];
    private readonly bool _hasExpiries;
    private int _made;

    public Simulation(int seed, Shape shape)
    {
        _random = new Random(seed);
        _shape = shape;
        _entanglementsMax = shape == Shape.Few && seed % 2 == 0 ? 3 : 847;
        _context = new SimulationContext(_random);
        _hasExpiries = _random.Next(2) == 0;
        _cluster = new SimulatedCluster(_random, _random.Next(3) * 0.01, _random.Next(4) * (shape == Shape.Few ? 0.003 : 0.0005));
        _cluster.Limits.EntanglementsMax = _entanglementsMax;
    }

    /// <summary>How many writes were acknowledged.</summary>
    public int Acknowledged => _writes.Count(write => write.Version is not null);

    private int Now => _cluster.Now;

    public void Run(int clients, int operations) => _context.Run(async () =>
    {
        await BuildAsync();
        _cluster.IsTroubled = true;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => _cluster.ClientAsync(operations, ActAsync)));
        _cluster.IsTroubled = false;
        await HealAsync();
        await VerifyAsync();
    });

    private async Task BuildAsync()
    {
        _cluster.Start(3);
        switch (_shape)
        {
            case Shape.Few:
                AddIds("o", 6);
                await WriteOftenAsync(_ids[0], _random.Next(2) * 130);
                break;
            case Shape.Hub:
                AddIds("hub", 1);
                AddIds("leaf", 60);
                await LinkAllAsync(Enumerable.Range(1, 60).Select(leaf => (0, leaf)));
                AddIds("free", 3);
                break;
            case Shape.Chain:
                AddIds("ring", 70);
                await LinkAllAsync(Enumerable.Range(1, 69).Select(next => (next - 1, next)));
                AddIds("free", 2);
                break;
            default:
                AddIds("hub", 2);
                AddIds("leaf", 80);
                await LinkAllAsync(Enumerable.Range(2, 80).Select(leaf => (leaf % 2, leaf)));
                break;
        }

        // More versions than one transaction removes.
        async Task WriteOftenAsync(string id, int times)
        {
            for (var time = 0; time < times; time++)
            {
                await SimulatedCluster.ServeAsync(_cluster[0], instance => WriteAsync(instance, id, isLarge: false));
            }
        }

        void AddIds(string prefix, int count) => _ids.AddRange(Enumerable.Range(0, count).Select(index => $"{prefix}{index:D2}"));

        async Task LinkAllAsync(IEnumerable<(int Source, int Target)> links)
        {
            foreach (var (source, target) in links)
            {
                await SimulatedCluster.ServeAsync(_cluster[0], instance => EntangleAsync(instance, _ids[source], _ids[target], true, false));
            }
        }
    }

    private Task ActAsync(SimulatedInstance instance) => _random.Next(100) switch
    {
        < 45 => WriteAsync(instance, Pick(), isLarge: false),
        < 50 => WriteAsync(instance, Pick(), isLarge: true),
        < 68 => EntangleAsync(instance, Pick(), Pick(), _random.Next(4) > 0, _hasExpiries && _random.Next(5) == 0),
        < 83 => DissolveAsync(instance, _random.Next(3) > 0),
        < 93 => DeleteAsync(instance, Pick()),
        _ => instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None),
    };

    private string Pick() => _ids[_random.Next(4) == 0 ? 0 : _random.Next(_ids.Count)];

    private async Task WriteAsync(SimulatedInstance instance, string id, bool isLarge)
    {
        var bytes = Encoding.UTF8.GetBytes($"{id} {++_made}");
        var write = new Write(id, Convert.ToHexStringLower(SHA256.HashData(bytes)), Now);
        _writes.Add(write);
        var content = new NewContent("text/plain", bytes, null, []);
        if (isLarge)
        {
            var now = instance.Time.GetUtcNow();
            var graph = await ObjectGraph.LoadAsync(id, null, now, ids => instance.Get<ObjectStore>().FindForWriteAsync(Tenant, ids, CancellationToken.None));
            graph.RefuseConflicts(now);
            var (uploaded, missing) = await instance.Get<ContentStore>().UploadAsync(Tenant, bytes, Stream.Null, graph.DimensionsNeeded(now), CancellationToken.None);
            content = new NewContent("text/plain", default, uploaded, missing);
        }

        var changed = await instance.Get<ObjectWriter>().ChangeAsync(Tenant, new Change(id, _ => { }, content), CancellationToken.None);
        write.Version = changed.Version.Version;
        write.SyncedTo = changed.SyncedTo;
        write.EndedAt = Now;
    }

    private async Task EntangleAsync(SimulatedInstance instance, string source, string target, bool isBidirectional, bool isTemporal)
    {
        if (source == target)
        {
            return;
        }

        var now = instance.Time.GetUtcNow();
        var pathway = _random.Next(3) == 0 ? [1, 2, 7] : Dimensions.DefaultPathway;
        var made = new CreateEntanglement(source, target, 1, pathway, isTemporal, isBidirectional, true, _made % 2 == 0).ToPair($"ent_{++_made:x32}", $"key_{_made % 2}", now);
        var pair = made with
        {
            KeyId = _shape == Shape.TwoHubs ? null : made.KeyId,
            ExpiresAt = isTemporal ? now + TimeSpan.FromMilliseconds(_random.Next(1, 60)) : null,
        };
        var bond = new Bond(pair, Now);
        _bonds.Add(bond);
        var changed = await instance.Get<ObjectWriter>().ChangeAsync(Tenant, new Change(source, Check, Added: pair), CancellationToken.None);
        bond.Version = changed.Version.Version;
        bond.EndedAt = Now;

        void Check(ObjectGraph graph)
        {
            if (graph.Head(source).Links.Any(link =>
                link.OtherId == target && !link.IsExpired(instance.Time.GetUtcNow()) && (isBidirectional || link.Direction != LinkDirection.In)))
            {
                throw ApiException.AlreadyEntangled(pair.Id);
            }
        }
    }

    private async Task DissolveAsync(SimulatedInstance instance, bool isGraceful)
    {
        if (_bonds.Count == 0)
        {
            return;
        }

        var bond = _bonds[_random.Next(_bonds.Count)];
        bond.DissolveStartedAt = Math.Min(bond.DissolveStartedAt, Now);
        var objects = instance.Get<ObjectStore>();
        if (isGraceful)
        {
            foreach (var write in await objects.ListUnderWayAsync(Tenant, CancellationToken.None))
            {
                await instance.Get<ObjectWriter>().FinishAsync(Tenant, write, CancellationToken.None);
            }
        }

        var now = instance.Time.GetUtcNow();
        var ended = await instance.Get<ObjectWriter>().UnlinkAsync(
            Tenant,
            bond.Pair.Id,
            (pair, _, _) => Task.FromResult<(Pair, IReadOnlyList<TableAction>)?>(
                (pair with { Status = PairStatus.Dissolved, Dissolution = new Dissolution(now, null) }, [])),
            CancellationToken.None);
        bond.DissolvedAt = ended is null ? bond.DissolvedAt : Now;
    }

    private async Task DeleteAsync(SimulatedInstance instance, string id)
    {
        var removal = new Removal(id, Now);
        _removals.Add(removal);
        try
        {
            await instance.Get<ObjectStore>().DeleteAsync(
                Tenant, id, _ => { }, () => Task.FromResult<IReadOnlyList<TableAction>>([]), CancellationToken.None);
            removal.EndedAt = Now;
        }
        catch (ApiException)
        {
            _removals.Remove(removal);
            throw;
        }
    }

    // Every request has ended or its instance has. What is left to do is on record, and one sound instance does it.
    private async Task HealAsync()
    {
        _cluster.Start(0);
        for (var run = 0; run < 3; run++)
        {
            _cluster.Time.Advance(TimeSpan.FromMinutes(11));
            await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
            {
                await instance.Get<Decoherence>().RunAsync(CancellationToken.None);
                await instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None);
            });
        }

        _cluster.Time.Advance(CleanUpStore.Grace + CleanUpStore.Leeway);
        await SimulatedCluster.ServeAsync(_cluster.Open(), instance => instance.Get<CleanUp>().RunAsync(CancellationToken.None));
    }

    private async Task VerifyAsync()
    {
        var sound = _cluster.Open();
        var now = _cluster.Time.GetUtcNow() + TimeSpan.FromMinutes(1);
        var rows = await _cluster.RowsAsync(ObjectRows.Table, Tenant);
        var heads = rows.Where(row => row.Key.StartsWith("h:", StringComparison.Ordinal)).Select(ObjectRows.ParseHead).ToDictionary(head => head.Id);
        var history = heads.Keys.ToDictionary(id => id, id => rows
            .Where(row => row.Key.StartsWith(ObjectRows.VersionsFrom(id), StringComparison.Ordinal))
            .Select(row => ObjectRows.ParseVersion(row, id))
            .ToDictionary(version => version.Version));
        var (pairs, underWay) = await sound.Get<ObjectStore>().ListPairsAsync(Tenant, CancellationToken.None);

        Assert.True(underWay.Count == 0, $"{underWay.Count} writes are still under way");
        Assert.DoesNotContain(rows, row => row.Key.StartsWith(Repair.From, StringComparison.Ordinal));
        Assert.Empty(await _cluster.RowsAsync("work", "objects"));
        Assert.All(rows.Where(row => row.Key.StartsWith("v:", StringComparison.Ordinal)), row => Assert.True(history.ContainsKey(row.Key.Split(':')[1]), $"{row.Key} belongs to no object"));

        VerifyLinks(heads, pairs, now);
        VerifyPairs(heads, pairs, now);
        VerifyCrystals(heads);
        VerifyCounts(rows, pairs);
        VerifyHistory(heads, history);
        VerifyOrder(history);
        foreach (var version in history.Values.SelectMany(versions => versions.Values))
        {
            await VerifyContentAsync(sound, version);
        }
    }

    private static void VerifyLinks(Dictionary<string, ObjectHead> heads, IReadOnlyList<Pair> pairs, DateTimeOffset now)
    {
        var byId = pairs.ToDictionary(pair => pair.Id);
        foreach (var head in heads.Values)
        {
            foreach (var link in head.Links.Where(link => !link.IsExpired(now)))
            {
                Assert.True(byId.TryGetValue(link.PairId, out var pair), $"{head.Id} is linked by {link.PairId}, which does not exist");
                var expected = pair.LinkOf(head.Id);
                Assert.True(
                    (link.OtherId, link.Direction, link.IsCoupled) == (expected.OtherId, expected.Direction, expected.IsCoupled)
                        && (head.Id == pair.SourceId || head.Id == pair.TargetId),
                    $"{head.Id} is linked by {link} although the pair is {pair}");
            }
        }
    }

    private static void VerifyPairs(Dictionary<string, ObjectHead> heads, IReadOnlyList<Pair> pairs, DateTimeOffset now)
    {
        var active = pairs.Where(pair => pair.StatusAt(now) == PairStatus.Active).ToList();
        foreach (var pair in active)
        {
            var (source, target) = (heads.GetValueOrDefault(pair.SourceId), heads.GetValueOrDefault(pair.TargetId));
            Assert.True(source is not null && target is not null, $"{pair} lacks an object");
            Assert.True(source.Links.Any(link => link.PairId == pair.Id), $"{source.Id} does not know {pair}");
            Assert.True(target.Links.Any(link => link.PairId == pair.Id), $"{target.Id} does not know {pair}");
            Assert.True(
                (source.Current.Version, source.Current.Content.Sha256) == (target.Current.Version, target.Current.Content.Sha256),
                $"{source.Current} and {target.Current} are apart although {pair.Id} is active");
        }

        var twice = active.GroupBy(pair => string.Join('+', new[] { pair.SourceId, pair.TargetId }.Order())).FirstOrDefault(group => group.Count() > 1);
        Assert.True(twice is null || twice.All(pair => !pair.IsBidirectional), $"{twice?.Key} are entangled twice");
    }

    // What is cached is the current content, and only while an entanglement wants it.
    private static void VerifyCrystals(Dictionary<string, ObjectHead> heads)
    {
        foreach (var head in heads.Values.Where(head => !head.Crystal.IsEmpty))
        {
            Assert.True(head.Links.Any(link => link.IsCoupled && link.IsCrystalCached), $"{head.Id} keeps its content cached for nobody");
            Assert.True(
                Convert.ToHexStringLower(SHA256.HashData(head.Crystal.Span)) == head.Current.Content.Sha256,
                $"{head.Id} has other content cached than {head.Current}");
        }
    }

    private void VerifyCounts(IReadOnlyList<TableRow> rows, IReadOnlyList<Pair> pairs)
    {
        foreach (var count in rows.Where(ObjectRows.IsPairCount).Select(ObjectRows.ParsePairCount))
        {
            var held = pairs.Count(count.Holds);
            Assert.True(count.Count == held, $"{count} although there are {held}");
            Assert.True(held <= _entanglementsMax, $"{count} is more than {_entanglementsMax}");
        }
    }

    private void VerifyHistory(Dictionary<string, ObjectHead> heads, Dictionary<string, Dictionary<long, ObjectVersion>> history)
    {
        foreach (var (id, head) in heads)
        {
            var newest = history[id].Values.MaxBy(version => version.Version);
            Assert.True(
                newest is not null && newest.Version == head.Current.Version && newest.Content.Sha256 == head.Current.Content.Sha256,
                $"{id} is {head.Current}, but its newest version is {newest}");
            Assert.All(history[id].Keys, version => Assert.True(version >= head.FirstVersion, $"{id} has version {version} from before its first, {head.FirstVersion}"));
        }

        foreach (var write in _writes.Where(write => write.Version is not null))
        {
            foreach (var id in write.SyncedTo.Prepend(write.ObjectId))
            {
                if (!_removals.Any(removal => removal.ObjectId == id && removal.EndedAt > write.StartedAt))
                {
                    Assert.True(
                        history.GetValueOrDefault(id)?.GetValueOrDefault(write.Version!.Value)?.Content.Sha256 == write.Sha256,
                        $"the acknowledged {write} is not in the history of {id}");
                }
            }
        }
    }

    // What came later in time has the higher number, and an entanglement never brings back content from before a write that its source has had.
    private void VerifyOrder(Dictionary<string, Dictionary<long, ObjectVersion>> history)
    {
        var known = _writes.Where(write => write.Version is not null).OrderByDescending(write => write.Version).ToList();
        foreach (var later in known)
        {
            Assert.DoesNotContain(known, earlier =>
                earlier.ObjectId == later.ObjectId && earlier.EndedAt < later.StartedAt && earlier.Version >= later.Version
                && !_removals.Any(removal => removal.ObjectId == later.ObjectId && removal.EndedAt > earlier.StartedAt));
        }

        // Where an entanglement expires, clocks that disagree may still carry what others no longer do.
        foreach (var bond in _bonds.Where(bond => bond.Version is not null && !_hasExpiries))
        {
            var (bound, since) = BoundTo(bond.Pair.SourceId, bond.StartedAt, bond.EndedAt);
            var newest = known.FirstOrDefault(write => bound.Contains(write.ObjectId) && write.Version >= since && write.EndedAt < bond.StartedAt);
            if (newest is not null
                && history.GetValueOrDefault(bond.Pair.SourceId)?.GetValueOrDefault(bond.Version!.Value) is { } brought
                && !_removals.Any(removal => removal.ObjectId == newest.ObjectId && removal.EndedAt > newest.StartedAt))
            {
                // Others may join while it is being made. A newer write among them, still on its way to the source, is then what it brings.
                var together = Reached(bond.Pair.SourceId, other => other != bond && other.StartedAt < bond.EndedAt && other.DissolvedAt > bond.StartedAt);
                Assert.True(
                    together.Where(history.ContainsKey).SelectMany(id => history[id].Values).Any(version =>
                        version.Version >= newest.Version && version.Version < bond.Version && version.Content.Sha256 == brought.Content.Sha256),
                    $"{bond.Pair.Id} of {bond.Pair.SourceId} and {bond.Pair.TargetId} brought back {brought}, which is older than {newest}");
            }
        }
    }

    // The objects in lock-step with one all the time between two moments, and the version since which they are.
    private (HashSet<string> Ids, long Since) BoundTo(string objectId, int start, int end)
    {
        var reached = Reached(objectId, IsBound);
        return (reached, _bonds.Where(bond => IsBound(bond) && reached.Contains(bond.Pair.SourceId)).Max(bond => bond.Version) ?? 0);

        bool IsBound(Bond bond) =>
            bond.Pair is { IsBidirectional: true, ExpiresAt: null }
            && bond.Version is not null && bond.EndedAt < start && bond.DissolveStartedAt > end;
    }

    // An object and all that the entanglements in question carry its writes to.
    private HashSet<string> Reached(string objectId, Func<Bond, bool> holds)
    {
        var reached = new HashSet<string> { objectId };
        var open = new Queue<string>(reached);
        while (open.TryDequeue(out var id))
        {
            foreach (var bond in _bonds.Where(bond =>
                (bond.Pair.SourceId == id || (bond.Pair.TargetId == id && bond.Pair.IsBidirectional)) && holds(bond)))
            {
                var other = bond.Pair.SourceId == id ? bond.Pair.TargetId : bond.Pair.SourceId;
                if (reached.Add(other))
                {
                    open.Enqueue(other);
                }
            }
        }

        return reached;
    }

    private async Task VerifyContentAsync(SimulatedInstance sound, ObjectVersion version)
    {
        using var read = new MemoryStream();
        await sound.Get<ContentStore>().CopyAsync(Tenant, version.Content, 0, version.Content.SizeBytes, read, CancellationToken.None);
        Assert.True(
            Convert.ToHexStringLower(SHA256.HashData(read.ToArray())) == version.Content.Sha256,
            $"{version} does not read back");
        foreach (var dimension in version.Content.Dimensions)
        {
            var account = _cluster.Storage.ForDimension(dimension);
            var isThere = version.Content.Blob is { } blob
                ? await account.Blobs.GetPropertiesAsync(Dimensions.Container(dimension), blob, CancellationToken.None) is not null
                : await account.Tables.GetAsync(ObjectRows.Table, Tenant, ObjectRows.ContentKey(version.Content.Sha256, dimension), null, CancellationToken.None) is not null;
            Assert.True(isThere, $"dimension {dimension} does not hold {version}");
        }
    }

    private sealed record Write(string ObjectId, string Sha256, int StartedAt)
    {
        public long? Version { get; set; }

        public IReadOnlyList<string> SyncedTo { get; set; } = [];

        public int EndedAt { get; set; } = int.MaxValue;
    }

    private sealed record Bond(Pair Pair, int StartedAt)
    {
        public long? Version { get; set; }

        public int EndedAt { get; set; } = int.MaxValue;

        public int DissolveStartedAt { get; set; } = int.MaxValue;

        public int DissolvedAt { get; set; } = int.MaxValue;
    }

    private sealed record Removal(string ObjectId, int StartedAt)
    {
        public int EndedAt { get; set; } = int.MaxValue;
    }
}
