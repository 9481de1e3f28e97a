using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>
/// Several instances write, change, delete and read one tenant's vectors and look after them, so that segments are built, merged, written anew, retired and
/// deleted and the log is truncated within few operations, while requests and answers get lost, instances end at any storage call and clocks jump. Whatever
/// anybody sees must be what the log said up to some append, and everything that was promised must hold.
/// </summary>
public sealed class VectorSimulation
{
    private const string Tenant = "acc_simulation-live";
    private const string TakenKey = "taken";
    private const int Rounds = 3;
    private const int Clients = 5;
    private const int OperationsMax = 20;
    private const int IdsMax = 12;
    private const int RestsMax = 60;

    // How long a request is on its way to storage at most, and its answer on its way back, and how far a clock is off at most: a write that is sent a few times,
    // with a clock off at either end, takes less than the log's grace.
    private static readonly TimeSpan _wayMax = TimeSpan.FromSeconds(50);
    private static readonly TimeSpan _skewMax = TimeSpan.FromMinutes(1);

    private readonly Random _random;
    private readonly SimulationContext _context;
    private readonly SimulatedCluster _cluster;
    private readonly Log _log;
    private readonly VectorHistory _history = new();
    private readonly List<(int Weight, Func<SimulatedInstance, Task> Act)> _actions;
    private readonly List<string> _ids;
    private readonly List<Write> _writes = [];
    private readonly Dictionary<SimulatedInstance, long> _seen = [];
    private readonly List<Task> _attendants = [];
    private readonly bool _hasAttendants;
    private readonly bool _isForgetful;
    private Exception? _failure;

    public VectorSimulation(int seed)
    {
        _random = new Random(seed);
        _context = new SimulationContext(_random);
        _cluster = new SimulatedCluster(_random, _random.Next(4) * 0.015, _random.Next(3) * 0.004, pageRowsMax: _random.Next(1, 12), pauseMax: _random.Next(3) * 30);
        _cluster.Time.IsPunctual = true;
        _cluster.Done = Observe;
        _log = TenantVectors.Log(_cluster.Storage.Main.Tables, Tenant);
        _ids = [.. Enumerable.Range(0, _random.Next(3, IdsMax + 1)).Select(index => $"v{index}")];
        _hasAttendants = _random.Next(3) > 0;
        _isForgetful = _random.Next(3) == 0;
        var tailRows = _random.Next(2, 12);
        _cluster.Extra.AddSingleton(new VectorThresholds
        {
            TailRows = tailRows,
            TimerTailRows = _random.Next(1, tailRows + 1),
            TailBytes = _random.Next(3) == 0 ? 2_000 : 1_000_000,
            MergedBytes = _random.Next(3) == 0 ? 3_000 : 1_000_000,
            GoneRows = _random.Next(3),
            WholeBytes = _random.Next(2) == 0 ? 0 : 1_000,
            PieceBytes = 1 << _random.Next(4, 9),
        });
        _actions =
        [
            (20, WriteAsync),
            (8, WriteTogetherAsync),
            (6, WriteWhatFitsAsync),
            (10, ChangeAsync),
            (6, ChangeTogetherAsync),
            (8, DeleteAsync),
            (2, DeleteAllAsync),
            (12, ReadAsync),
            (8, LookAsync),
            (8, RunAsync),
            (3, instance => instance.Get<VectorUpkeep>().RunDueAsync(CancellationToken.None)),
            (4, instance => instance.Get<VectorUpkeep>().AttendAsync(Vectors(instance), CancellationToken.None)),
            (4, instance => Vectors(instance).AdoptAsync(CancellationToken.None)),
            (_isForgetful ? 4 : 0, ForgetAsync),
            (12, WaitAsync),
            (2, JumpAsync),
        ];
    }

    /// <summary>How many writes were acknowledged.</summary>
    public int Acknowledged => _writes.Count(write => write.Outcome == Outcome.Acknowledged);

    /// <summary>How many writes were refused because of what was there, or was not.</summary>
    public int Refused => _writes.Count(write => write.Outcome == Outcome.Refused);

    /// <summary>How many writes of unknown outcome were there after all.</summary>
    public int Survived => _writes.Count(write => write.Outcome == Outcome.Unknown && write.AppliedAt is not null);

    /// <summary>How many states were compared.</summary>
    public int States { get; private set; }

    /// <summary>How many segments were written.</summary>
    public int Built { get; private set; }

    /// <summary>How many segments were deleted.</summary>
    public int Deleted { get; private set; }

    /// <summary>How many records were in segments in the end, and gone from the log.</summary>
    public long Truncated { get; private set; }

    public void Run() => _context.Run(async () =>
    {
        await _cluster.Storage.Main.Tables.WriteAsync(ObjectRows.Table, [TableAction.Insert(new TableRow(Tenant, TakenKey))], CancellationToken.None);
        _cluster.Start(3);
        try
        {
            for (var round = 0; round < Rounds; round++)
            {
                _cluster.IsTroubled = true;
                await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => _cluster.ClientAsync(_random.Next(OperationsMax), ActAsync)));
                _cluster.IsTroubled = false;
                await SimulatedCluster.ServeAsync(_cluster.Open(), VerifyColdAsync);
                await VerifyStorageAsync();
                while (_cluster.LongestUnderWay is not null)
                {
                    await Task.Yield();
                }

                _cluster.Time.Advance(TimeSpan.FromMinutes(_random.Next(30)));
            }

            await EndAsync();
            VerifyWrites();
        }
        finally
        {
            foreach (var instance in _seen.Keys)
            {
                Vectors(instance).Forget();
            }
        }
    });

    private static TenantVectors Vectors(SimulatedInstance instance) => instance.Get<VectorStore>().Of(Tenant);

    private async Task ActAsync(SimulatedInstance instance)
    {
        Meet(instance);
        var choice = _random.Next(_actions.Sum(action => action.Weight));
        try
        {
            await _actions.First(action => (choice -= action.Weight) < 0).Act(instance);
        }
        catch (OperationCanceledException)
        {
            // It took too long, and says so.
        }

        ThrowIfFailed();
    }

    private void Meet(SimulatedInstance instance)
    {
        if (_seen.TryAdd(instance, 0) && _hasAttendants && _cluster.IsTroubled)
        {
            _attendants.Add(SimulatedCluster.ServeAsync(instance, AttendAsync));
        }
    }

    // As the attendant of a host does it.
    private static async Task AttendAsync(SimulatedInstance instance)
    {
        await foreach (var tenant in instance.Get<VectorStore>().AttentionAsync(CancellationToken.None))
        {
            await instance.Get<VectorUpkeep>().AttendAsync(tenant, CancellationToken.None);
        }
    }

    private Task WriteAsync(SimulatedInstance instance)
    {
        var (write, vector) = (NewWrite(), NewVector());
        return CommitAsync(instance, write, [vector.Id], draft => write.Put(draft, vector, instance.Time.GetUtcNow()), moment => !Takes(moment, vector));
    }

    private Task WriteTogetherAsync(SimulatedInstance instance)
    {
        var (write, vectors) = (NewWrite(), NewVectors());
        var batch = new VectorBatch(vectors, [.. vectors.Select(vector => vector.Id)], new Dictionary<int, ApiException>());
        return CommitAsync(
            instance,
            write,
            [.. vectors.Select(vector => vector.Id)],
            draft => batch.WriteTo(draft, "tx", instance.Time.GetUtcNow()),
            moment =>
            {
                var faults = new List<NewVector>();
                Refusals(moment, vectors, faults);
                return faults.Count > 0;
            });
    }

    private Task WriteWhatFitsAsync(SimulatedInstance instance)
    {
        var (write, vectors) = (NewWrite(), NewVectors());
        var part = new VectorBatchPart(vectors, [.. Enumerable.Range(0, vectors.Count)]);
        return CommitAsync(
            instance,
            write,
            [.. vectors.Select(vector => vector.Id)],
            draft =>
            {
                var outcome = part.TryWriteTo(draft, instance.Time.GetUtcNow());
                write.Check = moment =>
                {
                    var faults = new List<NewVector>();
                    Refusals(moment, vectors, faults);
                    return faults.SequenceEqual(outcome.Errors.Keys.Order().Select(place => vectors[place]));
                };
            },
            _ => false);
    }

    private Task ChangeAsync(SimulatedInstance instance)
    {
        var (write, vector) = (NewWrite(), NewVector());
        var update = new VectorUpdate(_random.Next(2) == 0 ? vector.Values : null, _random.Next(3) == 0 ? vector.Contexts : null, null, vector.Metadata);
        return CommitAsync(
            instance,
            write,
            [vector.Id],
            draft => write.Change(draft, vector.Id, update, instance.Time.GetUtcNow()),
            moment => moment.Find(vector.Id) is null || (update.Values is { } values && !Takes(moment, vector with { Values = values, Metric = null })));
    }

    // What an entangled vector does: one transaction that reads and changes several, writes others and deletes one, perhaps of its own.
    private Task ChangeTogetherAsync(SimulatedInstance instance)
    {
        var (write, vectors, victim) = (NewWrite(), NewVectors(), Pick());
        return CommitAsync(
            instance,
            write,
            [.. vectors.Select(vector => vector.Id), victim],
            draft =>
            {
                var now = instance.Time.GetUtcNow();
                foreach (var vector in vectors)
                {
                    if (draft.Contains(vector.Id))
                    {
                        write.Change(draft, vector.Id, new VectorUpdate(null, null, null, vector.Metadata), now);
                    }
                    else
                    {
                        var values = draft.Shape is { } shape ? Values(shape.Dimension) : vector.Values;
                        write.Put(draft, vector with { Values = values, Metric = null }, now);
                    }
                }

                draft.Delete(victim);
            },
            _ => false);
    }

    private Task DeleteAsync(SimulatedInstance instance)
    {
        var (write, id) = (NewWrite(hasClaim: true), Pick());
        return CommitAsync(
            instance,
            write,
            [id],
            draft =>
            {
                if (!draft.Delete(id))
                {
                    throw ApiException.NotFound("id", "vector");
                }
            },
            moment => moment.Find(id) is null);
    }

    private Task DeleteAllAsync(SimulatedInstance instance)
    {
        var write = NewWrite(hasClaim: true);
        return CommitAsync(
            instance,
            write,
            _ids,
            draft =>
            {
                _ids.ForEach(id => draft.Delete(id));
                if (draft.Changes.Count == 0)
                {
                    throw ApiException.NotFound("id", "vector");
                }
            },
            moment => moment.Vectors.Count == 0);
    }

    private async Task CommitAsync(
        SimulatedInstance instance, Write write, IReadOnlyCollection<string> ids, Action<VectorDraft> change, Func<VectorMoment, bool> mayBeRefused)
    {
        try
        {
            await Vectors(instance).CommitAsync(
                ids,
                draft =>
                {
                    write.Begin();
                    change(draft);
                    write.Prepared = draft.Changes;
                    return write;
                },
                AlongAsync,
                CancellationToken.None);

            write.Outcome = Outcome.Acknowledged;
            ThrowIfFailed();
            if (write.Prepared.Count == 0)
            {
                Assert.True(Since(write).Any(moment => write.Check?.Invoke(moment) != false), $"{write} changed nothing without reason");
            }
            else
            {
                Assert.True(write.AppliedAt > write.StartedAt, $"{write} is acknowledged and is at {write.AppliedAt}");
                See(instance, write.AppliedAt.Value);
            }
        }
        catch (StorageException exception) when (exception.InnerException is not InvalidDataException)
        {
            // Nobody knows.
        }
        catch (ApiException exception) when (exception.Status is 409 or 503)
        {
            write.Outcome = Outcome.Refused;
        }
        catch (ApiException exception) when (exception.Status is 400 or 404)
        {
            write.Outcome = Outcome.Refused;
            Assert.True(
                _history.Seen(write.StartedAt, _history.Head).Any(mayBeRefused),
                $"{write} was refused ({exception.Message}), which nothing between then and {_history.Head} explains");
        }

        // Whoever goes along may look at storage, and may find that it is refused for good.
        async Task<IReadOnlyList<TableAction>> AlongAsync(Write answer)
        {
            for (var turns = _random.Next(3) * _random.Next(20); turns > 0; turns--)
            {
                await Task.Yield();
            }

            var along = new List<TableAction>();
            if (write.HasClaim)
            {
                along.Add(TableAction.Insert(new TableRow(Tenant, write.ClaimKey)));
            }

            if (write.IsDoomed)
            {
                if (write.WasDoomed && _random.Next(2) == 0)
                {
                    throw ApiException.IdempotencyInProgress();
                }

                if (!write.WasDoomed)
                {
                    along.Insert(_random.Next(along.Count + 1), TableAction.Insert(new TableRow(Tenant, TakenKey)));
                }

                write.WasDoomed = true;
            }

            return along;
        }
    }

    // What may decide a write that changes nothing: what was there when it began, or what some write left, be it in the same append as the next.
    private IEnumerable<VectorMoment> Since(Write write) => _writes
        .Select(other => other.AppliedAt ?? 0)
        .Where(at => at > write.StartedAt)
        .Prepend(write.StartedAt)
        .Select(at => _history[at]);

    private async Task ReadAsync(SimulatedInstance instance)
    {
        var (isStrong, known, least) = (_random.Next(2) == 0, _history.Head, _seen[instance]);
        using var held = await Vectors(instance).HoldAsync(isStrong, CancellationToken.None);
        var state = held.State;
        SeeFresh(instance, state.Head.LastSequence, isStrong ? known : 0, least);
        await VerifyAsync(state, instance);

        // It never changes, whatever becomes of its segments.
        for (var turns = _random.Next(2) * _random.Next(100); turns > 0; turns--)
        {
            await Task.Yield();
        }

        await VerifyAsync(state, instance);
    }

    // Perhaps at an older state too, of which nothing is to come out.
    private async Task LookAsync(SimulatedInstance instance)
    {
        var (known, least) = (_history.Head, _seen[instance]);
        var sequence = await Vectors(instance).LookAsync(
            isStrong: true,
            isSettled: true,
            async (state, _) =>
            {
                await VerifyAsync(state, instance);
                return state.Head.LastSequence;
            },
            CancellationToken.None);
        SeeFresh(instance, sequence, known, least);
    }

    private void SeeFresh(SimulatedInstance instance, long sequence, long known, long least)
    {
        Assert.True(sequence >= known, $"{known} records were there, and a strong read knows {sequence}");
        Assert.True(_isForgetful || sequence >= least, $"the instance knew {least} records, and now {sequence}");
        See(instance, sequence);
    }

    // By all ways to look at it, and by a search.
    private async Task VerifyAsync(VectorState state, SimulatedInstance instance)
    {
        try
        {
            await _history.VerifyAsync(state, _ids, _random);
            await VerifySearchAsync(state, instance);
            States++;
        }
        catch (StorageException) when (state.IsLost)
        {
            // Of a state that is long replaced, what was not in reach by then cannot be had any more.
        }
    }

    private async Task VerifySearchAsync(VectorState state, SimulatedInstance instance)
    {
        if (state.Shape is not { } shape)
        {
            return;
        }

        // All there are, so that nothing is a matter of what is near.
        var mode = (QueryMode)_random.Next(3);
        var query = new VectorQuery(
            Values(shape.Dimension), null, mode, _random.Next(2) == 0, _ids.Count + 1, TimeSpan.FromSeconds(5), null, true, true, true);
        var found = await new VectorSearch(state, query, instance.Time.GetUtcNow(), instance.Time, () => false).RunAsync(CancellationToken.None);
        Assert.Equal(
            VectorHistory.Text(_history[state.Head.LastSequence].Vectors.OrderBy(vector => vector.Id, StringComparer.Ordinal)),
            VectorHistory.Text(found.Hits.Select(hit => hit.Vector).OrderBy(vector => vector.Id, StringComparer.Ordinal)));
    }

    private void See(SimulatedInstance instance, long sequence) => _seen[instance] = Math.Max(_seen[instance], sequence);

    private async Task RunAsync(SimulatedInstance instance) =>
        await instance.Get<VectorUpkeep>().RunAsync(Vectors(instance), _random.Next(1, 8), NewRun(instance), CancellationToken.None);

    private static TimerRun NewRun(SimulatedInstance instance) => new("vectors", instance.Get<Telemetry>(), instance.Time, NullLogger.Instance);

    private static Task ForgetAsync(SimulatedInstance instance)
    {
        Vectors(instance).Forget();
        return Task.CompletedTask;
    }

    private Task WaitAsync(SimulatedInstance instance)
    {
        var longest = _cluster.LongestUnderWay is { } since ? _wayMax - since : TimeSpan.FromMinutes(15);
        if (longest > TimeSpan.Zero)
        {
            _cluster.Time.Advance(longest * _random.NextDouble());
        }

        return Task.CompletedTask;
    }

    private Task JumpAsync(SimulatedInstance instance)
    {
        instance.Time.By = _skewMax * ((2 * _random.NextDouble()) - 1);
        return Task.CompletedTask;
    }

    private Write NewWrite(bool hasClaim = false)
    {
        var write = new Write(_writes.Count, _history.Head, hasClaim || _random.Next(3) == 0, _cluster.IsTroubled && _random.Next(20) == 0);
        _writes.Add(write);
        return write;
    }

    private string Pick() => _ids[_random.Next(_ids.Count)];

    private List<NewVector> NewVectors()
    {
        var vectors = new List<NewVector>();
        for (var count = _random.Next(1, 6); count > 0; count--)
        {
            vectors.Add(NewVector(vectors.Count));
        }

        return vectors;
    }

    // Of the write that began last.
    private NewVector NewVector(int place = 0)
    {
        var known = _history[_history.Head].Shape;
        var isKnown = known is not null && _random.Next(8) > 0;
        return new NewVector(
            Pick(),
            Values(isKnown ? known!.Value.Dimension : _random.Next(3, 6)),
            _random.Next(3) == 0 ? [new VectorContext("c", 0.5)] : [],
            _random.Next(2) == 0 ? TimeSpan.FromMinutes(_random.Next(1, 60)) : null,
            Encoding.UTF8.GetBytes($"{{\"write\":{_writes.Count - 1},\"place\":{place}}}"),
            isKnown || _random.Next(2) == 0 ? null : (Metric)_random.Next(3));
    }

    private float[] Values(int dimension) => [.. Enumerable.Range(0, dimension).Select(_ => _random.NextSingle())];

    private static bool Takes(VectorMoment moment, NewVector vector) => moment.Takes(vector.Id, vector.Values.Length, vector.Metric);

    // Those of some vectors that do not fit, each with those before it that do.
    private static void Refusals(VectorMoment moment, IEnumerable<NewVector> vectors, List<NewVector> refused)
    {
        foreach (var vector in vectors)
        {
            if (!Takes(moment, vector))
            {
                refused.Add(vector);
                continue;
            }

            var stored = new StoredVector(vector.Id, vector.Values, new VectorFacts([], null, default, default, default));
            moment = moment.After(VectorChange.Written(stored, vector.Metric ?? moment.Shape?.Metric ?? Metric.Cosine));
        }
    }

    // Whatever storage was just asked to do, it has done it, and nobody knows yet.
    private void Observe(string operation)
    {
        Built += operation == "Blobs.Put" ? 1 : 0;
        Deleted += operation == "Blobs.Delete" ? 1 : 0;
        if (operation != "Tables.Write" || _failure is not null)
        {
            return;
        }

        try
        {
            var tail = SimulatedCluster.Aside(() => _log.ReadAsync(_history.Head, CancellationToken.None));
            Assert.True(tail.IsComplete, $"{tail.After} is not covered by {tail.Head}");
            if (tail.Records.Count > 0)
            {
                ObserveAppend([.. tail.Records.Select(record => VectorChange.Parse(record.Data.Span))]);
            }
        }
        catch (Exception exception)
        {
            // Not for the application to handle.
            _failure = exception;
        }
    }

    private void ObserveAppend(List<VectorChange> changes)
    {
        var first = _history.Head + 1;
        _history.Append(changes.Select((change, index) => (first + index, change)));
        for (var index = 0; index < changes.Count;)
        {
            var write = changes[index].Vector is { } vector ? _writes[Write.NumberOf(vector)] : ClaimedDeletion(changes, index);
            Assert.True(write.AppliedAt is null, $"{write} is at {write.AppliedAt} and again at {first + index}");
            Assert.True(write.IsAt(changes, index), $"{write} is not whole at {first + index}");
            Assert.True(write.Check?.Invoke(_history[first + index - 1]) != false, $"{write} was not decided by what it came to at {first + index}");
            foreach (var (place, before) in write.Before)
            {
                var expected = _history[first + index + place - 1].Find(changes[index + place].Id);
                Assert.True(
                    VectorHistory.Text(expected is null ? [] : [expected]) == VectorHistory.Text(before is null ? [] : [before]),
                    $"{write} saw {before} and came after {expected}");
            }

            index += write.Prepared.Count;
            write.AppliedAt = first + index - 1;
        }
    }

    // A deletion does not say whose it is. What goes along with it does.
    private Write ClaimedDeletion(List<VectorChange> changes, int index) =>
        _writes.Find(write => write is { AppliedAt: null, HasClaim: true, Prepared: [{ Vector: null }, ..] } && write.IsAt(changes, index) && HasClaim(write))
        ?? throw new InvalidOperationException($"Nobody deleted {changes[index].Id}.");

    private bool HasClaim(Write write) =>
        SimulatedCluster.Aside(() => _cluster.Storage.Main.Tables.GetAsync(ObjectRows.Table, Tenant, write.ClaimKey, null, CancellationToken.None)) is not null;

    private void ThrowIfFailed()
    {
        if ((_failure ?? _attendants.Find(attendant => attendant.IsFaulted)?.Exception) is { } failure)
        {
            throw new InvalidOperationException(failure.Message, failure);
        }
    }

    private async Task VerifyColdAsync(SimulatedInstance instance)
    {
        Meet(instance);
        using var held = await Vectors(instance).HoldAsync(isStrong: false, CancellationToken.None);
        Assert.Equal(_history.Head, held.State.Head.LastSequence);
        await VerifyAsync(held.State, instance);
    }

    // The manifest knows all blobs, and together with the log all vectors.
    private async Task<VectorManifest> VerifyStorageAsync()
    {
        var tail = await _log.ReadAsync(0, CancellationToken.None);
        var manifest = TenantVectors.ManifestOf(_log, tail.Companions, VectorManifest.None);
        var next = 1L;
        foreach (var segment in manifest.Segments)
        {
            Assert.Equal(next, segment.FirstSequence);
            next = segment.LastSequence + 1;
        }

        Assert.True(manifest.Covered + 1 >= tail.FirstSequence, $"the log begins with {tail.FirstSequence}, and {manifest.Covered} is covered");
        var blobs = await BlobsAsync();
        var known = manifest.Segments.Select(segment => segment.Id).Concat(manifest.Retired.Select(segment => segment.Id)).Append(manifest.Building?.Id).ToHashSet();
        Assert.All(blobs, blob => Assert.True(known.Contains(blob.Key), $"the manifest does not know {blob.Key}"));
        Assert.All(manifest.Segments, segment => Assert.Equal(segment.Bytes, blobs[segment.Id]));
        ThrowIfFailed();
        return manifest;
    }

    private async Task<Dictionary<string, long>> BlobsAsync()
    {
        var page = await _cluster.Storage.Main.Blobs.ListAsync("vectors", "", 5000, null, CancellationToken.None);
        return page.Blobs.ToDictionary(blob => blob.Name[(Tenant.Length + 1)..], blob => blob.Length);
    }

    // Every request has ended or its instance has.
    private async Task EndAsync()
    {
        _cluster.Start(0);
        await RestAsync();

        // Whoever reads may find something to do although nobody has written for long.
        await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
        {
            await VerifyColdAsync(instance);
            await instance.Get<VectorUpkeep>().AttendAsync(Vectors(instance), CancellationToken.None);
        });
        await RestAsync();

        // And the vectors go on.
        await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
        {
            Meet(instance);
            await DeleteAllAsync(instance);
            await WriteAsync(instance);
            Assert.Equal(Outcome.Acknowledged, _writes[^1].Outcome);
            await ReadAsync(instance);
        });
        await SimulatedCluster.ServeAsync(_cluster.Open(), VerifyColdAsync);
        await VerifyStorageAsync();
    }

    // The timer runs, on one instance or on many, until it has nothing to do any more; then nothing is left that nobody needs.
    private async Task RestAsync()
    {
        var instance = _cluster.Open();
        for (var run = 0; run < RestsMax && (await _cluster.RowsAsync("due", TenantVectors.DueKind)).Count > 0; run++)
        {
            _cluster.Time.Advance(TimeSpan.FromMinutes(21));
            instance = _random.Next(2) == 0 ? _cluster.Open() : instance;
            Meet(instance);
            await SimulatedCluster.ServeAsync(instance, instance => instance.Get<VectorUpkeep>().RunDueAsync(CancellationToken.None));
        }

        Assert.Empty((await _cluster.RowsAsync("due", TenantVectors.DueKind)).Select(row => row.Key));
        await SimulatedCluster.ServeAsync(_cluster.Open(), VerifyColdAsync);
        var manifest = await VerifyStorageAsync();
        var thresholds = instance.Get<VectorThresholds>();
        var tail = await _log.ReadAsync(0, CancellationToken.None);
        Assert.Null(manifest.Building);
        Assert.Empty(manifest.Retired);
        Assert.Equal(manifest.Segments.Select(segment => segment.Id).Order(StringComparer.Ordinal), (await BlobsAsync()).Keys.Order(StringComparer.Ordinal));
        Assert.Equal(manifest.Covered, tail.FirstSequence - 1);
        Assert.True(tail.Records.Count < thresholds.TimerTailRows, $"{tail.Records.Count} records are not in segments");
        Truncated = manifest.Covered;
        await SimulatedCluster.ServeAsync(_cluster.Open(), async instance =>
        {
            Meet(instance);
            Assert.True(await instance.Get<VectorUpkeep>().RunAsync(Vectors(instance), thresholds.TimerTailRows, NewRun(instance), CancellationToken.None));
        });
    }

    private void VerifyWrites()
    {
        foreach (var write in _writes)
        {
            var isThere = write.AppliedAt is not null || (write.Outcome == Outcome.Acknowledged && write.Prepared.Count == 0);
            Assert.True(write.Outcome != Outcome.Refused || !isThere, $"{write} was refused and is at {write.AppliedAt}");
            Assert.True(write.Prepared.Count == 0 || HasClaim(write) == (write.HasClaim && isThere), $"{write} and what went along are not together");
        }
    }

    private enum Outcome
    {
        Unknown,
        Acknowledged,
        Refused,
    }

    /// <summary>One write, of one vector or several.</summary>
    /// <param name="Number">Tells it from all others.</param>
    /// <param name="StartedAt">The last record that was there before it began.</param>
    /// <param name="HasClaim">Whether a row is inserted along.</param>
    /// <param name="IsDoomed">Whether what is to go along is refused the first time.</param>
    private sealed record Write(int Number, long StartedAt, bool HasClaim, bool IsDoomed)
    {
        private readonly List<(int Place, StoredVector? Vector)> _before = [];

        public Outcome Outcome { get; set; }

        /// <summary>Its last record; null when there is none.</summary>
        public long? AppliedAt { get; set; }

        public bool WasDoomed { get; set; }

        /// <summary>The changes that it made when it was asked last.</summary>
        public IReadOnlyList<VectorChange> Prepared { get; set; } = [];

        /// <summary>What it saw in the place of its changes before it made them.</summary>
        public IReadOnlyList<(int Place, StoredVector? Vector)> Before => _before;

        /// <summary>Whether what it decided follows from the vectors that it comes to; null when it decided nothing.</summary>
        public Func<VectorMoment, bool>? Check { get; set; }

        public string ClaimKey => $"claim:{Number}";

        public static int NumberOf(StoredVector vector)
        {
            using var metadata = System.Text.Json.JsonDocument.Parse(vector.Facts.Metadata);
            return metadata.RootElement.GetProperty("write").GetInt32();
        }

        public void Begin()
        {
            _before.Clear();
            (Prepared, Check) = ([], null);
        }

        /// <summary>Writes a vector, and remembers whether there was one.</summary>
        public void Put(VectorDraft draft, NewVector vector, DateTimeOffset now)
        {
            var (place, before) = (draft.Changes.Count, draft.Find(vector.Id));
            Assert.Equal(before is not null, vector.WriteTo(draft, now));
            _before.Add((place, before));
        }

        /// <summary>Changes a vector, and remembers what it was.</summary>
        public void Change(VectorDraft draft, string id, VectorUpdate update, DateTimeOffset now)
        {
            var (place, before) = (draft.Changes.Count, draft.Find(id));
            update.WriteTo(draft, id, now);
            _before.Add((place, before));
        }

        public bool IsAt(List<VectorChange> changes, int index) =>
            index + Prepared.Count <= changes.Count && Prepared.Zip(changes.Skip(index)).All(pair => IsSame(pair.First, pair.Second));

        private static bool IsSame(VectorChange one, VectorChange other) =>
            one.Id == other.Id
            && one.Metric == other.Metric
            && VectorHistory.Text(one.Vector is null ? [] : [one.Vector]) == VectorHistory.Text(other.Vector is null ? [] : [other.Vector]);

        public override string ToString() => $"write {Number}, begun after {StartedAt}, of {string.Join(", ", Prepared.Select(change => change.Id))},";
    }
}
