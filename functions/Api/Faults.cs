namespace QuantumFlux.Api;

/// <summary>Collects every fault of a request, so that one answer names them all; of very many, the first ones.</summary>
public sealed class Faults
{
    /// <summary>How many are told at once. A client that makes more has one thing to mend, and an answer must not be as long as the longest body.</summary>
    public const int CountMax = 100;

    private readonly Dictionary<string, object?> _faults = new(StringComparer.Ordinal);

    /// <summary>Notes a fault. The first one of a parameter stays.</summary>
    /// <param name="parameter">The parameter as the client wrote it, such as <c>options.backup</c>.</param>
    /// <param name="reason">What it must be, such as <c>must be true or false</c>.</param>
    public void Add(string parameter, string reason)
    {
        if (_faults.Count < CountMax)
        {
            _faults.TryAdd(parameter, reason);
        }
    }

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
