using System.Text.RegularExpressions;

namespace QuantumFlux.Api;

/// <summary>Every id that the service gives out is made here.</summary>
public static partial class Ids
{
    /// <summary>
    /// A new id: a prefix such as <c>ent_</c> and 32 hex digits, of which the first 12 are the moment in milliseconds, so that ids sort by age
    /// (UUID version 7, RFC 9562 section 5.7), and 74 bits are random.
    /// </summary>
    public static string New(string prefix, DateTimeOffset now) => prefix + Guid.CreateVersion7(now).ToString("N");

    /// <summary>True for an id that the service may have given out: the prefix and 32 of <c>a-z0-9</c>, since the specification's samples are not all hex.</summary>
    public static bool IsWellFormed(string id, string prefix) =>
        id.StartsWith(prefix, StringComparison.Ordinal) && Tail().IsMatch(id.AsSpan(prefix.Length));

    [GeneratedRegex("^[a-z0-9]{32}\\z")]
    private static partial Regex Tail();
}
