using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Reads objects and pairs, and removes objects. Writes that move objects are <see cref="ObjectWriter"/>'s.</summary>
public sealed class ObjectStore(StorageAccounts storage, CleanUpStore cleanUps, TimeProvider time)
{
    private const int ReadsAtOnceMax = 16;
    private const int AttemptsMax = 64;
    private const int LocksNamedMax = 100;

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>The head of an object, or null when there is none. One storage request.</summary>
    public async Task<ObjectHead?> FindAsync(string tenant, string objectId, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.HeadKey(objectId), null, cancellationToken) is { } row
            ? ObjectRows.ParseHead(row)
            : null;

    /// <summary>The heads of several objects as a write needs them, in the order of the ids. One storage request each, some at once.</summary>
    /// <returns>The heads; <see cref="ObjectHead.Unwritten"/> for an object that does not exist.</returns>
    public Task<IReadOnlyList<ObjectHead>> FindForWriteAsync(string tenant, IReadOnlyList<string> objectIds, CancellationToken cancellationToken) =>
        FindEachAsync(objectIds, async id => await FindAsync(tenant, id, cancellationToken) ?? ObjectHead.Unwritten(id));

    /// <summary>An older version by its number. Two storage requests at once.</summary>
    /// <returns>The version, or null when the object does not exist or never had it.</returns>
    public async Task<ObjectVersion?> FindVersionAsync(string tenant, string objectId, long version, CancellationToken cancellationToken)
    {
        var find = FindAsync(tenant, objectId, cancellationToken);
        var ask = _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.VersionKey(objectId, version), null, cancellationToken);
        await Task.WhenAll(find, ask);
        return await find is { } head ? VersionOf(head, await ask) : null;
    }

    /// <summary>A version of an object whose head is known, by its number. One storage request, or none for the current one.</summary>
    /// <returns>The version, or null when the object never had it, or is gone.</returns>
    public async Task<ObjectVersion?> FindVersionAsync(string tenant, ObjectHead head, long version, CancellationToken cancellationToken) =>
        version == head.Current.Version
            ? head.Current
            : VersionOf(head, await _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.VersionKey(head.Id, version), null, cancellationToken));

    /// <summary>
    /// The version that was current at a moment; the first one for a moment before it, the current one for a moment to come. One storage request, or
    /// none for the current one.
    /// </summary>
    /// <remarks>Whoever writes under the head's ETag then writes what still holds: no version comes or goes without the head.</remarks>
    /// <returns>The version, or null when the object is gone.</returns>
    public async Task<ObjectVersion?> FindNearestVersionAsync(string tenant, ObjectHead head, DateTimeOffset moment, CancellationToken cancellationToken)
    {
        if (head.Current.WrittenAt <= moment)
        {
            return head.Current;
        }

        return moment < VersionNumber.ToMoment(head.FirstVersion)
            ? await FindVersionAsync(tenant, head, head.FirstVersion, cancellationToken)
            : await FirstOfAsync(tenant, head, AsOf(tenant, head.Id, moment), null, cancellationToken);
    }

    /// <summary>The version that was current at a moment. Two storage requests at once.</summary>
    /// <returns>The version, or null when the object does not exist or did not at that moment.</returns>
    public async Task<ObjectVersion?> FindVersionAtAsync(string tenant, string objectId, DateTimeOffset moment, CancellationToken cancellationToken)
    {
        if (moment < DateTimeOffset.UnixEpoch)
        {
            return null;
        }

        var find = FindAsync(tenant, objectId, cancellationToken);
        var query = AsOf(tenant, objectId, moment);
        var ask = _tables.FirstAsync(ObjectRows.Table, query, cancellationToken);
        await Task.WhenAll(find, ask);
        return await find is { } head ? await FirstOfAsync(tenant, head, query, await ask, cancellationToken) : null;
    }

    /// <summary>A page of objects in the order of their ids. One storage request.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="prefix">What their ids start with; empty means all.</param>
    /// <param name="after">The id after which the page starts; null means the beginning.</param>
    /// <param name="limit">The most objects to return.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<(IReadOnlyList<ObjectHead> Objects, bool HasMore)> ListAsync(
        string tenant, string prefix, string? after, int limit, CancellationToken cancellationToken)
    {
        var from = ObjectRows.HeadKey(prefix);
        var start = after is null ? from : Cursor.After(ObjectRows.HeadKey(after));
        var query = new TableQuery(
            tenant,
            string.CompareOrdinal(start, from) > 0 ? start : from,
            from[..^1] + (char)(from[^1] + 1),
            limit + 1,
            ObjectRows.HeadColumns);
        var (rows, hasMore) = await PageAsync(query, limit, cancellationToken);
        return ([.. rows.Select(ObjectRows.ParseHead)], hasMore);
    }

    /// <summary>A page of an object's versions, newest first. Two storage requests at once.</summary>
    /// <returns>The page, or null when the object does not exist.</returns>
    public async Task<(IReadOnlyList<ObjectVersion> Versions, bool HasMore)?> ListVersionsAsync(
        string tenant, string objectId, long? after, int limit, CancellationToken cancellationToken)
    {
        var start = after is { } version ? Cursor.After(ObjectRows.VersionKey(objectId, version)) : ObjectRows.VersionsFrom(objectId);
        var find = FindAsync(tenant, objectId, cancellationToken);
        var query = new TableQuery(tenant, start, ObjectRows.VersionsBefore(objectId), limit + 1);
        var ask = _tables.FirstAsync(ObjectRows.Table, query, cancellationToken);
        await Task.WhenAll(find, ask);
        if (await find is not { } head)
        {
            return null;
        }

        // Versions of a deleted object of the same name may lie between them, and after the first one.
        var found = new List<TableRow>();
        var rows = await ask;
        while (true)
        {
            found.AddRange(rows.Where(row => ObjectRows.IsVersionOf(row, head.FirstVersion)));
            if (rows.Count < query.Limit || found.Count > limit || rows[^1].Whole("Version") <= head.FirstVersion)
            {
                return ([.. found.Take(limit).Select(row => ObjectRows.ParseVersion(row, objectId))], found.Count > limit);
            }

            query = query with { From = Cursor.After(rows[^1].Key), Limit = ITables.PageRowsMax };
            rows = await _tables.FirstAsync(ObjectRows.Table, query, cancellationToken);
        }
    }

    /// <summary>
    /// Removes an object with all its versions: at once out of sight, since versions are only found by their object's head, and out of storage by the
    /// clean-up.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="objectId">The object.</param>
    /// <param name="check">Ends the request when the caller does not mean the object as it stands.</param>
    /// <param name="also">Further rows for the same transaction; asked again at every attempt.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>False when there is no such object.</returns>
    /// <exception cref="ApiException">409 <c>QUANTUM_CONFLICT</c> for an object that is entangled or locked.</exception>
    public async Task<bool> DeleteAsync(
        string tenant,
        string objectId,
        Action<ObjectHead> check,
        Func<Task<IReadOnlyList<TableAction>>> also,
        CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            if (await FindAsync(tenant, objectId, cancellationToken) is not { } head)
            {
                return false;
            }

            check(head);
            await RefuseHeldAsync(tenant, head, cancellationToken);
            var dueAt = time.GetUtcNow() + CleanUpStore.Grace;
            await cleanUps.AnnounceAsync(tenant, dueAt, cancellationToken);
            var removal = TableAction.Delete(tenant, ObjectRows.HeadKey(objectId), head.RowETag!);
            if ((await _tables.WriteAsync(
                ObjectRows.Table, [removal, CleanUpStore.Remove(tenant, head, dueAt), .. await also()], cancellationToken)).IsDone)
            {
                return true;
            }
        }

        throw ApiException.Unavailable();
    }

    /// <summary>Removes versions of a deleted object from storage, newest first, as many as one transaction takes.</summary>
    /// <returns>How many; 0 when none are left, null when another instance was at it too.</returns>
    public async Task<int?> RemoveVersionsAsync(string tenant, CleanUpItem item, CancellationToken cancellationToken)
    {
        var versions = await VersionsToRemoveAsync(tenant, item, cancellationToken);
        return versions.Count == 0 || (await _tables.WriteAsync(ObjectRows.Table, versions, cancellationToken)).IsDone ? versions.Count : null;
    }

    /// <summary>An entanglement, dissolved ones included. One storage request for one that lives, two for one that does not.</summary>
    public async Task<Pair?> FindPairAsync(string tenant, string pairId, CancellationToken cancellationToken) =>
        await FindLivingPairAsync(tenant, pairId, cancellationToken)
        ?? (await _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.DissolvedKey(pairId), null, cancellationToken) is { } row
            ? ObjectRows.ParsePair(row)
            : null);

    /// <summary>Several entanglements that live, in the order of the ids; null where there is none. One storage request each, some at once.</summary>
    public Task<IReadOnlyList<Pair?>> FindLivingPairsAsync(string tenant, IReadOnlyList<string> pairIds, CancellationToken cancellationToken) =>
        FindEachAsync(pairIds, id => FindLivingPairAsync(tenant, id, cancellationToken));

    /// <summary>Every entanglement that is not dissolved, oldest first, and every write under way. One storage request for each thousand of them.</summary>
    public async Task<(IReadOnlyList<Pair> Pairs, IReadOnlyList<WriteUnderWay> UnderWay)> ListPairsAsync(string tenant, CancellationToken cancellationToken)
    {
        var pairs = new List<Pair>();
        var underWay = new List<WriteUnderWay>();
        string? continuation = null;
        do
        {
            var query = new TableQuery(tenant, ObjectRows.PairsFrom, ObjectRows.PairsBefore, Continuation: continuation);
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            foreach (var row in page.Rows)
            {
                if (ObjectRows.IsUnderWay(row))
                {
                    underWay.Add(ObjectRows.ParseUnderWay(row));
                }
                else
                {
                    pairs.Add(ObjectRows.ParsePair(row));
                }
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);

        return (pairs, underWay);
    }

    /// <summary>The writes that have not reached every object they must move. One storage request: they are few, and soon over.</summary>
    public async Task<IReadOnlyList<WriteUnderWay>> ListUnderWayAsync(string tenant, CancellationToken cancellationToken) =>
        [.. (await _tables.FirstAsync(ObjectRows.Table, new TableQuery(tenant, ObjectRows.UnderWayFrom, ObjectRows.UnderWayBefore), cancellationToken))
            .Select(ObjectRows.ParseUnderWay)];

    private static TableQuery AsOf(string tenant, string objectId, DateTimeOffset moment) =>
        new(tenant, ObjectRows.VersionKey(objectId, VersionNumber.At(moment)), ObjectRows.VersionsBefore(objectId), 1);

    private static ObjectVersion? VersionOf(ObjectHead head, TableRow? row) =>
        row is not null && ObjectRows.IsVersionOf(row, head.FirstVersion) ? ObjectRows.ParseVersion(row, head.Id) : null;

    // The first version of a range, unless versions of a deleted object of the same name still lie before it.
    private async Task<ObjectVersion?> FirstOfAsync(
        string tenant, ObjectHead head, TableQuery query, IReadOnlyList<TableRow>? rows, CancellationToken cancellationToken)
    {
        rows ??= await _tables.FirstAsync(ObjectRows.Table, query, cancellationToken);
        while (rows.Count > 0)
        {
            if (rows.FirstOrDefault(row => ObjectRows.IsVersionOf(row, head.FirstVersion)) is { } found)
            {
                return ObjectRows.ParseVersion(found, head.Id);
            }

            if (rows[^1].Whole("Version") < head.FirstVersion)
            {
                return null;
            }

            query = query with { From = Cursor.After(rows[^1].Key), Limit = ITables.PageRowsMax };
            rows = await _tables.FirstAsync(ObjectRows.Table, query, cancellationToken);
        }

        return null;
    }

    private async Task<Pair?> FindLivingPairAsync(string tenant, string pairId, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.PairKey(pairId), null, cancellationToken) is { } row
            ? ObjectRows.ParsePair(row)
            : null;

    private async Task<(IReadOnlyList<TableRow> Rows, bool HasMore)> PageAsync(TableQuery query, int limit, CancellationToken cancellationToken)
    {
        var rows = await _tables.FirstAsync(ObjectRows.Table, query with { Limit = limit + 1 }, cancellationToken);
        return ([.. rows.Take(limit)], rows.Count > limit);
    }

    // The first versions of a deleted object, newest first. Those of another object of the same name, which may lie between them, are passed over.
    private async Task<List<TableAction>> VersionsToRemoveAsync(string tenant, CleanUpItem item, CancellationToken cancellationToken)
    {
        const int Limit = ITables.TransactionRowsMax;
        var removals = new List<TableAction>();
        var query = new TableQuery(
            tenant,
            ObjectRows.VersionKey(item.Subject, item.Version),
            ObjectRows.VersionsBefore(item.Subject),
            Limit,
            Columns: ["FirstVersion"]);
        do
        {
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            removals.AddRange(page.Rows
                .Where(row => ObjectRows.IsVersionOf(row, item.FirstVersion))
                .Take(Limit - removals.Count)
                .Select(row => TableAction.Delete(tenant, row.Key, row.ETag!)));
            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null && removals.Count < Limit);

        return removals;
    }

    // Whoever entangles or anchors the object afterwards writes its head, and so makes the deletion look again.
    private async Task RefuseHeldAsync(string tenant, ObjectHead head, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (head.Links.Where(link => !link.IsExpired(now)).Select(link => link.PairId).ToList() is { Count: > 0 } pairs)
        {
            throw ApiException.QuantumConflict(
                "The object is entangled; dissolve its entanglements first",
                new Dictionary<string, object?> { ["entanglement_ids"] = pairs });
        }

        if (head.HasLocks && await FindLocksAsync(tenant, head.Id, now, cancellationToken) is { Count: > 0 } anchorIds)
        {
            throw ApiException.QuantumConflict(
                "The object is locked; remove its anchors first",
                new Dictionary<string, object?> { ["anchor_ids"] = anchorIds });
        }
    }

    // The anchors that lock a version of an object, oldest first, as many as an answer names. One storage request for each thousand locks that are over
    // and not removed yet, and one for those that hold.
    private async Task<IReadOnlyList<string>> FindLocksAsync(string tenant, string objectId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var anchorIds = new List<string>();
        var query = new TableQuery(tenant, ObjectRows.LocksFrom(objectId), ObjectRows.LocksBefore(objectId), Columns: ["Anchor", "ExpiresAt"]);
        do
        {
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            anchorIds.AddRange(page.Rows.Where(row => !(row.Whole("ExpiresAt") <= now.UtcTicks)).Select(row => row.Text("Anchor")!));
            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null && anchorIds.Count == 0);

        return [.. anchorIds.Take(LocksNamedMax)];
    }

    private static async Task<IReadOnlyList<T>> FindEachAsync<T>(IReadOnlyList<string> ids, Func<string, Task<T>> find)
    {
        var found = new List<T>(ids.Count);
        foreach (var some in ids.Chunk(ReadsAtOnceMax))
        {
            found.AddRange(await Task.WhenAll(some.Select(find)));
        }

        return found;
    }
}
