using System.Globalization;

namespace QuantumFlux.Storage;

/// <summary>
/// An ordered, durable log of byte records in one partition of a table, with any number of writers and readers. Records have sequences from 1 without
/// a gap, never change, and go, the oldest first, when the log is truncated.
/// </summary>
/// <param name="tables">The tables.</param>
/// <param name="table">The table's name.</param>
/// <param name="partition">The partition key. Other rows may share the partition, so that they can be written in one transaction with records.</param>
/// <param name="prefix">What the keys of all rows of this log start with, before a colon: a part of a key, and no other row's.</param>
/// <remarks>
/// Three kinds of rows, in this order, so that one range query from a sequence on reads what follows it and where it ends:
/// <c>PREFIX:SEQUENCE</c> holds one or more records, and its key is the sequence of the last of them in 19 digits; <c>PREFIX:~</c> is the head, which
/// holds the last sequence of all; <c>PREFIX:~~NAME</c> are companions, rows that the log's owner writes itself and every reader gets too.
/// <para>
/// Every append replaces the head under the ETag of the one it goes on from, in the transaction that inserts its records. So of two writers who know
/// the same end of the log one fails, even when the rows that would have collided are truncated by then. Readers believe records as far as the head
/// that they read. The head stays when all records are gone: no sequence is given twice.
/// </para>
/// <para>
/// Records that an append inserts are the proof, should its answer get lost, that it was applied (<see cref="TableWitnesses"/>). That is why
/// truncation has to leave them alone for <see cref="Grace"/>.
/// </para>
/// </remarks>
public sealed class Log(ITables tables, string table, string partition, string prefix)
{
    /// <summary>The largest record, in bytes.</summary>
    public const int RecordBytesMax = 256 * 1024;

    /// <summary>
    /// The most bytes that one append takes, each record counted with <see cref="LogRecords.OverheadBytes"/>. As Base64 and with all that is around
    /// it, it leaves <see cref="AlongBytesMax"/> of a transaction.
    /// </summary>
    public const int AppendBytesMax = 2816 * 1024;

    /// <summary>What the largest append leaves of a transaction for the actions that go along, in bytes of the request. A smaller one leaves more.</summary>
    public const int AlongBytesMax = 256 * 1024;

    /// <summary>The most actions that go along with an append. The rest of a transaction is for the head and for records, which fill at most four rows.</summary>
    public const int AlongRowsMax = 90;

    /// <summary>
    /// How long a record is kept from truncation at least. A write is tried for little more than a minute and then looked for in as much; the rest of
    /// the time is for the clocks of a writer and of whoever truncates, which may differ. Beyond it, an append whose answer was lost may be taken for
    /// one that never was.
    /// </summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMinutes(10);

    // A query is followed by another when an append falls between two of its pages, just where the records end. Nobody is that unlucky again and again.
    private const int QueriesMax = 8;

    private const string HeadSuffix = ":~";
    private const string FirstColumn = "First";
    private const string LastColumn = "Last";
    private const string WrittenAtColumn = "WrittenAt";
    private const string DataColumn = "Data";

    private readonly string _headKey = prefix + HeadSuffix;

    /// <summary>The key of a companion row.</summary>
    /// <param name="name">Its name, any text that fits a key.</param>
    public string CompanionKey(string name) => $"{_headKey}~{TableKey.Escape(name)}";

    /// <summary>How many of some records, from the first on, one append takes; 0 when the first is larger than a record may be.</summary>
    public static int CountFitting(IReadOnlyList<ReadOnlyMemory<byte>> records)
    {
        var (count, bytes) = (0, 0);
        while (count < records.Count && records[count].Length <= RecordBytesMax)
        {
            bytes += LogRecords.OverheadBytes + records[count].Length;
            if (bytes > AppendBytesMax)
            {
                break;
            }

            count++;
        }

        return count;
    }

    /// <summary>Reads all that follows a sequence. One storage request when it fits a page, and one more for each further page.</summary>
    /// <param name="after">The sequence, 0 for everything.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The records, the head and the companions. All that was appended before the call is there, or was truncated.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The sequence is negative, or one that nothing can follow.</exception>
    /// <exception cref="StorageException">Also with status 503: appends came between the pages of the answer again and again.</exception>
    /// <exception cref="InvalidDataException">A row was not written by a log.</exception>
    public async Task<LogTail> ReadAsync(long after, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(after);
        ArgumentOutOfRangeException.ThrowIfEqual(after, long.MaxValue);

        // A page is of one moment; between two, appends add rows right before the head, and truncation takes rows from the start.
        var records = new List<LogRecord>();
        for (var queries = 0; queries < QueriesMax; queries++)
        {
            var last = records.Count > 0 ? records[^1].Sequence : after;
            var query = new TableQuery(partition, RecordKey(last + 1), prefix + ";");
            var (head, companions, mayLackRecords) = (LogHead.None, new List<TableRow>(), false);
            do
            {
                var page = await tables.QueryAsync(table, query, cancellationToken);
                for (var index = 0; index < page.Rows.Count; index++)
                {
                    var row = page.Rows[index];
                    if (row.Key == _headKey)
                    {
                        head = new LogHead(row.Whole(LastColumn) ?? throw NotOfALog(row), row.ETag);

                        // The page before may have said that it goes on with the head, and then rows came to stand before it.
                        mayLackRecords = index == 0 && query.Continuation is not null;
                    }
                    else if (row.Key.StartsWith(_headKey, StringComparison.Ordinal))
                    {
                        companions.Add(row);
                    }
                    else
                    {
                        Add(records, row, after);
                    }
                }

                query = query with { Continuation = page.Continuation };
            }
            while (query.Continuation is not null);

            while (records.Count > 0 && records[^1].Sequence > head.LastSequence)
            {
                records.RemoveAt(records.Count - 1);
            }

            last = records.Count > 0 ? records[^1].Sequence : after;
            if (last < head.LastSequence && mayLackRecords)
            {
                continue;
            }

            if (last < head.LastSequence)
            {
                // What followed them was truncated, and so they were too.
                records.Clear();
            }

            return new LogTail(after, records, head, companions);
        }

        throw new StorageException($"The log {prefix} grew between the pages of {QueriesMax} queries.", 503, null);
    }

    /// <summary>
    /// Appends records behind a head, all or none, in one transaction with other actions. One storage request. It never tries again by itself, because
    /// what a writer appends may depend on what stands in the log: after a refusal, read the tail and decide anew.
    /// </summary>
    /// <param name="head">The head that was read or that the last append gave.</param>
    /// <param name="records">At least one record, and at most as many as <see cref="CountFitting"/> says.</param>
    /// <param name="now">The time of this very attempt: from then on the records have their <see cref="Grace"/>.</param>
    /// <param name="along">
    /// Actions on other rows of the partition, at most <see cref="AlongRowsMax"/>, that are to be done if and only if the records are appended.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ArgumentException">
    /// A limit is exceeded, the head must be read first, or an action touches a row of another partition or of this append.
    /// </exception>
    /// <exception cref="StorageException">
    /// When it is transient, nobody knows whether the records were appended. Status 413: what goes along makes the transaction too large.
    /// </exception>
    public async Task<LogAppended> AppendAsync(
        LogHead head, IReadOnlyList<ReadOnlyMemory<byte>> records, DateTimeOffset now, IReadOnlyList<TableAction> along, CancellationToken cancellationToken)
    {
        if (head.MustBeRead)
        {
            throw new ArgumentException("The head has to be read before one can append behind it.", nameof(head));
        }

        if (records.Count == 0 || CountFitting(records) < records.Count)
        {
            throw new ArgumentException(
                $"An append takes one or more records of at most {RecordBytesMax} bytes, and {AppendBytesMax} bytes with {LogRecords.OverheadBytes} for each.",
                nameof(records));
        }

        if (along.Count > AlongRowsMax)
        {
            throw new ArgumentException($"At most {AlongRowsMax} actions go along with an append, not {along.Count}.", nameof(along));
        }

        var last = head.LastSequence;
        var rows = new List<TableRow>();
        foreach (var (count, data) in LogRecords.Pack(records))
        {
            var first = last + 1;
            last += count;
            rows.Add(new TableRow(partition, RecordKey(last)).Set(FirstColumn, first).Set(WrittenAtColumn, now.UtcTicks).SetLarge(DataColumn, data));
        }

        // Records first: they are inserted, which lets the write create the table, and of all inserted rows they are the best proof. The head last, so
        // that nobody sees it before the rows that it vouches for, even where a transaction can be seen half done.
        var newHead = new TableRow(partition, _headKey).Set(LastColumn, last);
        var written = await tables.WriteAsync(
            table,
            [.. rows.Select(TableAction.Insert), .. along, head.ETag is { } etag ? TableAction.Replace(newHead, etag) : TableAction.Insert(newHead)],
            cancellationToken);
        if (written.IsDone)
        {
            return new LogAppended(LogOutcome.Appended, new LogHead(last, written.ETags.Count > 0 ? written.ETags[^1] : null));
        }

        var refused = written.Index - rows.Count;
        return refused >= 0 && refused < along.Count
            ? new LogAppended(LogOutcome.Refused, Index: refused, Refusal: written.Outcome)
            : new LogAppended(LogOutcome.Moved);
    }

    /// <summary>
    /// Removes the oldest rows. One storage request, one for each hundred rows, and one for each thousand. It may run twice at once, and end anywhere:
    /// what remains never has a gap.
    /// </summary>
    /// <param name="through">Records up to this sequence may go. A row goes with the last of its records.</param>
    /// <param name="writtenBefore">
    /// Only what was written before goes: <see cref="Grace"/> before now, or earlier. The first row that is younger keeps all that follow it.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>How many rows it removed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The sequence is negative.</exception>
    public async Task<int> TruncateAsync(long through, DateTimeOffset writtenBefore, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(through);

        var removed = 0;
        var query = new TableQuery(partition, RecordKey(0), RecordKey(through) + "~", Columns: [WrittenAtColumn]);
        do
        {
            var page = await tables.QueryAsync(table, query, cancellationToken);
            var old = page.Rows.TakeWhile(row => row.Whole(WrittenAtColumn) < writtenBefore.UtcTicks).ToList();
            foreach (var some in old.Chunk(ITables.TransactionRowsMax))
            {
                var deleted = await tables.WriteAsync(table, [.. some.Select(row => TableAction.Delete(partition, row.Key, "*"))], cancellationToken);
                if (!deleted.IsDone)
                {
                    // Another truncation is at work. To go on behind rows that may still be there would leave a gap.
                    return removed;
                }

                removed += some.Length;
            }

            query = query with { Continuation = old.Count == page.Rows.Count ? page.Continuation : null };
        }
        while (query.Continuation is not null);

        return removed;
    }

    /// <summary>
    /// Whether all rows up to a sequence are gone. A truncation does not say: it leaves what is too young by its writer's clock, and what another truncation
    /// is about to remove. One storage request.
    /// </summary>
    /// <param name="through">The sequence. A row counts by the last of its records.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<bool> IsTruncatedAsync(long through, CancellationToken cancellationToken)
    {
        var query = new TableQuery(partition, RecordKey(0), RecordKey(through) + "~", Limit: 1, Columns: [WrittenAtColumn]);
        return (await tables.FirstAsync(table, query, cancellationToken)).Count == 0;
    }

    private void Add(List<LogRecord> records, TableRow row, long after)
    {
        if (row.Whole(FirstColumn) is not { } sequence || row.Whole(WrittenAtColumn) is not { } writtenAt || row.Large(DataColumn) is not { } data)
        {
            throw NotOfALog(row);
        }

        if (records.Count > 0 && sequence != records[^1].Sequence + 1)
        {
            // What lay between was truncated after what lies before it had been read, so that is truncated too.
            records.Clear();
        }

        foreach (var record in LogRecords.Unpack(data))
        {
            if (sequence > after)
            {
                records.Add(new LogRecord(sequence, record, new DateTimeOffset(writtenAt, TimeSpan.Zero)));
            }

            sequence++;
        }

        if (RecordKey(sequence - 1) != row.Key)
        {
            throw NotOfALog(row);
        }
    }

    private static InvalidDataException NotOfALog(TableRow row) => new($"The row {row.Key} was not written by a log.");

    private string RecordKey(long sequence) => string.Create(CultureInfo.InvariantCulture, $"{prefix}:{sequence:D19}");
}
