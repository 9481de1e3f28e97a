using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Anchors;

/// <summary>Ends anchors that have expired, forgets those that ended long ago, and lets those pin again whose moment has come.</summary>
/// <remarks>
/// It reads only what is due, a thousand at a time, and does each in one transaction of its own. So it may end anywhere, and run on several instances
/// at once; what fails is tried again next time and never stops the others.
/// </remarks>
public sealed partial class AnchorMaintenance(
    AnchorStore anchors, DueTenants dueTenants, Telemetry telemetry, TimeProvider time, ILogger<AnchorMaintenance> logger)
{
    private const string Name = "anchors";
    private const int AtOnceMax = 8;

    /// <summary>Goes once through all tenants with due anchors. An expiry costs one write; pinning again two or three reads and a write.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        await dueTenants.ForEachAsync(AnchorStore.DueKind, tenant => RunTenantAsync(tenant, cancellationToken), cancellationToken);
        telemetry.MaintenanceRan(Name, time.GetElapsedTime(started));
    }

    private async Task<bool> RunTenantAsync(string tenant, CancellationToken cancellationToken)
    {
        var outcomes = new List<string>();
        try
        {
            var now = time.GetUtcNow();
            string? continuation = null;
            do
            {
                var page = await anchors.DueAsync(tenant, now, continuation, cancellationToken);
                foreach (var some in page.Rows.Chunk(AtOnceMax))
                {
                    outcomes.AddRange(await Task.WhenAll(some.Select(row => DoAsync(tenant, row, cancellationToken))));
                }

                continuation = page.Continuation;
            }
            while (continuation is not null);
        }
        catch (StorageException exception)
        {
            LogFailed(exception, "anchors", tenant);
            outcomes.Add("failed");
        }
        finally
        {
            foreach (var outcome in outcomes.GroupBy(outcome => outcome, StringComparer.Ordinal))
            {
                telemetry.MaintenanceDone(Name, outcome.Key, outcome.Count());
            }
        }

        return !outcomes.Contains("failed");
    }

    private async Task<string> DoAsync(string tenant, TableRow row, CancellationToken cancellationToken)
    {
        try
        {
            var due = AnchorRows.ParseDue(row);
            return !await anchors.DoAsync(tenant, due, cancellationToken) ? "done_before" : due.Kind switch
            {
                AnchorDueKind.Expire => "expired",
                AnchorDueKind.Forget => "forgotten",
                _ => "pinned",
            };
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever is wrong with one anchor, the others are to have their turn.
            LogFailed(exception, row.Key, tenant);
            return "failed";
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What is due for {Item} of {Tenant} could not be done; it is tried again next time.")]
    private partial void LogFailed(Exception exception, string item, string tenant);
}
