using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>An entry as it was read, opened.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Secrets">Its secrets.</param>
/// <param name="Closed">The same, wrapped.</param>
/// <param name="Inline">The copy that came with its row; null when there is none.</param>
/// <param name="IsRowSound">False when the entry's own row did not open, and a copy had to tell.</param>
/// <param name="Hits">How often it has been read, as far as storage knows.</param>
/// <param name="RowETag">The state of its row.</param>
public sealed record FoundEntry(
    CacheEntry Entry, CacheSecrets Secrets, byte[] Closed, byte[]? Inline, bool IsRowSound, Hits Hits, string RowETag);

/// <summary>The rows of cache entries.</summary>
public sealed class CacheStore(
    StorageAccounts storage, CacheContent contents, CacheSeal seal, DueTenants due, TimeProvider time)
{
    /// <summary>What the cache's timer is announced under.</summary>
    public const string DueKind = "cache";

    private const int AttemptsMax = 8;

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Reads an entry, expired or not, and opens it; null when there is none. One storage request.</summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when neither its row nor any copy is as it was written.</exception>
    public async Task<FoundEntry?> FindAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        var row = await _tables.GetAsync(CacheRows.Table, tenant, CacheRows.EntryKey(key), null, cancellationToken);
        if (row is null)
        {
            return null;
        }

        var inline = row.Large(CacheRows.DataColumn);
        var hits = CacheRows.Hits(row);
        if (CacheRows.TryParse(row) is { } entry
            && entry.Key == key
            && seal.Open(tenant, entry, CacheRows.Sealed(row)) is { } secrets)
        {
            return new FoundEntry(entry, secrets, CacheRows.Sealed(row), inline, true, hits, row.ETag!);
        }

        return CacheRows.CacheId(row) is { } id && await contents.FindInCopiesAsync(tenant, key, id, cancellationToken) is { } copy
            ? new FoundEntry(copy.Entry, copy.Secrets, copy.Closed, inline, false, hits, row.ETag!)
            : throw ApiException.DimensionalInstability(CacheLimits.DimensionsOf(CacheLimits.ReplicationDefault));
    }

    /// <summary>A page of the entries that have not expired, in the order of their row keys. One storage request, unless many have expired.</summary>
    public async Task<(IReadOnlyList<(CacheEntry Entry, Hits Hits)> Page, bool HasMore)> ListAsync(
        string tenant, string prefix, string? after, int limit, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var beginning = CacheRows.EntryPrefix(prefix);
        var from = after is null ? beginning : Max(beginning, Cursor.After(CacheRows.EntryKey(after)));
        var found = new List<(CacheEntry, Hits)>();
        string? continuation = null;
        do
        {
            var query = new TableQuery(
                tenant, from, CacheRows.EntriesBefore, limit + 1, CacheRows.ListColumns, continuation);
            var page = await _tables.QueryAsync(CacheRows.Table, query, cancellationToken);
            foreach (var row in page.Rows)
            {
                // Keys with a common beginning lie together.
                if (!row.Key.StartsWith(beginning, StringComparison.Ordinal))
                {
                    return (found, false);
                }

                if (CacheRows.TryParse(row) is { } entry && entry.Key.StartsWith(prefix, StringComparison.Ordinal) && !entry.IsExpired(now))
                {
                    if (found.Count == limit)
                    {
                        return (found, true);
                    }

                    found.Add((entry, CacheRows.Hits(row)));
                }
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);

        return (found, false);
    }

    /// <summary>
    /// Writes an entry and its copies in one transaction, in place of whatever is there. One storage request; with a condition, two; one more when an
    /// earlier run has done it or the condition fails.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="rows">Its row and those of its copies.</param>
    /// <param name="missing">The dimensions that did not take their copy.</param>
    /// <param name="check">Is given the current ETag, or null when there is no live entry, and ends the request when the condition fails; null means no condition.</param>
    /// <param name="effect">What is to be done once; null means each time.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The entry, or the one that an earlier run wrote.</returns>
    public async Task<CacheEntry> WriteAsync(
        string tenant,
        CacheEntry entry,
        IReadOnlyList<TableRow> rows,
        IReadOnlyList<int> missing,
        Action<string?>? check,
        CacheEffect? effect,
        CancellationToken cancellationToken)
    {
        var actions = rows.Select(TableAction.Upsert).ToList();
        foreach (var item in DueOf(entry, missing))
        {
            await due.AnnounceAsync(DueKind, tenant, item.At, cancellationToken);
            actions.Add(TableAction.Upsert(item.ToRow(tenant)));
        }

        actions.AddRange(await MarkAsync(tenant, effect, entry.Key, entry.StoredAt, entry, cancellationToken));
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            try
            {
                if (check is not null)
                {
                    var current = await PeekAsync(tenant, entry.Key, cancellationToken);
                    var isThere = current is not null && CacheRows.TryParse(current)?.IsExpired(time.GetUtcNow()) is not true;
                    check(isThere ? ETagOf(current!) : null);
                    actions[0] = current is null ? TableAction.Insert(rows[0]) : TableAction.Replace(rows[0], current.ETag!);
                }

                if ((await _tables.WriteAsync(CacheRows.Table, actions, cancellationToken)).IsDone)
                {
                    return entry;
                }
            }
            catch (ApiException) when (effect is not null)
            {
                // Perhaps it is what an earlier run wrote that the condition forbids.
                if (await FindMarkAsync(tenant, effect, cancellationToken) is { } earlier)
                {
                    return await effect.WrittenAsync(earlier, entry, cancellationToken);
                }

                throw;
            }

            if (effect is not null && await FindMarkAsync(tenant, effect, cancellationToken) is { } mark)
            {
                return await effect.WrittenAsync(mark, entry, cancellationToken);
            }
        }

        throw ApiException.Unavailable();
    }

    /// <summary>Removes a live entry and its copies. Three storage requests, two of them at once; one more when an earlier run has done it or it is refused.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="key">The key.</param>
    /// <param name="check">Is given the entry's ETag, and ends the request when its condition fails.</param>
    /// <param name="effect">What is to be done once; null means each time.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>When it was removed, by this run or an earlier one.</returns>
    /// <exception cref="ApiException">404 when there is none, 410 when it has expired.</exception>
    public async Task<DateTimeOffset> DeleteAsync(
        string tenant, string key, Action<string?> check, CacheEffect? effect, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            try
            {
                var (peek, ask) = (PeekAsync(tenant, key, cancellationToken), CopiesAsync(tenant, key, cancellationToken));
                await Task.WhenAll(peek, ask);
                var row = await peek ?? throw CacheLimits.NotFound();
                var now = time.GetUtcNow();
                CacheRows.TryParse(row)?.RequireAlive(now);
                check(ETagOf(row));
                if (await RemoveAsync(tenant, row, await ask, await MarkAsync(tenant, effect, key, now, null, cancellationToken), cancellationToken))
                {
                    return now;
                }
            }
            catch (ApiException) when (effect is not null)
            {
                // Perhaps it is gone because an earlier run removed it.
                if (await FindMarkAsync(tenant, effect, cancellationToken) is { } earlier)
                {
                    return await effect.MomentAsync(earlier, cancellationToken);
                }

                throw;
            }

            if (effect is not null && await FindMarkAsync(tenant, effect, cancellationToken) is { } mark)
            {
                return await effect.MomentAsync(mark, cancellationToken);
            }
        }

        throw ApiException.Unavailable();
    }

    /// <summary>Removes an entry and its copies as they were read, and does what else is to happen with that.</summary>
    /// <returns>False when something about them has changed since.</returns>
    public async Task<bool> RemoveAsync(
        string tenant, TableRow row, IReadOnlyList<string> copies, IReadOnlyList<TableAction> also, CancellationToken cancellationToken)
    {
        IReadOnlyList<TableAction> actions =
        [
            TableAction.Delete(tenant, row.Key, row.ETag!),
            .. copies.Select(copy => TableAction.Delete(tenant, copy, "*")),
            .. also,
        ];
        if (!(await _tables.WriteAsync(CacheRows.Table, actions, cancellationToken)).IsDone)
        {
            return false;
        }

        // What cannot be removed now is found when it is looked after.
        if (CacheRows.TryParse(row) is { } entry && contents.IsOutside(entry))
        {
            await contents.RemoveOutsideAsync(tenant, entry.CacheId, entry.Dimensions, entry.IsBlob, cancellationToken);
        }

        return true;
    }

    /// <summary>Reads an entry's row without its value, expired or not; null when there is none.</summary>
    public Task<TableRow?> PeekAsync(string tenant, string key, CancellationToken cancellationToken) =>
        _tables.GetAsync(CacheRows.Table, tenant, CacheRows.EntryKey(key), CacheRows.ListColumns, cancellationToken);

    /// <summary>The row keys of all copies of a key in the main account, also of those that an overwrite with fewer copies left behind.</summary>
    public async Task<IReadOnlyList<string>> CopiesAsync(string tenant, string key, CancellationToken cancellationToken)
    {
        var query = new TableQuery(tenant, CacheRows.CopiesFrom(key), CacheRows.CopiesBefore(key), Columns: ["CacheId"]);
        return [.. (await _tables.FirstAsync(CacheRows.Table, query, cancellationToken)).Select(row => row.Key)];
    }

    /// <summary>Writes an entry's own row anew from what a copy told.</summary>
    /// <returns>False when the row has changed since.</returns>
    public async Task<bool> RewriteAsync(string tenant, FoundEntry found, CancellationToken cancellationToken) =>
        (await _tables.WriteAsync(CacheRows.Table, [TableAction.Replace(CacheRows.OwnRow(tenant, found, found.Inline), found.RowETag)], cancellationToken)).IsDone;

    /// <summary>Notes that something of an entry falls due.</summary>
    public async Task ScheduleAsync(string tenant, CacheDue item, CancellationToken cancellationToken)
    {
        await due.AnnounceAsync(DueKind, tenant, item.At, cancellationToken);
        await _tables.WriteAsync(CacheRows.Table, [TableAction.Upsert(item.ToRow(tenant))], cancellationToken);
    }

    // What is marked is a change of some moment; storage lets it in once.
    private async Task<IReadOnlyList<TableAction>> MarkAsync(
        string tenant, CacheEffect? effect, string key, DateTimeOffset at, CacheEntry? written, CancellationToken cancellationToken)
    {
        if (effect is null)
        {
            return [];
        }

        await due.AnnounceAsync(DueKind, tenant, effect.ForgottenAt, cancellationToken);
        return [TableAction.Insert(await effect.ToRowAsync(tenant, key, at, written, cancellationToken))];
    }

    private Task<TableRow?> FindMarkAsync(string tenant, CacheEffect effect, CancellationToken cancellationToken) =>
        _tables.GetAsync(CacheRows.Table, tenant, effect.RowKey, null, cancellationToken);

    private static string Max(string one, string other) => string.CompareOrdinal(one, other) > 0 ? one : other;

    private static IEnumerable<CacheDue> DueOf(CacheEntry entry, IReadOnlyList<int> missing)
    {
        if (entry.ExpiresAt is not null)
        {
            yield return CacheDue.ForForgetting(entry);
        }

        if (missing.Count > 0)
        {
            yield return CacheDue.ForRepair(entry);
        }
    }

    // A row that is not as it was written is there, but is no state that anyone has seen.
    private static string ETagOf(TableRow row) => CacheRows.TryParse(row)?.ETag ?? "\"\"";
}
