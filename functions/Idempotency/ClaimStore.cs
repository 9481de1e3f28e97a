using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Idempotency;

/// <summary>Keeps claims, in the tenant's partition of the table <c>objects</c>, so that an effect there and the claim's next state are one transaction.</summary>
/// <remarks>
/// Two rows a claim: <c>i:SCOPE</c> is the claim, <c>it:HOUR:SCOPE</c> lets the timer read what is due and nothing else. Every later change of a claim
/// is under the ETag of the state before, so whoever was overtaken can neither answer nor apply an effect any more.
/// </remarks>
public sealed partial class ClaimStore(StorageAccounts storage, DueTenants dueTenants, TimeProvider time, ILogger<ClaimStore> logger)
{
    private const string DueKind = "idempotency";
    private const int AttemptsMax = 8;
    private const int PairsInTransactionMax = ITables.TransactionRowsMax / 2;

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>Claims an operation for its first run, unless it is claimed. One storage request when it is free, two when it is not.</summary>
    /// <returns>The new claim, or null and the one that is there.</returns>
    public async Task<(Claim? Ours, Claim? Theirs)> BeginAsync(string tenant, string scope, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var now = time.GetUtcNow();
            var claim = new Claim(
                tenant, scope, Guid.NewGuid().ToString("N"), now, ClaimState.Running, now + Claim.LeaseTime, null, null);
            await dueTenants.AnnounceAsync(DueKind, tenant, claim.RemovedAt, cancellationToken);
            var begun = await _tables.WriteAsync(
                ObjectRows.Table, [TableAction.Insert(claim.ToRow()), TableAction.Insert(claim.DueRow())], cancellationToken);
            var current = begun.IsDone ? null : await FindAsync(tenant, scope, cancellationToken);
            if (current is { } expired && expired.ExpiresAt <= now)
            {
                // The timer has not come yet.
                begun = await _tables.WriteAsync(
                    ObjectRows.Table,
                    [
                        TableAction.Replace(claim.ToRow(), expired.RowETag!),
                        TableAction.Delete(tenant, expired.DueRow().Key, "*"),
                        TableAction.Insert(claim.DueRow()),
                    ],
                    cancellationToken);
                current = null;
            }

            if (begun.IsDone)
            {
                // The ETag is unknown when the answer to the write was lost.
                var stored = begun.ETags is [{ } etag, ..] ? claim with { RowETag = etag } : await FindAsync(tenant, scope, cancellationToken);
                return stored?.OperationId == claim.OperationId ? (stored, null) : (null, stored);
            }

            if (current is not null)
            {
                return (null, current);
            }
        }

        return (null, null);
    }

    /// <summary>The claim as it is now, or null when there is none. One storage request.</summary>
    public async Task<Claim?> FindAsync(string tenant, string scope, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, Claim.RowKey(scope), null, cancellationToken) is { } row ? Claim.Parse(row) : null;

    /// <summary>Changes a claim. One storage request.</summary>
    /// <param name="claim">The claim as it is to be, with the ETag of what it was.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The changed claim, or null when someone else changed it before.</returns>
    public async Task<Claim?> ChangeAsync(Claim claim, CancellationToken cancellationToken)
    {
        var changed = await _tables.WriteAsync(ObjectRows.Table, [Change(claim)], cancellationToken);
        return !changed.IsDone ? null
            : changed.ETags is [{ } etag] ? claim with { RowETag = etag }
            : await FindAsync(claim.Tenant, claim.Scope, cancellationToken);
    }

    /// <summary>The same as a part of another transaction.</summary>
    public static TableAction Change(Claim claim) => TableAction.Replace(claim.ToRow(), claim.RowETag!);

    /// <summary>Removes all claims that are due. Storage requests follow what is due, not what there is: one for a thousand to read, one for fifty to remove.</summary>
    public Task RemoveDueAsync(CancellationToken cancellationToken) => dueTenants.ForEachAsync(
        DueKind,
        async tenant =>
        {
            try
            {
                return await RemoveDueAsync(tenant, cancellationToken);
            }
            catch (StorageException exception)
            {
                LogFailed(exception, tenant);
                return false;
            }
        },
        cancellationToken);

    private async Task<bool> RemoveDueAsync(string tenant, CancellationToken cancellationToken)
    {
        var query = new TableQuery(tenant, Claim.DueFrom, Claim.DueBefore(time.GetUtcNow()));
        var isEmpty = true;
        do
        {
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            foreach (var some in page.Rows.Chunk(PairsInTransactionMax))
            {
                // While a claim's due row stands unchanged, so does the use of the key that it is about.
                isEmpty &= (await _tables.WriteAsync(
                    ObjectRows.Table,
                    [.. some.SelectMany(due => new[]
                    {
                        TableAction.Delete(tenant, due.Key, due.ETag!),
                        TableAction.Delete(tenant, Claim.RowKey(Claim.ScopeOfDue(due.Key)), "*"),
                    })],
                    cancellationToken)).IsDone;
            }

            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null);

        return isEmpty;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Answers of {Tenant} that are due could not be removed; the next run tries again.")]
    private partial void LogFailed(Exception exception, string tenant);
}
