using Microsoft.Azure.Functions.Worker;
using Microsoft.Net.Http.Headers;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>The crystal cache: JSON values under keys.</summary>
/// <remarks>
/// A batch is a POST below the keys, where a single entry takes no POST, so an entry may be called <c>batch</c> as well. Keys that a path cannot carry (<c>..</c>, or
/// with empty segments) go into the query: <c>?key=</c>.
/// </remarks>
public sealed partial class CacheFunction(
    ApiGate gate,
    CacheStore store,
    CacheContent contents,
    CacheWriter writer,
    CacheHits hits,
    QuantumSignature signature,
    TimeProvider time,
    ILogger<CacheFunction> logger)
{
    private const string Route = "api/v3/cache/crystal/{*key}";
    private const string PathBefore = "/cache/crystal/";
    private const string BatchPath = "batch";

    [Function("Cache")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken)
    {
        // A batch may do no more than read; then the scope for that is enough. What each operation needs is asked when its turn comes.
        var isBatch = request.Method == "POST" && request.RouteText("key") == BatchPath;
        return gate.RunAsync(
            request,
            Route,
            caller => (request.Method, KeyOf(request)) switch
            {
                ("POST", null) => StoreAsync(request, caller, cancellationToken),
                ("GET", null) => ListAsync(request, caller, cancellationToken),
                ("GET" or "HEAD", { } key) => GetAsync(request, caller, key, cancellationToken),
                ("DELETE", { } key) => DeleteAsync(request, caller, key, cancellationToken),
                ("POST", BatchPath) => BatchAsync(request, caller, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET", "POST"),
                (_, BatchPath) => throw ApiException.MethodNotAllowed("GET", "HEAD", "POST", "DELETE"),
                _ => throw ApiException.MethodNotAllowed("GET", "HEAD", "DELETE"),
            },
            cancellationToken,
            isBatch ? Keys.Scopes.Read : null);
    }

    private async Task<IResult> StoreAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        // What is there is replaced unseen, so no signature can be right.
        QuantumSignature.Check(request, null);
        var written = await writer.ReceiveAsync(request, caller.Tenant, Condition(request), CacheEffect.Of(caller), cancellationToken);
        return Json.Result(View(caller, written), StatusCodes.Status201Created, ("ETag", written.Entry.ETag));
    }

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        QuantumSignature.Check(request, null);
        var query = new QueryParameters(request);
        var limit = Cursor.Limit(query);
        var prefix = query.Text("prefix", text => text.Length == 0 ? null : CacheLimits.CheckKey(text)) ?? "";
        var after = query.Text("starting_after", CacheLimits.CheckKey);
        query.ThrowIfInvalid();

        var (page, hasMore) = await store.ListAsync(caller.Tenant, prefix, after, limit, cancellationToken);
        return Json.Result(new CacheListView(
            [.. page.Select(found => ListedCacheEntryView.From(found.Entry, found.Hits.Plus(hits.Peek(caller.Tenant, found.Entry))))], hasMore));
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string key, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        var isDecompressed = query.Flag("decompress", absent: true);
        RequireKey(request, query, key);

        var found = await FindAsync(caller, key, cancellationToken);
        signature.Check(request, found.Entry.SignedParts(caller.Tenant, found.Secrets.Sha256));
        var response = request.HttpContext.Response;
        CacheResult.WriteState(response, found.Entry);
        if (Preconditions.IsNotModified(request, found.Entry.ETag, found.Entry.StoredAt))
        {
            hits.Add(caller.Tenant, found.Entry);
            return Results.StatusCode(StatusCodes.Status304NotModified);
        }

        if (HttpMethods.IsHead(request.Method))
        {
            return new CacheResult(found.Entry, Metadata(found, found.Hits.Plus(hits.Peek(caller.Tenant, found.Entry))), isDecompressed, null, () => Task.CompletedTask);
        }

        return new AnswerResult(context => AnswerAsync(context, caller.Tenant, found, isDecompressed));
    }

    private async Task<IResult> DeleteAsync(HttpRequest request, Caller caller, string key, CancellationToken cancellationToken)
    {
        RequireKey(request, new QueryParameters(request), key);
        var isSigned = QuantumSignature.IsGiven(request);
        var signed = isSigned ? await store.FindAsync(caller.Tenant, key, cancellationToken) : null;
        return Json.Result(await DeleteAsync(caller, key, Check, CacheEffect.Of(caller), cancellationToken));

        void Check(string? etag)
        {
            if (signed is not null)
            {
                signature.Check(request, signed.Entry.SignedParts(caller.Tenant, signed.Secrets.Sha256));
            }

            Preconditions.CheckWrite(request, etag);
            if (isSigned && etag != signed?.Entry.ETag)
            {
                // Written anew since it was looked at.
                throw ApiException.InvalidSignature();
            }
        }
    }

    private async Task<IResult> BatchAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        QuantumSignature.Check(request, null);
        var body = await JsonBody.ReadAsync(request, isRequired: true, cancellationToken, CacheLimits.BatchBytesMax);
        var operations = body.RequiredObjects("operations", CacheLimits.BatchOperationsMax);
        body.ThrowIfInvalid();
        return Json.Result(new CacheBatchView(
            await new CacheBatch(operations, (index, operation) => RunAsync(caller, index, operation, cancellationToken), caller, time).RunAsync(cancellationToken)));
    }

    // One operation of a batch: what it answers by itself.
    private async Task<(int Status, object Body)> RunAsync(Caller caller, int index, CacheOperation operation, CancellationToken cancellationToken)
    {
        caller.Require(operation.Kind == CacheOperationKind.Get ? Keys.Scopes.Read : Keys.Scopes.Write);
        switch (operation.Kind)
        {
            case CacheOperationKind.Put:
                var written = await writer.PutAsync(
                    caller.Tenant, operation.Create!, operation.Value, null, CacheEffect.Of(caller, index), cancellationToken);
                return (StatusCodes.Status201Created, View(caller, written));
            case CacheOperationKind.Delete:
                return (StatusCodes.Status200OK, await DeleteAsync(caller, operation.Key, _ => { }, CacheEffect.Of(caller, index), cancellationToken));
            default:
                var found = await FindAsync(caller, operation.Key, cancellationToken);
                if (found.Entry.OriginalBytes > CacheLimits.BatchValueBytesMax)
                {
                    throw ApiException.PayloadTooLarge(CacheLimits.BatchValueBytesMax);
                }

                var failed = new List<int>();
                await using (var value = await contents.OpenAsync(caller.Tenant, found, found.Entry.Dimensions, failed, cancellationToken))
                {
                    ReadOnlyMemory<byte> bytes = await CacheResult.BytesAsync(found.Entry, Counted(caller.Tenant, found), value, cancellationToken);
                    await NoteFailedAsync(caller.Tenant, found, failed, cancellationToken);
                    return (StatusCodes.Status200OK, bytes);
                }
        }
    }

    private async Task<FoundEntry> FindAsync(Caller caller, string key, CancellationToken cancellationToken)
    {
        var found = await store.FindAsync(caller.Tenant, key, cancellationToken) ?? throw CacheLimits.NotFound();
        found.Entry.RequireAlive(time.GetUtcNow());
        return found;
    }

    private async Task<DeletedCacheEntryView> DeleteAsync(
        Caller caller, string key, Action<string?> check, CacheEffect? effect, CancellationToken cancellationToken) =>
        new(key, "deleted", await store.DeleteAsync(caller.Tenant, key, check, effect, cancellationToken));

    private StoredCacheEntryView View(Caller caller, WrittenEntry written) =>
        StoredCacheEntryView.From(written.Entry, signature.Sign(written.Entry.SignedParts(caller.Tenant, written.Sha256)));

    private CacheMetadataView Counted(string tenant, FoundEntry found) => Metadata(found, found.Hits.Plus(hits.Add(tenant, found.Entry)));

    private static CacheMetadataView Metadata(FoundEntry found, Hits hits) =>
        new(found.Entry.StoredAt, found.Entry.ExpiresAt, hits.Count, hits.Last ?? found.Entry.StoredAt);

    // The value is there: what is wrong with some of its copies must not spoil the answer.
    private async Task NoteFailedAsync(string tenant, FoundEntry found, List<int> failed, CancellationToken cancellationToken)
    {
        if (failed.Count > 0 || !found.IsRowSound)
        {
            try
            {
                await store.ScheduleAsync(tenant, CacheDue.ForRepair(found.Entry), cancellationToken);
            }
            catch (StorageException exception)
            {
                LogNotScheduled(exception);
            }
        }
    }

    private static string? KeyOf(HttpRequest request) =>
        PathText.Of(request, "key", PathBefore)
        ?? (request.Method != "POST" && request.Query.TryGetValue("key", out var values) ? values.ToString() : null);

    private static void RequireKey(HttpRequest request, QueryParameters query, string key)
    {
        if (request.RouteText("key") is null)
        {
            query.Text("key", CacheLimits.CheckKey);
        }
        else if (CacheLimits.CheckKey(key) is { } reason)
        {
            query.Faults.Add("key", reason);
        }

        query.ThrowIfInvalid();
    }

    private static Action<string?>? Condition(HttpRequest request) =>
        request.Headers.ContainsKey(HeaderNames.IfMatch) || request.Headers.ContainsKey(HeaderNames.IfNoneMatch)
            ? etag => Preconditions.CheckWrite(request, etag)
            : null;

    // Opens the value when the answer is made, and has its copies seen to before the answer ends.
    private async Task AnswerAsync(HttpContext context, string tenant, FoundEntry found, bool isDecompressed)
    {
        var failed = new List<int>();
        await using var value = await contents.OpenAsync(tenant, found, found.Entry.Dimensions, failed, context.RequestAborted);
        var result = new CacheResult(
            found.Entry, Counted(tenant, found), isDecompressed, value, () => NoteFailedAsync(tenant, found, failed, context.RequestAborted));
        await result.ExecuteAsync(context);
    }

    private sealed class AnswerResult(Func<HttpContext, Task> answer) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext) => answer(httpContext);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The repair of a cache entry could not be scheduled.")]
    private partial void LogNotScheduled(Exception exception);
}
