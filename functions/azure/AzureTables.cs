using System.Text;
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
        TableRules.CheckKey(partition);
        TableRules.CheckKey(key);

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
        TableRules.Check(query);
        if (query.Continuation is { } continuation && !continuation.Contains(' ', StringComparison.Ordinal))
        {
            // The SDK joins the two keys that the service continues from with a blank. It would take any other text for a key and start somewhere.
            throw new ArgumentException("The continuation was not made by a query.", nameof(query));
        }

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
        TableRules.Check(actions);
        CheckSize(actions);
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

        foreach (var written in TableWitnesses.Of(actions))
        {
            if ((await FindOperationAsync(client, written, cancellationToken)).Operation == operation)
            {
                return true;
            }
        }

        // A deleted row holds no operation id. That an unanswered attempt was sent, and every row is gone, is all there is to know.
        if (refused.Outcome != TableOutcome.Missing || !attempts.MayHaveApplied || actions.Any(action => action.Kind != TableActionKind.Delete))
        {
            return false;
        }

        foreach (var other in actions.Where((_, index) => index != refused.Index))
        {
            if ((await FindOperationAsync(client, other.Row, cancellationToken)).Exists)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Refuses a transaction that the service would refuse for its size, before it is sent.</summary>
    private static void CheckSize(IReadOnlyList<TableAction> actions)
    {
        // What the values take in JSON at least; with names and framing the body is larger, and the service has the last word.
        var bytes = actions.Sum(action => action.Kind == TableActionKind.Delete ? 0 : action.Row.Values.Values.Sum(value => value switch
        {
            byte[] binary => (binary.LongLength + 2) / 3 * 4,
            string text => Encoding.UTF8.GetByteCount(text),
            _ => 1,
        }));
        if (bytes > ITables.TransactionBytesMax)
        {
            throw new StorageException($"A transaction has at most {ITables.TransactionBytesMax} bytes.", 413, "RequestBodyTooLarge");
        }
    }

    /// <summary>Whether a row is there, and with the id of which write.</summary>
    private static async Task<(bool Exists, string? Operation)> FindOperationAsync(TableClient client, TableRow row, CancellationToken cancellationToken)
    {
        try
        {
            var current = await client.GetEntityIfExistsAsync<TableEntity>(
                row.Partition, row.Key, [PartitionKey, RowKey, TableRow.OperationColumn], cancellationToken);

            return current.HasValue ? (true, current.Value!.GetString(TableRow.OperationColumn)) : (false, null);
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
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
