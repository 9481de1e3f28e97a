using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Entanglements;

/// <summary>Runs <see cref="Decoherence"/> every minute.</summary>
public sealed class DecoherenceTimer(Decoherence decoherence)
{
    [Function("EntanglementDecoherence")]
    public Task RunAsync([TimerTrigger("30 * * * * *")] TimerInfo timer, CancellationToken cancellationToken) =>
        decoherence.RunAsync(cancellationToken);
}
