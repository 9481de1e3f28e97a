using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Entanglements;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Proof;

/// <summary>
/// Clients write, delete, entangle, anchor, dissolve and upload a few contents again and again, while the clean-up and the other timers run beside them,
/// and everything fails that can. The clock jumps by hours and weeks between rounds, so that what was left behind falls due while it is being used
/// again. After each round all that can be reached must be there; at last all that cannot must be gone.
/// </summary>
public sealed class CleanUpSimulation
{
    private const string Tenant = "acc_simulation-live";
    private const int Rounds = 4;
    private const int Clients = 5;
    private const int OperationsMax = 12;

    // More than the clocks of two instances differ.
    private static readonly TimeSpan _skewMax = TimeSpan.FromSeconds(5);

    private static readonly string[] _ids = ["a", "b", "c", "d", "e"];
    private static readonly string[] _smallContents = ["", "one", "two", "three", "four", "five"];
    private static readonly string[] _largeContents = ["first large", "second large", "third large", "fourth large"];

    private readonly Random _random;
    private readonly SimulationContext _context;
    private readonly SimulatedCluster _cluster;
    private readonly List<(int Weight, Func<SimulatedInstance, Task> Act)> _actions;
    private readonly List<Write> _writes = [];
    private readonly List<(string ObjectId, int StartedAt, int EndedAt)> _removals = [];
    private readonly List<string> _pairIds = [];
    private readonly List<Backup> _backups = [];
    private readonly List<Anchored> _anchors = [];
    private int _made;

    public CleanUpSimulation(int seed)
    {
        _random = new Random(seed);
        _context = new SimulationContext(_random);
        _cluster = new SimulatedCluster(_random, _random.Next(3) * 0.01, _random.Next(3) * 0.003, pageRowsMax: _random.Next(1, 9));
        _actions =
        [
            (24, WriteAsync),
            (Often(18), DeleteAsync),
            (Often(14), EntangleAsync),
            (Often(12), DissolveAsync),
            (Often(8), UploadAsync),
            (Often(14), CleanUpAsync),
            (Often(5), instance => instance.Get<Decoherence>().RunAsync(CancellationToken.None)),
            (Often(5), instance => instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None)),
            (Often(18), AnchorAsync),
            (Often(8), RemoveAnchorAsync),
            (Often(6), ReadAnchorAsync),
            (Often(6), RunAnchorsAsync),
            (Often(2), WaitAsync),
        ];

        // Some worlds lack some of what can happen: what follows from its absence, such as a timer that does not run, is to come up too.
        int Often(int weight) => _random.Next(4) == 0 ? 0 : weight;
    }

    /// <summary>How many writes were acknowledged.</summary>
    public int Acknowledged => _writes.Count;

    /// <summary>How many anchors were acknowledged.</summary>
    public int Anchors => _anchors.Count;

    /// <summary>How many deletions were refused because of a lock.</summary>
    public int LockedDeletions { get; private set; }

    /// <summary>How many rows of content and blobs the storage held before the last clean-up, and after it.</summary>
    public (int Before, int After) Contents { get; private set; }

    public void Run() => _context.Run(async () =>
    {
        TimeSpan[] jumps = [TimeSpan.FromMinutes(50), TimeSpan.FromHours(23.5), TimeSpan.FromHours(25), TimeSpan.FromHours(25), TimeSpan.FromDays(31)];
        for (var round = 0; round < Rounds; round++)
        {
            _cluster.Start(3);
            _cluster.IsTroubled = true;
            var cleaning = Enumerable.Range(0, round == 0 ? 0 : _random.Next(1, 3)).Select(_ => _cluster.ClientAsync(1, CleanUpAsync));
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _cluster.ClientAsync(_random.Next(OperationsMax), ActAsync)).Concat(cleaning));
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _cluster.ClientAsync(_random.Next(4), AbandonAsync)));
            _cluster.IsTroubled = false;
            await VerifyReachableAsync();
            await VerifyAnchorsAsync();
            _cluster.Time.Advance(jumps[_random.Next(jumps.Length)]);
        }

        await HealAsync();
        await VerifyReachableAsync();
        await VerifyAnchorsAsync();
        await VerifyCopiesAsync();
        await VerifyNothingElseAsync();
        await EndAnchorsAsync();
    });

    private Task ActAsync(SimulatedInstance instance)
    {
        var choice = _random.Next(_actions.Sum(action => action.Weight));
        return _actions.First(action => (choice -= action.Weight) < 0).Act(instance);
    }

    private static Task CleanUpAsync(SimulatedInstance instance) => instance.Get<CleanUp>().RunAsync(CancellationToken.None);

    private static Task RunAnchorsAsync(SimulatedInstance instance) => instance.Get<AnchorMaintenance>().RunAsync(CancellationToken.None);

    // Before the clock jumps: so that much falls due then, just when it may be used again.
    private Task AbandonAsync(SimulatedInstance instance) => _random.Next(2) == 0 ? DissolveAsync(instance) : DeleteAsync(instance);

    // Requests last for minutes at most.
    private Task WaitAsync(SimulatedInstance instance)
    {
        _cluster.Time.Advance(TimeSpan.FromMinutes(_random.Next(6)));
        return Task.CompletedTask;
    }

    private string Pick(string[] from) => from[_random.Next(from.Length)];

    private async Task WriteAsync(SimulatedInstance instance)
    {
        var (id, started) = (Pick(_ids), _cluster.Now);
        var bytes = Encoding.UTF8.GetBytes(_random.Next(3) == 0 ? Pick(_largeContents) : Pick(_smallContents));
        await ChangeAsync(instance, id, started, await TakeInAsync(instance, id, bytes), null);
    }

    private static async Task<NewContent> TakeInAsync(SimulatedInstance instance, string id, byte[] bytes)
    {
        if (!_largeContents.Contains(Encoding.UTF8.GetString(bytes)))
        {
            return new NewContent("text/plain", bytes, null, []);
        }

        var now = instance.Time.GetUtcNow();
        var graph = await ObjectGraph.LoadAsync(id, null, now, ids => instance.Get<ObjectStore>().FindForWriteAsync(Tenant, ids, CancellationToken.None));
        graph.RefuseConflicts(now);
        var (uploaded, missing) = await instance.Get<ContentStore>().UploadAsync(Tenant, bytes, Stream.Null, graph.DimensionsNeeded(now), CancellationToken.None);
        return new NewContent("text/plain", default, uploaded, missing);
    }

    private async Task ChangeAsync(
        SimulatedInstance instance, string id, int started, NewContent content, Func<Changed, Task<IReadOnlyList<TableAction>>>? also)
    {
        var changed = await instance.Get<ObjectWriter>().ChangeAsync(Tenant, new Change(id, _ => { }, content, Also: also), CancellationToken.None);
        _writes.Add(new Write([id, .. changed.SyncedTo], changed.Version.Version, changed.Version.Content.Sha256, started));
    }

    private async Task DeleteAsync(SimulatedInstance instance)
    {
        var (removal, started) = ((ObjectId: Pick(_ids), StartedAt: _cluster.Now, EndedAt: int.MaxValue), _cluster.Time.GetUtcNow());
        _removals.Add(removal);
        var (locks, over) = (_anchors.Where(Locks).ToList(), _anchors.Where(anchor => !Locks(anchor) && HasEnded(anchor, started)).ToList());
        try
        {
            var isDeleted = await instance.Get<ObjectStore>().DeleteAsync(
                Tenant, removal.ObjectId, _ => { }, () => Task.FromResult<IReadOnlyList<TableAction>>([]), CancellationToken.None);
            _removals[_removals.IndexOf(removal)] = removal with { EndedAt = _cluster.Now };
            Assert.True(!locks.Any(Locks), $"{removal.ObjectId} was {(isDeleted ? "deleted" : "gone")} under the lock of {locks.Find(Locks)}");
        }
        catch (ApiException exception) when (exception.Details.GetValueOrDefault("anchor_ids") is IReadOnlyList<string> named)
        {
            LockedDeletions++;
            Assert.DoesNotContain(over, anchor => named.Contains(anchor.Made.Id));
        }

        bool Locks(Anchored anchor) => anchor.Made.DatasetId == removal.ObjectId && IsHeld(anchor);
    }

    private async Task AnchorAsync(SimulatedInstance instance)
    {
        TimeSpan?[] durations = [null, TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(40), TimeSpan.FromHours(20), TimeSpan.FromHours(26), TimeSpan.FromDays(2), TimeSpan.FromDays(40)];
        TimeSpan[] distances = [TimeSpan.Zero, TimeSpan.FromHours(-1), TimeSpan.FromHours(-25), TimeSpan.FromMinutes(3), TimeSpan.FromHours(25)];
        TimeSpan[] periods = [TimeSpan.FromMinutes(1), TimeSpan.FromHours(1), TimeSpan.FromDays(1)];
        var type = (AnchorType)_random.Next(3);
        var create = new CreateAnchor(
            Pick(_ids),
            _random.Next(6) == 0 ? new DateTimeOffset(2026, 2, 27, 0, 0, 0, TimeSpan.Zero) : instance.Time.GetUtcNow() + distances[_random.Next(distances.Length)],
            type,
            durations[_random.Next(durations.Length)],
            type == AnchorType.Periodic ? periods[_random.Next(periods.Length)] : TimeSpan.Zero,
            AllowsDrift: _random.Next(4) > 0,
            IsLocked: _random.Next(3) > 0,
            IsMultiDimensional: _random.Next(3) == 0);
        try
        {
            _anchors.Add(new Anchored(await instance.Get<AnchorStore>().CreateAsync(
                Tenant, Ids.New("anc_", instance.Time.GetUtcNow()), create, _random.Next(4) == 0, null, CancellationToken.None)));
        }
        catch (ApiException exception) when (exception.Status == 404)
        {
            // Nobody has written it.
        }
    }

    private async Task RemoveAnchorAsync(SimulatedInstance instance)
    {
        if (PickAnchor() is not { } picked)
        {
            return;
        }

        var (anchors, mayBeGone) = (instance.Get<AnchorStore>(), MayBeGone(picked));
        var anchor = await anchors.FindAsync(Tenant, picked.Made.Id, CancellationToken.None);
        Assert.True(anchor is not null || mayBeGone || MayBeGone(picked), $"{picked} is gone");
        if (anchor is not null)
        {
            picked.IsRemovalBegun = true;
            await anchors.RemoveAsync(Tenant, anchor, null, CancellationToken.None);
            picked.IsRemoved = true;
        }
    }

    private async Task ReadAnchorAsync(SimulatedInstance instance)
    {
        if (PickAnchor() is not { } picked)
        {
            return;
        }

        var pinned = await instance.Get<AnchorStore>().FindPinnedAsync(Tenant, picked.Made.DatasetId, picked.Made.Id, CancellationToken.None);
        Assert.True(pinned is not null || !IsHeld(picked), $"{picked} pins nothing");
        if (pinned is null)
        {
            return;
        }

        using var read = new MemoryStream();
        await instance.Get<ContentStore>().CopyAsync(Tenant, pinned.Content, 0, pinned.Content.SizeBytes, read, CancellationToken.None);
        Assert.True(Convert.ToHexStringLower(SHA256.HashData(read.ToArray())) == pinned.Content.Sha256, $"{picked} reads what it does not pin");
    }

    private Anchored? PickAnchor() => _anchors.Count == 0 ? null : _anchors[^_random.Next(1, Math.Min(8, _anchors.Count) + 1)];

    // Whether it keeps its object, whichever instance one asks.
    private bool IsHeld(Anchored anchor) =>
        anchor.Made.IsLocked && !anchor.IsRemovalBegun && !anchor.Made.IsExpired(_cluster.Time.GetUtcNow() + _skewMax);

    // Whether it keeps nothing, whichever instance one asks.
    private static bool HasEnded(Anchored anchor, DateTimeOffset now) =>
        !anchor.Made.IsLocked || anchor.IsRemoved || anchor.Made.IsExpired(now - _skewMax);

    private bool MayBeGone(Anchored anchor) => anchor.IsRemovalBegun || anchor.Made.ForgottenAt <= _cluster.Time.GetUtcNow() + _skewMax;

    private async Task EntangleAsync(SimulatedInstance instance)
    {
        var (source, target) = (Pick(_ids), Pick(_ids));
        if (source == target)
        {
            return;
        }

        int[][] pathways = [[1, 3, 7], [1], [7], [2, 7]];
        var now = instance.Time.GetUtcNow();
        var strength = _random.Next(5) == 0 ? 0.3 : 1;
        var create = new CreateEntanglement(
            source, target, strength, pathways[_random.Next(pathways.Length)], _random.Next(3) == 0, true, strength == 1 && _random.Next(2) == 0, false);
        var pair = create.ToPair($"ent_{++_made:x32}", $"key_{_made % 2}", now);
        _pairIds.Add(pair.Id);
        await instance.Get<ObjectWriter>().ChangeAsync(Tenant, new Change(source, Check, Added: pair), CancellationToken.None);

        void Check(ObjectGraph graph)
        {
            if (graph.Head(source).Links.Any(link => link.OtherId == target && !link.IsExpired(instance.Time.GetUtcNow())))
            {
                throw ApiException.AlreadyEntangled(pair.Id);
            }
        }
    }

    private async Task DissolveAsync(SimulatedInstance instance)
    {
        if (_pairIds.Count == 0)
        {
            return;
        }

        var id = _pairIds[^_random.Next(1, Math.Min(6, _pairIds.Count + 1))];
        var now = instance.Time.GetUtcNow();
        var backup = _random.Next(2) == 0 ? new Backup($"bak_{++_made:x32}", id, now, []) : null;
        var ended = await instance.Get<ObjectWriter>().UnlinkAsync(Tenant, id, End, CancellationToken.None);
        if (ended is not null && backup is not null)
        {
            _backups.Add(backup);
        }

        Task<(Pair Ended, IReadOnlyList<TableAction> Also)?> End(Pair pair, ObjectHead source, ObjectHead target)
        {
            backup = backup is null ? null : backup with { Versions = [source.Current, target.Current] };
            return Task.FromResult<(Pair, IReadOnlyList<TableAction>)?>((
                pair with { Status = PairStatus.Dissolved, Dissolution = new Dissolution(now, backup?.Id) }, backup is null ? [] : BackupStore.Add(Tenant, backup)));
        }
    }

    private async Task UploadAsync(SimulatedInstance instance)
    {
        var (id, started) = (Pick(_ids), _cluster.Now);
        var uploads = instance.Get<UploadStore>();
        var now = instance.Time.GetUtcNow();
        var upload = new Upload($"up_{++_made:x32}", id, now + Upload.Lifetime, null, null);
        await uploads.AddAsync(Tenant, upload, [], CancellationToken.None);
        if (_random.Next(4) == 0)
        {
            return;
        }

        var bytes = Encoding.UTF8.GetBytes(_random.Next(2) == 0 ? Pick(_largeContents) : "one");
        await _cluster.Storage.Main.Blobs.StageBlockAsync("uploads", $"{Tenant}/{upload.Id}", "0001", bytes, CancellationToken.None);
        upload = await uploads.FindAsync(Tenant, upload.Id, CancellationToken.None);
        await using var source = await uploads.OpenAsync(Tenant, upload!, null, CancellationToken.None);
        if (_random.Next(3) == 0)
        {
            return;
        }

        var content = await TakeInAsync(instance, id, bytes);
        await ChangeAsync(instance, id, started, content, async planned =>
            (await uploads.FindAsync(Tenant, upload!.Id, CancellationToken.None)) is { CommittedVersion: null } current
                ? [UploadStore.Committed(Tenant, current, planned.Version.Version)]
                : throw new UploadCommittedException(planned.Version.Version));
        await uploads.DiscardAsync(Tenant, upload!, CancellationToken.None);
    }

    // Whatever was begun is ended; the grace passes; two runs. Locks that are over keep nothing, even if nobody takes them away.
    private async Task HealAsync()
    {
        _cluster.Start(0);
        var isAnchorTimerDown = _random.Next(3) == 0;
        for (var run = 0; run < 3; run++)
        {
            _cluster.Time.Advance(TimeSpan.FromMinutes(11));
            await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
            {
                await instance.Get<Decoherence>().RunAsync(CancellationToken.None);
                await instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None);
                await (isAnchorTimerDown ? Task.CompletedTask : RunAnchorsAsync(instance));
            });
        }

        _cluster.Time.Advance(Upload.Lifetime + CleanUpStore.Grace + TimeSpan.FromHours(1));
        var before = await CountAsync();
        for (var run = 0; run < 2; run++)
        {
            await SimulatedCluster.ServeAsync(_cluster.Open(), CleanUpAsync);
            _cluster.Time.Advance(TimeSpan.FromHours(2));
        }

        Contents = (before, await CountAsync());
        await VerifyNoUselessContentAsync();
        for (var run = 0; run < 2; run++)
        {
            await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
            {
                await instance.Get<Decoherence>().RunAsync(CancellationToken.None);
                await RunAnchorsAsync(instance);
            });
            _cluster.Time.Advance(TimeSpan.FromDays(31));
        }

        // Copies of what was useless could not be repaired, and kept maintenance waiting until the clean-up took them off its list. Anchors that have
        // pinned again have copied to the account beside, and so planned a sweep.
        await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
        {
            await instance.Get<Decoherence>().RunAsync(CancellationToken.None);
            await RunAnchorsAsync(instance);
            await instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None);
            _cluster.Time.Advance(CleanUpStore.Grace + TimeSpan.FromHours(2.5));
            await CleanUpAsync(instance);
            await instance.Get<ObjectMaintenance>().RunAsync(CancellationToken.None);
        });

        async Task<int> CountAsync() =>
            (await ContentRowsAsync()).Count + (await BlobsAsync()).Count;
    }

    // Every row that points to content (whatever it is of) reads back, and what was acknowledged is among them.
    private async Task VerifyReachableAsync()
    {
        var sound = _cluster.Open();
        var rows = await _cluster.RowsAsync(ObjectRows.Table, Tenant);
        foreach (var row in rows.Where(PointsToContent).Where(row => row.Text("Type") is not null).DistinctBy(row => (row.Text("Sha256"), row.Text("Blob"), row.Text("Dimensions"))))
        {
            await VerifyReadsAsync(sound, ObjectRows.ParseVersion(row, row.Key));
        }

        var heads = rows.Where(row => row.Key.StartsWith("h:", StringComparison.Ordinal)).Select(ObjectRows.ParseHead).ToDictionary(head => head.Id);
        foreach (var write in _writes)
        {
            foreach (var id in write.ObjectIds.Where(id => !_removals.Any(removal => removal.ObjectId == id && removal.EndedAt > write.StartedAt)))
            {
                var found = await sound.Get<ObjectStore>().FindVersionAsync(Tenant, id, write.Version, CancellationToken.None);
                Assert.True(found?.Content.Sha256 == write.Sha256, $"the acknowledged {write} of {id} is {found}");
            }
        }

        foreach (var backup in _backups)
        {
            var found = await sound.Get<BackupStore>().FindAsync(Tenant, backup.Id, CancellationToken.None);
            Assert.Equal(
                backup.Versions.Select(version => (version.ObjectId, version.Version, version.Content.Sha256)),
                found!.Versions.Select(version => (version.ObjectId, version.Version, version.Content.Sha256)));
        }

        foreach (var head in heads.Values)
        {
            Assert.True(
                (await sound.Get<ObjectStore>().FindVersionAsync(Tenant, head.Id, head.Current.Version, CancellationToken.None))?.Content.Sha256 == head.Current.Content.Sha256,
                $"{head} is not in its history");
        }
    }

    private static async Task VerifyReadsAsync(SimulatedInstance sound, ObjectVersion version)
    {
        using var read = new MemoryStream();
        try
        {
            await sound.Get<ContentStore>().CopyAsync(Tenant, version.Content, 0, version.Content.SizeBytes, read, CancellationToken.None);
        }
        catch (ApiException)
        {
            Assert.Fail($"{version} in dimensions {string.Join(',', version.Content.Dimensions)} cannot be read");
        }

        Assert.True(Convert.ToHexStringLower(SHA256.HashData(read.ToArray())) == version.Content.Sha256, $"{version} does not read back");
    }

    // What an anchor pins is the version that was current at its moment, by the versions as they lie there; a removed anchor is no more.
    private async Task VerifyAnchorsAsync()
    {
        var sound = _cluster.Open();
        var (now, rows) = (sound.Time.GetUtcNow(), await _cluster.RowsAsync(ObjectRows.Table, Tenant));
        foreach (var anchored in _anchors)
        {
            var made = anchored.Made;
            var found = await sound.Get<AnchorStore>().FindAsync(Tenant, made.Id, CancellationToken.None);
            Assert.True(found is null ? MayBeGone(anchored) : !anchored.IsRemoved, $"{anchored} is {found}");
            var pinned = await sound.Get<AnchorStore>().FindPinnedAsync(Tenant, made.DatasetId, made.Id, CancellationToken.None);
            if (pinned is null)
            {
                Assert.True(!IsHeld(anchored), $"{anchored} pins nothing");
                continue;
            }

            Assert.True(!anchored.IsRemoved && !made.IsExpired(now), $"{anchored} still pins {pinned}");
            await VerifyReadsAsync(sound, pinned);
            var versions = rows.Where(row => row.Key.StartsWith(ObjectRows.VersionsFrom(made.DatasetId), StringComparison.Ordinal))
                .Where(row => ObjectRows.IsVersionOf(row, made.FirstVersion)).Select(row => ObjectRows.ParseVersion(row, made.DatasetId)).ToList();
            var expected = versions.Where(version => version.WrittenAt <= made.MomentAt(now)).MaxBy(version => version.Version) ?? versions.MinBy(version => version.Version);
            var isLate = made.Type == AnchorType.Periodic || made.AnchorTime > made.CreatedAt - _skewMax;
            expected = made.Type != AnchorType.Sliding && isLate ? versions.Find(version => version.Version == found!.Version) : expected;
            Assert.True(
                pinned.Version == expected?.Version && pinned.Content.Sha256 == expected.Content.Sha256, $"{anchored} pins {pinned} where {expected} was current");
        }
    }

    // Every copy is there that an anchor was to make, and each one can be read by itself.
    private async Task VerifyCopiesAsync()
    {
        var sound = _cluster.Open();
        foreach (var anchored in _anchors.Where(anchored => anchored.Made.IsMultiDimensional && IsHeld(anchored)))
        {
            var made = anchored.Made;
            var pinned = await sound.Get<AnchorStore>().FindPinnedAsync(Tenant, made.DatasetId, made.Id, CancellationToken.None);
            Assert.True(pinned!.Content.IsEmpty || pinned.Content.Dimensions.Count == StorageAccounts.DimensionMax, $"{anchored} has {pinned}");
            foreach (var dimension in pinned.Content.Dimensions)
            {
                await VerifyReadsAsync(sound, pinned with { Content = pinned.Content with { Dimensions = [dimension] } });
            }
        }
    }

    // What ends by itself is over and forgotten; what does not is removed; then nothing locks anything, and no row of any anchor is left.
    private async Task EndAnchorsAsync()
    {
        for (var run = 0; run < 3; run++)
        {
            _cluster.Time.Advance(TimeSpan.FromDays(41));
            await SimulatedCluster.ServeAsync(_cluster.Open(), RunAnchorsAsync);
        }

        var sound = _cluster.Open();
        foreach (var row in (await AnchorRowsAsync()).Where(row => row.Key.StartsWith(AnchorRows.From, StringComparison.Ordinal)))
        {
            var anchor = AnchorRows.Parse(row);
            Assert.True(anchor.ExpiresAt is null, $"{anchor} should have been forgotten");
            await SimulatedCluster.ServeAsync(sound, instance => instance.Get<AnchorStore>().RemoveAsync(Tenant, anchor, null, CancellationToken.None));
        }

        Assert.Empty((await AnchorRowsAsync()).Select(row => row.Key));
        _cluster.Time.Advance(TimeSpan.FromHours(26));
        await SimulatedCluster.ServeAsync(_cluster.Open(), RunAnchorsAsync);
        Assert.Empty((await _cluster.RowsAsync("due", AnchorStore.DueKind)).Select(row => row.Key));

        async Task<IEnumerable<TableRow>> AnchorRowsAsync() =>
            (await _cluster.RowsAsync(ObjectRows.Table, Tenant)).Where(row => row.Key.Split(':')[0] is "a" or "ad" or "al");
    }

    private async Task VerifyNothingElseAsync()
    {
        var now = _cluster.Time.GetUtcNow();
        var rows = await _cluster.RowsAsync(ObjectRows.Table, Tenant);
        var anchors = rows.Where(row => row.Key.StartsWith(AnchorRows.From, StringComparison.Ordinal)).Select(AnchorRows.Parse).ToDictionary(anchor => anchor.Id);
        foreach (var row in rows.Where(row => row.Key.StartsWith(AnchorRows.DueFrom, StringComparison.Ordinal)))
        {
            Assert.True(anchors.ContainsKey(AnchorRows.ParseDue(row).AnchorId), $"{row.Key} is left of an anchor");
        }

        foreach (var row in rows.Where(row => row.Key.StartsWith("al:", StringComparison.Ordinal)))
        {
            var anchor = anchors.GetValueOrDefault(row.Text("Anchor")!);
            Assert.True(anchor is { IsLocked: true } && !anchor.IsExpired(now - TimeSpan.FromDays(2)), $"{row.Key} is the lock of {anchor}");
            var version = rows.Find(version => version.Key == ObjectRows.VersionKey(anchor.DatasetId, anchor.Version));
            Assert.True(version is not null && ObjectRows.IsVersionOf(version, anchor.FirstVersion), $"{row.Key} locks what is not there");
            Assert.True(row.Text("Sha256") == version.Text("Sha256") && row.Text("Blob") == version.Text("Blob"), $"{row.Key} locks other content than {anchor} pins");
        }

        var heads = rows.Where(row => row.Key.StartsWith("h:", StringComparison.Ordinal)).Select(row => row.Key[2..]).ToHashSet();
        foreach (var row in rows)
        {
            var parts = row.Key.Split(':');
            Assert.True(parts[0] is not ("u" or "j" or "t" or "ej"), $"{row.Key} is left");
            Assert.True(parts[0] != "v" || heads.Contains(parts[1]), $"{row.Key} is left of a deleted object");
            Assert.True(parts[0] != "e" || ObjectRows.ParsePair(row).Status == PairStatus.Active, $"{row.Key} should have been removed");
        }

        await VerifyNoUselessContentAsync();
        Assert.Empty((await _cluster.Storage.Main.Blobs.ListAsync("uploads", "", 5000, null, CancellationToken.None)).Blobs);
        Assert.Empty(await _cluster.RowsAsync("work", "objects"));
        Assert.Empty(await _cluster.RowsAsync("due", CleanUpStore.DueKind));
        Assert.Empty(await _cluster.RowsAsync("due", ObjectWriter.DueKind));
    }

    private async Task VerifyNoUselessContentAsync()
    {
        var rows = await _cluster.RowsAsync(ObjectRows.Table, Tenant);
        var pointers = rows.Where(PointsToContent).ToList();
        var used = pointers.Select(row => row.Text("Sha256")!).ToHashSet();
        var usedBlobs = pointers.Concat(rows.Where(row => row.Key.StartsWith(ObjectRows.ContentFrom, StringComparison.Ordinal)))
            .Select(row => row.Text("Blob")).ToHashSet();
        foreach (var row in await ContentRowsAsync())
        {
            Assert.True(used.Contains(ObjectRows.ContentSha256(row)), $"{row.Key} is of no use");
        }

        Assert.All(await BlobsAsync(), blob => Assert.True(usedBlobs.Contains(blob), $"the blob {blob} is of no use"));
    }

    private async Task<List<TableRow>> ContentRowsAsync()
    {
        var rows = new List<TableRow>();
        foreach (var account in _cluster.Storage.All)
        {
            rows.AddRange((await SimulatedCluster.RowsAsync(account, ObjectRows.Table, Tenant))
                .Where(row => row.Key.StartsWith(ObjectRows.ContentFrom, StringComparison.Ordinal)));
        }

        return rows;
    }

    private async Task<List<string>> BlobsAsync()
    {
        var names = new List<string>();
        for (var dimension = 1; dimension <= StorageAccounts.DimensionMax; dimension++)
        {
            var page = await _cluster.Storage.ForDimension(dimension).Blobs.ListAsync(Dimensions.Container(dimension), "", 5000, null, CancellationToken.None);
            names.AddRange(page.Blobs.Select(blob => blob.Name));
        }

        return names;
    }

    private bool PointsToContent(TableRow row) =>
        row.Text("Sha256") is not null
        && !row.Key.StartsWith(Repair.From, StringComparison.Ordinal)
        && !ObjectRows.IsLockOver(row, _cluster.Time.GetUtcNow());

    private sealed record Anchored(Anchor Made)
    {
        public bool IsRemovalBegun { get; set; }

        public bool IsRemoved { get; set; }
    }

    private sealed record Write(IReadOnlyList<string> ObjectIds, long Version, string Sha256, int StartedAt);
}
