using System.Globalization;

namespace QuantumFlux.Api;

/// <summary>Moments in time on the wire.</summary>
public static class Moments
{
    /// <summary>What a parameter that is no moment is told.</summary>
    public const string Expected = "must be an ISO 8601 time with a zone, such as 2024-11-19T14:47:23.470Z";

    private static readonly string[] _formats =
    [
        "yyyy-MM-dd'T'HH:mm:ssK",
        "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK",
        "yyyy-MM-dd'T'HH:mmK",
    ];

    /// <summary>Reads ISO 8601 with a zone; a time without one is refused, because nobody knows which moment it is.</summary>
    public static bool TryParse(string text, out DateTimeOffset moment)
    {
        moment = default;
        return text.Length > 0
            && (text[^1] == 'Z' || text.LastIndexOfAny(['+', '-']) > text.IndexOf('T', StringComparison.Ordinal))
            && text.Contains('T', StringComparison.Ordinal)
            && DateTimeOffset.TryParseExact(text, _formats, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal, out moment);
    }
}
