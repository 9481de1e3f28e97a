using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>Revocation: a key stops working at once here, and within <see cref="KeyStore.TrustedFor"/> on every other instance.</summary>
public sealed class RevokeFunction(ApiGate gate, KeyStore keys)
{
    private const string Route = "api/v3/auth/revoke";

    [Function("AuthRevoke")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => request.Method switch
            {
                "POST" => RevokeAsync(request, caller, cancellationToken),
                _ => throw ApiException.MethodNotAllowed("POST"),
            },
            cancellationToken,
            Scopes.Keys);

    private async Task<IResult> RevokeAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, isRequired: true, cancellationToken);
        var keyId = body.OptionalText("key_id", _ => null);
        var secret = body.OptionalText("key", _ => null);
        var account = body.OptionalText("account_id", CreateKey.CheckAccount) ?? caller.Key.AccountId;
        if ((keyId is null) == (secret is null))
        {
            body.Faults.Add("key_id", "is required unless key is given; only one of the two");
        }

        body.ThrowIfInvalid();

        caller.RequireAccount(account);
        if (secret is not null)
        {
            keyId = await keys.FindAsync(secret, cancellationToken) is { } key && key.AccountId == account ? key.KeyId : "";
        }

        var listed = Ids.IsWellFormed(keyId!, "key_") ? await keys.FindListedAsync(account, keyId!, cancellationToken) : null;
        if (listed is null || !caller.MayKeep(listed.Key))
        {
            throw ApiException.NotFound(secret is null ? "key_id" : "key", "API key");
        }

        var revoked = await keys.RevokeAsync(listed, cancellationToken);
        return Json.Result(new RevokedView(revoked.KeyId, "revoked", revoked.RevokedAt!.Value));
    }
}

/// <summary>The answer to a revocation.</summary>
public sealed record RevokedView(string KeyId, string Status, DateTimeOffset RevokedAt);
