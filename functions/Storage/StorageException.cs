namespace QuantumFlux.Storage;

/// <summary>Storage refused a request or could not be reached. Absence and conflict are outcomes, not exceptions.</summary>
/// <param name="message">What happened, without secrets.</param>
/// <param name="status">The HTTP status of storage's last answer; 0 when there was none.</param>
/// <param name="code">Storage's error code, such as <c>ServerBusy</c>; null when there was none.</param>
/// <param name="innerException">The cause, if any.</param>
public sealed class StorageException(string message, int status, string? code, Exception? innerException = null) : Exception(message, innerException)
{
    public int Status { get; } = status;

    public string? Code { get; } = code;

    /// <summary>True when the same request may succeed later: no answer, a timeout, throttling or a fault of the service.</summary>
    public bool IsTransient => Status is 0 or 408 or 429 or >= 500;
}
