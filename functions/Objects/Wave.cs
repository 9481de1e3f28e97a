using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>As many of the objects to move as one transaction holds, with the pairs between them and those that have moved.</summary>
public sealed record Wave(IReadOnlyList<Step> Steps, IReadOnlyList<string> PairIds)
{
    // What a row takes in a transaction's body, with its headers; links come on top. Generous, since a transaction that is too large is refused.
    private const int RowBytes = 2_000;
    private const int LinkBytes = 260;
    private const int TransactionBytes = ITables.TransactionBytesMax - (128 * 1024);

    /// <summary>Takes as many steps, in their order, as fit into one transaction.</summary>
    /// <param name="graph">All that the write moves.</param>
    /// <param name="rest">The steps that are still to be made.</param>
    /// <param name="moved">The objects that have been moved.</param>
    /// <param name="added">The entanglement that the transaction creates; null when it creates none.</param>
    /// <param name="now">The moment: expired pairs do not count.</param>
    /// <param name="fixedActions">What else the transaction holds.</param>
    /// <param name="crystalBytes">The length of the content that heads with cached entanglements carry along; 0 when it is not cached.</param>
    public static Wave Select(
        ObjectGraph graph,
        IReadOnlyList<Step> rest,
        IReadOnlySet<string> moved,
        Pair? added,
        DateTimeOffset now,
        List<TableAction> fixedActions,
        int crystalBytes)
    {
        var steps = new List<Step>();
        var within = new HashSet<string>(moved, StringComparer.Ordinal);
        var pairIds = new HashSet<string>(StringComparer.Ordinal);
        var rows = fixedActions.Count + (added is null ? 0 : 1);
        var bytes = fixedActions.Sum(SizeOf) + RowBytes;
        var stepsMin = added is null ? 1 : 2;
        foreach (var step in rest)
        {
            var head = graph.Head(step.ObjectId);
            var newPairs = head.Links
                .Where(link => link.IsCoupled && !link.IsExpired(now) && within.Contains(link.OtherId))
                .Select(link => link.PairId)
                .Where(id => !pairIds.Contains(id))
                .ToList();
            if (steps.Count == 0)
            {
                // Whatever hangs on one object, its own move must fit. A pair that is left out here is brought up to date by the next write.
                newPairs = [.. newPairs.Take(ITables.TransactionRowsMax - rows - 2)];
            }

            rows += 2 + newPairs.Count;
            bytes += (RowBytes * (2 + newPairs.Count)) + (LinkBytes * head.Links.Count) + (graph.IsCached(step.ObjectId, now) ? crystalBytes * 4 / 3 : 0);
            if (steps.Count >= stepsMin && (rows > ITables.TransactionRowsMax || bytes > TransactionBytes))
            {
                break;
            }

            steps.Add(step);
            within.Add(step.ObjectId);
            pairIds.UnionWith(newPairs);
        }

        return new Wave(steps, [.. pairIds]);
    }

    private static int SizeOf(TableAction action) =>
        RowBytes + action.Row.Values.Values.Sum(value => value is byte[] bytes ? (bytes.Length * 4 / 3) + 64 : 0);
}
