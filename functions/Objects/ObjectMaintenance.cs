using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Ends what requests began and could not: moves of many objects, removals of long histories, copies that a dimension did not take.</summary>
/// <remarks>Every step may be repeated and may run on several instances at once; one that fails is tried again next time and never stops the others.</remarks>
public sealed partial class ObjectMaintenance(
    WorkStore work, ObjectStore objects, ObjectWriter writer, ContentStore contents, ILogger<ObjectMaintenance> logger)
{
    /// <summary>Goes once through all tenants that have work. Storage requests follow the work, not the data.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await work.AnnouncedAsync(continuation, cancellationToken);
            foreach (var announcement in page.Rows)
            {
                await RunTenantAsync(announcement, cancellationToken);
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private async Task RunTenantAsync(TableRow announcement, CancellationToken cancellationToken)
    {
        var tenant = announcement.Key;
        try
        {
            var underWay = await objects.ListUnderWayAsync(tenant, cancellationToken);
            var items = await work.ItemsAsync(tenant, cancellationToken);
            if (underWay.Count == 0 && items.Count == 0)
            {
                await work.RetractAsync(announcement, cancellationToken);
                return;
            }

            foreach (var write in underWay)
            {
                await TryAsync(tenant, "move", () => writer.FinishAsync(tenant, write, cancellationToken));
            }

            foreach (var item in items)
            {
                await TryAsync(tenant, item.Kind, () => RunItemAsync(tenant, item, cancellationToken));
            }
        }
        catch (StorageException exception)
        {
            LogFailed(exception, "read", tenant);
        }
    }

    private async Task RunItemAsync(string tenant, WorkItem item, CancellationToken cancellationToken)
    {
        if (item.Kind == WorkItem.Delete)
        {
            await objects.FinishDeletionAsync(tenant, item, cancellationToken);
        }
        else if (await contents.RepairAsync(tenant, item.Content!, item.Dimension, cancellationToken))
        {
            await work.RemoveAsync(tenant, item, cancellationToken);
        }
    }

    private async Task TryAsync(string tenant, string kind, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (Exception exception) when (exception is StorageException or ApiException)
        {
            LogFailed(exception, kind, tenant);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Maintenance could not {Kind} for {Tenant}; it tries again next time.")]
    private partial void LogFailed(Exception exception, string kind, string tenant);
}
