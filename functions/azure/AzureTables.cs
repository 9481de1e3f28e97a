using Azure;
using Azure.Data.Tables;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureHost;

/// <summary>The tables of a storage account through the Azure SDK.</summary>
/// <param name="service">
/// The account. With <see cref="Attempts.Policy"/> in its pipeline a delete whose answer was lost is recognised too, and an ordinary conflict
/// costs no second request; <see cref="AzureStorage.Open"/> makes it so.
/// </param>
public sealed class AzureTables(TableServiceClient service) : ITables
{
    // Codes of the table service; the SDK lists TableNotFound and EntityAlreadyExists under TableErrorCode.
    private const string TableNotFound = "TableNotFound";
    private const string EntityAlreadyExists = "EntityAlreadyExists";

    // What the SDK adds to the columns of an entity that it read.
    private const string PartitionKey = "PartitionKey";
    private const string RowKey = "RowKey";
    private const string Timestamp = "Timestamp";
    private const string ETagColumn = "odata.etag";

    public async Task<TableRow?> GetAsync(
        string table, string partition, string key, IReadOnlyList<string>? columns, CancellationToken cancellationToken)
    {
        try
        {
            // "If exists" because an exception for each row that is not there would be slow, and an error in every trace.
            var answer = await service.GetTableClient(table)
                .GetEntityIfExistsAsync<TableEntity>(partition, key, Select(columns), cancellationToken);

            return answer.HasValue ? ToRow(answer.Value!) : null;
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<TablePage> QueryAsync(string table, TableQuery query, CancellationToken cancellationToken)
    {
        var filter = query.Before is { } before
            ? TableClient.CreateQueryFilter($"PartitionKey eq {query.Partition} and RowKey ge {query.From} and RowKey lt {before}")
            : TableClient.CreateQueryFilter($"PartitionKey eq {query.Partition} and RowKey ge {query.From}");

        try
        {
            var pages = service.GetTableClient(table)
                .QueryAsync<TableEntity>(filter, query.Limit, Select(query.Columns), cancellationToken)
                .AsPages(query.Continuation);
            await foreach (var page in pages)
            {
                // One page is one request, and what the caller asked for.
                return new TablePage([.. page.Values.Select(ToRow)], string.IsNullOrEmpty(page.ContinuationToken) ? null : page.ContinuationToken);
            }

            return new TablePage([], null);
        }
        catch (RequestFailedException missing) when (missing.ErrorCode == TableNotFound)
        {
            return new TablePage([], null);
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<TableResult> WriteAsync(string table, IReadOnlyList<TableAction> actions, CancellationToken cancellationToken)
    {
        Check(actions);
        var client = service.GetTableClient(table);
        var operation = Guid.NewGuid().ToString("N");
        var attempts = new Attempts();

        using var counting = attempts.Count();
        try
        {
            try
            {
                return await SendAsync(client, actions, operation, cancellationToken);
            }
            catch (RequestFailedException missing) when (missing.ErrorCode == TableNotFound)
            {
                await client.CreateIfNotExistsAsync(cancellationToken);
                return await SendAsync(client, actions, operation, cancellationToken);
            }
        }
        catch (RequestFailedException refusal) when (Refusal(refusal) is { } refused)
        {
            return await IsOwnEffectAsync(client, actions, operation, refused, attempts, cancellationToken) ? TableResult.Done([]) : refused;
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    /// <summary>Sends the actions once; every refusal is an exception.</summary>
    private static async Task<TableResult> SendAsync(
        TableClient client, IReadOnlyList<TableAction> actions, string operation, CancellationToken cancellationToken)
    {
        if (actions is [var action])
        {
            var answer = await SendOneAsync(client, action, operation, cancellationToken);

            // Alone among the writes, a delete returns its 404 instead of throwing it.
            return answer.Status == 404 ? throw new RequestFailedException(answer) : TableResult.Done([NewETag(action, answer)]);
        }

        var answers = await client.SubmitTransactionAsync(actions.Select(action => ToTransactionAction(action, operation)), cancellationToken);

        return TableResult.Done([.. actions.Zip(answers.Value, NewETag)]);
    }

    private static Task<Response> SendOneAsync(TableClient client, TableAction action, string operation, CancellationToken cancellationToken) =>
        action.Kind switch
        {
            TableActionKind.Insert => client.AddEntityAsync(ToEntity(action.Row, operation), cancellationToken),
            TableActionKind.Upsert => client.UpsertEntityAsync(ToEntity(action.Row, operation), TableUpdateMode.Replace, cancellationToken),
            TableActionKind.Replace => client.UpdateEntityAsync(
                ToEntity(action.Row, operation), new ETag(action.ETag!), TableUpdateMode.Replace, cancellationToken),
            TableActionKind.Delete => client.DeleteEntityAsync(
                action.Row.Partition, action.Row.Key, new ETag(action.ETag!), cancellationToken),
            _ => throw new ArgumentException("The action has no known kind.", nameof(action)),
        };

    private static TableTransactionAction ToTransactionAction(TableAction action, string operation) => action.Kind switch
    {
        TableActionKind.Insert => new(TableTransactionActionType.Add, ToEntity(action.Row, operation)),
        TableActionKind.Upsert => new(TableTransactionActionType.UpsertReplace, ToEntity(action.Row, operation)),
        TableActionKind.Replace => new(TableTransactionActionType.UpdateReplace, ToEntity(action.Row, operation), new ETag(action.ETag!)),
        TableActionKind.Delete => new(
            TableTransactionActionType.Delete, new TableEntity(action.Row.Partition, action.Row.Key), new ETag(action.ETag!)),
        _ => throw new ArgumentException("The action has no known kind.", nameof(action)),
    };

    /// <summary>The refusal as an outcome; null when it is a failure.</summary>
    private static TableResult? Refusal(RequestFailedException refusal)
    {
        TableOutcome? outcome = (refusal.Status, refusal.ErrorCode) switch
        {
            (409, EntityAlreadyExists) => TableOutcome.Exists,
            (412, _) => TableOutcome.Changed,
            (404, not TableNotFound) => TableOutcome.Missing,
            _ => null,
        };
        var index = refusal is TableTransactionFailedException transaction ? transaction.FailedTransactionActionIndex : 0;

        return outcome is { } known && index is { } at ? TableResult.Refused(known, at) : null;
    }

    /// <summary>Whether the write was refused only because an earlier attempt of it, whose answer was lost, had succeeded.</summary>
    private static async Task<bool> IsOwnEffectAsync(
        TableClient client,
        IReadOnlyList<TableAction> actions,
        string operation,
        TableResult refused,
        Attempts attempts,
        CancellationToken cancellationToken)
    {
        if (attempts.WereAllAnswered)
        {
            return false;
        }

        // A transaction is all or nothing, so any row that it wrote will do; the one that was refused is the best witness.
        var witness = actions[refused.Index].Kind != TableActionKind.Delete
            ? actions[refused.Index]
            : actions.FirstOrDefault(action => action.Kind != TableActionKind.Delete);
        if (witness is null)
        {
            // A deleted row holds no operation id. That an unanswered attempt was sent and the row is gone is all there is to know.
            return refused.Outcome == TableOutcome.Missing && attempts.MayHaveApplied;
        }

        try
        {
            var current = await client.GetEntityIfExistsAsync<TableEntity>(
                witness.Row.Partition, witness.Row.Key, [PartitionKey, RowKey, TableRow.OperationColumn], cancellationToken);

            return current.HasValue && current.Value!.GetString(TableRow.OperationColumn) == operation;
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    private static void Check(IReadOnlyList<TableAction> actions)
    {
        if (actions.Count is 0 or > ITables.TransactionRowsMax)
        {
            throw new ArgumentException($"A write has 1 to {ITables.TransactionRowsMax} actions.", nameof(actions));
        }

        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (var action in actions)
        {
            if (action.Row.Partition != actions[0].Row.Partition)
            {
                throw new ArgumentException("All rows of a write are of one partition.", nameof(actions));
            }

            if (!keys.Add(action.Row.Key))
            {
                throw new ArgumentException("A write has one action for a row.", nameof(actions));
            }
        }
    }

    private static IEnumerable<string>? Select(IReadOnlyList<string>? columns) => columns is null ? null : [PartitionKey, RowKey, .. columns];

    private static string? NewETag(TableAction action, Response answer) =>
        action.Kind == TableActionKind.Delete ? null : answer.Headers.ETag?.ToString("H");

    private static TableEntity ToEntity(TableRow row, string operation)
    {
        var entity = new TableEntity(row.Partition, row.Key) { [TableRow.OperationColumn] = operation };
        foreach (var (column, value) in row.Values)
        {
            entity[column] = value;
        }

        return entity;
    }

    private static TableRow ToRow(TableEntity entity)
    {
        // "H" is the form of the header, quotes included: what the service expects back.
        var row = new TableRow(entity.PartitionKey, entity.RowKey) { ETag = entity.ETag.ToString("H") };
        foreach (var (column, value) in entity)
        {
            _ = (column, value) switch
            {
                (PartitionKey or RowKey or Timestamp or ETagColumn or TableRow.OperationColumn, _) => row,
                (_, string text) => row.Set(column, text),
                (_, long whole) => row.Set(column, whole),
                (_, int whole) => row.Set(column, whole),
                (_, double number) => row.Set(column, number),
                (_, bool flag) => row.Set(column, flag),
                (_, byte[] bytes) => row.Set(column, bytes),
                _ => throw new InvalidDataException($"The column {column} has a type that this application does not write."),
            };
        }

        return row;
    }
}
