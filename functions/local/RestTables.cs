using System.Globalization;
using System.Text.Json;
using Azure.Core;
using Azure.Core.Pipeline;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>Tables over the storage REST protocol.</summary>
/// <param name="address">The account. With a key, requests are signed with it.</param>
/// <param name="credential">Gives the token for an account without a key.</param>
/// <param name="transport">Sends the requests; null means the process-wide connection pool.</param>
/// <exception cref="ArgumentException">The account has no key, and there is no credential.</exception>
public sealed class RestTables(StorageAddress address, TokenCredential? credential = null, HttpPipelineTransport? transport = null) : ITables
{
    // The header without which the service answers in Atom, and with which it tells types.
    private const string Json = "application/json;odata=minimalmetadata";

    // A table that was deleted while we wrote is created again, but not for ever.
    private const int TableCreationsMax = 2;

    private readonly StorageRest _rest = StorageRest.ForTables(address, credential, transport);
    private readonly string _endpoint = address.TableEndpoint.AbsoluteUri.TrimEnd('/');

    public async Task<TableRow?> GetAsync(
        string table, string partition, string key, IReadOnlyList<string>? columns, CancellationToken cancellationToken)
    {
        TableRules.CheckKey(partition);
        TableRules.CheckKey(key);

        using var message = Message(RequestMethod.Get, TableWire.RowPath(table, partition, key) + (columns is null ? "" : $"?$select={Select(columns)}"));
        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 => TableWire.ReadRow(response.Content.ToMemory().Span, partition, key),
            404 => null,
            _ => throw StorageRest.Error(message),
        };
    }

    public async Task<TablePage> QueryAsync(string table, TableQuery query, CancellationToken cancellationToken)
    {
        TableRules.Check(query);
        var path = string.Create(
            CultureInfo.InvariantCulture,
            $"/{table}()?$filter={Uri.EscapeDataString(TableWire.Filter(query))}&$top={query.Limit}");
        if (query.Columns is { } columns)
        {
            path += $"&$select={Select(columns)}";
        }

        using var message = Message(RequestMethod.Get, path + UnpackContinuation(query.Continuation));
        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status != 200)
        {
            return response.Status == 404 ? new TablePage([], null) : throw StorageRest.Error(message);
        }

        var continuation = response.Headers.TryGetValue("x-ms-continuation-NextPartitionKey", out var nextPartition)
            ? PackContinuation(nextPartition, response.Headers.TryGetValue("x-ms-continuation-NextRowKey", out var nextRow) ? nextRow : null)
            : null;
        return new TablePage(TableWire.ReadRows(response.Content.ToMemory().Span, query.Partition), continuation);
    }

    public async Task<TableResult> WriteAsync(string table, IReadOnlyList<TableAction> actions, CancellationToken cancellationToken)
    {
        TableRules.Check(actions);
        var operation = Guid.NewGuid().ToString("N");
        var body = actions switch
        {
            [{ Kind: TableActionKind.Delete }] => default,
            [var only] => TableWire.Row(only.Row, operation),
            _ => TableWire.Batch(_endpoint, table, actions, operation),
        };

        var wasRetried = false;
        for (var creations = 0; ; creations++)
        {
            using var message = actions is [var action] ? Single(table, action, body) : Batch(body, operation);
            await _rest.SendAsync(message, cancellationToken);
            wasRetried |= StorageRest.WasRetried(message);
            var answer = actions.Count == 1 ? SingleAnswer(message) : ReadBatch(message, actions.Count);

            switch (answer)
            {
                case { Status: < 300 }:
                    return TableResult.Done(answer.ETags);

                // Without a table there is no row to replace or delete, so a write that begins with one fails whether or not the table is created.
                case { Status: 404, Code: "TableNotFound" }
                    when actions[0].Kind is TableActionKind.Insert or TableActionKind.Upsert && creations < TableCreationsMax:
                    await CreateTableAsync(table, cancellationToken);
                    continue;
            }

            var outcome = answer switch
            {
                { Status: 409, Code: "EntityAlreadyExists" } => TableOutcome.Exists,
                { Status: 412 } => TableOutcome.Changed,
                { Status: 404 } when actions[answer.Index].Kind is TableActionKind.Replace or TableActionKind.Delete => TableOutcome.Missing,
                _ => throw StorageRest.Error(answer.Status, answer.Code, message),
            };

            return wasRetried && await WasAppliedAsync(table, actions, operation, outcome, cancellationToken)
                ? TableResult.Done([])
                : TableResult.Refused(outcome, answer.Index);
        }
    }

    /// <summary>After a refusal that followed a lost answer: whether an earlier try of the same write is what stands in the way.</summary>
    private async Task<bool> WasAppliedAsync(
        string table, IReadOnlyList<TableAction> actions, string operation, TableOutcome outcome, CancellationToken cancellationToken)
    {
        foreach (var written in TableWitnesses.Of(actions))
        {
            if (await OperationAsync(table, written, cancellationToken) == operation)
            {
                return true;
            }
        }

        // Deletes leave no mark. When every row is gone, the state is the one asked for, whoever made it.
        if (outcome != TableOutcome.Missing || actions.Any(action => action.Kind != TableActionKind.Delete))
        {
            return false;
        }

        foreach (var action in actions.Count == 1 ? [] : actions)
        {
            if (await OperationAsync(table, action.Row, cancellationToken) is not null)
            {
                return false;
            }
        }

        return true;
    }

    private async Task<string?> OperationAsync(string table, TableRow row, CancellationToken cancellationToken)
    {
        using var message = Message(
            RequestMethod.Get,
            $"{TableWire.RowPath(table, row.Partition, row.Key)}?$select={TableRow.OperationColumn}");
        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 => TableWire.ReadOperation(response.Content.ToMemory().Span),
            404 => null,
            _ => throw StorageRest.Error(message),
        };
    }

    private HttpMessage Single(string table, TableAction action, ReadOnlyMemory<byte> body)
    {
        var message = action.Kind switch
        {
            TableActionKind.Insert => Message(RequestMethod.Post, $"/{table}"),
            TableActionKind.Delete => Message(RequestMethod.Delete, TableWire.RowPath(table, action.Row.Partition, action.Row.Key)),
            _ => Message(RequestMethod.Put, TableWire.RowPath(table, action.Row.Partition, action.Row.Key)),
        };

        if (action.ETag is { } etag)
        {
            message.Request.Headers.Add("If-Match", etag);
        }

        if (action.Kind != TableActionKind.Delete)
        {
            message.Request.Headers.Add("Prefer", "return-no-content");
            message.Request.Headers.Add("Content-Type", "application/json");
            message.Request.Content = RequestContent.Create(body);
        }

        return message;
    }

    private HttpMessage Batch(ReadOnlyMemory<byte> body, string operation)
    {
        var message = Message(RequestMethod.Post, "/$batch");
        message.Request.Headers.Add("Content-Type", $"multipart/mixed; boundary=batch_{operation}");
        message.Request.Content = RequestContent.Create(body);
        return message;
    }

    private static BatchAnswer SingleAnswer(HttpMessage message)
    {
        var response = message.Response;
        return response.Status < 300
            ? new BatchAnswer(response.Status, null, -1, [message.Request.Method == RequestMethod.Delete ? null : response.Headers.ETag?.ToString("H")])
            : new BatchAnswer(response.Status, StorageRest.ErrorCode(response), 0, []);
    }

    private static BatchAnswer ReadBatch(HttpMessage message, int actions)
    {
        if (message.Response.Status >= 300)
        {
            return new BatchAnswer(message.Response.Status, StorageRest.ErrorCode(message.Response), 0, []);
        }

        try
        {
            return TableWire.ReadBatch(message.Response.Content.ToMemory().Span, actions);
        }
        catch (FormatException e)
        {
            throw new StorageException("Storage's answer to a transaction makes no sense.", 502, null, e);
        }
    }

    private async Task CreateTableAsync(string table, CancellationToken cancellationToken)
    {
        using var message = Message(RequestMethod.Post, "/Tables");
        message.Request.Headers.Add("Prefer", "return-no-content");
        message.Request.Headers.Add("Content-Type", "application/json");
        message.Request.Content = RequestContent.Create(JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["TableName"] = table }));
        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status >= 300 && StorageRest.ErrorCode(response) != "TableAlreadyExists")
        {
            throw StorageRest.Error(message);
        }
    }

    private HttpMessage Message(RequestMethod method, string path)
    {
        var message = _rest.Message(method, path);
        message.Request.Headers.Add("Accept", Json);
        message.Request.Headers.Add("DataServiceVersion", "3.0;");
        return message;
    }

    private static string Select(IReadOnlyList<string> columns) =>
        string.Join(',', columns.Prepend("RowKey").Select(Uri.EscapeDataString));

    // The service continues from one or two header values. They become one text, of which the first part's length tells where the second begins.
    private static string PackContinuation(string partition, string? row) =>
        string.Create(CultureInfo.InvariantCulture, $"{partition.Length}.{partition}{row}");

    private static string UnpackContinuation(string? continuation)
    {
        if (continuation is null)
        {
            return "";
        }

        var point = continuation.IndexOf('.', StringComparison.Ordinal);
        if (point < 0
            || !int.TryParse(continuation.AsSpan(0, point), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            || length > continuation.Length - point - 1)
        {
            throw new ArgumentException("The continuation was not made by a query.", nameof(continuation));
        }

        var partition = continuation.Substring(point + 1, length);
        var row = continuation[(point + 1 + length)..];
        return $"&NextPartitionKey={Uri.EscapeDataString(partition)}" + (row.Length == 0 ? "" : $"&NextRowKey={Uri.EscapeDataString(row)}");
    }
}
