using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>API keys: make one, list them.</summary>
public sealed class KeysFunction(ApiGate gate, KeyStore keys, TimeProvider time)
{
    private const string Route = "api/v3/auth/keys";

    [Function("AuthKeys")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => request.Method switch
            {
                "POST" => CreateAsync(request, caller, cancellationToken),
                "GET" => ListAsync(request, caller, cancellationToken),
                _ => throw ApiException.MethodNotAllowed("GET", "POST"),
            },
            cancellationToken,
            Scopes.Keys);

    private async Task<IResult> CreateAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var create = CreateKey.From(await JsonBody.ReadAsync(request, isRequired: false, cancellationToken), caller);
        var (key, secret) = create.ToKey(caller, time.GetUtcNow());
        await keys.AddAsync(key, cancellationToken);

        // The only answer that ever holds the secret: nobody on the way may keep it.
        return Json.Result(NewKeyView.From(key, secret), StatusCodes.Status201Created, ("Cache-Control", "no-store"));
    }

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        var limit = Cursor.Limit(query);
        var after = query.Text("starting_after", id => Ids.IsWellFormed(id, "key_") ? null : "must be a key_id");
        var accountId = query.Text("account_id", CreateKey.CheckAccount) ?? caller.Key.AccountId;
        query.ThrowIfInvalid();
        caller.RequireAccount(accountId);

        var (page, hasMore) = await keys.ListAsync(accountId, caller.MayKeep, after, limit, cancellationToken);
        return Json.Result(new KeyListView([.. page.Select(entry => KeyView.From(entry.Key, entry.LastUsedAt))], hasMore));
    }
}
