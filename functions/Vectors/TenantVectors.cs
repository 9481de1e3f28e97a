using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>
/// The vectors of one tenant on this instance: follows the tenant's log, which lies in its partition of the table <c>objects</c>, and appends to it.
/// </summary>
public sealed class TenantVectors(
    string tenant, ITables tables, SegmentStore segments, DueTenants due, VectorThresholds thresholds, TimeProvider time, Action<string> attend)
{
    /// <summary>The kind of what falls due for tenants whose vectors are looked after.</summary>
    public const string DueKind = "vectors";

    // A manifest can move on while its segments are read. Nobody is that unlucky again and again.
    private const int LoadsMax = 16;
    private const int SegmentsAtOnce = 16;

    // About how long a segment takes to be built.
    private static readonly TimeSpan _tailRetry = TimeSpan.FromSeconds(10);

    private readonly Log _log = Log(tables, tenant);
    private readonly Lock _lock = new();
    private readonly List<PendingWrite> _writes = [];
    private VectorState? _state;
    private VectorManifest _manifest = VectorManifest.None;
    private Task<long>? _reading;
    private Task<long>? _nextReading;
    private bool _isCommitting;
    private long _restsUntil = long.MinValue;

    // Whether the last strong look found that this instance knew everything. Where others write all the time, looking ahead would be in vain.
    private bool _isQuiet;

    // Counts what happens, so that it can be told whether the state was read since something began.
    private long _now;
    private long _freshAt = -1;

    public string Tenant { get; } = tenant;

    /// <summary>The bytes of segments that it keeps within reach.</summary>
    public long Bytes => Volatile.Read(ref _state)?.Segments.Sum(segment => segment.Segment.Bytes) ?? 0;

    /// <summary>About how many bytes of memory the rest takes.</summary>
    public long TailBytes => Volatile.Read(ref _state)?.Tail.Bytes ?? 0;

    /// <summary>Whether so much of a segment is gone that it should be written anew, as far as this instance knows.</summary>
    public bool HasMuchGone => Volatile.Read(ref _state) is { } state && SegmentPlan.Of(state, isTailLong: false, thresholds) is not null;

    /// <summary>The log of a tenant's vectors.</summary>
    public static Log Log(ITables tables, string tenant) => new(tables, ObjectRows.Table, tenant, "x");

    /// <summary>The key of the row with a tenant's manifest.</summary>
    public static string ManifestKey(Log log) => log.CompanionKey("manifest");

    /// <summary>The manifest among the companions of a log.</summary>
    /// <param name="log">The log.</param>
    /// <param name="companions">Its companions.</param>
    /// <param name="known">A manifest that is known: mostly it is still the same, and is not read again.</param>
    public static VectorManifest ManifestOf(Log log, IReadOnlyList<TableRow> companions, VectorManifest known) =>
        companions.FirstOrDefault(row => row.Key == ManifestKey(log)) switch
        {
            null => VectorManifest.None,
            var row when row.ETag == known.ETag => known,
            var row => VectorManifest.Parse(row),
        };

    /// <summary>The newest state, its memory kept until it is disposed of.</summary>
    /// <param name="isStrong">
    /// Whether all that was written before is to be seen, on whichever instance: that takes one storage request, which several callers share. Else the
    /// state is what this instance knows.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<HeldState> HoldAsync(bool isStrong, CancellationToken cancellationToken)
    {
        var isAgain = false;
        while (true)
        {
            var held = await HoldUnsettledAsync(isStrong, cancellationToken);
            if (held.State.IsSettled)
            {
                return held;
            }

            try
            {
                await held.State.NeedTailIdsAsync().WaitAsync(cancellationToken);
                return new HeldState(Settle(held.State));
            }
            catch (StorageException) when (held.State.IsLost && !isAgain)
            {
                held.Dispose();
                isAgain = true;
            }
            catch
            {
                held.Dispose();
                throw;
            }
        }
    }

    /// <summary>
    /// Looks at the newest state. A strong look waits for storage, and meanwhile looks at what this instance knows: when storage has no more than that, the answer is
    /// there already. What can be brought into reach no more, because others have replaced it, is looked for in what took its place.
    /// </summary>
    /// <param name="isStrong">As for <see cref="HoldAsync"/>.</param>
    /// <param name="isSettled">Whether the state is as <see cref="HoldAsync"/> gives it, or as <see cref="HoldUnsettledAsync"/> does.</param>
    /// <param name="look">
    /// What is done with the state, perhaps several times, until its token says that nobody wants the answer. It takes nothing of the state's memory along.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="StorageException">Storage failed.</exception>
    public async Task<T> LookAsync<T>(bool isStrong, bool isSettled, Func<VectorState, CancellationToken, Task<T>> look, CancellationToken cancellationToken)
    {
        if (isStrong && Volatile.Read(ref _state)?.Head.LastSequence is { } known)
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var reading = ReadAsync();
            var looking = Volatile.Read(ref _isQuiet) ? LookNowAsync(false, end.Token) : null;
            var isKnown = false;
            try
            {
                var newest = await reading.WaitAsync(cancellationToken);
                isKnown = looking is not null && known == newest;
                Volatile.Write(ref _isQuiet, known == newest);
            }
            finally
            {
                if (looking is not null && !isKnown)
                {
                    end.Cancel();
                    await ((Task)looking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
                }
            }

            if (isKnown)
            {
                return await looking!;
            }

            isStrong = false;
        }

        return await LookNowAsync(isStrong, cancellationToken);

        async Task<T> LookNowAsync(bool isStrong, CancellationToken end)
        {
            using (var held = await HoldOneAsync(isStrong, end))
            {
                try
                {
                    return await look(held.State, end);
                }
                catch (StorageException) when (held.State.IsLost)
                {
                    // Nobody is that unlucky twice.
                }
            }

            using var next = await HoldOneAsync(isStrong, end);
            return await look(next.State, end);
        }

        Task<HeldState> HoldOneAsync(bool isStrong, CancellationToken end) => isSettled ? HoldAsync(isStrong, end) : HoldUnsettledAsync(isStrong, end);
    }

    /// <summary>The same state, perhaps not settled, and sooner then when this instance has just begun to bring segments into reach.</summary>
    public async Task<HeldState> HoldUnsettledAsync(bool isStrong, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (isStrong || Volatile.Read(ref _state) is null)
            {
                await ReadAsync().WaitAsync(cancellationToken);
                isStrong = false;
            }

            if (Volatile.Read(ref _state) is not { } state)
            {
                continue;
            }

            if (!state.IsLost && state.TryHold())
            {
                return new HeldState(state);
            }

            // Its segments were put out of reach, unless newer ones have taken their place.
            Forget(state);
        }
    }

    /// <summary>Brings all of a state into reach and settles it, for those who come later. It does not fail.</summary>
    /// <param name="state">The state, held by the caller only until this returns its task.</param>
    public async Task CompleteAsync(VectorState state)
    {
        if (!state.TryHold())
        {
            return;
        }

        try
        {
            await state.NeedAllAsync();
            Settle(state);
        }
        catch (StorageException)
        {
            // Whoever needs the rest asks for it again.
        }
        finally
        {
            state.Release();
        }
    }

    /// <summary>
    /// Makes changes: all of them or none, in one append to the log. One storage request on a warm instance, shared by those who write at the same time.
    /// </summary>
    /// <param name="ids">The ids of all vectors that are looked at or changed.</param>
    /// <param name="prepare">
    /// Makes the changes to the draft and says what to answer. Called again when others were faster. What it throws ends the write, and so does what it
    /// answers without a change, once the state is known to be current.
    /// </param>
    /// <param name="along">Gives the actions that are to be done in the same transaction; not asked when there is no change.</param>
    /// <param name="cancellationToken">Ends the waiting, perhaps not the write.</param>
    /// <exception cref="ApiException">What <paramref name="prepare"/> threw; 503 when others were faster again and again.</exception>
    public async Task<T> CommitAsync<T>(
        IReadOnlyCollection<string> ids, Func<VectorDraft, T> prepare, Func<T, Task<IReadOnlyList<TableAction>>> along, CancellationToken cancellationToken)
        where T : class
    {
        await due.AnnounceAsync(DueKind, Tenant, time.GetUtcNow(), cancellationToken);
        var write = new PendingWrite(Interlocked.Increment(ref _now), ids, prepare, answer => along((T)answer));
        var isFirst = false;
        lock (_lock)
        {
            _writes.Add(write);
            (isFirst, _isCommitting) = (!_isCommitting, true);
        }

        if (isFirst)
        {
            // Also for those who come meanwhile. Whatever becomes of it, each hears of its own write.
            _ = CommitAllAsync();
        }

        return (T)await write.Answer.WaitAsync(cancellationToken);
    }

    /// <summary>Takes over newer segments in the place of those that it has and of the log's tail. Searches go on meanwhile.</summary>
    public Task AdoptAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return AdoptAsync(_manifest, null, cancellationToken);
        }
    }

    /// <summary>The same for a manifest that this instance has just made.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <param name="built">The segment that was built for it, which is taken over or disposed of; null when there is none.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task AdoptAsync(VectorManifest manifest, Segment? built, CancellationToken cancellationToken)
    {
        var loaded = new List<Segment>();
        if (built is not null)
        {
            loaded.Add(built);
        }

        HeldState? held = null;
        try
        {
            if (Volatile.Read(ref _state) is null)
            {
                return;
            }

            held = await HoldAsync(isStrong: false, cancellationToken);
            var state = held.Value.State;
            if (manifest.Version <= state.Manifest.Version || state.Head.LastSequence < manifest.Seen)
            {
                return;
            }

            var known = state.Segments.Select(segment => segment.Segment).Concat(loaded).ToDictionary(segment => segment.Id, StringComparer.Ordinal);
            if (await OpenAsync(manifest.Segments, known, loaded, cancellationToken) is not { } all)
            {
                // They are gone already. The next look at the log tells what replaces them.
                return;
            }

            // While they are brought into reach, searches go on in those that they replace.
            foreach (var segment in all)
            {
                await segment.NeedAllAsync();
            }

            // Of those that it had, it knows what is gone.
            var isOld = state.Segments.Select(segment => segment.Segment).ToHashSet();
            var newest = Newest(manifest, all);
            var live = all.Select(segment => isOld.Contains(segment) ? null : VectorState.Alive(segment, newest!)).ToList();
            lock (_lock)
            {
                if (_state is not { IsSettled: true } current || current.Tail != state.Tail)
                {
                    return;
                }

                var now = current.Segments.ToDictionary(segment => segment.Segment);
                _state = VectorState
                    .Of(manifest, [.. all.Select((segment, index) => live[index] ?? now[segment])])
                    .Apply(current.TailRows().Where(row => row.Sequence > manifest.Covered).Select(row => (row.Sequence, row.Change)), current.Head);
                loaded.Clear();
                foreach (var replaced in current.Segments.Where(segment => !all.Contains(segment.Segment)))
                {
                    replaced.Segment.Dispose();
                }
            }
        }
        finally
        {
            held?.Dispose();
            loaded.ForEach(segment => segment.Dispose());
        }
    }

    /// <summary>Has this instance not look after the tenant again for a while, whatever it notices.</summary>
    public void RestFor(TimeSpan duration)
    {
        lock (_lock)
        {
            _restsUntil = time.GetTimestamp() + (long)(duration.TotalSeconds * time.TimestampFrequency);
        }
    }

    /// <summary>Lets go of all memory. It is brought back when it is asked for.</summary>
    public void Forget()
    {
        while (Volatile.Read(ref _state) is { } state)
        {
            Forget(state);
        }
    }

    // The same segments, in the same order: whoever holds the one holds the other.
    private VectorState Settle(VectorState state)
    {
        var settled = state.Settle();
        lock (_lock)
        {
            _state = ReferenceEquals(_state, state) ? settled : _state;
        }

        return settled;
    }

    private void Forget(VectorState state)
    {
        lock (_lock)
        {
            if (!ReferenceEquals(_state, state))
            {
                return;
            }

            _state = null;
        }

        foreach (var segment in state.Segments)
        {
            segment.Segment.Dispose();
        }
    }

    // A look at the log that began before a caller came may miss what was written before it came. So there is one under way at most, and one that waits for it
    // and serves all who came meanwhile. Gives the last record that was there.
    private Task<long> ReadAsync()
    {
        lock (_lock)
        {
            if (_nextReading is null && _reading is not { IsCompleted: false })
            {
                return _reading = ReadLogAsync();
            }

            return _nextReading ??= ReadAfterAsync(_reading!);
        }
    }

    private async Task<long> ReadAfterAsync(Task reading)
    {
        // It may have come to its end just now. All the same this goes on only when whoever called it has noted that it waits.
        await reading.ConfigureAwait(
            ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext | ConfigureAwaitOptions.ForceYielding);
        lock (_lock)
        {
            (_reading, _nextReading) = (_nextReading, null);
        }

        return await ReadLogAsync();
    }

    private async Task<long> ReadLogAsync()
    {
        var began = Interlocked.Increment(ref _now);
        if (Volatile.Read(ref _state) is not { } state)
        {
            return await LoadAsync(began);
        }

        // Not cancelled with one of the callers: others wait for it too.
        var tail = await _log.ReadAsync(state.Head.LastSequence, CancellationToken.None);
        return tail.IsComplete && TryApply(state, tail, began) ? tail.Head.LastSequence : await LoadAsync(began);
    }

    private bool TryApply(VectorState state, LogTail tail, long began)
    {
        var manifest = ManifestOf(_log, tail.Companions, Volatile.Read(ref _manifest));
        lock (_lock)
        {
            // Writes of our own may have brought it further meanwhile.
            if (_state is not { } current || current.Head.LastSequence < state.Head.LastSequence)
            {
                return false;
            }

            var known = current.Head.LastSequence;
            if (tail.Head.LastSequence > known || (tail.Head.LastSequence == known && current.Head.MustBeRead))
            {
                _state = current.Apply(Changes(tail.Records.Where(record => record.Sequence > known)), tail.Head);
            }

            _manifest = manifest.Version > _manifest.Version ? manifest : _manifest;
            _freshAt = Math.Max(_freshAt, began);
            NoticeWork(_state);
            return true;
        }
    }

    private async Task<long> LoadAsync(long began)
    {
        for (var load = 0; load < LoadsMax; load++)
        {
            var row = await tables.GetAsync(ObjectRows.Table, Tenant, ManifestKey(_log), null, CancellationToken.None);
            var manifest = row is null ? VectorManifest.None : VectorManifest.Parse(row);
            var loaded = new List<Segment>();
            try
            {
                var reading = _log.ReadAsync(manifest.Covered, CancellationToken.None);
                var opening = OpenAsync(manifest.Segments, new Dictionary<string, Segment>(), loaded, CancellationToken.None);
                await Task.WhenAll(reading, opening);
                var tail = await reading;
                if (!tail.IsComplete || await opening is not { } all)
                {
                    // Newer segments have taken their place.
                    continue;
                }

                var state = VectorState
                    .Of(manifest, [.. all.Select(segment => VectorState.Alive(segment, Newest(manifest, all)!))])
                    .Apply(Changes(tail.Records), tail.Head);
                lock (_lock)
                {
                    var known = ManifestOf(_log, tail.Companions, _manifest);
                    _manifest = known.Version > _manifest.Version ? known : _manifest;
                    _freshAt = Math.Max(_freshAt, began);
                    if (_state is not { } current || current.Head.LastSequence < state.Head.LastSequence)
                    {
                        foreach (var old in _state?.Segments ?? [])
                        {
                            old.Segment.Dispose();
                        }

                        _state = state;
                        loaded.Clear();
                    }

                    NoticeWork(_state);
                }

                return tail.Head.LastSequence;
            }
            finally
            {
                loaded.ForEach(segment => segment.Dispose());
            }
        }

        throw new StorageException($"The segments of {Tenant} were replaced again and again while they were read.", 503, null);
    }

    private async Task<List<Segment>?> OpenAsync(
        IReadOnlyList<SegmentInfo> infos, Dictionary<string, Segment> known, List<Segment> loaded, CancellationToken cancellationToken)
    {
        var all = new Segment?[infos.Count];
        await AtOnce.ForEachAsync(infos.Count, SegmentsAtOnce, async index =>
        {
            if (!known.TryGetValue(infos[index].Id, out all[index])
                && (all[index] = await segments.OpenAsync(Tenant, infos[index], cancellationToken)) is { } segment)
            {
                lock (loaded)
                {
                    loaded.Add(segment);
                }
            }
        });
        return all.All(segment => segment is not null) ? all.OfType<Segment>().ToList() : null;
    }

    private static Segment? Newest(VectorManifest manifest, IEnumerable<Segment> all) => all.FirstOrDefault(segment => segment.Id == manifest.Newest?.Id);

    private void NoticeWork(VectorState? state)
    {
        if (state is not null
            && time.GetTimestamp() >= _restsUntil
            && (thresholds.IsTailLong(state) || _manifest.Version > state.Manifest.Version || SegmentPlan.Of(state, isTailLong: false, thresholds) is not null))
        {
            attend(Tenant);
        }
    }

    private async Task CommitAllAsync()
    {
        while (true)
        {
            List<PendingWrite> some;
            lock (_lock)
            {
                if (_writes.Count == 0)
                {
                    _isCommitting = false;
                    return;
                }

                some = [.. _writes];
            }

            try
            {
                await CommitSomeAsync(some);
            }
            catch (Exception exception)
            {
                // Whatever it is, somebody waits for each of them.
                some.ForEach(write => write.Fail(exception));
            }

            lock (_lock)
            {
                _writes.RemoveAll(write => write.Answer.IsCompleted);
            }
        }
    }

    private async Task CommitSomeAsync(List<PendingWrite> writes)
    {
        // Before the state is looked at, which may be fresher.
        var freshAt = Volatile.Read(ref _freshAt);
        using var held = await HoldForWritingAsync();
        var state = held.State;
        if (state.Tail.Bytes >= thresholds.TailBytesMax)
        {
            NoticeWork(state);
            writes.ForEach(write => write.Fail(TooManyAtOnce()));
            return;
        }

        try
        {
            await state.NeedAsync(writes.SelectMany(write => write.Ids));
        }
        catch (StorageException) when (state.IsLost)
        {
            // They come up again, with what has taken its place.
            return;
        }

        var group = new WriteGroup(state);
        foreach (var write in writes)
        {
            try
            {
                if (!await group.TryAddAsync(write))
                {
                    break;
                }
            }
            catch (Exception exception)
            {
                if (group.Writes.Count > 0)
                {
                    // Perhaps only because of what these write, which is not there yet. Once it is, this one is looked at again.
                    continue;
                }

                if (freshAt < write.BeganAt)
                {
                    // Perhaps only because others have written since.
                    await ReadAsync();
                    return;
                }

                write.Fail(exception);
            }
        }

        if (group.Records.Count > 0)
        {
            await AppendAsync(state, group);
        }
        else if (group.Writes.Exists(write => freshAt < write.Write.BeganAt))
        {
            // They change nothing, so no append proves that they were decided by what is there.
            await ReadAsync();
        }
        else if (group.Writes.Count > 0)
        {
            await AnswerAsync(group);
        }
    }

    private static ApiException TooManyAtOnce() => ApiException.RateLimitExceeded(
        "Vectors are written faster than segments are built of them", ["vector-writes"], _tailRetry);

    private async Task<HeldState> HoldForWritingAsync()
    {
        var held = await HoldAsync(isStrong: false, CancellationToken.None);
        if (!held.State.Head.MustBeRead)
        {
            return held;
        }

        held.Dispose();
        return await HoldAsync(isStrong: true, CancellationToken.None);
    }

    private async Task AppendAsync(VectorState state, WriteGroup group)
    {
        var began = Interlocked.Increment(ref _now);
        LogAppended appended;
        try
        {
            appended = await _log.AppendAsync(state.Head, group.Records, time.GetUtcNow(), group.Along, CancellationToken.None);
        }
        catch (StorageException exception)
        {
            // Nobody knows whether it was appended.
            lock (_lock)
            {
                _state = _state is { } current && current.Head.LastSequence == state.Head.LastSequence
                    ? current with { Head = current.Head with { ETag = null } }
                    : _state;
            }

            group.Writes.ForEach(write => write.Write.Fail(exception));
            return;
        }

        if (appended.Outcome == LogOutcome.Appended)
        {
            var sequence = state.Head.LastSequence;
            lock (_lock)
            {
                // A look at the log may have brought it here already.
                if (_state is { } current && current.Head.LastSequence == sequence)
                {
                    _state = current.Apply(group.Changes.Select(change => (++sequence, change)).ToList(), appended.Head!);
                }

                _freshAt = Math.Max(_freshAt, began);
                NoticeWork(_state);
            }

            group.Writes.ForEach(write => write.Write.Succeed(write.Answer));
            return;
        }

        // They stay where they are, and come up again: with what others have written; and where what goes along was refused, with what its owner makes of it.
        if (appended.Outcome == LogOutcome.Moved)
        {
            await ReadAsync();
        }

        group.Retry();
    }

    // For writes that change nothing: only what goes along is written.
    private async Task AnswerAsync(WriteGroup group)
    {
        try
        {
            if (group.Along.Count > 0 && !(await tables.WriteAsync(ObjectRows.Table, group.Along, CancellationToken.None)).IsDone)
            {
                group.Retry();
                return;
            }
        }
        catch (StorageException exception)
        {
            group.Writes.ForEach(write => write.Write.Fail(exception));
            return;
        }

        group.Writes.ForEach(write => write.Write.Succeed(write.Answer));
    }

    private static IEnumerable<(long, VectorChange)> Changes(IEnumerable<LogRecord> records) =>
        records.Select(record => (record.Sequence, VectorChange.Parse(record.Data.Span)));
}

/// <summary>A state whose memory is kept until this is disposed of.</summary>
public readonly record struct HeldState(VectorState State) : IDisposable
{
    public void Dispose() => State.Release();
}
