using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Entanglements;

/// <summary>
/// Collapses entanglements that have expired or lost their coherence: both objects forget them, and they can be read for a while longer. Then it removes
/// them.
/// </summary>
/// <remarks>
/// It reads what is due: expiry is on record since the entanglement was made, lost coherence since an instance noticed it, and of pairs that wait for
/// a write only those of tenants whose writes under way are late. Every step may be repeated and may run on several instances at once.
/// </remarks>
public sealed class Decoherence(
    DueTenants due,
    StorageAccounts storage,
    WorkStore work,
    ObjectStore objects,
    ObjectWriter writer,
    Telemetry telemetry,
    TimeProvider time,
    ILogger<Decoherence> logger)
{
    /// <summary>The age from which a write under way is late. Maintenance, which finishes it, runs every minute.</summary>
    private static readonly TimeSpan _lateAfter = TimeSpan.FromMinutes(1);

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Goes once through all tenants that have something due.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var run = new TimerRun("decoherence", telemetry, time, logger);
        try
        {
            await due.ForEachAsync(
                ObjectWriter.DueKind,
                tenant => run.TryAsync(tenant, "a tenant", () => RunTenantAsync(tenant, run, cancellationToken), cancellationToken),
                cancellationToken);

            string? continuation = null;
            do
            {
                var page = await work.AnnouncedAsync(continuation, cancellationToken);
                foreach (var tenant in page.Rows.Select(row => row.Key).TakeWhile(_ => !run.IsOver))
                {
                    await run.TryAsync(tenant, "a tenant", () => CollapseLateAsync(tenant, run, cancellationToken), cancellationToken);
                }

                continuation = page.Continuation;
            }
            while (continuation is not null && !run.IsOver);
        }
        finally
        {
            run.End();
        }
    }

    private async Task<bool> RunTenantAsync(string tenant, TimerRun run, CancellationToken cancellationToken)
    {
        var query = ObjectRows.DueUntil(tenant, ObjectWriter.DueKind, time.GetUtcNow());
        var isDone = true;
        do
        {
            if (run.IsOver)
            {
                return false;
            }

            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            foreach (var row in page.Rows.TakeWhile(_ => !run.IsOver))
            {
                isDone &= await run.TryAsync(tenant, row.Key, () => RunRowAsync(tenant, row, run, cancellationToken), cancellationToken);
            }

            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null);

        return isDone && !run.IsOver;
    }

    private async Task<bool> RunRowAsync(string tenant, TableRow row, TimerRun run, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var pair = (await objects.FindLivingPairsAsync(tenant, [row.Text("PairId")!], cancellationToken))[0];
        if (pair is { CollapsedAt: { } collapsedAt })
        {
            // A row that was due before the collapse may still be there.
            if (collapsedAt + Pair.CollapsedLifetime <= now
                && (await _tables.WriteAsync(
                    ObjectRows.Table, [TableAction.Delete(tenant, ObjectRows.PairKey(pair.Id), pair.RowETag!)], cancellationToken)).IsDone)
            {
                run.Count("removed");
            }
        }
        else if (pair is not null)
        {
            await CollapseAsync(tenant, pair, current => TimeSpan.Zero, run, cancellationToken);
        }

        // Whatever had it put on record has been seen to; what has happened to the entanglement since has put its own row there.
        await _tables.WriteAsync(ObjectRows.Table, [TableAction.Delete(tenant, row.Key, row.ETag!)], cancellationToken);
        return true;
    }

    // A write under way that keeps failing lets the pairs that wait for it lose their coherence.
    private async Task<bool> CollapseLateAsync(string tenant, TimerRun run, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if ((await objects.ListUnderWayAsync(tenant, cancellationToken)).All(write => AgeOf(write) < _lateAfter))
        {
            return true;
        }

        var (pairs, underWay) = await objects.ListPairsAsync(tenant, cancellationToken);
        var lagging = Entanglement.Lagging(pairs, underWay, now);
        foreach (var pair in pairs.Where(pair => lagging.ContainsKey(pair.Id)))
        {
            var write = lagging[pair.Id];
            await run.TryAsync(
                tenant,
                pair.Id,
                () => CollapseAsync(
                    tenant, pair, current => current.SyncedVersion < write.Version ? AgeOf(write) : TimeSpan.Zero, run, cancellationToken),
                cancellationToken);
        }

        return true;

        TimeSpan AgeOf(WriteUnderWay write) => now - VersionNumber.ToMoment(write.Version);
    }

    // Collapses a pair if it is as far, also by what is stored when its turn comes.
    private async Task<bool> CollapseAsync(
        string tenant, Pair pair, Func<Pair, TimeSpan> unsyncedFor, TimerRun run, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var at = pair.ExpiresAt <= now ? pair.ExpiresAt.Value : now;
        if (End(pair) is null)
        {
            return true;
        }

        await writer.AnnounceAsync(tenant, at + Pair.CollapsedLifetime, cancellationToken);
        if (await writer.UnlinkAsync(tenant, pair.Id, (current, _, _) => Task.FromResult(End(current)), cancellationToken) is not null)
        {
            run.Count("collapsed");
        }

        return true;

        (Pair Ended, IReadOnlyList<TableAction> Also)? End(Pair current) =>
            current.CollapsedAt is null
            && (current.StatusAt(now) == PairStatus.Collapsed || current.Coherence(unsyncedFor(current), SyncRecord.None) < Pair.CoherenceMin)
                ? (current with { Status = PairStatus.Collapsed, CollapsedAt = at },
                    [TableAction.Upsert(ObjectWriter.DueRow(tenant, current, at + Pair.CollapsedLifetime))])
                : null;
    }
}
