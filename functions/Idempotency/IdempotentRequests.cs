using System.Security.Cryptography;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Idempotency;

/// <summary>
/// Lets a request with an <c>Idempotency-Key</c> have its effect once and its answer always: claims the key, runs the request, keeps the answer, and only
/// then sends it. A repeated request gets the kept answer; one whose first run ended without any is run again, as the same operation.
/// </summary>
public sealed partial class IdempotentRequests(ClaimStore claims, MasterKey master, TimeProvider time, ILogger<IdempotentRequests> logger)
{
    private const string Header = "Idempotency-Key";
    private const int KeyCharactersMax = 255;

    /// <summary>Answers a request of a caller who is allowed to send it.</summary>
    public async Task<IResult> RunAsync(
        HttpRequest request, string route, Caller caller, Func<Caller, Task<IResult>> handler, CancellationToken cancellationToken)
    {
        if (KeyOf(request) is not { } idempotencyKey)
        {
            return await handler(caller);
        }

        var (ours, theirs, masterKeyId) = await BeginAsync(request, route, caller, idempotencyKey, cancellationToken);
        var now = time.GetUtcNow();
        if (ours is null && (theirs is null || theirs.IsLeased(now)))
        {
            throw ApiException.IdempotencyInProgress();
        }

        if (theirs is { State: ClaimState.Running })
        {
            // Whoever ran it gave up, or is gone, or has been too slow: from now on it is refused.
            ours = await claims.ChangeAsync(theirs with { LeasedUntil = now + Claim.LeaseTime }, cancellationToken)
                ?? throw ApiException.IdempotencyInProgress();
        }

        return ours is not null
            ? await RunAsync(request, caller, handler, ours, new OperationKey(master, masterKeyId, idempotencyKey, ours.OperationId), cancellationToken)
            : await ReplayAsync(request, theirs!, new OperationKey(master, masterKeyId, idempotencyKey, theirs!.OperationId), cancellationToken);
    }

    // What was claimed under a previous master key is claimed: it costs a storage request for each to know, while there are any.
    private async Task<(Claim? Ours, Claim? Theirs, string MasterKeyId)> BeginAsync(
        HttpRequest request, string route, Caller caller, string idempotencyKey, CancellationToken cancellationToken)
    {
        string ScopeUnder(string masterKeyId) => OperationKey.ScopeOf(master, masterKeyId, caller.Tenant, request.Method, route, idempotencyKey);

        foreach (var masterKeyId in master.PreviousIds)
        {
            var earlier = await claims.FindAsync(caller.Tenant, ScopeUnder(masterKeyId), cancellationToken);
            if (earlier is not null && time.GetUtcNow() < earlier.ExpiresAt)
            {
                return (null, earlier, masterKeyId);
            }
        }

        var (ours, theirs) = await claims.BeginAsync(caller.Tenant, ScopeUnder(master.CurrentId), cancellationToken);
        return (ours, theirs, master.CurrentId);
    }

    private async Task<IResult> RunAsync(
        HttpRequest request, Caller caller, Func<Caller, Task<IResult>> handler, Claim claim, OperationKey key, CancellationToken cancellationToken)
    {
        using var body = new RequestBodyStream(request, key);
        var operation = new Operation(claim, key, claims, body, caller.RequestId);
        request.Body = body;
        try
        {
            JsonAnswer? recorded = null;
            var answer = await KeptAnswer.TakeAsync(request.HttpContext, async () =>
            {
                IResult result;
                try
                {
                    result = await handler(caller.With(operation));
                    recorded = ReferenceEquals(result, operation.FinalAnswer) ? operation.FinalAnswer : null;
                }
                catch (ApiException error) when (IsKept(error.Status) && error.Code is not ("IDEMPOTENCY_IN_PROGRESS" or "IDEMPOTENCY_KEY_REUSED"))
                {
                    result = new ErrorResult(error, caller.RequestId, time.GetUtcNow());
                }

                await result.ExecuteAsync(request.HttpContext);
            });

            // It was kept in the transaction that had the effect, to the byte: not what the handler may have said beside it.
            if (recorded is not null)
            {
                return await KeptAnswer.TakeAsync(recorded);
            }

            if (IsKept(answer.Status)
                && answer.Body.Length <= KeptAnswer.BodyBytesMax
                && await body.FinishAsync(RequestBodyStream.RestBytesMax, cancellationToken) is { } fingerprint)
            {
                var record = new KeptRecord(answer, fingerprint, caller.RequestId);
                return await KeepAsync(claim, operation, record, key);
            }

            await ReleaseAsync(operation);
            return answer;
        }
        catch
        {
            await ReleaseAsync(operation);
            throw;
        }
    }

    // Not cancelled with the request: the effect is made, and the answer is worth keeping for a client that left.
    private async Task<IResult> KeepAsync(Claim claim, Operation operation, KeptRecord record, OperationKey key)
    {
        var current = claim;
        if (operation.IsRecorded)
        {
            // The transaction has moved the claim on.
            current = await claims.FindAsync(claim.Tenant, claim.Scope, CancellationToken.None);
        }

        if (current is { State: not ClaimState.Answered } && current.OperationId == claim.OperationId)
        {
            var answered = current with { State = ClaimState.Answered, Answer = record.Seal(claim, key), Progress = null };
            if (await claims.ChangeAsync(answered, CancellationToken.None) is not null)
            {
                return record.Answer;
            }
        }

        // Another request has taken over meanwhile. Its answer is the one.
        current = await claims.FindAsync(claim.Tenant, claim.Scope, CancellationToken.None);
        return current is { State: ClaimState.Answered } && current.OperationId == claim.OperationId
            ? new Replay(KeptRecord.Open(current, key))
            : throw ApiException.IdempotencyInProgress();
    }

    private async Task<IResult> ReplayAsync(HttpRequest request, Claim claim, OperationKey key, CancellationToken cancellationToken)
    {
        var record = KeptRecord.Open(claim, key);
        using var body = new RequestBodyStream(request, key);
        if ((request.ContentLength ?? record.Request.BodyBytes) != record.Request.BodyBytes
            || await body.FinishAsync(record.Request.BodyBytes, cancellationToken) is not { } fingerprint
            || !CryptographicOperations.FixedTimeEquals(fingerprint.Mac, record.Request.Mac))
        {
            throw ApiException.IdempotencyKeyReused();
        }

        if (claim.State == ClaimState.Applied
            && await claims.ChangeAsync(claim with { State = ClaimState.Answered }, cancellationToken) is null)
        {
            // The first request has an answer of its own after all.
            claim = await claims.FindAsync(claim.Tenant, claim.Scope, cancellationToken) is { State: ClaimState.Answered } answered
                && answered.OperationId == claim.OperationId
                    ? answered
                    : throw ApiException.IdempotencyInProgress();
            record = KeptRecord.Open(claim, key);
        }

        return new Replay(record);
    }

    // So that a retry need not wait for the lease to end. When it fails, it waits.
    private async Task ReleaseAsync(Operation operation)
    {
        try
        {
            await claims.ChangeAsync(await operation.ReleasedAsync(CancellationToken.None), CancellationToken.None);
        }
        catch (ApiException)
        {
            // It is another request's, or is answered.
        }
        catch (StorageException exception)
        {
            LogNotReleased(exception, operation.Id);
        }
    }

    // What a retry could not get another answer to. A time-out and a rate limit pass; a failure of ours is to be mended, not kept.
    private static bool IsKept(int status) => status is
        >= 200 and < StatusCodes.Status499ClientClosedRequest
        and not StatusCodes.Status408RequestTimeout
        and not 425
        and not StatusCodes.Status429TooManyRequests;

    private static string? KeyOf(HttpRequest request)
    {
        if (request.Method is not ("POST" or "PUT" or "DELETE" or "PATCH") || !request.Headers.TryGetValue(Header, out var values))
        {
            return null;
        }

        return values is [{ Length: > 0 and <= KeyCharactersMax } key] && key.All(character => character is >= ' ' and <= '~')
            ? key
            : throw ApiException.InvalidParameter(Header, $"must be given once, with 1 to {KeyCharactersMax} printable ASCII characters");
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The operation {OperationId} could not be released; a retry waits until its lease ends.")]
    private partial void LogNotReleased(Exception exception, string operationId);

    /// <summary>A kept answer, sent again.</summary>
    private sealed class Replay(KeptRecord record) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            var headers = httpContext.Response.Headers;
            headers["Idempotent-Replayed"] = "true";
            headers["X-Original-Request-Id"] = record.RequestId;
            return record.Answer.ExecuteAsync(httpContext);
        }
    }
}
