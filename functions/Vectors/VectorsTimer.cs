using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Vectors;

/// <summary>Looks after the vectors of tenants that wrote lately, wherever their instances have gone.</summary>
public sealed class VectorsTimer(VectorUpkeep upkeep)
{
    [Function("VectorUpkeep")]
    public Task RunAsync([TimerTrigger("20 */5 * * * *")] TimerInfo timer, CancellationToken cancellationToken) => upkeep.RunDueAsync(cancellationToken);
}
