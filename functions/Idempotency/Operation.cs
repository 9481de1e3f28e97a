using System.Security.Cryptography;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Idempotency;

/// <summary>
/// What an <c>Idempotency-Key</c> stands for: one effect, however often and on whichever host its request is run. Ids and secrets that are derived from it
/// are the same each time; an effect in the tenant's partition of the table <c>objects</c> takes its record along.
/// </summary>
public sealed class Operation(Claim claim, OperationKey key, ClaimStore claims, RequestBodyStream body, string requestId)
{
    // A request ends within minutes: the platform sees to that.
    private static readonly TimeSpan _runningMax = TimeSpan.FromHours(1);

    /// <summary>Its id.</summary>
    public string Id => claim.OperationId;

    /// <summary>When it began: the same each time that it is run.</summary>
    public DateTimeOffset StartedAt => claim.StartedAt;

    /// <summary>From when no request can run it any more, however long the last one takes: until then it must be known what it did.</summary>
    public DateTimeOffset ForgottenAt => claim.ExpiresAt + _runningMax;

    // Transactions of this request move its claim on.
    private Claim? _moved;
    private byte[]? _progress;

    /// <summary>Whether a transaction with a record, or with progress, has been prepared.</summary>
    public bool IsRecorded { get; private set; }

    /// <summary>The answer of the last record that was final; null when there is none.</summary>
    public JsonAnswer? FinalAnswer { get; private set; }

    private Claim Current => _moved ?? claim;

    /// <summary>An id that is the same each time: at most one with a prefix. It sorts by <see cref="StartedAt"/>.</summary>
    public string NewId(string prefix) => Ids.New(prefix, StartedAt, key.Derive("id:" + prefix, Ids.RandomBytes));

    /// <summary>32 secret bytes that are the same each time, and stored nowhere.</summary>
    public byte[] Derive(string purpose) => key.Derive("secret:" + purpose);

    /// <summary>What the request is; its body is read to the end.</summary>
    /// <exception cref="ApiException">413 for a body that no handler reads.</exception>
    public async Task<Fingerprint> FingerprintAsync(CancellationToken cancellationToken) =>
        await body.FinishAsync(RequestBodyStream.RestBytesMax, cancellationToken) ?? throw ApiException.PayloadTooLarge(RequestBodyStream.RestBytesMax);

    /// <summary>The claim's next state, for the transaction that has the effect; see <see cref="Caller.RecordAsync"/>.</summary>
    /// <exception cref="ApiException">409 <c>IDEMPOTENCY_IN_PROGRESS</c> when another request has taken the operation over; 413 for a body that no handler reads.</exception>
    public async Task<TableAction> RecordAsync(JsonAnswer answer, bool isFinal, CancellationToken cancellationToken)
    {
        await FollowAsync(cancellationToken);
        IsRecorded = true;
        FinalAnswer = isFinal ? answer : null;
        var record = new KeptRecord(await KeptAnswer.TakeAsync(answer), await FingerprintAsync(cancellationToken), requestId);
        return ClaimStore.Change(Current with
        {
            State = isFinal ? ClaimState.Answered : ClaimState.Applied,
            Answer = record.Seal(claim, key),
            Progress = null,
        });
    }

    /// <summary>What earlier runs have done; see <see cref="Caller.ProgressAsync"/>.</summary>
    /// <exception cref="ApiException">422 <c>IDEMPOTENCY_KEY_REUSED</c> when it was another request that did it.</exception>
    public async Task<byte[]?> ProgressAsync(CancellationToken cancellationToken)
    {
        if (claim.Progress is null)
        {
            return null;
        }

        var progress = KeptProgress.Open(claim, key);
        var request = await FingerprintAsync(cancellationToken);
        return CryptographicOperations.FixedTimeEquals(progress.Request.Mac, request.Mac)
            ? progress.Done
            : throw ApiException.IdempotencyKeyReused();
    }

    /// <summary>The claim's next state, for a transaction that has a part of the effect; see <see cref="Caller.AdvanceAsync"/>.</summary>
    /// <exception cref="ApiException">409 <c>IDEMPOTENCY_IN_PROGRESS</c> when another request has taken the operation over.</exception>
    public async Task<TableAction> AdvanceAsync(byte[] done, CancellationToken cancellationToken)
    {
        await FollowAsync(cancellationToken);
        IsRecorded = true;
        _progress = new KeptProgress(done, await FingerprintAsync(cancellationToken)).Seal(claim, key);
        return ClaimStore.Change(Current with { Progress = _progress });
    }

    /// <summary>The claim as it is now, as far as a run that ends without an answer may change it.</summary>
    /// <exception cref="ApiException">409 <c>IDEMPOTENCY_IN_PROGRESS</c> when another request has taken the operation over.</exception>
    public async Task<Claim> ReleasedAsync(CancellationToken cancellationToken)
    {
        if (_progress is not null)
        {
            await FollowAsync(cancellationToken);
        }

        return Current with { LeasedUntil = DateTimeOffset.UnixEpoch };
    }

    // A transaction was prepared before. It was applied and has moved the claim on; or it was refused, perhaps because the claim is no longer this request's.
    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        if (!IsRecorded || await claims.FindAsync(claim.Tenant, claim.Scope, cancellationToken) is var found && found?.RowETag == Current.RowETag)
        {
            return;
        }

        // What is sealed is never sealed alike again, and whoever takes over leases anew.
        _moved = found is { State: ClaimState.Running, Progress: { } progress } && _progress is not null
            && progress.AsSpan().SequenceEqual(_progress) && found.LeasedUntil == claim.LeasedUntil
                ? found
                : throw ApiException.IdempotencyInProgress();
    }
}
