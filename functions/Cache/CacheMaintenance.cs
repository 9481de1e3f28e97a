using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>Does what falls due in the cache: removes what expired a day ago, brings copies back, removes content that no entry points to.</summary>
/// <remarks>Every step may be repeated and may run on several instances at once; one that fails is tried again next time and never stops the others.</remarks>
public sealed partial class CacheMaintenance(
    DueTenants due, StorageAccounts storage, CacheStore store, CacheContent contents, Telemetry telemetry, TimeProvider time, ILogger<CacheMaintenance> logger)
{
    private const string Timer = "cache";
    private const string Failed = "failed";
    private const string Kept = "kept";
    private const string OutOfDate = "out_of_date";

    /// <summary>The most that is done for one tenant in one run. The rest comes with the next.</summary>
    private const int ItemsMax = 2_000;

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Does what is due by now. Storage requests follow that, not the entries.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await due.ForEachAsync(CacheStore.DueKind, tenant => RunTenantAsync(tenant, cancellationToken), cancellationToken);
        telemetry.MaintenanceRan(Timer, time.GetElapsedTime(started));
    }

    private async Task<bool> RunTenantAsync(string tenant, CancellationToken cancellationToken)
    {
        try
        {
            var now = time.GetUtcNow();
            var isDone = true;
            var from = CacheRows.DueFrom;
            for (var count = 0; count < ItemsMax;)
            {
                var query = new TableQuery(tenant, from, CacheRows.DueBefore(now), ITables.TransactionRowsMax);
                var rows = await _tables.FirstAsync(CacheRows.Table, query, cancellationToken);
                if (rows.Count == 0)
                {
                    return isDone;
                }

                isDone &= await RunItemsAsync(tenant, [.. rows.Select(CacheDue.Parse)], now, cancellationToken);
                count += rows.Count;
                from = Cursor.After(rows[^1].Key);
            }

            return false;
        }
        catch (StorageException exception)
        {
            LogFailed(exception, "read", tenant);
            return false;
        }
    }

    // Items of one key share a look at its entry; those that are done go in one transaction.
    private async Task<bool> RunItemsAsync(string tenant, IReadOnlyList<CacheDue> items, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var actions = new List<TableAction>();
        var failures = 0;
        foreach (var sameKey in items.GroupBy(item => item.Key, StringComparer.Ordinal))
        {
            try
            {
                var row = sameKey.All(item => item.Kind == CacheDueKind.Effect) ? null : await store.PeekAsync(tenant, sameKey.Key, cancellationToken);
                foreach (var item in sameKey)
                {
                    var isCurrent = row is not null && CacheRows.CacheId(row) == item.CacheId;
                    var outcome = await RunAsync(tenant, item, isCurrent ? row : null, now, cancellationToken);
                    telemetry.MaintenanceDone(Timer, outcome, 1);
                    if (outcome == Failed)
                    {
                        failures++;
                        continue;
                    }

                    actions.Add(TableAction.Delete(tenant, item.RowKey, "*"));
                    if (outcome == Kept)
                    {
                        await store.ScheduleAsync(tenant, item.Next(now), cancellationToken);
                    }
                }
            }
            catch (Exception exception) when (exception is StorageException or ApiException)
            {
                LogFailed(exception, "look after an entry", tenant);
                telemetry.MaintenanceDone(Timer, Failed, sameKey.Count());
                failures++;
            }
        }

        if (actions.Count > 0 && !(await _tables.WriteAsync(CacheRows.Table, actions, cancellationToken)).IsDone)
        {
            // Another instance has been here: what is still there goes one by one.
            foreach (var action in actions)
            {
                await _tables.WriteAsync(CacheRows.Table, [action], cancellationToken);
            }
        }

        return failures == 0;
    }

    private async Task<string> RunAsync(string tenant, CacheDue item, TableRow? current, DateTimeOffset now, CancellationToken cancellationToken)
    {
        switch (item.Kind)
        {
            case CacheDueKind.Effect:
            case CacheDueKind.Forget when current is null:
                return OutOfDate;
            case CacheDueKind.Forget:
                return await store.RemoveAsync(tenant, current, await store.CopiesAsync(tenant, item.Key, cancellationToken), [], cancellationToken)
                    ? "forgotten"
                    : Failed;
            case CacheDueKind.Check when current is not null:
                return Kept;
            case CacheDueKind.Check:
                return await contents.RemoveOutsideAsync(tenant, item.CacheId, item.Dimensions, item.IsBlob, cancellationToken) ? "collected" : Failed;
            default:
                return current is null ? OutOfDate : await RepairAsync(tenant, item, cancellationToken);
        }
    }

    private async Task<string> RepairAsync(string tenant, CacheDue item, CancellationToken cancellationToken)
    {
        if (await store.FindAsync(tenant, item.Key, cancellationToken) is not { } found || found.Entry.CacheId != item.CacheId)
        {
            return OutOfDate;
        }

        var sound = new List<int>();
        foreach (var dimension in found.Entry.Dimensions)
        {
            if (await contents.IsSoundAsync(tenant, found, dimension, cancellationToken))
            {
                sound.Add(dimension);
            }
        }

        var isDone = found.IsRowSound || await store.RewriteAsync(tenant, found, cancellationToken);
        foreach (var dimension in found.Entry.Dimensions.Except(sound).ToList())
        {
            // Each repair may have written the entry's row, whose state the next one must know.
            isDone &= await store.FindAsync(tenant, item.Key, cancellationToken) is { } current
                && current.Entry.CacheId == item.CacheId
                && await contents.RepairAsync(tenant, current, dimension, sound, cancellationToken);
        }

        return isDone ? "repaired" : Failed;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Maintenance could not {Step} in the cache of {Tenant}; it tries again next time.")]
    private partial void LogFailed(Exception exception, string step, string tenant);
}
