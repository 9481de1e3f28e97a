using System.Globalization;

namespace QuantumFlux.Api;

/// <summary>A request's query string, read parameter by parameter; faults and unknown parameters are answered together.</summary>
/// <param name="request">The request.</param>
public sealed class QueryParameters(HttpRequest request)
{
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    /// <summary>Where further faults of the request can be noted.</summary>
    public Faults Faults { get; } = new();

    /// <summary>A text, or null when the parameter is absent.</summary>
    public string? Text(string name, Func<string, string?> check)
    {
        _read.Add(name);
        if (!request.Query.TryGetValue(name, out var values))
        {
            return null;
        }

        if (values.Count != 1)
        {
            Faults.Add(name, "must be given once");
            return null;
        }

        var text = values[0] ?? "";

        // .NET's parsers would read "1" followed by it as the number 1.
        if (text.Contains('\0', StringComparison.Ordinal))
        {
            Faults.Add(name, "must not hold the character zero");
            return null;
        }

        if (check(text) is { } reason)
        {
            Faults.Add(name, reason);
            return null;
        }

        return text;
    }

    /// <summary>One of a few words, or null when the parameter is absent.</summary>
    public string? Choice(string name, params string[] choices) =>
        Text(name, text => choices.Contains(text, StringComparer.Ordinal) ? null : $"must be one of: {string.Join(", ", choices)}");

    /// <summary>A Boolean; absent gives the default.</summary>
    public bool Flag(string name, bool absent) => Choice(name, "true", "false") switch
    {
        "true" => true,
        "false" => false,
        _ => absent,
    };

    /// <summary>A whole number in a range, ends included; null when the parameter is absent.</summary>
    public long? Whole(string name, long from, long to)
    {
        long number = 0;
        var text = Text(name, text =>
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= from && number <= to
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {from} to {to}"));
        return text is null ? null : number;
    }

    /// <summary>A number in a range, ends included; null when the parameter is absent.</summary>
    public double? Number(string name, double from, double to)
    {
        double number = 0;
        var text = Text(name, text =>
            double.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out number)
                && number >= from && number <= to
                ? null
                : FormattableString.Invariant($"must be a number from {from:0.0###} to {to:0.0###}"));
        return text is null ? null : number;
    }

    /// <summary>A moment in ISO 8601 with a zone; null when the parameter is absent.</summary>
    public DateTimeOffset? Moment(string name)
    {
        DateTimeOffset moment = default;
        var text = Text(name, text => Moments.TryParse(text, out moment) ? null : Moments.Expected);
        return text is null ? null : moment;
    }

    /// <summary>Ends the request when anything was at fault, or a parameter was never asked for.</summary>
    /// <exception cref="ApiException">400 with all faults.</exception>
    public void ThrowIfInvalid()
    {
        foreach (var name in request.Query.Keys.Where(name => !_read.Contains(name)))
        {
            Faults.Add(name, "is not a parameter of this request");
        }

        Faults.ThrowIfAny();
    }
}
