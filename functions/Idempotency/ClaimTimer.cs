using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Idempotency;

/// <summary>Removes the answers whose time is over. They are due by the hour, so a few runs an hour are enough.</summary>
public sealed class ClaimTimer(ClaimStore claims)
{
    [Function("IdempotencyExpiry")]
    public Task RunAsync([TimerTrigger("0 */15 * * * *")] TimerInfo timer, CancellationToken cancellationToken) =>
        claims.RemoveDueAsync(cancellationToken);
}
