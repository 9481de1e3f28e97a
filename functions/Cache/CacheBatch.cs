using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>What an operation of a batch does.</summary>
public enum CacheOperationKind
{
    Get,
    Put,
    Delete,
}

/// <summary>One operation of a batch.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="Key">To which key.</param>
/// <param name="Create">For <c>put</c>: what is to be kept.</param>
/// <param name="Value">For <c>put</c>: the value's JSON.</param>
public sealed record CacheOperation(CacheOperationKind Kind, string Key, CreateCacheEntry? Create, ReadOnlyMemory<byte> Value)
{
    /// <summary>Reads an operation: <c>operation</c>, <c>key</c>, and for <c>put</c> what a write takes.</summary>
    /// <exception cref="ApiException">400 with all faults.</exception>
    public static CacheOperation From(JsonBody body)
    {
        var word = body.RequiredText("operation", text => text is "get" or "put" or "delete" ? null : "must be one of: get, put, delete");
        CacheOperation operation;
        if (word == "put")
        {
            var create = CreateCacheEntry.From(body);
            if (body.Raw("value") is not { } value)
            {
                body.Faults.Add("value", "is required: any JSON value");
                value = default;
            }

            operation = new CacheOperation(CacheOperationKind.Put, create.Key, create, value);
        }
        else
        {
            var key = body.RequiredText("key", CacheLimits.CheckKey);
            operation = new CacheOperation(word == "delete" ? CacheOperationKind.Delete : CacheOperationKind.Get, key, null, default);
        }

        body.ThrowIfInvalid();
        return operation;
    }
}

/// <summary>
/// Up to a hundred operations in one request, each with a status of its own. Those on one key run in their order, the others at once; there is no
/// transaction around them. Under an <c>Idempotency-Key</c> a failure of ours ends the whole: no answer is kept that says so, and the next run does the rest.
/// </summary>
public sealed class CacheBatch(
    IReadOnlyList<JsonBody> operations, Func<int, CacheOperation, Task<(int Status, object Body)>> run, Caller caller, TimeProvider time)
{
    private const int AtOnceMax = 16;

    public async Task<IReadOnlyList<CacheBatchResult>> RunAsync(CancellationToken cancellationToken)
    {
        var results = new CacheBatchResult[operations.Count];
        var byKey = new Dictionary<string, List<(int Index, CacheOperation Operation)>>(StringComparer.Ordinal);
        for (var index = 0; index < operations.Count; index++)
        {
            try
            {
                var operation = CacheOperation.From(operations[index]);
                if (!byKey.TryGetValue(operation.Key, out var sameKey))
                {
                    byKey.Add(operation.Key, sameKey = []);
                }

                sameKey.Add((index, operation));
            }
            catch (ApiException exception)
            {
                results[index] = Failed(exception);
            }
        }

        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnceMax, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(byKey.Values, options, async (sameKey, _) =>
        {
            foreach (var (index, operation) in sameKey)
            {
                results[index] = await RunAsync(index, operation);
            }
        });
        return results;
    }

    private async Task<CacheBatchResult> RunAsync(int index, CacheOperation operation)
    {
        try
        {
            var (status, body) = await run(index, operation);
            return new CacheBatchResult(status, body as ReadOnlyMemory<byte>? ?? JsonSerializer.SerializeToUtf8Bytes(body, Json.Options));
        }
        catch (ApiException exception) when (caller.Operation is null || exception.Status < StatusCodes.Status500InternalServerError)
        {
            return Failed(exception);
        }
        catch (StorageException exception) when (exception.IsTransient && caller.Operation is null)
        {
            return Failed(ApiException.Unavailable());
        }
    }

    private CacheBatchResult Failed(ApiException exception) => new(
        exception.Status,
        JsonSerializer.SerializeToUtf8Bytes(new ApiErrorEnvelope(ApiError.From(exception, caller.RequestId, time.GetUtcNow())), Json.Options));
}
