using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>A vector as a client sends it, to be written.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Values">Its coordinates.</param>
/// <param name="Contexts">Its contexts.</param>
/// <param name="Coherence">How long they last; null means for ever.</param>
/// <param name="Metadata">The JSON of its metadata; empty when there is none.</param>
/// <param name="Metric">How vectors are to be compared; null means as those that are there.</param>
public sealed record NewVector(
    string Id, float[] Values, IReadOnlyList<VectorContext> Contexts, TimeSpan? Coherence, ReadOnlyMemory<byte> Metadata, Metric? Metric)
{
    // What stands in a record beside names, coordinates and metadata, and what a context's weight and the length of its name take.
    private const int RecordOverheadBytes = 64;
    private const int ContextOverheadBytes = 16;

    // What weights in decimals may add up to beyond 1 by rounding.
    private const double WeightSlack = 1e-9;

    /// <summary>Reads a vector. Faults are noted in the body.</summary>
    public static NewVector From(JsonBody body) => new(
        body.RequiredText("id", CheckId),
        body.RequiredNumbers("vector", VectorLimits.DimensionMax, VectorLimits.ValueMax),
        ContextsOf(body) ?? [],
        CoherenceOf(body),
        MetadataOf(body) ?? default,
        body.OptionalChoice("metric", "cosine", "dot", "euclidean") switch
        {
            "cosine" => Vectors.Metric.Cosine,
            "dot" => Vectors.Metric.Dot,
            "euclidean" => Vectors.Metric.Euclidean,
            _ => null,
        });

    /// <summary>The contexts of a body; null when it has none.</summary>
    public static IReadOnlyList<VectorContext>? ContextsOf(JsonBody body)
    {
        if (body.Objects("contexts", VectorLimits.ContextsMax) is not { } items)
        {
            return null;
        }

        var contexts = items.Select(item => new VectorContext(item.RequiredText("name", CheckContext), item.RequiredNumber("weight", 0, 1))).ToList();
        if (contexts.Where(context => context.Name.Length > 0).GroupBy(context => context.Name, StringComparer.Ordinal).Any(same => same.Count() > 1))
        {
            body.Note("contexts", "must not name a context twice");
        }

        if (contexts.Sum(context => context.Weight) > 1 + WeightSlack)
        {
            body.Note("contexts", "must have weights that add up to 1 at most");
        }

        return contexts;
    }

    /// <summary>The coherence time of a body; null when it has none.</summary>
    public static TimeSpan? CoherenceOf(JsonBody body) =>
        body.Whole("coherence_time_ms", 1, VectorLimits.CoherenceMillisecondsMax) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;

    /// <summary>The JSON of a body's metadata; null when it has none.</summary>
    public static ReadOnlyMemory<byte>? MetadataOf(JsonBody body)
    {
        var metadata = body.RawObject("metadata", VectorLimits.MetadataBytesMax);
        if (metadata is { } json && MetadataFields.Measure(json.Span).PathBytes > VectorLimits.MetadataPathBytesMax)
        {
            body.Note(
                "metadata", $"must have paths of at most {VectorLimits.MetadataPathBytesMax} bytes in UTF-8, all together: the names that lead to each member, joined by dots");
        }

        return metadata;
    }

    /// <summary>Says what an id must be when it is none.</summary>
    public static string? CheckId(string id) =>
        id.Length is 0 or > VectorLimits.IdCharactersMax ? $"must have 1 to {VectorLimits.IdCharactersMax} characters"
        : id == VectorLimits.ReservedId ? $"must not be {VectorLimits.ReservedId}, which is a path of its own"
        : id is "." or ".." ? "must not be . or .., which no path can hold"
        : id.Contains('\0', StringComparison.Ordinal) ? "must not hold the character zero, which no path can hold"
        : null;

    /// <summary>Says what the name of a context must be when it is none.</summary>
    public static string? CheckContext(string name) =>
        name.Length is 0 or > VectorLimits.ContextCharactersMax ? $"must have 1 to {VectorLimits.ContextCharactersMax} characters" : null;

    /// <summary>How many bytes its record takes at most.</summary>
    public int RecordBytes => RecordOverheadBytes + (3 * Id.Length) + (Values.Length * sizeof(float)) + Metadata.Length
        + Contexts.Sum(context => ContextOverheadBytes + (3 * context.Name.Length));

    /// <summary>Writes the vector.</summary>
    /// <param name="draft">Where to.</param>
    /// <param name="now">When.</param>
    /// <param name="path">What comes before the names of parameters in faults.</param>
    /// <returns>Whether it replaces one.</returns>
    /// <exception cref="ApiException">400 when it does not fit the vectors that are there.</exception>
    public bool WriteTo(VectorDraft draft, DateTimeOffset now, string path = "")
    {
        var faults = new Faults();
        var shape = draft.Shape;

        // The only vector there is may be replaced by one of another kind.
        if (shape is { } there && !(draft.Count == 1 && draft.Contains(Id)))
        {
            CheckDimension(there.Dimension, Values, path + "vector", faults);
            if (Metric is { } metric && metric != there.Metric)
            {
                faults.Add(path + "metric", $"must be {Name(there.Metric)}, as the vectors that are there are compared");
            }
        }

        faults.ThrowIfAny();
        return draft.Write(
            new StoredVector(Id, Values, new VectorFacts(Contexts, Contexts.Count > 0 ? Coherence : null, now, now, Metadata)),
            Metric ?? shape?.Metric ?? Vectors.Metric.Cosine);
    }

    /// <summary>Notes a fault when a vector has another number of coordinates than those that are there.</summary>
    public static void CheckDimension(int dimension, float[] values, string parameter, Faults faults)
    {
        if (values.Length != dimension)
        {
            faults.Add(parameter, FormattableString.Invariant($"must have {dimension} numbers, as the vectors that are there have, not {values.Length}"));
        }
    }

    private static string Name(Metric metric) => metric switch
    {
        Vectors.Metric.Dot => "dot",
        Vectors.Metric.Euclidean => "euclidean",
        _ => "cosine",
    };
}

/// <summary>What a client changes of a vector: whatever is null stays as it is.</summary>
/// <param name="Values">Its coordinates.</param>
/// <param name="Contexts">Its contexts.</param>
/// <param name="Coherence">How long those that it has then last from now on.</param>
/// <param name="Metadata">All of its metadata.</param>
public sealed record VectorUpdate(float[]? Values, IReadOnlyList<VectorContext>? Contexts, TimeSpan? Coherence, ReadOnlyMemory<byte>? Metadata)
{
    /// <summary>Reads an update.</summary>
    /// <exception cref="ApiException">400 with all faults.</exception>
    public static VectorUpdate From(JsonBody body)
    {
        var update = new VectorUpdate(
            body.OptionalNumbers("vector", VectorLimits.DimensionMax, VectorLimits.ValueMax),
            NewVector.ContextsOf(body),
            NewVector.CoherenceOf(body),
            NewVector.MetadataOf(body));
        body.ThrowIfInvalid();
        return update is { Values: null, Contexts: null, Coherence: null, Metadata: null }
            ? throw ApiException.InvalidParameter("body", "must change something: vector, contexts, coherence_time_ms or metadata")
            : update;
    }

    /// <summary>Changes a vector.</summary>
    /// <exception cref="ApiException">404 when it is not there; 400 when it would not fit the others.</exception>
    public void WriteTo(VectorDraft draft, string id, DateTimeOffset now)
    {
        var before = draft.Find(id) ?? throw ApiException.NotFound("id", "vector");
        var shape = draft.Shape!.Value;
        if (Values is not null && draft.Count > 1)
        {
            var faults = new Faults();
            NewVector.CheckDimension(shape.Dimension, Values, "vector", faults);
            faults.ThrowIfAny();
        }

        // Whoever writes contexts, or how long they last, prepares the superposition anew. One that has ended is as if there had been none.
        var isPrepared = Contexts is not null || Coherence is not null;
        var isCoherent = before.Facts.IsCoherent(now);
        var contexts = Contexts ?? (isCoherent ? before.Facts.Contexts : []);
        var coherence = Coherence ?? (isCoherent ? before.Facts.Coherence : null);
        draft.Write(
            new StoredVector(id, Values ?? before.Values, new VectorFacts(
                contexts,
                contexts.Count == 0 ? null : coherence,
                isPrepared ? now : before.Facts.PreparedAt,
                now,
                Metadata ?? before.Facts.Metadata)),
            shape.Metric);
    }
}
