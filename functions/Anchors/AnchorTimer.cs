using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Anchors;

/// <summary>
/// Runs <see cref="AnchorMaintenance"/> every minute, a little after its start: moments to pin at are often whole minutes, and a write that took its number
/// before one may reach storage after it.
/// </summary>
public sealed class AnchorTimer(AnchorMaintenance maintenance)
{
    [Function("AnchorMaintenance")]
    public Task RunAsync([TimerTrigger("5 * * * * *")] TimerInfo timer, CancellationToken cancellationToken) =>
        maintenance.RunAsync(cancellationToken);
}
