namespace QuantumFlux.Vectors;

/// <summary>Looks after tenants' vectors on the instance that notices that there is something to do, one after the other, beside its requests.</summary>
public sealed class VectorAttendant(VectorStore vectors, VectorUpkeep upkeep) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var tenant in vectors.AttentionAsync(stoppingToken))
            {
                await upkeep.AttendAsync(tenant, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }
}
