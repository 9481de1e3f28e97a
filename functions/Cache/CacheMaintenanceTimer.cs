using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Cache;

/// <summary>Runs <see cref="CacheMaintenance"/> every minute.</summary>
public sealed class CacheMaintenanceTimer(CacheMaintenance maintenance)
{
    [Function("CacheMaintenance")]
    public Task RunAsync([TimerTrigger("0 * * * * *")] TimerInfo timer, CancellationToken cancellationToken) => maintenance.RunAsync(cancellationToken);
}
