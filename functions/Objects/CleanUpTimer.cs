using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Objects;

/// <summary>Runs <see cref="CleanUp"/> every hour.</summary>
public sealed class CleanUpTimer(CleanUp cleanUp)
{
    [Function("CleanUp")]
    public Task RunAsync([TimerTrigger("0 17 * * * *")] TimerInfo timer, CancellationToken cancellationToken) =>
        cleanUp.RunAsync(cancellationToken);
}
