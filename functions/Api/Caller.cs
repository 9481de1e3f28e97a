using QuantumFlux.Keys;

namespace QuantumFlux.Api;

/// <summary>Who sends a request: the facts of the API key it came with.</summary>
/// <param name="key">The key.</param>
/// <param name="requestId">The request's id.</param>
public sealed class Caller(ApiKey key, string requestId)
{
    /// <summary>The key that the request came with.</summary>
    public ApiKey Key { get; } = key;

    /// <summary>The id of this request, <c>req_</c> and 32 hex digits.</summary>
    public string RequestId { get; } = requestId;

    /// <summary>Whose data the request is about: an account and an environment. Also the partition key of all of its rows.</summary>
    public string Tenant { get; } = key.Tenant;

    /// <summary>True in the sandbox, where an object that a request refers to and nobody has written is created empty.</summary>
    public bool IsSandbox => Key.Environment == KeyEnvironment.Test;

    /// <summary>Ends the request when the key lacks a scope.</summary>
    /// <exception cref="ApiException">403 <c>INSUFFICIENT_PERMISSIONS</c>.</exception>
    public void Require(string scope)
    {
        if (!Key.Has(scope))
        {
            throw ApiException.InsufficientPermissions(scope);
        }
    }

    /// <summary>Whether the caller sees and revokes a key of its account: from the sandbox, no production keys, unless it is an administrator.</summary>
    public bool MayKeep(ApiKey other) =>
        Key.Environment == KeyEnvironment.Live || other.Environment == KeyEnvironment.Test || Key.Has(Scopes.Admin);

    /// <summary>Ends the request when it is about another account than the key's, unless the key may act for others.</summary>
    /// <exception cref="ApiException">403 <c>INSUFFICIENT_PERMISSIONS</c>.</exception>
    public void RequireAccount(string accountId)
    {
        if (accountId != Key.AccountId)
        {
            Require(Scopes.Admin);
        }
    }
}
