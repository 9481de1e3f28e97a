namespace QuantumFlux.Storage;

/// <summary>
/// The rows that can tell, after a refusal that followed a lost answer, whether an earlier try of the same write was applied: a row that still
/// carries the write's id proves it for the whole transaction.
/// </summary>
public static class TableWitnesses
{
    /// <summary>The most rows that are asked. Each is a request, made when storage may be in trouble already.</summary>
    public const int RowsMax = 8;

    /// <summary>The rows to ask, the best first; none when the write only deletes.</summary>
    /// <remarks>
    /// Rows that the write inserts come first: many are written once and never again, whereas a row that it replaces was changed before and will be
    /// again. One is not enough, because an inserted row may also be the first state of one that others change.
    /// </remarks>
    public static IEnumerable<TableRow> Of(IReadOnlyList<TableAction> actions) => actions
        .Where(action => action.Kind != TableActionKind.Delete)
        .OrderBy(action => action.Kind == TableActionKind.Insert ? 0 : 1)
        .Take(RowsMax)
        .Select(action => action.Row);
}
