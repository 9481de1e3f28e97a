using Azure;
using Azure.Identity;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureHost;

/// <summary>What the Azure SDK throws, as the one exception that the rest of the application knows.</summary>
public static class AzureFault
{
    /// <summary>The failure as ours; null when it is not storage's: a cancellation by the caller, or a fault of this program.</summary>
    /// <param name="exception">What was thrown.</param>
    /// <param name="cancellationToken">The caller's token. The SDK reports a request that took too long as a cancellation too; only the token tells them apart.</param>
    public static StorageException? From(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        RequestFailedException { Status: 0 } => Unreachable(exception),
        // The message of the SDK repeats the whole answer, headers included; ours says what an operator needs.
        RequestFailedException refusal =>
            new StorageException($"Storage answered {refusal.Status} {refusal.ErrorCode}.", refusal.Status, refusal.ErrorCode, refusal),
        // When the SDK gives up, it throws the failures of all its attempts together; the last one is the news.
        AggregateException { InnerExceptions: [.., var last] } => From(last, cancellationToken),
        OperationCanceledException when cancellationToken.IsCancellationRequested => null,
        OperationCanceledException or IOException or HttpRequestException => Unreachable(exception),
        AuthenticationFailedException => new StorageException("The identity got no token for storage.", 401, "AuthenticationFailed", exception),
        _ => null,
    };

    private static StorageException Unreachable(Exception exception) => new("Storage could not be reached.", 0, null, exception);
}
