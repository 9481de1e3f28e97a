using System.Security.Cryptography;
using QuantumFlux.Api;
using QuantumFlux.Idempotency;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>
/// One change that a request with an <c>Idempotency-Key</c> makes. Its mark is inserted in the transaction of the change, so that the change is made once
/// however often the request is run, and a later run learns what an earlier one did, also when others have changed the entry since.
/// </summary>
/// <remarks>The mark is what is due for it, too: it goes once the request can be run no more.</remarks>
public sealed class CacheEffect
{
    private const string WrittenColumn = "Written";
    private const string CompressedColumn = "Compressed";
    private const string RequestColumn = "Request";

    private readonly Operation _operation;
    private readonly string _id;

    private CacheEffect(Operation operation, int item) => (_operation, _id) = (operation, operation.NewId($"{CacheLimits.IdPrefix}{item}_"));

    /// <summary>When the mark goes.</summary>
    public DateTimeOffset ForgottenAt => _operation.ForgottenAt;

    /// <summary>The key of the mark.</summary>
    public string RowKey => CacheDue.KeyOf(CacheDueKind.Effect, ForgottenAt, _id);

    /// <summary>The change that a request makes; null when it has no <c>Idempotency-Key</c>.</summary>
    /// <param name="caller">Who sends it.</param>
    /// <param name="item">Which one of a batch.</param>
    public static CacheEffect? Of(Caller caller, int item = 0) => caller.Operation is { } operation ? new CacheEffect(operation, item) : null;

    /// <summary>The mark.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="key">The key that is changed.</param>
    /// <param name="at">When.</param>
    /// <param name="written">What is written; null for a deletion.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<TableRow> ToRowAsync(string tenant, string key, DateTimeOffset at, CacheEntry? written, CancellationToken cancellationToken) =>
        new CacheDue(CacheDueKind.Effect, ForgottenAt, key, _id, at, [], false).ToRow(tenant)
            .Set(WrittenColumn, written?.CacheId)
            .Set(CompressedColumn, written?.CompressedBytes)
            .Set(RequestColumn, (await _operation.FingerprintAsync(cancellationToken)).Mac);

    /// <summary>When the change of a mark was made.</summary>
    /// <exception cref="ApiException">422 <c>IDEMPOTENCY_KEY_REUSED</c> when it was another request's.</exception>
    public async Task<DateTimeOffset> MomentAsync(TableRow mark, CancellationToken cancellationToken)
    {
        var request = await _operation.FingerprintAsync(cancellationToken);
        return CryptographicOperations.FixedTimeEquals(mark.Bytes(RequestColumn), request.Mac)
            ? CacheDue.Parse(mark).StoredAt
            : throw ApiException.IdempotencyKeyReused();
    }

    /// <summary>The entry that an earlier run of the same request wrote, from the one that this run would have written.</summary>
    public async Task<CacheEntry> WrittenAsync(TableRow mark, CacheEntry entry, CancellationToken cancellationToken)
    {
        var storedAt = await MomentAsync(mark, cancellationToken);
        return entry with
        {
            CacheId = mark.Text(WrittenColumn)!,
            StoredAt = storedAt,
            ExpiresAt = storedAt + (entry.ExpiresAt - entry.StoredAt),
            CompressedBytes = mark.Whole(CompressedColumn)!.Value,
        };
    }
}
