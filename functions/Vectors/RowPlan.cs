namespace QuantumFlux.Vectors;

/// <summary>How the rows of a filter are found in an index: which lists of rows are read, and how they go together.</summary>
/// <param name="Filter">The filter, for rows that are looked at one by one.</param>
/// <param name="Cost">About how long it takes, in bytes of lists that could be decoded in that time.</param>
internal abstract record RowPlan(Filter Filter, long Cost)
{
    /// <summary>What it costs to read the metadata of one row.</summary>
    public const long ReadCost = 4096;

    /// <summary>The rows of some lists.</summary>
    /// <param name="Filter">What they are the rows of.</param>
    /// <param name="Sure">Where lists are whose rows all pass.</param>
    /// <param name="Doubtful">Where lists are whose rows may pass.</param>
    public sealed record Lists(Filter Filter, IReadOnlyList<IndexSlice> Sure, IReadOnlyList<IndexSlice> Doubtful)
        : RowPlan(Filter, Sure.Sum(slice => (long)slice.Length) + Doubtful.Sum(slice => slice.Length * ReadCost));

    /// <summary>The rows that all have.</summary>
    public sealed record All(Filter Filter, IReadOnlyList<RowPlan> Plans)
        : RowPlan(Filter, Plans.Count == 0 ? 0 : Plans.Min(plan => plan.Cost));

    /// <summary>The rows that any has.</summary>
    public sealed record Any(Filter Filter, IReadOnlyList<RowPlan> Plans) : RowPlan(Filter, Plans.Sum(plan => plan.Cost));

    /// <summary>The rows that the other has not.</summary>
    public sealed record Not(Filter Filter, RowPlan Inner) : RowPlan(Filter, Inner.Cost);
}
