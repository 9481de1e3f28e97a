using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>How a query searches.</summary>
public enum QueryMode
{
    /// <summary>Exactly: what comparing every vector would find.</summary>
    Precise,

    /// <summary>The nearest clusters of vectors.</summary>
    Balanced,

    /// <summary>More of them, and of what is found, what differs.</summary>
    Exploratory,
}

/// <summary>A query, as it is sent.</summary>
/// <param name="Vector">What is looked for.</param>
/// <param name="Context">The context to collapse to; null for none.</param>
/// <param name="Mode">How it is searched.</param>
/// <param name="IsTunneling">Whether it is also searched behind barriers.</param>
/// <param name="TopK">How many to find.</param>
/// <param name="Timeout">How long it may take; then the answer is what was found.</param>
/// <param name="Filter">What the metadata must be; null for anything.</param>
/// <param name="HasVectors">Whether the answer has the vectors.</param>
/// <param name="HasMetadata">Whether the answer has the metadata.</param>
/// <param name="IsStrong">Whether the answer knows of every write before it, on whichever instance.</param>
public sealed record VectorQuery(
    float[] Vector,
    string? Context,
    QueryMode Mode,
    bool IsTunneling,
    int TopK,
    TimeSpan Timeout,
    Filter? Filter,
    bool HasVectors,
    bool HasMetadata,
    bool IsStrong)
{
    private const int TopKDefault = 10;
    private const int TimeoutMillisecondsDefault = 5_000;
    private const int TimeoutMillisecondsMax = 60_000;

    /// <summary>Reads a query.</summary>
    /// <exception cref="ApiException">400 with all faults.</exception>
    public static VectorQuery From(JsonBody body)
    {
        var query = new VectorQuery(
            body.RequiredNumbers("vector", VectorLimits.DimensionMax, VectorLimits.ValueMax),
            body.OptionalText("context", NewVector.CheckContext),
            body.Choice("mode", "balanced", "precise", "balanced", "exploratory") switch
            {
                "precise" => QueryMode.Precise,
                "exploratory" => QueryMode.Exploratory,
                _ => QueryMode.Balanced,
            },
            body.Flag("enable_tunneling", absent: false),
            (int)(body.Whole("top_k", 1, VectorLimits.TopKMax) ?? TopKDefault),
            TimeSpan.FromMilliseconds(body.Whole("timeout_ms", 1, TimeoutMillisecondsMax) ?? TimeoutMillisecondsDefault),
            body.Value("filters") is { } filters ? Filter.Parse(filters, body.Faults) : null,
            body.Flag("include_vectors", absent: true),
            body.Flag("include_metadata", absent: true),
            body.Choice("consistency", "strong", "strong", "eventual") == "strong");
        body.ThrowIfInvalid();
        return query;
    }
}
