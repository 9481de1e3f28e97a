using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Ends what requests began and could not: moves of many objects, copies that a dimension did not take.</summary>
/// <remarks>Every step may be repeated and may run on several instances at once; one that fails is tried again next time and never stops the others.</remarks>
public sealed class ObjectMaintenance(
    WorkStore work,
    ObjectStore objects,
    ObjectWriter writer,
    ContentStore contents,
    Telemetry telemetry,
    TimeProvider time,
    ILogger<ObjectMaintenance> logger)
{
    /// <summary>Goes once through all tenants that have work. Storage requests follow the work, not the data.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var run = new TimerRun("maintenance", telemetry, time, logger);
        var down = new HashSet<int>();
        try
        {
            string? continuation = null;
            do
            {
                var page = await work.AnnouncedAsync(continuation, cancellationToken);
                foreach (var announcement in page.Rows.TakeWhile(_ => !run.IsOver))
                {
                    await run.TryAsync(
                        announcement.Key, "a tenant", () => RunTenantAsync(announcement, down, run, cancellationToken), cancellationToken);
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

    private async Task<bool> RunTenantAsync(TableRow announcement, HashSet<int> down, TimerRun run, CancellationToken cancellationToken)
    {
        var tenant = announcement.Key;
        var underWay = await objects.ListUnderWayAsync(tenant, cancellationToken);
        foreach (var write in underWay.TakeWhile(_ => !run.IsOver))
        {
            await run.TryAsync(tenant, "a write under way", () => FinishAsync(tenant, write, run, cancellationToken), cancellationToken);
        }

        var hasRepairs = false;
        string? continuation = null;
        do
        {
            (var repairs, continuation) = await work.RepairsAsync(tenant, continuation, cancellationToken);
            hasRepairs |= repairs.Count > 0;

            // A dimension that does not take one copy is spared the others of this run, so that they do not keep the rest waiting.
            foreach (var repair in repairs.Where(repair => !down.Contains(repair.Dimension)).TakeWhile(_ => !run.IsOver))
            {
                await run.TryAsync(tenant, "a missing copy", () => RepairAsync(tenant, repair, down, run, cancellationToken), cancellationToken);
            }
        }
        while (continuation is not null && !run.IsOver);

        if (underWay.Count == 0 && !hasRepairs && !run.IsOver)
        {
            await work.RetractAsync(announcement, cancellationToken);
        }

        return true;
    }

    private async Task<bool> FinishAsync(string tenant, WriteUnderWay write, TimerRun run, CancellationToken cancellationToken)
    {
        await writer.FinishAsync(tenant, write, cancellationToken);
        run.Count("writes_finished");
        return true;
    }

    private async Task<bool> RepairAsync(string tenant, Repair repair, HashSet<int> down, TimerRun run, CancellationToken cancellationToken)
    {
        if (!await contents.RepairAsync(tenant, repair.Content, repair.Dimension, cancellationToken))
        {
            down.Add(repair.Dimension);
            run.Count("failed");
            return false;
        }

        await work.RemoveAsync(tenant, repair, cancellationToken);
        run.Count("copies_repaired");
        return true;
    }
}
