using System.Security.Cryptography;
using QuantumFlux.Idempotency;
using QuantumFlux.Keys;
using QuantumFlux.Storage;

namespace QuantumFlux.Api;

/// <summary>Who sends a request: the facts of the API key it came with.</summary>
/// <param name="key">The key.</param>
/// <param name="requestId">The request's id.</param>
/// <param name="operation">What the request's <c>Idempotency-Key</c> stands for; null when it has none.</param>
public sealed class Caller(ApiKey key, string requestId, Operation? operation = null)
{
    /// <summary>The key that the request came with.</summary>
    public ApiKey Key { get; } = key;

    /// <summary>The id of this request, <c>req_</c> and 32 hex digits.</summary>
    public string RequestId { get; } = requestId;

    /// <summary>Whose data the request is about: an account and an environment. Also the partition key of all of its rows.</summary>
    public string Tenant { get; } = key.Tenant;

    /// <summary>True in the sandbox, where an object that a request refers to and nobody has written is created empty.</summary>
    public bool IsSandbox => Key.Environment == KeyEnvironment.Test;

    /// <summary>What the request's <c>Idempotency-Key</c> stands for; null when it has none.</summary>
    public Operation? Operation { get; } = operation;

    /// <summary>The same caller with an operation.</summary>
    public Caller With(Operation operation) => new(Key, RequestId, operation);

    /// <summary>A new id. Under an <c>Idempotency-Key</c> the same one each time that the request is run, so at most one with a prefix for a request.</summary>
    public string NewId(string prefix, DateTimeOffset now) => Operation?.NewId(prefix) ?? Ids.New(prefix, now);

    /// <summary>32 new random bytes for a secret. Under an <c>Idempotency-Key</c> the same ones each time that the request is run.</summary>
    /// <param name="purpose">What they are for.</param>
    public byte[] NewSecret(string purpose) => Operation?.Derive(purpose) ?? RandomNumberGenerator.GetBytes(MasterKey.Bytes);

    /// <summary>
    /// Rows that keep the answer in the very transaction that has the effect, so that there is never one without the other; none when the request has
    /// no <c>Idempotency-Key</c>. For a transaction in the tenant's partition of the table <c>objects</c>; to be asked for anew at every attempt.
    /// </summary>
    /// <param name="answer">
    /// The answer, should the transaction be applied. When it <paramref name="isFinal"/> the handler then returns this very object, which is sent
    /// without being kept again.
    /// </param>
    /// <param name="isFinal">
    /// False when the answer that is sent will say more, such as how long the transaction took: this one serves when that one is never kept.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ApiException">409 <c>IDEMPOTENCY_IN_PROGRESS</c> when another request has taken the operation over.</exception>
    public async Task<IReadOnlyList<TableAction>> RecordAsync(JsonAnswer answer, bool isFinal, CancellationToken cancellationToken) =>
        Operation is null ? [] : [await Operation.RecordAsync(answer, isFinal, cancellationToken)];

    /// <summary>
    /// What <see cref="AdvanceAsync"/> was told last, in an earlier run of the same request: that much of its effect is made. Null when there is none, and when
    /// the request has no <c>Idempotency-Key</c>.
    /// </summary>
    /// <exception cref="ApiException">422 <c>IDEMPOTENCY_KEY_REUSED</c> when another request has begun to have its effect.</exception>
    public async Task<byte[]?> ProgressAsync(CancellationToken cancellationToken) =>
        Operation is null ? null : await Operation.ProgressAsync(cancellationToken);

    /// <summary>
    /// Rows like those of <see cref="RecordAsync"/>, for a transaction that has only a part of the effect, or all of it but no room for the answer: a later run
    /// learns what is done, and goes on from there. After the first transaction, each costs a storage request.
    /// </summary>
    /// <param name="done">Writes down what is done, should the transaction be applied.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ApiException">409 <c>IDEMPOTENCY_IN_PROGRESS</c> when another request has taken the operation over.</exception>
    public async Task<IReadOnlyList<TableAction>> AdvanceAsync(Func<byte[]> done, CancellationToken cancellationToken) =>
        Operation is null ? [] : [await Operation.AdvanceAsync(done(), cancellationToken)];

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
