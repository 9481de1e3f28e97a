using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Removes what is of no use any more: versions of deleted objects, uploads that are over, content that nothing points to.</summary>
/// <remarks>
/// Reads only tenants that have something due. Every step may be repeated, and may run on several instances at once; one that was begun and not
/// ended goes on next time, and one that fails never stops the others.
/// </remarks>
public sealed class CleanUp(
    DueTenants due,
    CleanUpStore cleanUps,
    ObjectStore objects,
    UploadStore uploads,
    ContentSweep sweep,
    Telemetry telemetry,
    TimeProvider time,
    ILogger<CleanUp> logger)
{
    /// <summary>Goes once through all tenants that have something due.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var run = new TimerRun("clean-up", telemetry, time, logger);
        try
        {
            await due.ForEachAsync(
                CleanUpStore.DueKind,
                tenant => run.TryAsync(tenant, "a tenant", () => RunTenantAsync(tenant, run, cancellationToken), cancellationToken),
                cancellationToken);
        }
        finally
        {
            run.End();
        }
    }

    private async Task<bool> RunTenantAsync(string tenant, TimerRun run, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var isDone = true;
        var hasSweeps = false;
        string? continuation = null;
        do
        {
            if (run.IsOver)
            {
                return false;
            }

            (var items, continuation) = await cleanUps.DueAsync(tenant, now, continuation, cancellationToken);
            foreach (var item in items.TakeWhile(_ => !run.IsOver))
            {
                hasSweeps |= item.Kind != CleanUpKind.Upload;
                isDone &= await run.TryAsync(tenant, item.Key, () => RunItemAsync(tenant, item, run, cancellationToken), cancellationToken);
            }
        }
        while (continuation is not null);

        return (!hasSweeps || await SweepAsync(tenant, now, run, cancellationToken)) && isDone && !run.IsOver;
    }

    private async Task<bool> RunItemAsync(string tenant, CleanUpItem item, TimerRun run, CancellationToken cancellationToken)
    {
        switch (item.Kind)
        {
            case CleanUpKind.Versions:
                return await RemoveVersionsAsync(tenant, item, run, cancellationToken);
            case CleanUpKind.Upload:
                await uploads.RemoveAsync(tenant, item, cancellationToken);
                run.Count("uploads_removed");
                return true;
            default:
                return true;
        }
    }

    private async Task<bool> RemoveVersionsAsync(string tenant, CleanUpItem item, TimerRun run, CancellationToken cancellationToken)
    {
        while (!run.IsOver && await objects.RemoveVersionsAsync(tenant, item, cancellationToken) is { } count)
        {
            if (count == 0)
            {
                // Their content is to be swept: also when this run ends before it comes to that.
                await cleanUps.ReplaceAsync(tenant, item with { Kind = CleanUpKind.Sweep }, cancellationToken);
                return true;
            }

            run.Count("versions_removed", count);
        }

        return false;
    }

    private async Task<bool> SweepAsync(string tenant, DateTimeOffset now, TimerRun run, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (items, continuation) = await cleanUps.DueAsync(tenant, now, null, cancellationToken);
            var sweeps = items.Where(item => item.Kind == CleanUpKind.Sweep).ToList();
            if (sweeps.Count == 0)
            {
                return continuation is null;
            }

            // One that has begun goes on. What fell due after it began is none of its business: that is swept again.
            var current = sweeps.FirstOrDefault(item => item.Progress is not null);
            if (current is null)
            {
                current = await cleanUps.ReplaceAsync(tenant, sweeps[0] with { Progress = new SweepProgress(0, null, false) }, cancellationToken);
                if (current is null)
                {
                    return false;
                }

                await cleanUps.RemoveAsync(tenant, sweeps[1..], cancellationToken);
            }

            if (!await sweep.RunAsync(tenant, current, run, cancellationToken))
            {
                return false;
            }

            run.Count("sweeps");
        }
    }
}
