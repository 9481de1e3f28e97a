using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>Rotation: a new key in the place of another, which lives on for <see cref="ApiKey.RotationGrace"/>.</summary>
public sealed class RotateFunction(ApiGate gate, KeyStore keys, TimeProvider time)
{
    private const string Route = "api/v3/auth/keys/{id}/rotate";

    [Function("AuthKeysRotate")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => request.Method switch
            {
                "POST" => RotateAsync(request, caller, cancellationToken),
                _ => throw ApiException.MethodNotAllowed("POST"),
            },
            cancellationToken,
            Scopes.Keys);

    private async Task<IResult> RotateAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, isRequired: false, cancellationToken);
        var account = body.OptionalText("account_id", CreateKey.CheckAccount) ?? caller.Key.AccountId;
        body.ThrowIfInvalid();

        caller.RequireAccount(account);
        var keyId = request.RouteId()!;
        var old = Ids.IsWellFormed(keyId, "key_") ? await keys.FindListedAsync(account, keyId, cancellationToken) : null;
        if (old is null || !caller.MayKeep(old.Key))
        {
            throw ApiException.NotFound("key_id", "API key");
        }

        var (key, secret) = CreateKey.Like(old.Key, caller).ToKey(caller, time.GetUtcNow());
        var rotated = await keys.RotateAsync(old, key, cancellationToken);

        // As at creation: the only answer that ever holds the secret.
        return Json.Result(NewKeyView.From(key, secret, rotated), StatusCodes.Status201Created, ("Cache-Control", "no-store"));
    }
}
