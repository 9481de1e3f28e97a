namespace QuantumFlux.Api;

/// <summary>Collects every fault of a request, so that one answer names them all.</summary>
public sealed class Faults
{
    private readonly Dictionary<string, object?> _faults = new(StringComparer.Ordinal);

    /// <summary>Notes a fault. The first one of a parameter stays.</summary>
    /// <param name="parameter">The parameter as the client wrote it, such as <c>options.backup</c>.</param>
    /// <param name="reason">What it must be, such as <c>must be true or false</c>.</param>
    public void Add(string parameter, string reason) => _faults.TryAdd(parameter, reason);

    /// <summary>Ends the request when there is any fault.</summary>
    /// <exception cref="ApiException">400 with all of them.</exception>
    public void ThrowIfAny()
    {
        if (_faults.Count > 0)
        {
            throw ApiException.InvalidParameters(_faults);
        }
    }
}
