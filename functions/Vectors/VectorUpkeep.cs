using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>
/// Looks after the tenants' vectors: makes segments of what has gathered in their logs, merges segments, cuts the logs off behind them, and deletes segments that
/// are not needed any more.
/// </summary>
/// <remarks>
/// It may run anywhere, twice at once, and end at any moment. The manifest knows of a segment before its blob is written, and until it is deleted; whoever comes
/// too late with one finds the manifest changed, and gives up.
/// </remarks>
public sealed class VectorUpkeep(
    StorageAccounts storage,
    SegmentStore segments,
    VectorStore vectors,
    DueTenants due,
    VectorThresholds thresholds,
    Telemetry telemetry,
    TimeProvider time,
    ILogger<VectorUpkeep> logger)
{
    /// <summary>How long a segment may take to be built. Then another builder begins.</summary>
    public static readonly TimeSpan BuildMax = TimeSpan.FromMinutes(4);

    /// <summary>How much longer nobody else begins: a builder's last requests may still be under way, and clocks differ.</summary>
    private static readonly TimeSpan _leaseMargin = TimeSpan.FromMinutes(6);

    /// <summary>How long a segment is kept that others have taken the place of: somebody may be about to read it.</summary>
    private static readonly TimeSpan _retirement = TimeSpan.FromMinutes(10);

    /// <summary>How long nobody tries again when a segment could not be built.</summary>
    private static readonly TimeSpan _pause = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan _rest = TimeSpan.FromSeconds(1);

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Looks after all tenants that wrote lately. Storage requests follow those, not all that there are.</summary>
    public async Task RunDueAsync(CancellationToken cancellationToken)
    {
        var run = new TimerRun("vectors", telemetry, time, logger);
        await due.ForEachAsync(
            TenantVectors.DueKind,
            tenant => run.IsOver
                ? Task.FromResult(false)
                : run.TryAsync(tenant, "vectors", () => RunAsync(vectors.Of(tenant), thresholds.TimerTailRows, run, cancellationToken), cancellationToken),
            cancellationToken);
        run.End();
    }

    /// <summary>Looks after one tenant, on an instance that has its vectors in reach.</summary>
    public async Task AttendAsync(TenantVectors tenant, CancellationToken cancellationToken)
    {
        var run = new TimerRun("vectors", telemetry, time, logger);
        await run.TryAsync(
            tenant.Tenant,
            "vectors",
            async () =>
            {
                await tenant.AdoptAsync(cancellationToken);
                return await RunAsync(tenant, thresholds.TailRows, run, cancellationToken);
            },
            cancellationToken);
        run.End();

        // Perhaps another instance is at it, or storage does not answer: not again with every request.
        tenant.RestFor(_rest);
    }

    /// <summary>Does what there is to do for a tenant.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="tailRowsMin">From how many changes without a segment on one is made.</param>
    /// <param name="run">Counts what is done.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>Whether nothing is left to do, not even later.</returns>
    public async Task<bool> RunAsync(TenantVectors tenant, int tailRowsMin, TimerRun run, CancellationToken cancellationToken)
    {
        var log = TenantVectors.Log(_tables, tenant.Tenant);
        var row = await _tables.GetAsync(ObjectRows.Table, tenant.Tenant, TenantVectors.ManifestKey(log), null, cancellationToken);
        var manifest = row is null ? VectorManifest.None : VectorManifest.Parse(row);
        if (manifest.Building?.Until > time.GetUtcNow())
        {
            return false;
        }

        manifest = await CleanUpAsync(tenant.Tenant, log, manifest, run, cancellationToken);
        var tail = await log.ReadAsync(manifest.Covered, cancellationToken);
        var tailBytes = tail.Records.Sum(record => (long)record.Data.Length);
        var isTailLong = tail.Records.Count >= tailRowsMin || tailBytes >= thresholds.TailBytes;
        if (isTailLong || tenant.HasMuchGone)
        {
            if (await BuildAsync(tenant, log, manifest, isTailLong, run, cancellationToken) is not { } built)
            {
                return false;
            }

            manifest = built;
        }

        return manifest.Building is null && manifest.Retired.Count == 0 && manifest.Truncated == manifest.Covered;
    }

    // Deletes what nobody reads any more.
    private async Task<VectorManifest> CleanUpAsync(
        string tenant, Log log, VectorManifest manifest, TimerRun run, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var old = manifest.Retired.Where(segment => segment.After <= now).ToList();
        foreach (var segment in old)
        {
            await segments.DeleteAsync(tenant, segment.Id, cancellationToken);
        }

        // What was written before a segment had it has been provable for long enough.
        var through = manifest.Segments.LastOrDefault(segment => segment.CoveredAt <= now - Log.Grace)?.LastSequence ?? 0;
        var truncated = manifest.Truncated;
        if (through > truncated)
        {
            run.Count("truncated", await log.TruncateAsync(through, now - Log.Grace, cancellationToken));
            truncated = await log.IsTruncatedAsync(through, cancellationToken) ? through : truncated;
        }

        if (old.Count == 0 && truncated == manifest.Truncated && manifest.Building is null)
        {
            return manifest;
        }

        run.Count("deleted", old.Count);
        return await ChangeAsync(
            tenant,
            log,
            manifest with
            {
                Building = null,

                // Its builder has had its time, and left nothing but perhaps a blob.
                Retired = [.. manifest.Retired.Except(old), .. manifest.Building is { } lost ? [new RetiredSegment(lost.Id, now + _retirement)] : Array.Empty<RetiredSegment>()],
                Truncated = truncated,
            },
            cancellationToken) ?? manifest;
    }

    private async Task<VectorManifest?> BuildAsync(
        TenantVectors tenant, Log log, VectorManifest manifest, bool isTailLong, TimerRun run, CancellationToken cancellationToken)
    {
        await tenant.AdoptAsync(cancellationToken);
        using var held = await tenant.HoldAsync(isStrong: true, cancellationToken);
        var state = held.State;
        if (!state.Manifest.Segments.Select(segment => segment.Id).SequenceEqual(manifest.Segments.Select(segment => segment.Id), StringComparer.Ordinal))
        {
            // This instance has not caught up yet, or is ahead.
            return null;
        }

        var plan = SegmentPlan.Of(state, isTailLong, thresholds);
        if (plan is null)
        {
            return null;
        }

        foreach (var segment in state.Segments.Skip(plan.First).Take(plan.Count))
        {
            await segment.Segment.NeedAllAsync();
        }

        var now = time.GetUtcNow();
        var id = Ids.New("seg_", now);

        // Perhaps nobody has written for long, and it is a reader that noticed. What it leaves behind is for the timer.
        await due.AnnounceAsync(TenantVectors.DueKind, tenant.Tenant, now, cancellationToken);
        var leased = await ChangeAsync(
            tenant.Tenant, log, manifest with { Building = new SegmentLease(id, now + BuildMax + _leaseMargin) }, cancellationToken);
        if (leased is null)
        {
            return null;
        }

        Segment? built = null;
        VectorManifest? made = null;
        try
        {
            using var limit = new CancellationTokenSource(BuildMax, time);
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);

            var (content, bytes) = await OwnThread.RunAsync(() =>
            {
                var content = plan.Content(state);
                return (content, SegmentWriter.Write(content, ending.Token));
            });
            built = new Segment(id, bytes);
            await segments.SaveAsync(tenant.Tenant, built, ending.Token);
            now = time.GetUtcNow();
            var replaced = manifest.Segments.Skip(plan.First).Take(plan.Count).ToList();
            var info = new SegmentInfo(
                id, content.FirstSequence, content.LastSequence, built.Rows, built.Bytes, built.Header.HeadBytes, plan.HasTail ? now : replaced.Max(segment => segment.CoveredAt),
                state.Head.LastSequence,
                leased.Version + 1);
            made = await ChangeAsync(
                tenant.Tenant,
                log,
                leased with
                {
                    Segments = [.. manifest.Segments.Take(plan.First), info, .. manifest.Segments.Skip(plan.First + plan.Count)],
                    Building = null,
                    Retired = [.. leased.Retired, .. replaced.Select(segment => new RetiredSegment(segment.Id, now + _retirement))],
                },
                cancellationToken);
            if (made is null)
            {
                // Another builder has taken over, and has it deleted.
                return null;
            }

            run.Count(replaced.Count == 0 ? "built" : "merged");
            run.Count("rows", built.Rows);
            (var taken, built) = (built, null);
            await tenant.AdoptAsync(made, taken, cancellationToken);
            return made;
        }
        catch when (made is null)
        {
            await GiveUpAsync(tenant.Tenant, log, leased);
            throw;
        }
        finally
        {
            built?.Dispose();
        }
    }

    // So that nobody waits for the lease to end.
    private async Task GiveUpAsync(string tenant, Log log, VectorManifest leased)
    {
        try
        {
            var building = leased.Building! with { Until = time.GetUtcNow() + _pause };
            await ChangeAsync(tenant, log, leased with { Building = building }, CancellationToken.None);
        }
        catch (StorageException)
        {
            // Then it does end by itself.
        }
    }

    // Null when others were faster, or have changed it again since.
    private async Task<VectorManifest?> ChangeAsync(string tenant, Log log, VectorManifest manifest, CancellationToken cancellationToken)
    {
        var key = TenantVectors.ManifestKey(log);
        var changed = await _tables.WriteAsync(ObjectRows.Table, [manifest.ToAction(tenant, key)], cancellationToken);
        if (!changed.IsDone)
        {
            return null;
        }

        var version = manifest.Version + 1;
        return changed.ETags is [{ } etag] ? manifest with { Version = version, ETag = etag }
            : await _tables.GetAsync(ObjectRows.Table, tenant, key, null, cancellationToken) is { } row
                && VectorManifest.Parse(row) is var found && found.Version == version ? found
            : null;
    }
}
