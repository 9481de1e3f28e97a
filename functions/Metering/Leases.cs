using System.Globalization;
using System.Text;

namespace QuantumFlux.Metering;

/// <summary>How much of one window's budget instances have taken, by span, as the key's row keeps it.</summary>
/// <remarks>
/// A span that was once on record is never forgotten and counted anew: what is dropped is marked as used up. So an instance whose clock jumps back
/// is refused rather than given a budget twice, and one whose clock jumps ahead takes from spans to come without touching this one.
/// </remarks>
public sealed class Leases
{
    /// <summary>The most spans on record. Beyond it, which takes clocks that jump without end, further ones count as used up.</summary>
    public const int SpansMax = 512;

    private readonly SortedDictionary<long, long> _taken;
    private long _usedUpTo;

    private Leases(SortedDictionary<long, long> taken, long usedUpTo)
    {
        _taken = taken;
        _usedUpTo = usedUpTo;
    }

    /// <summary>Nothing taken.</summary>
    public static Leases None => new([], long.MinValue);

    /// <summary>Reads what <see cref="ToString"/> wrote; null reads as nothing taken.</summary>
    public static Leases Parse(string? text)
    {
        var leases = None;
        foreach (var part in text?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            if (part[0] == '<')
            {
                leases._usedUpTo = long.Parse(part.AsSpan(1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            }
            else
            {
                var separator = part.IndexOf('=', StringComparison.Ordinal);
                leases._taken[long.Parse(part.AsSpan(0, separator), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)] =
                    long.Parse(part.AsSpan(separator + 1), NumberStyles.None, CultureInfo.InvariantCulture);
            }
        }

        return leases;
    }

    /// <summary>How much of a span is left to take.</summary>
    public long Left(RateWindow window, long span)
    {
        if (_taken.TryGetValue(span, out var taken))
        {
            return Math.Max(0, window.Limit - taken);
        }

        return span <= _usedUpTo || _taken.Count >= SpansMax ? 0 : window.Limit;
    }

    /// <summary>The same with more taken, seen by an instance at some span: those long past for it are dropped.</summary>
    public Leases With(RateWindow window, long now, IEnumerable<KeyValuePair<long, long>> grants)
    {
        var changed = new Leases(new SortedDictionary<long, long>(_taken), _usedUpTo);
        foreach (var (span, units) in grants)
        {
            changed._taken[span] = changed._taken.GetValueOrDefault(span) + units;
        }

        while (changed._taken.Count > 0 && changed._taken.First().Key is var oldest && oldest < now - window.SpansRemembered)
        {
            changed._taken.Remove(oldest);
            changed._usedUpTo = Math.Max(changed._usedUpTo, oldest);
        }

        return changed;
    }

    /// <summary>The spans and what is taken of each, such as <c>&lt;29390000 29390017=23 29390018=4</c>; up to the first all are used up.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (_usedUpTo != long.MinValue)
        {
            text.Append(CultureInfo.InvariantCulture, $"<{_usedUpTo}");
        }

        foreach (var (span, taken) in _taken)
        {
            text.Append(text.Length > 0 ? " " : "").Append(CultureInfo.InvariantCulture, $"{span}={taken}");
        }

        return text.ToString();
    }
}
