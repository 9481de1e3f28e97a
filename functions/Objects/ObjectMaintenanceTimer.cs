using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Objects;

/// <summary>Runs <see cref="ObjectMaintenance"/> every minute.</summary>
public sealed class ObjectMaintenanceTimer(ObjectMaintenance maintenance)
{
    [Function("ObjectMaintenance")]
    public Task RunAsync([TimerTrigger("0 * * * * *")] TimerInfo timer, CancellationToken cancellationToken) =>
        maintenance.RunAsync(cancellationToken);
}
