namespace QuantumFlux.Storage;

/// <summary>
/// The table service of one storage account, as much of it as this application needs. Three implementations hold to one conformance suite:
/// the Azure SDK (<c>azure/</c>), REST over Azure.Core (<c>local/</c>) and memory (tests).
/// </summary>
/// <remarks>
/// A table that does not exist reads as empty and is created by the first write. Keys are compared ordinally, by UTF-16 code unit.
/// Every method throws <see cref="StorageException"/> when storage refuses or cannot be reached, and
/// <see cref="OperationCanceledException"/> when it was cancelled (whether the write happened is then unknown).
/// <para>
/// A write that storage committed but whose answer was lost is tried again, and the refusal of the second try is not believed at once. It succeeds,
/// once, as long as one of up to <see cref="TableWitnesses.RowsMax"/> rows that it wrote (inserted ones first, each in the order of the actions)
/// still stands as it wrote it. So a transaction with a row that is written once is recognised whatever other writers do to the rest.
/// </para>
/// <para>
/// Not promised: when other writers have replaced or deleted all those rows in between, the write is reported as refused although it was applied and
/// then overwritten; a single row that others change is such a case. A write of deletes alone leaves no mark: after a lost answer it succeeds when
/// every row is gone, whoever removed them, and is refused when one is there again. An upsert that is sent again overwrites what others wrote in
/// between. And when the answer to the last try is lost too, nobody looks: the exception is transient, and whether the write happened is unknown.
/// </para>
/// </remarks>
public interface ITables
{
    /// <summary>The longest transaction that the service takes, in rows.</summary>
    const int TransactionRowsMax = 100;

    /// <summary>The largest transaction that the service takes, in bytes of request body.</summary>
    const int TransactionBytesMax = 4 * 1024 * 1024;

    /// <summary>The most rows that one page of a query holds.</summary>
    const int PageRowsMax = 1000;

    /// <summary>Reads one row. One storage request.</summary>
    /// <param name="table">The table's name: 3 to 63 letters and digits.</param>
    /// <param name="partition">The partition key.</param>
    /// <param name="key">The row key.</param>
    /// <param name="columns">The columns to return; null means all.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The row with its ETag, or null when there is none.</returns>
    Task<TableRow?> GetAsync(string table, string partition, string key, IReadOnlyList<string>? columns, CancellationToken cancellationToken);

    /// <summary>Reads one page of a partition's rows, in the order of their keys. One storage request.</summary>
    /// <remarks>A page may be short, or empty, although more rows follow; <see cref="TableQueries.FirstAsync"/> goes on until there are enough.</remarks>
    Task<TablePage> QueryAsync(string table, TableQuery query, CancellationToken cancellationToken);

    /// <summary>Applies all actions or none. One storage request: a single action is sent on its own, several as one entity group transaction.</summary>
    /// <param name="table">The table's name.</param>
    /// <param name="actions">1 to <see cref="TransactionRowsMax"/> actions on different rows of one partition.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The new ETags when everything was applied, else which action refused and why.</returns>
    /// <exception cref="ArgumentException">No action, too many, two on one row, or rows of several partitions.</exception>
    Task<TableResult> WriteAsync(string table, IReadOnlyList<TableAction> actions, CancellationToken cancellationToken);
}

/// <summary>A range of one partition's rows.</summary>
/// <param name="Partition">The partition key.</param>
/// <param name="From">The first row key of the range, inclusive.</param>
/// <param name="Before">The end of the range, exclusive; null means the end of the partition.</param>
/// <param name="Limit">The most rows to return, 1 to <see cref="ITables.PageRowsMax"/>.</param>
/// <param name="Columns">The columns to return; null means all.</param>
/// <param name="Continuation">Where the page before this one ended, as its <see cref="TablePage.Continuation"/> said; null means the start.</param>
public sealed record TableQuery(
    string Partition,
    string From,
    string? Before,
    int Limit = ITables.PageRowsMax,
    IReadOnlyList<string>? Columns = null,
    string? Continuation = null);

/// <summary>One page of a query.</summary>
/// <param name="Rows">The rows in the order of their keys; there may be fewer than asked for, even none, although more follow.</param>
/// <param name="Continuation">An opaque text that continues the query; null when the range is exhausted.</param>
public sealed record TablePage(IReadOnlyList<TableRow> Rows, string? Continuation);

/// <summary>What a <see cref="TableAction"/> does.</summary>
public enum TableActionKind
{
    /// <summary>Writes a row that must not exist.</summary>
    Insert,

    /// <summary>Writes a row, whether or not it exists.</summary>
    Upsert,

    /// <summary>Replaces all columns of a row that exists and still has the given ETag.</summary>
    Replace,

    /// <summary>Removes a row that exists and still has the given ETag.</summary>
    Delete,
}

/// <summary>One step of a write.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="Row">The row with all its columns; for <see cref="TableActionKind.Delete"/> only its keys count.</param>
/// <param name="ETag">The ETag that the row must still have, or <c>*</c> for any; null for inserts and upserts.</param>
public sealed record TableAction(TableActionKind Kind, TableRow Row, string? ETag)
{
    public static TableAction Insert(TableRow row) => new(TableActionKind.Insert, row, null);

    public static TableAction Upsert(TableRow row) => new(TableActionKind.Upsert, row, null);

    public static TableAction Replace(TableRow row, string etag) => new(TableActionKind.Replace, row, etag);

    public static TableAction Delete(string partition, string key, string etag) => new(TableActionKind.Delete, new TableRow(partition, key), etag);
}

/// <summary>How a write ended.</summary>
public enum TableOutcome
{
    /// <summary>Everything was applied.</summary>
    Done,

    /// <summary>Nothing was applied: a row to insert exists.</summary>
    Exists,

    /// <summary>Nothing was applied: a row has another ETag than expected.</summary>
    Changed,

    /// <summary>Nothing was applied: a row to replace or delete does not exist.</summary>
    Missing,
}

/// <summary>The result of a write.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Index">The action that refused; -1 when all were applied.</param>
/// <param name="ETags">
/// The new ETag of each action's row, in order, when all were applied; null for a deleted row. Empty when nothing was applied, and when the write
/// was recognised as already applied by an earlier attempt.
/// </param>
public sealed record TableResult(TableOutcome Outcome, int Index, IReadOnlyList<string?> ETags)
{
    /// <summary>True when everything was applied.</summary>
    public bool IsDone => Outcome == TableOutcome.Done;

    public static TableResult Done(IReadOnlyList<string?> etags) => new(TableOutcome.Done, -1, etags);

    public static TableResult Refused(TableOutcome outcome, int index) => new(outcome, index, []);
}
