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
/// <param name="Also">Further rows for the same transaction, given the new version; asked again at every attempt. Null when there are none.</param>
public sealed record Change(
    string ObjectId,
    Action<ObjectGraph> Check,
    NewContent? Content = null,
    Pair? Added = null,
    Func<long, Task<IReadOnlyList<TableAction>>>? Also = null);

/// <summary>What a change did.</summary>
/// <param name="Version">The object's new version.</param>
/// <param name="IsNew">Whether the object did not exist before.</param>
/// <param name="FirstVersion">The number of the object's first version.</param>
/// <param name="SyncedTo">The other objects that have it now, nearest first.</param>
/// <param name="Latency">How long the transaction took that made it so.</param>
public sealed record Changed(
    ObjectVersion Version, bool IsNew, long FirstVersion, IReadOnlyList<string> SyncedTo, TimeSpan Latency);

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
    WriteLanes lanes,
    SyncLedger ledger,
    Dimensions dimensions,
    TimeProvider time,
    ILogger<ObjectWriter> logger)
{
    private const int AttemptsMax = 64;

    private static readonly TimeSpan _backoffMax = TimeSpan.FromMilliseconds(250);

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Makes a change. Two storage requests for an object without partners.</summary>
    /// <exception cref="ApiException">What the check says; 409 <c>QUANTUM_CONFLICT</c> when the write would reach a one-way target from elsewhere; 503.</exception>
    public async Task<Changed> ChangeAsync(string tenant, Change change, CancellationToken cancellationToken)
    {
        string[] writes = change.Added is { } added ? [change.ObjectId, added.TargetId] : [change.ObjectId];
        var uploaded = change.Content?.Uploaded;
        try
        {
            using var lane = await lanes.EnterAsync(tenant, writes, cancellationToken);
            for (var attempt = 0; attempt < AttemptsMax; attempt++)
            {
                if (await TryChangeAsync(tenant, change, cancellationToken) is { } changed)
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

    private async Task<Changed?> TryChangeAsync(string tenant, Change change, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var graph = await LoadAsync(tenant, change.ObjectId, change.Added, now, cancellationToken);
        change.Check(graph);
        if (change.Added is { Status: PairStatus.Pending } pending)
        {
            RefuseTooManyLinks(graph, pending, now);
            return await LinkAsync(tenant, graph, pending, now, cancellationToken);
        }

        graph.RefuseConflicts(now);
        lanes.Remember(tenant, graph);
        RefuseTooManyLinks(graph, change.Added, now);

        var latest = graph.Latest(now);
        var placement = await PlaceAsync(tenant, change, latest.Content, graph.DimensionsNeeded(now), cancellationToken);
        var version = graph.NextVersion(now);
        var origin = new ObjectVersion(change.ObjectId, version, placement.Pointer, change.Content?.ContentType ?? latest.ContentType);
        var underWay = new WriteUnderWay(version, placement.Pointer.Sha256, [.. graph.Steps.Select(step => step.ObjectId)]);
        var fixedActions = placement.Actions
            .Concat(placement.Missing.Select(dimension => TableAction.Upsert(WorkItem.ForRepair(placement.Pointer, dimension).ToRow(tenant))))
            .Concat(change.Also is null ? [] : await change.Also(version))
            .ToList();

        var moved = new HashSet<string>(StringComparer.Ordinal);
        var wave = Wave.Select(graph, graph.Steps, moved, change.Added, now, fixedActions);
        var isWide = wave.Steps.Count < graph.Steps.Count;
        if (isWide)
        {
            fixedActions.Add(TableAction.Insert(ObjectRows.UnderWayRow(tenant, underWay)));
            wave = Wave.Select(graph, graph.Steps, moved, change.Added, now, fixedActions);
        }

        if (isWide || placement.Missing.Count > 0)
        {
            await work.AnnounceAsync(tenant, cancellationToken);
        }

        TimeSpan? latency;
        try
        {
            latency = await SendAsync(tenant, graph, wave, change.Added, origin, fixedActions, now, isFirst: true, cancellationToken);
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

        return new Changed(
            origin,
            !graph.Origin.Exists,
            graph.Origin.Exists ? graph.Origin.FirstVersion : version,
            [.. graph.Steps.Skip(1).Select(step => step.ObjectId).Where(moved.Contains)],
            latency.Value);
    }

    /// <summary>Ends an entanglement: both objects lose the link, neither its content.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="pairId">The entanglement.</param>
    /// <param name="end">Gives the ended entanglement and further rows for the same transaction, from what is there.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The ended entanglement, or null when there is none that lives.</returns>
    public async Task<Pair?> UnlinkAsync(
        string tenant,
        string pairId,
        Func<Pair, ObjectHead, ObjectHead, (Pair Ended, IReadOnlyList<TableAction> Also)> end,
        CancellationToken cancellationToken)
    {
        if (await FindAsync() is not { } pair)
        {
            return null;
        }

        // What was read before our turn came may be stale. The second attempt reads in our turn, when only other instances can interfere.
        using var lane = await lanes.EnterAsync(tenant, [pair.SourceId, pair.TargetId], cancellationToken);
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var heads = await objects.FindForWriteAsync(tenant, [pair.SourceId, pair.TargetId], cancellationToken);
            var (ended, also) = end(pair, heads[0], heads[1]);
            ended = ended with { Statistics = ended.Statistics.With(ledger.Peek(tenant, pairId)) };
            var unlinked = heads
                .Where(head => head.Links.Any(link => link.PairId == pairId))
                .Select(head => Put(tenant, head with { Links = [.. head.Links.Where(link => link.PairId != pairId)] }));
            var result = await _tables.WriteAsync(
                ObjectRows.Table,
                [
                    TableAction.Delete(tenant, ObjectRows.PairKey(pairId), pair.RowETag!),
                    TableAction.Insert(ObjectRows.PairRow(tenant, ended)),
                    .. unlinked,
                    .. also,
                ],
                cancellationToken);
            if (result.IsDone)
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
    private async Task<Changed?> LinkAsync(string tenant, ObjectGraph graph, Pair pair, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var actions = new List<TableAction> { TableAction.Insert(ObjectRows.PairRow(tenant, pair)) };
        foreach (var head in new[] { graph.Head(pair.SourceId), graph.Head(pair.TargetId) })
        {
            var version = head.Exists ? head.Current : head.Current with { Version = graph.NextVersion(now) };
            actions.Add(Put(tenant, Next(head, version, pair, now)));
            if (!head.Exists)
            {
                actions.Add(TableAction.Insert(ObjectRows.VersionRow(tenant, version, version.Version)));
            }
        }

        var started = time.GetTimestamp();
        return (await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone
            ? new Changed(graph.Origin.Current, false, graph.Origin.FirstVersion, [], time.GetElapsedTime(started))
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
            var wave = Wave.Select(graph, rest, moved, null, now, []);
            if (await SendAsync(tenant, graph, wave, null, origin, [], now, isFirst: false, cancellationToken) is null)
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
            await RecordFailuresAsync(tenant, lost, cancellationToken);
            throw ApiException.CoherenceLost(coherence, Pair.CoherenceMin, lost.Pathway);
        }

        var records = pairs.Select(pair => ledger.Peek(tenant, pair.Id)).ToList();
        var actions = new List<TableAction>(fixedActions);
        foreach (var step in wave.Steps)
        {
            var head = graph.Head(step.ObjectId);
            var version = origin with { ObjectId = step.ObjectId };
            var next = Next(head, version, added, now);
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
            if (!(await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone)
            {
                return null;
            }
        }
        catch (StorageException exception) when (exception.IsTransient)
        {
            pairs.ForEach(pair => ledger.Failed(tenant, pair.Id));
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
    }

    // What failed here is known to this instance alone. Before a write is refused for it, all of them are to know.
    private async Task RecordFailuresAsync(string tenant, Pair pair, CancellationToken cancellationToken)
    {
        var record = ledger.Peek(tenant, pair.Id);
        if (record.FailureCount > 0)
        {
            var recorded = pair with { Statistics = pair.Statistics.With(record) };
            if ((await _tables.WriteAsync(
                ObjectRows.Table, [TableAction.Replace(ObjectRows.PairRow(tenant, recorded), pair.RowETag!)], cancellationToken)).IsDone)
            {
                ledger.Stored(tenant, pair.Id, record);
            }
        }
    }

    private static ObjectHead Next(ObjectHead head, ObjectVersion version, Pair? added, DateTimeOffset now)
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

    [LoggerMessage(Level = LogLevel.Warning, Message = "Version {Version} has not reached all entangled objects yet; maintenance finishes it.")]
    private partial void LogLeftUnderWay(Exception exception, long version);
}
