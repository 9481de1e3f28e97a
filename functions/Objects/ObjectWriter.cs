using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>The content of a write, however it came.</summary>
/// <param name="ContentType">Its media type.</param>
/// <param name="Bytes">The bytes themselves, when they are of row size.</param>
/// <param name="Uploaded">The blob that holds them, when they are larger; null otherwise.</param>
/// <param name="Missing">The dimensions that did not take their copy of the blob.</param>
public sealed record NewContent(string ContentType, ReadOnlyMemory<byte> Bytes, ContentPointer? Uploaded, IReadOnlyList<int> Missing);

/// <summary>A change to one object and all that is entangled with it.</summary>
/// <param name="ObjectId">The object.</param>
/// <param name="Check">Sees everything that the change would move, before anything is written, and ends the request when it must not be.</param>
/// <param name="Content">The new content; null gives the others the content that the object has.</param>
/// <param name="Added">The entanglement that the change creates, of which the object is the source; null when it creates none.</param>
/// <param name="Also">
/// Further rows for the same transaction, given what it will have done; asked again at every attempt, and twice for a write that one
/// transaction cannot hold. Null when there are none.
/// </param>
public sealed record Change(
    string ObjectId,
    Action<ObjectGraph> Check,
    NewContent? Content = null,
    Pair? Added = null,
    Func<Changed, Task<IReadOnlyList<TableAction>>>? Also = null);

/// <summary>What a change did.</summary>
/// <param name="Version">The object's new version.</param>
/// <param name="IsNew">Whether the object did not exist before.</param>
/// <param name="FirstVersion">The number of the object's first version.</param>
/// <param name="SyncedTo">The other objects that have it now, nearest first.</param>
/// <param name="IsOneTransaction">Whether one transaction did it all, so that what was planned is what was done.</param>
/// <param name="Latency">How long the transaction took that made it so; null before it is made.</param>
public sealed record Changed(
    ObjectVersion Version, bool IsNew, long FirstVersion, IReadOnlyList<string> SyncedTo, bool IsOneTransaction, TimeSpan? Latency);

/// <summary>
/// Moves objects: a write gives an object and all that its entanglements carry it to one new version, in one transaction, so that they are never
/// seen apart. What one transaction cannot hold is put on record in the first, moved by further ones, and finished by maintenance
/// if the request ends before.
/// </summary>
/// <remarks>
/// Every transaction replaces heads under the ETags with which they were read, so a writer that was overtaken, or a link that came or went, makes it
/// fail whole, and the change is prepared again from what is there now.
/// </remarks>
public sealed partial class ObjectWriter(
    StorageAccounts storage,
    ObjectStore objects,
    ContentStore contents,
    WorkStore work,
    PairCounts counts,
    DueTenants due,
    WriteLanes lanes,
    SyncLedger ledger,
    Dimensions dimensions,
    TimeProvider time,
    ILogger<ObjectWriter> logger)
{
    /// <summary>The kind under which tenants with entanglements that fall due are announced, and of the rows.</summary>
    public const string DueKind = "pairs";

    private const int AttemptsMax = 64;

    private static readonly TimeSpan _backoffMax = TimeSpan.FromMilliseconds(250);

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Makes a change. Two storage requests for an object without partners.</summary>
    /// <exception cref="ApiException">
    /// What the check says; 409 <c>QUANTUM_CONFLICT</c> when the write would reach a one-way target from elsewhere; 429 when the key has as many entanglements as
    /// it may; 503.
    /// </exception>
    public async Task<Changed> ChangeAsync(string tenant, Change change, CancellationToken cancellationToken)
    {
        string[] writes = change.Added is { } added ? [change.ObjectId, added.TargetId, .. LaneOf(added)] : [change.ObjectId];
        var uploaded = change.Content?.Uploaded;
        try
        {
            using var lane = await lanes.EnterAsync(tenant, writes, cancellationToken);
            for (var attempt = 0; attempt < AttemptsMax; attempt++)
            {
                if (await TryChangeAsync(tenant, change, attempt, cancellationToken) is { } changed)
                {
                    if (uploaded is not null && uploaded.Blob != changed.Version.Content.Blob)
                    {
                        await contents.DiscardAsync(uploaded, cancellationToken);
                    }

                    return changed;
                }

                await Task.Delay(Backoff(attempt), time, cancellationToken);
            }

            throw ApiException.Unavailable();
        }
        catch (Exception exception) when (uploaded is not null && exception is ApiException or UploadCommittedException)
        {
            // Refused for certain. After a storage failure it may have been written all the same, so then the blob must stay.
            await contents.DiscardAsync(uploaded!, cancellationToken);
            throw;
        }
    }

    /// <summary>Brings a write to the objects that it has not reached yet. Safe to repeat, and to run twice at once.</summary>
    public async Task FinishAsync(string tenant, WriteUnderWay write, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            // Without a graph it was overtaken: newer writes cover all that this one would have reached.
            var now = time.GetUtcNow();
            var graph = await ObjectGraph.LoadAsync(write, now, ids => objects.FindForWriteAsync(tenant, ids, cancellationToken));
            var moved = graph?.Steps.Select(step => step.ObjectId).Where(id => graph.Head(id).Current.Version >= write.Version).ToHashSet(StringComparer.Ordinal);
            if (graph is null || await MoveRestAsync(tenant, graph, moved!, graph.Origin.Current, now, cancellationToken))
            {
                await RemoveAsync(tenant, write, cancellationToken);
                return;
            }

            await Task.Delay(Backoff(attempt), time, cancellationToken);
        }

        throw ApiException.Unavailable();
    }

    private async Task<Changed?> TryChangeAsync(string tenant, Change change, int attempt, CancellationToken cancellationToken)
    {
        // Versions of a deleted object of the same name may still have the number of this very microsecond.
        var now = time.GetUtcNow() + TimeSpan.FromMicroseconds(attempt);
        var graph = await LoadAsync(tenant, change.ObjectId, change.Added, now, cancellationToken);
        change.Check(graph);
        if (change.Added is { Status: PairStatus.Pending } pending)
        {
            RefuseTooManyLinks(graph, pending, now);
            return await LinkAsync(tenant, graph, pending, change.Also, now, cancellationToken);
        }

        graph.RefuseConflicts(now);
        lanes.Remember(tenant, graph);
        RefuseTooManyLinks(graph, change.Added, now);
        var counted = change.Added is null ? [] : await counts.AddAsync(tenant, change.Added, now, cancellationToken);

        var latest = graph.Latest(now);
        var placement = await PlaceAsync(tenant, change, latest.Content, graph.DimensionsNeeded(now), cancellationToken);
        var version = graph.NextVersion(now);
        var origin = new ObjectVersion(change.ObjectId, version, placement.Pointer, change.Content?.ContentType ?? latest.ContentType);
        var crystal = await CrystalAsync(tenant, graph, placement.Pointer, change.Content, now, cancellationToken);
        var underWay = new WriteUnderWay(version, placement.Pointer.Sha256, [.. graph.Steps.Select(step => step.ObjectId)]);
        var fixedActions = placement.Actions
            .Concat(placement.Missing.Select(dimension => new Repair(placement.Pointer, dimension).Plan(tenant)))
            .Concat(change.Added is null ? [] : await PlanEndAsync(tenant, change.Added, cancellationToken))
            .Concat(counted)
            .ToList();

        var moved = new HashSet<string>(StringComparer.Ordinal);
        var also = await AlsoAsync(graph.Steps);
        var wave = Wave.Select(graph, graph.Steps, moved, change.Added, now, [.. fixedActions, .. also], crystal.Length);
        if (!crystal.IsEmpty && wave.Steps.Count < graph.Steps.Count)
        {
            // The cache never makes a write take more transactions: what one cannot hold with it goes without.
            crystal = default;
            wave = Wave.Select(graph, graph.Steps, moved, change.Added, now, [.. fixedActions, .. also], 0);
        }

        var isWide = wave.Steps.Count < graph.Steps.Count;
        if (isWide)
        {
            fixedActions.Add(TableAction.Insert(ObjectRows.UnderWayRow(tenant, underWay)));
            wave = Wave.Select(graph, graph.Steps, moved, change.Added, now, [.. fixedActions, .. also], 0);
            also = await AlsoAsync(wave.Steps);
        }

        fixedActions.AddRange(also);

        if (isWide || placement.Missing.Count > 0)
        {
            await work.AnnounceAsync(tenant, cancellationToken);
        }

        TimeSpan? latency;
        try
        {
            latency = await SendAsync(tenant, graph, wave, change.Added, origin, crystal, fixedActions, now, isFirst: true, cancellationToken);
        }
        catch (StorageException exception) when (exception.IsTransient)
        {
            placement.InTransaction.ForEach(dimensions.Failed);
            throw;
        }

        if (latency is null)
        {
            return null;
        }

        placement.InTransaction.ForEach(dimensions.Succeeded);

        moved.UnionWith(wave.Steps.Select(step => step.ObjectId));
        if (isWide)
        {
            await FinishBestEffortAsync(tenant, graph, moved, origin, underWay, now, cancellationToken);
        }

        return Done(graph.Steps.Where(step => moved.Contains(step.ObjectId)), !isWide, latency);

        async Task<IReadOnlyList<TableAction>> AlsoAsync(IReadOnlyList<Step> steps) =>
            change.Also is null ? [] : await change.Also(Done(steps, steps.Count == graph.Steps.Count, null));

        Changed Done(IEnumerable<Step> steps, bool isOneTransaction, TimeSpan? latency) => new(
            origin,
            !graph.Origin.Exists,
            graph.Origin.Exists ? graph.Origin.FirstVersion : version,
            [.. steps.Skip(1).Select(step => step.ObjectId)],
            isOneTransaction,
            latency);
    }

    /// <summary>Ends an entanglement: both objects lose the link, neither its content.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="pairId">The entanglement.</param>
    /// <param name="end">
    /// Gives the ended entanglement, dissolved or collapsed, and further rows for the same transaction, from what is there; null when it is
    /// not to end. Asked again at every attempt.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The ended entanglement, or null when there is none that lives, or it is not to end.</returns>
    public async Task<Pair?> UnlinkAsync(
        string tenant,
        string pairId,
        Func<Pair, ObjectHead, ObjectHead, Task<(Pair Ended, IReadOnlyList<TableAction> Also)?>> end,
        CancellationToken cancellationToken)
    {
        if (await FindAsync() is not { } pair)
        {
            return null;
        }

        // What was read before our turn came may be stale. The second attempt reads in our turn, when only other instances can interfere.
        using var lane = await lanes.EnterAsync(tenant, [pair.SourceId, pair.TargetId, .. LaneOf(pair)], cancellationToken);
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var heads = await objects.FindForWriteAsync(tenant, [pair.SourceId, pair.TargetId], cancellationToken);
            var noted = pair with { Statistics = pair.Statistics.With(ledger.Peek(tenant, pairId)) };
            if (await end(noted, heads[0], heads[1]) is not var (ended, also))
            {
                return null;
            }

            var row = ObjectRows.PairRow(tenant, ended);
            IEnumerable<TableAction> moved = ended.Dissolution is null
                ? [TableAction.Replace(row, pair.RowETag!)]
                : [TableAction.Delete(tenant, ObjectRows.PairKey(pairId), pair.RowETag!), TableAction.Insert(row)];
            var unlinked = heads
                .Where(head => head.Links.Any(link => link.PairId == pairId))
                .Select(head => Put(tenant, head with { Links = [.. head.Links.Where(link => link.PairId != pairId)] }));
            TableAction[] actions = [.. moved, .. unlinked, .. await counts.RemoveAsync(tenant, pair, cancellationToken), .. also];
            if (await WriteAsync(actions, cancellationToken))
            {
                ledger.Forget(tenant, pairId);
                return ended;
            }

            await Task.Delay(Backoff(attempt), time, cancellationToken);
            if (await FindAsync() is not { } current)
            {
                return null;
            }

            pair = current;
        }

        throw ApiException.Unavailable();

        async Task<Pair?> FindAsync() => (await objects.FindLivingPairsAsync(tenant, [pairId], cancellationToken))[0];
    }

    /// <summary>
    /// Has the decoherence timer look at an entanglement that has lost its coherence. What this instance knows of its failures is stored with it, since the
    /// timer knows nothing else. Once on each instance; what storage does not take now is done the next time that the loss is noticed.
    /// </summary>
    /// <returns>False when storage does not answer.</returns>
    public async Task<bool> NoteLossAsync(string tenant, Pair pair, CancellationToken cancellationToken)
    {
        if (ledger.IsNoted(tenant, pair.Id))
        {
            return true;
        }

        try
        {
            var now = time.GetUtcNow();
            await due.AnnounceAsync(DueKind, tenant, now, cancellationToken);
            var record = ledger.Peek(tenant, pair.Id);
            var recorded = pair with { Statistics = pair.Statistics.With(record) };
            TableAction[] actions = [TableAction.Replace(ObjectRows.PairRow(tenant, recorded), pair.RowETag!), TableAction.Upsert(DueRow(tenant, pair, now))];
            if ((await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone)
            {
                ledger.Noted(tenant, pair.Id, record);
            }

            return true;
        }
        catch (StorageException exception)
        {
            LogNotNoted(exception, pair.Id);
            return false;
        }
    }

    /// <summary>Says that the tenant is about to have an entanglement that falls due. One storage request an hour, else none.</summary>
    public Task AnnounceAsync(string tenant, DateTimeOffset dueAt, CancellationToken cancellationToken) =>
        due.AnnounceAsync(DueKind, tenant, dueAt, cancellationToken);

    /// <summary>The row that has the decoherence timer look at an entanglement.</summary>
    public static TableRow DueRow(string tenant, Pair pair, DateTimeOffset dueAt) =>
        new TableRow(tenant, ObjectRows.DueKey(DueKind, dueAt, TableKey.Escape(pair.Id))).Set("PairId", pair.Id);

    // An entanglement that will end by itself, or never held, comes up when it does.
    private async Task<IReadOnlyList<TableAction>> PlanEndAsync(string tenant, Pair added, CancellationToken cancellationToken)
    {
        if ((added.Status == PairStatus.Pending ? added.CreatedAt : added.ExpiresAt) is not { } dueAt)
        {
            return [];
        }

        await AnnounceAsync(tenant, dueAt, cancellationToken);
        return [TableAction.Upsert(DueRow(tenant, added, dueAt))];
    }

    /// <summary>How long to wait, in some disorder, before what others interfered with is tried again.</summary>
    /// <param name="attempt">How many attempts have failed before, from 0.</param>
    public static TimeSpan Backoff(int attempt) =>
        TimeSpan.FromMilliseconds(Math.Min(_backoffMax.TotalMilliseconds, Math.Pow(2, attempt + 1)) * (0.5 + Random.Shared.NextDouble()));

    private Task<ObjectGraph> LoadAsync(string tenant, string origin, Pair? added, DateTimeOffset now, CancellationToken cancellationToken) =>
        ObjectGraph.LoadAsync(origin, added, now, ids => objects.FindForWriteAsync(tenant, ids, cancellationToken));

    // An object's links lie in its row, and every write to it writes them again.
    private static void RefuseTooManyLinks(ObjectGraph graph, Pair? added, DateTimeOffset now)
    {
        foreach (var id in added is null ? [] : new[] { added.SourceId, added.TargetId })
        {
            if (graph.Head(id).Links.Count(link => !link.IsExpired(now)) >= ObjectLimits.LinksMax)
            {
                throw ApiException.QuantumConflict(
                    $"An object takes at most {ObjectLimits.LinksMax} entanglements",
                    new Dictionary<string, object?> { ["object_id"] = id, ["limit"] = ObjectLimits.LinksMax });
            }
        }
    }

    // An entanglement that carries no writes: both objects get to know it and keep their content.
    private async Task<Changed?> LinkAsync(
        string tenant,
        ObjectGraph graph,
        Pair pair,
        Func<Changed, Task<IReadOnlyList<TableAction>>>? also,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        var done = new Changed(graph.Origin.Current, false, graph.Origin.FirstVersion, [], true, null);
        List<TableAction> actions =
        [
            .. also is null ? [] : await also(done),
            TableAction.Insert(ObjectRows.PairRow(tenant, pair)),
            .. await PlanEndAsync(tenant, pair, cancellationToken),
            .. await counts.AddAsync(tenant, pair, now, cancellationToken),
        ];
        foreach (var head in new[] { graph.Head(pair.SourceId), graph.Head(pair.TargetId) })
        {
            var version = head.Exists ? head.Current : head.Current with { Version = graph.NextVersion(now) };
            actions.Add(Put(tenant, Next(head, version, head.Crystal, pair, now)));
            if (!head.Exists)
            {
                actions.Add(TableAction.Insert(ObjectRows.VersionRow(tenant, version, version.Version)));
            }
        }

        var started = time.GetTimestamp();
        return await WriteAsync(actions, cancellationToken)
            ? done with { Latency = time.GetElapsedTime(started) }
            : null;
    }

    private async Task<Placement> PlaceAsync(
        string tenant, Change change, ContentPointer latest, IReadOnlyList<int> needed, CancellationToken cancellationToken)
    {
        switch (change.Content)
        {
            case null:
                if (change.Added is { IsVerified: true })
                {
                    await contents.VerifyAsync(tenant, latest, cancellationToken);
                }

                return await contents.ExtendAsync(tenant, latest, needed, cancellationToken);
            case { Uploaded: null } content:
                var pointer = ContentStore.PointerTo(content.Bytes.Span, needed);
                return await contents.PlaceRowsAsync(tenant, pointer, content.Bytes, needed, cancellationToken);
            case { Uploaded: { } uploaded } content:
                return await contents.PlaceBlobAsync(tenant, uploaded, content.Missing, needed, cancellationToken);
        }
    }

    // What the heads of cached entanglements carry along: the content, when it is small. Without it they are read from the dimensions, as others are.
    private async Task<ReadOnlyMemory<byte>> CrystalAsync(
        string tenant, ObjectGraph graph, ContentPointer pointer, NewContent? content, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (pointer.SizeBytes > ObjectLimits.CrystalBytesMax || pointer.Blob is not null || !graph.Steps.Any(step => graph.IsCached(step.ObjectId, now)))
        {
            return default;
        }

        try
        {
            return content?.Bytes ?? await contents.ReadRowsAsync(tenant, pointer, cancellationToken);
        }
        catch (ApiException exception)
        {
            LogNotCached(exception, graph.Origin.Id);
            return default;
        }
    }

    private async Task FinishBestEffortAsync(
        string tenant,
        ObjectGraph graph,
        HashSet<string> moved,
        ObjectVersion origin,
        WriteUnderWay underWay,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        // The write is durable and on record: whatever fails from here on, maintenance finishes it, and the caller is told that it took.
        try
        {
            if (await MoveRestAsync(tenant, graph, moved, origin, now, cancellationToken))
            {
                await RemoveAsync(tenant, underWay, cancellationToken);
            }
            else
            {
                await FinishAsync(tenant, underWay, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is StorageException or ApiException or OperationCanceledException)
        {
            LogLeftUnderWay(exception, origin.Version);
        }
    }

    // Another instance may have removed the record, and a write to other objects may have got the same number since: that one's record stays.
    private async Task RemoveAsync(string tenant, WriteUnderWay write, CancellationToken cancellationToken)
    {
        var key = ObjectRows.UnderWayKey(write.Version);
        if (await _tables.GetAsync(ObjectRows.Table, tenant, key, null, cancellationToken) is { } row
            && ObjectRows.ParseUnderWay(row).ObjectIds[0] == write.ObjectIds[0])
        {
            await _tables.WriteAsync(ObjectRows.Table, [TableAction.Delete(tenant, key, row.ETag!)], cancellationToken);
        }
    }

    // Moves what the transactions so far have not; false when a head had changed, so that the graph must be read again.
    private async Task<bool> MoveRestAsync(
        string tenant, ObjectGraph graph, HashSet<string> moved, ObjectVersion origin, DateTimeOffset now, CancellationToken cancellationToken)
    {
        while (graph.Steps.Where(step => !moved.Contains(step.ObjectId)).ToList() is { Count: > 0 } rest)
        {
            var wave = Wave.Select(graph, rest, moved, null, now, [], 0);
            if (await SendAsync(tenant, graph, wave, null, origin, default, [], now, isFirst: false, cancellationToken) is null)
            {
                return false;
            }

            moved.UnionWith(wave.Steps.Select(step => step.ObjectId));
        }

        return true;
    }

    // One transaction: how long it took, or null when something had changed since it was read.
    private async Task<TimeSpan?> SendAsync(
        string tenant,
        ObjectGraph graph,
        Wave wave,
        Pair? added,
        ObjectVersion origin,
        ReadOnlyMemory<byte> crystal,
        IReadOnlyList<TableAction> fixedActions,
        DateTimeOffset now,
        bool isFirst,
        CancellationToken cancellationToken)
    {
        var stored = wave.PairIds.Count == 0 ? [] : await objects.FindLivingPairsAsync(tenant, wave.PairIds, cancellationToken);
        if (stored.Contains(null))
        {
            return null;
        }

        var pairs = stored.Select(pair => pair!).ToList();
        if (isFirst && pairs.FirstOrDefault(pair => CoherenceOf(tenant, pair) < Pair.CoherenceMin) is { } lost)
        {
            var coherence = CoherenceOf(tenant, lost);
            await NoteLossAsync(tenant, lost, cancellationToken);
            throw ApiException.CoherenceLost(coherence, Pair.CoherenceMin, lost.Pathway);
        }

        var records = pairs.Select(pair => ledger.Peek(tenant, pair.Id)).ToList();
        var actions = new List<TableAction>(fixedActions);
        foreach (var step in wave.Steps)
        {
            var head = graph.Head(step.ObjectId);
            var version = origin with { ObjectId = step.ObjectId };
            var next = Next(head, version, crystal, added, now);
            actions.Add(Put(tenant, next));
            actions.Add(TableAction.Insert(ObjectRows.VersionRow(tenant, version, next.FirstVersion)));
        }

        foreach (var (pair, record) in pairs.Zip(records))
        {
            var synced = Synced(pair, record, origin);
            actions.Add(TableAction.Replace(ObjectRows.PairRow(tenant, synced), pair.RowETag!));
        }

        if (added is not null)
        {
            actions.Add(TableAction.Insert(ObjectRows.PairRow(tenant, Synced(added, SyncRecord.None, origin))));
        }

        var started = time.GetTimestamp();
        try
        {
            if (!await WriteAsync(actions, cancellationToken))
            {
                return null;
            }
        }
        catch (StorageException exception) when (exception.IsTransient)
        {
            pairs.ForEach(pair => ledger.Failed(tenant, pair.Id));
            await NoteLossesAsync(pairs);
            throw;
        }

        var latency = time.GetElapsedTime(started);
        foreach (var (pair, record) in pairs.Zip(records))
        {
            ledger.Succeeded(tenant, pair.Id, record, latency);
        }

        if (added is not null)
        {
            ledger.Succeeded(tenant, added.Id, SyncRecord.None, latency);
        }

        return latency;

        // Storage is in trouble: once it does not take one of them, the others need not be tried.
        async Task NoteLossesAsync(IEnumerable<Pair> failed)
        {
            foreach (var pair in failed.Where(pair => CoherenceOf(tenant, pair) < Pair.CoherenceMin))
            {
                if (!await NoteLossAsync(tenant, pair, cancellationToken))
                {
                    return;
                }
            }
        }
    }

    // A transaction that may hold a count: false when something had changed since it was read.
    private async Task<bool> WriteAsync(IReadOnlyList<TableAction> actions, CancellationToken cancellationToken)
    {
        var result = await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken);
        counts.Note(actions, result);
        return result.IsDone;
    }

    private static string[] LaneOf(Pair pair) => pair.KeyId is { } keyId ? [PairCounts.LaneOf(keyId)] : [];

    private static ObjectHead Next(ObjectHead head, ObjectVersion version, ReadOnlyMemory<byte> crystal, Pair? added, DateTimeOffset now)
    {
        var links = head.Links.Where(link => !link.IsExpired(now));
        if (added is not null && (head.Id == added.SourceId || head.Id == added.TargetId))
        {
            links = links.Append(added.LinkOf(head.Id));
        }

        return head with
        {
            Current = version,
            FirstVersion = head.Exists ? head.FirstVersion : version.Version,
            Links = [.. links],
            Crystal = crystal,
        };
    }

    private static TableAction Put(string tenant, ObjectHead head)
    {
        var row = ObjectRows.HeadRow(tenant, head);
        return head.RowETag is null ? TableAction.Insert(row) : TableAction.Replace(row, head.RowETag);
    }

    private static Pair Synced(Pair pair, SyncRecord record, ObjectVersion version) => pair with
    {
        SyncedVersion = version.Version,
        SyncedBytes = version.Content.SizeBytes,
        Statistics = pair.Statistics.With(record).WithSync(version.Content.SizeBytes),
    };

    private double CoherenceOf(string tenant, Pair pair) => pair.Coherence(TimeSpan.Zero, ledger.Peek(tenant, pair.Id));

    [LoggerMessage(Level = LogLevel.Warning, Message = "That the entanglement {PairId} has lost its coherence could not be put on record.")]
    private partial void LogNotNoted(Exception exception, string pairId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The content of {ObjectId} could not be read to be cached with its head.")]
    private partial void LogNotCached(Exception exception, string objectId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Version {Version} has not reached all entangled objects yet; maintenance finishes it.")]
    private partial void LogLeftUnderWay(Exception exception, long version);
}
