using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Keys;

namespace QuantumFlux.Vectors;

/// <summary>Search: the vectors that are most similar to one.</summary>
public sealed class QueryFunction(ApiGate gate, VectorStore vectors, QueryCache cache, TimeProvider time)
{
    private const string Route = "api/v2/query";

    [Function("Query")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => request.Method == "POST" ? FindAsync(request, caller, cancellationToken) : throw ApiException.MethodNotAllowed("POST"),
            cancellationToken,
            Scopes.Read);

    private async Task<IResult> FindAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var bytes = await JsonText.ReceiveAsync(request, VectorLimits.BodyBytesMax, cancellationToken);
        if (bytes.Length > 0)
        {
            JsonText.RequireJson(request);
        }

        var query = VectorQuery.From(JsonBody.Parse(request, bytes, isRequired: true));
        var tenant = vectors.Of(caller.Tenant);
        var left = query.Timeout - time.GetElapsedTime(began);
        using var limit = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var found = await tenant.LookAsync(query.IsStrong, isSettled: false, SearchAsync, ending.Token);
            return Answer(found.Results, found.QuantumTime, found.IsHit, found.IsPartial);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // Nothing was found in time.
            return Answer(["[]"u8.ToArray()], TimeSpan.Zero, isHit: false, isPartial: true);
        }

        async Task<Found> SearchAsync(VectorState state, CancellationToken end)
        {
            var key = QueryCache.Key(caller.Tenant, state.Head.LastSequence, bytes.Span);
            if (cache.Find(key) is { } known)
            {
                return new Found([known], TimeSpan.Zero, IsHit: true, IsPartial: false);
            }

            // Not on a thread that serves sockets: this may take a while.
            await Task.Yield();
            var isWhole = state.IsWhole && state.IsSettled;
            var found = await new VectorSearch(state, query, time.GetUtcNow(), time, () => IsOver(end)).RunAsync(end);
            var results = VectorJson.Hits(found.Hits, query);
            if (!isWhole)
            {
                // The rest only now, so that this query did not wait for it.
                _ = tenant.CompleteAsync(state);
            }
            else if (!found.IsPartial)
            {
                cache.Keep(key, results, found.ValidUntil);
            }

            return new Found(results.Pages, found.QuantumTime, IsHit: false, found.IsPartial);
        }

        // Time is looked at as well: a timer may be late on a busy machine.
        bool IsOver(CancellationToken end) => end.IsCancellationRequested || time.GetElapsedTime(began) >= query.Timeout;

        JsonAnswer Answer(IReadOnlyList<ReadOnlyMemory<byte>> results, TimeSpan quantumTime, bool isHit, bool isPartial) => Json.Results(results, new QueryView(
            Math.Round(time.GetElapsedTime(began).TotalMilliseconds, 3),
            Math.Round(quantumTime.TotalMilliseconds, 3),
            isHit,
            isPartial ? true : null));
    }

    /// <summary>What a search found, as JSON.</summary>
    private sealed record Found(IReadOnlyList<ReadOnlyMemory<byte>> Results, TimeSpan QuantumTime, bool IsHit, bool IsPartial);
}
