using Azure.Core;
using Azure.Core.Pipeline;

namespace QuantumFlux.AzureSdkTests;

/// <summary>Sends requests, and loses the answers that it is told to lose: the request has its effect, the caller sees a broken connection.</summary>
public sealed class ForgetfulTransport : HttpPipelineTransport
{
    /// <summary>Which answers are lost; called once for each answer. Null loses none.</summary>
    public Func<HttpMessage, bool>? Loses { get; set; }

    /// <summary>The requests that were sent.</summary>
    public int Sent { get; private set; }

    public override Request CreateRequest() => HttpClientTransport.Shared.CreateRequest();

    public override void Process(HttpMessage message) => throw new NotSupportedException("Everything here is asynchronous.");

    public override async ValueTask ProcessAsync(HttpMessage message)
    {
        Sent++;
        await HttpClientTransport.Shared.ProcessAsync(message);
        if (Loses?.Invoke(message) == true)
        {
            throw new IOException("The answer was lost.");
        }
    }
}
