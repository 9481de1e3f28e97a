using System.Globalization;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Metering;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>How many entanglements an API key has made that live.</summary>
/// <param name="KeyId">The key.</param>
/// <param name="Count">Their number.</param>
/// <param name="ExpiredUntil">The moment up to which expired ones have been taken out of the count.</param>
/// <param name="RowETag">The state of the row in storage; null when there is none yet.</param>
public sealed record PairCount(string KeyId, long Count, DateTimeOffset ExpiredUntil, string? RowETag)
{
    /// <summary>
    /// Whether an entanglement is in the count. That depends on nobody's clock, so each one is counted once and taken out once, whoever does either.
    /// </summary>
    public bool Holds(Pair pair) =>
        pair.KeyId == KeyId && pair.Status is PairStatus.Active or PairStatus.Pending && (pair.ExpiresAt is null || pair.ExpiresAt > ExpiredUntil);

    public PairCount With(Pair pair) => Holds(pair) ? this with { Count = Count + 1 } : this;

    public PairCount Without(Pair pair) => Holds(pair) ? this with { Count = Math.Max(0, Count - 1) } : this;

    /// <summary>The count made anew from all entanglements of the tenant, without those that have expired.</summary>
    public PairCount Recounted(IReadOnlyList<Pair> pairs, DateTimeOffset now)
    {
        var forgetful = this with { ExpiredUntil = now > ExpiredUntil ? now : ExpiredUntil };
        return forgetful with { Count = pairs.Count(forgetful.Holds) };
    }
}

/// <summary>
/// Keeps a key's number of entanglements to its limit, exactly, on however many instances they are made: the count is a row that every
/// transaction replaces, under its ETag, that makes or ends an entanglement of that key.
/// </summary>
/// <remarks>
/// An instance remembers the counts that it wrote, so on a warm one they cost no storage request. A remembered count that is out of date makes
/// the transaction fail, and is forgotten. Expired entanglements stay in the count until it is full; then it is made anew.
/// </remarks>
public sealed class PairCounts(StorageAccounts storage, ObjectStore objects, IOptions<RateLimitOptions> options) : IDisposable
{
    private const int RememberedMax = 100_000;
    private const string Policy = "entanglements";

    private readonly ITables _tables = storage.Main.Tables;
    private readonly RateLimitOptions _options = options.Value;
    private readonly MemoryCache _remembered = new(new MemoryCacheOptions { SizeLimit = RememberedMax });

    /// <summary>The lane in which writers that change a count go one after the other; no object's id is like it.</summary>
    public static string LaneOf(string keyId) => ObjectRows.PairCountKey(keyId);

    /// <summary>The action that counts a new entanglement, for the transaction that makes it. No storage request when the count is remembered.</summary>
    /// <returns>The action; none when the entanglement belongs to no key.</returns>
    /// <exception cref="ApiException">429 <c>RATE_LIMIT_EXCEEDED</c> when the key has as many as it may.</exception>
    public async Task<IReadOnlyList<TableAction>> AddAsync(string tenant, Pair pair, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (pair.KeyId is not { } keyId)
        {
            return [];
        }

        var (count, _) = await FindAsync(tenant, keyId, cancellationToken);
        if (_options.Enabled && count.Count >= _options.EntanglementsMax)
        {
            count = await RecountAsync(tenant, keyId, now, cancellationToken);
        }

        return [Put(tenant, count.With(pair))];
    }

    /// <summary>The action that takes an entanglement out of the count, for the transaction that ends it; none when it is not in any.</summary>
    public async Task<IReadOnlyList<TableAction>> RemoveAsync(string tenant, Pair pair, CancellationToken cancellationToken)
    {
        if (pair.KeyId is not { } keyId)
        {
            return [];
        }

        var (count, _) = await FindAsync(tenant, keyId, cancellationToken);
        return count.Holds(pair) ? [Put(tenant, count.Without(pair))] : [];
    }

    /// <summary>Remembers the counts that a transaction wrote, or forgets those that it could not write.</summary>
    public void Note(IReadOnlyList<TableAction> actions, TableResult result)
    {
        for (var index = 0; index < actions.Count; index++)
        {
            var row = actions[index].Row;
            if (!ObjectRows.IsPairCount(row))
            {
                continue;
            }

            if (result.IsDone && result.ETags.Count > index)
            {
                Remember(row.Partition, new Remembered(ObjectRows.ParsePairCount(row) with { RowETag = result.ETags[index] }, null));
            }
            else
            {
                _remembered.Remove((row.Partition, row.Key));
            }
        }
    }

    public void Dispose() => _remembered.Dispose();

    private async Task<Remembered> FindAsync(string tenant, string keyId, CancellationToken cancellationToken)
    {
        if (!_remembered.TryGetValue((tenant, ObjectRows.PairCountKey(keyId)), out Remembered? remembered))
        {
            remembered = new Remembered(await ReadAsync(tenant, keyId, cancellationToken), null);
            Remember(tenant, remembered);
        }

        return remembered!;
    }

    // The row is read before the entanglements are: whatever is made or ended in between changes it, and the transaction fails.
    private async Task<PairCount> RecountAsync(string tenant, string keyId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (known, fullUntil) = await FindAsync(tenant, keyId, cancellationToken);
        var count = await ReadAsync(tenant, keyId, cancellationToken);
        if (count.Count < _options.EntanglementsMax)
        {
            Remember(tenant, new Remembered(count, null));
            return count;
        }

        // Found to be full before, nothing has been made or ended since, and none has expired.
        if (count.RowETag == known.RowETag && fullUntil > now)
        {
            throw Refusal(known.Count, fullUntil.Value, now);
        }

        var (pairs, _) = await objects.ListPairsAsync(tenant, cancellationToken);
        var recounted = count.Recounted(pairs, now);
        if (recounted.Count < _options.EntanglementsMax)
        {
            return recounted;
        }

        var firstToEnd = pairs.Where(recounted.Holds).Min(pair => pair.ExpiresAt) ?? DateTimeOffset.MaxValue;
        Remember(tenant, new Remembered(recounted, firstToEnd));
        throw Refusal(recounted.Count, firstToEnd, now);
    }

    private ApiException Refusal(long count, DateTimeOffset firstToEnd, DateTimeOffset now) => ApiException.RateLimitExceeded(
        string.Create(CultureInfo.InvariantCulture, $"Limit of {_options.EntanglementsMax} concurrent entanglements per API key exceeded"),
        [Policy],
        firstToEnd == DateTimeOffset.MaxValue ? null : firstToEnd - now,
        details: new Dictionary<string, object?> { ["limit"] = _options.EntanglementsMax, ["active"] = count });

    private async Task<PairCount> ReadAsync(string tenant, string keyId, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.PairCountKey(keyId), null, cancellationToken) is { } row
            ? ObjectRows.ParsePairCount(row)
            : new PairCount(keyId, 0, DateTimeOffset.MinValue, null);

    private void Remember(string tenant, Remembered remembered) =>
        _remembered.Set((tenant, ObjectRows.PairCountKey(remembered.Count.KeyId)), remembered, new MemoryCacheEntryOptions { Size = 1 });

    private static TableAction Put(string tenant, PairCount count)
    {
        var row = ObjectRows.PairCountRow(tenant, count);
        return count.RowETag is null ? TableAction.Insert(row) : TableAction.Replace(row, count.RowETag);
    }

    // FullUntil: when the first entanglement of a count that was found to be full expires; null when it was not.
    private sealed record Remembered(PairCount Count, DateTimeOffset? FullUntil);
}
