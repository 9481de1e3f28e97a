using System.Globalization;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Tables in memory, for simulations: the limits and outcomes of the real ones, a clock that can be moved, faults on request.</summary>
/// <param name="time">Gives the ETags their time, which changes nothing but how they read.</param>
/// <param name="hook">Makes faults; null means none.</param>
public sealed class MemoryTables(TimeProvider time, MemoryHook? hook = null) : ITables
{
    private const string ContinuationPrefix = "m.";

    // Below this no encoding of the rows can reach the limit of a transaction.
    private const int SurelySmallBytes = 1024 * 1024;

    private readonly MemoryRequests _requests = new(hook);
    private readonly Dictionary<string, Dictionary<string, SortedList<string, Stored>>> _tables = new(StringComparer.OrdinalIgnoreCase);
    private long _writes;

    /// <summary>How many requests were made, each try counted.</summary>
    public int Requests => _requests.Count;

    /// <summary>
    /// Says how many rows a page of a query holds at most, so that it may end early, as the service's may; at 0 it is empty and the query goes on.
    /// Asked for each page; null means as many as the query asks for.
    /// </summary>
    public Func<TableQuery, int>? PageRows { get; init; }

    /// <summary>Takes over all rows of other tables, which stay as they are. No request.</summary>
    public void CopyFrom(MemoryTables other)
    {
        _writes = other._writes;
        foreach (var (table, partitions) in other._tables)
        {
            _tables[table] = partitions.ToDictionary(
                partition => partition.Key, partition => new SortedList<string, Stored>(partition.Value, StringComparer.Ordinal), StringComparer.Ordinal);
        }
    }

    public async Task<TableRow?> GetAsync(string table, string partition, string key, IReadOnlyList<string>? columns, CancellationToken cancellationToken)
    {
        TableRules.CheckKey(partition);
        TableRules.CheckKey(key);
        return await _requests.RunAsync("Tables.Get", _ => Find(table, partition, key) is { } row ? Copy(row, columns) : null, cancellationToken);
    }

    public async Task<TablePage> QueryAsync(string table, TableQuery query, CancellationToken cancellationToken)
    {
        TableRules.Check(query);
        var from = query.Continuation switch
        {
            null => query.From,
            var text when text.StartsWith(ContinuationPrefix, StringComparison.Ordinal) => text[ContinuationPrefix.Length..],
            _ => throw new ArgumentException("The continuation was not made by a query.", nameof(query)),
        };

        return await _requests.RunAsync("Tables.Query", _ => Page(table, query, from), cancellationToken);
    }

    public async Task<TableResult> WriteAsync(string table, IReadOnlyList<TableAction> actions, CancellationToken cancellationToken)
    {
        TableRules.Check(actions);
        var operation = Guid.NewGuid().ToString("N");
        if (actions.Count > 1 && actions.Sum(action => TableRules.RowBytes(action.Row)) > SurelySmallBytes)
        {
            // Only to be refused as the real one would.
            TableWire.Batch("https://account.table.core.windows.net", table, actions, operation);
        }

        return await _requests.RunAsync("Tables.Write", wasRetried => Write(table, actions, operation, wasRetried), cancellationToken);
    }

    private TablePage Page(string table, TableQuery query, string from)
    {
        if (!_tables.TryGetValue(table, out var partitions) || !partitions.TryGetValue(query.Partition, out var rows))
        {
            return new TablePage([], null);
        }

        var limit = Math.Min(query.Limit, PageRows?.Invoke(query) ?? query.Limit);
        var found = new List<TableRow>();
        for (var index = FirstAtLeast(rows, from); index < rows.Count; index++)
        {
            var key = rows.Keys[index];
            if (query.Before is { } before && string.CompareOrdinal(key, before) >= 0)
            {
                break;
            }

            if (found.Count == limit)
            {
                return new TablePage(found, ContinuationPrefix + key);
            }

            found.Add(Copy(rows.Values[index], query.Columns));
        }

        return new TablePage(found, null);
    }

    private TableResult Write(string table, IReadOnlyList<TableAction> actions, string operation, bool wasRetried)
    {
        for (var index = 0; index < actions.Count; index++)
        {
            var action = actions[index];
            var existing = Find(table, action.Row.Partition, action.Row.Key);
            TableOutcome? refusal = (action.Kind, existing) switch
            {
                (TableActionKind.Insert, not null) => TableOutcome.Exists,
                (TableActionKind.Replace or TableActionKind.Delete, null) => TableOutcome.Missing,
                (TableActionKind.Replace or TableActionKind.Delete, { } row) when action.ETag != "*" && action.ETag != row.ETag => TableOutcome.Changed,
                _ => null,
            };
            if (refusal is { } outcome)
            {
                return wasRetried && WasApplied(table, actions, operation, outcome) ? TableResult.Done([]) : TableResult.Refused(outcome, index);
            }
        }

        if (!_tables.TryGetValue(table, out var partitions))
        {
            _tables.Add(table, partitions = new Dictionary<string, SortedList<string, Stored>>(StringComparer.Ordinal));
        }

        var partition = actions[0].Row.Partition;
        if (!partitions.TryGetValue(partition, out var rows))
        {
            partitions.Add(partition, rows = new SortedList<string, Stored>(StringComparer.Ordinal));
        }

        return TableResult.Done([.. actions.Select(action => Apply(rows, action, operation))]);
    }

    private string? Apply(SortedList<string, Stored> rows, TableAction action, string operation)
    {
        if (action.Kind == TableActionKind.Delete)
        {
            rows.Remove(action.Row.Key);
            return null;
        }

        var etag = string.Create(CultureInfo.InvariantCulture, $"W/\"datetime'{time.GetUtcNow():O}.{++_writes}'\"");
        rows[action.Row.Key] = new Stored(
            action.Row.Partition, action.Row.Key, etag, operation, action.Row.Values.ToDictionary(pair => pair.Key, pair => Own(pair.Value), StringComparer.Ordinal));
        return etag;
    }

    // As in RestTables: a written row tells for all; deletes alone succeed when every row is gone.
    private bool WasApplied(string table, IReadOnlyList<TableAction> actions, string operation, TableOutcome outcome) =>
        TableWitnesses.Of(actions).Any(written => Find(table, written.Partition, written.Key)?.Operation == operation)
        || (outcome == TableOutcome.Missing
            && actions.All(action => action.Kind == TableActionKind.Delete && Find(table, action.Row.Partition, action.Row.Key) is null));

    private Stored? Find(string table, string partition, string key) =>
        _tables.TryGetValue(table, out var partitions) && partitions.TryGetValue(partition, out var rows) ? rows.GetValueOrDefault(key) : null;

    private static int FirstAtLeast(SortedList<string, Stored> rows, string key)
    {
        var (low, high) = (0, rows.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = string.CompareOrdinal(rows.Keys[middle], key) < 0 ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static TableRow Copy(Stored stored, IReadOnlyList<string>? columns)
    {
        var row = new TableRow(stored.Partition, stored.Key) { ETag = stored.ETag };
        foreach (var (column, value) in stored.Values)
        {
            if (columns is null || columns.Contains(column, StringComparer.Ordinal))
            {
                _ = Own(value) switch
                {
                    string text => row.Set(column, text),
                    long whole => row.Set(column, whole),
                    double number => row.Set(column, number),
                    bool flag => row.Set(column, flag),
                    var bytes => row.Set(column, (byte[])bytes),
                };
            }
        }

        return row;
    }

    // Bytes are the one kind of value that its owner can change afterwards.
    private static object Own(object value) => value is byte[] bytes ? bytes.Clone() : value;

    private sealed record Stored(string Partition, string Key, string ETag, string Operation, IReadOnlyDictionary<string, object> Values);
}
