using Azure.Core;
using Azure.Core.Pipeline;

namespace QuantumFlux.AzureHost;

/// <summary>
/// The requests that the Azure SDK sent for one call. The SDK retries silently; a write whose first answer was lost is then refused because of
/// its own effect, and only this count tells such a refusal from one that another writer caused.
/// </summary>
/// <remarks>Counts only on clients whose options have <see cref="Policy"/> at <see cref="HttpPipelinePosition.PerRetry"/>.</remarks>
public sealed class Attempts
{
    private int _sent;
    private int _unanswered;

    /// <summary>The pipeline policy that counts; it holds no state and can be shared.</summary>
    public static HttpPipelinePolicy Policy { get; } = new CountingPolicy();

    /// <summary>True when it is certain that no earlier request of this call took effect. False also on a client without the policy.</summary>
    public bool WereAllAnswered => _sent > 0 && _unanswered == 0;

    /// <summary>True when a request of this call was sent of which nobody knows whether it took effect.</summary>
    public bool MayHaveApplied => _unanswered > 0;

    /// <summary>Counts what the SDK sends from here, in this flow of control, until disposed.</summary>
    public IDisposable Count() =>
        HttpPipeline.CreateHttpMessagePropertiesScope(new Dictionary<string, object?> { [nameof(Attempts)] = this });

    private static Attempts? Of(HttpMessage message) =>
        message.TryGetProperty(nameof(Attempts), out var attempts) ? attempts as Attempts : null;

    private sealed class CountingPolicy : HttpPipelineSynchronousPolicy
    {
        public override void OnSendingRequest(HttpMessage message)
        {
            if (Of(message) is { } attempts)
            {
                attempts._sent++;
                attempts._unanswered++;
            }
        }

        // Runs only when there was an answer. After a 5xx (a timeout inside the service, for one) the write may have happened all the same.
        public override void OnReceivedResponse(HttpMessage message)
        {
            if (message.Response.Status < 500 && Of(message) is { } attempts)
            {
                attempts._unanswered--;
            }
        }
    }
}
