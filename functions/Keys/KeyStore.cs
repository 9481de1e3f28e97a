using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Keys;

/// <summary>Keeps API keys.</summary>
/// <remarks>
/// Two rows a key in the table <c>keys</c>. The one under the secret's hash is the truth and what a request is checked against; the one under the
/// account lists the key. They lie in different partitions, so they are written one after the other: first the truth, then the list. A crash
/// in between leaves a key that nobody was told, or a list that lags behind a revocation until that is sent again.
/// </remarks>
public sealed class KeyStore(StorageAccounts storage, IOptions<KeyOptions> options, TimeProvider time) : IDisposable
{
    /// <summary>How long an instance trusts what it read: the most time that a revoked key goes on working.</summary>
    public static readonly TimeSpan TrustedFor = TimeSpan.FromSeconds(5);

    private const string Table = "keys";
    private const int CachedKeysMax = 100_000;
    private const int AttemptsMax = 16;

    private readonly ITables _tables = storage.Main.Tables;
    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CachedKeysMax });
    private readonly byte[]? _bootstrapHash = options.Value.BootstrapKey is { Length: > 0 } key ? ApiKey.HashOf(key) : null;

    /// <summary>Finds the key of a secret, also when it is expired or revoked. No storage request when it was read within <see cref="TrustedFor"/>.</summary>
    /// <returns>The key, or null when the secret is malformed or unknown.</returns>
    public async Task<ApiKey?> FindAsync(string secret, CancellationToken cancellationToken)
    {
        if (ApiKey.EnvironmentOf(secret) is not { } environment)
        {
            return null;
        }

        var hash = ApiKey.HashOf(secret);
        var cacheKey = Convert.ToHexString(hash);
        if (!_cache.TryGetValue(cacheKey, out CachedKey? cached) || time.GetElapsedTime(cached!.ReadAt) >= TrustedFor)
        {
            // Requests that arrive together share one read. It is nobody's request in particular, so nobody's cancellation ends it.
            cached = new CachedKey(time.GetTimestamp(), new Lazy<Task<ApiKey?>>(() => ReadAsync(hash, environment, secret[^4..], CancellationToken.None)));
            Remember(cacheKey, cached);
        }

        try
        {
            return await cached.Key.Value.WaitAsync(cancellationToken);
        }
        catch when (cached.Key.Value.IsFaulted)
        {
            _cache.Remove(cacheKey);
            throw;
        }
    }

    /// <summary>Stores a new key, or does nothing when that has been done. Two storage requests.</summary>
    /// <remarks>Rows that are there are this key's, since nobody else has its secret; they stay, for the key may have been revoked since.</remarks>
    public async Task AddAsync(ApiKey key, CancellationToken cancellationToken)
    {
        await _tables.WriteAsync(Table, [TableAction.Insert(HashRow(key))], cancellationToken);
        await _tables.WriteAsync(Table, [TableAction.Insert(AccountRow(key))], cancellationToken);
    }

    /// <summary>A page of an account's keys, oldest first. One storage request.</summary>
    /// <param name="accountId">The account.</param>
    /// <param name="after">The id after which the page starts; null means the beginning.</param>
    /// <param name="limit">The most keys to return.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<(IReadOnlyList<ApiKey> Keys, bool HasMore)> ListAsync(
        string accountId, string? after, int limit, CancellationToken cancellationToken)
    {
        var query = new TableQuery(AccountPartition(accountId), after is null ? "" : Cursor.After(TableKey.Escape(after)), null, limit + 1);
        var rows = await _tables.FirstAsync(Table, query, cancellationToken);
        return ([.. rows.Take(limit).Select(Parse)], rows.Count > limit);
    }

    /// <summary>Revokes a key by its id, or does nothing when it is revoked already.</summary>
    /// <param name="accountId">The account.</param>
    /// <param name="keyId">The key.</param>
    /// <param name="isAllowed">Whether the caller may revoke a key of that account.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The revoked key, or null when the account has no such key for this caller.</returns>
    public async Task<ApiKey?> RevokeAsync(string accountId, string keyId, Func<ApiKey, bool> isAllowed, CancellationToken cancellationToken)
    {
        var row = await _tables.GetAsync(Table, AccountPartition(accountId), TableKey.Escape(keyId), null, cancellationToken);
        return row is not null && Parse(row) is var key && isAllowed(key) ? await RevokeAsync(key.Hash, cancellationToken) : null;
    }

    /// <summary>Revokes a key by its secret.</summary>
    /// <returns>The revoked key, or null when the account has no such key for this caller.</returns>
    public async Task<ApiKey?> RevokeSecretAsync(string accountId, string secret, Func<ApiKey, bool> isAllowed, CancellationToken cancellationToken)
    {
        var key = await FindAsync(secret, cancellationToken);
        return key is null || key.AccountId != accountId || !isAllowed(key) ? null : await RevokeAsync(key.Hash, cancellationToken);
    }

    public void Dispose() => _cache.Dispose();

    private async Task<ApiKey?> RevokeAsync(byte[] hash, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var (partition, row) = HashKey(hash);
            var current = await _tables.GetAsync(Table, partition, row, null, cancellationToken);
            if (current is null)
            {
                return null;
            }

            var key = Parse(current);
            if (key.RevokedAt is null)
            {
                key = key with { RevokedAt = time.GetUtcNow() };
                if (!(await _tables.WriteAsync(Table, [TableAction.Replace(HashRow(key), current.ETag!)], cancellationToken)).IsDone)
                {
                    continue;
                }
            }

            await _tables.WriteAsync(Table, [TableAction.Upsert(AccountRow(key))], cancellationToken);
            _cache.Remove(Convert.ToHexString(hash));
            return key;
        }

        throw ApiException.Unavailable();
    }

    private async Task<ApiKey?> ReadAsync(byte[] hash, KeyEnvironment environment, string lastCharacters, CancellationToken cancellationToken)
    {
        var (partition, row) = HashKey(hash);
        if (await _tables.GetAsync(Table, partition, row, null, cancellationToken) is { } found)
        {
            // The row key is half of the hash; all of it must agree, and how long the comparison takes tells nothing.
            var key = Parse(found);
            return CryptographicOperations.FixedTimeEquals(key.Hash, hash) ? key : null;
        }

        return _bootstrapHash is not null && CryptographicOperations.FixedTimeEquals(_bootstrapHash, hash)
            ? await AddBootstrapAsync(hash, environment, lastCharacters, cancellationToken)
            : null;
    }

    private async Task<ApiKey?> AddBootstrapAsync(byte[] hash, KeyEnvironment environment, string lastCharacters, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var key = new ApiKey(
            ApiKey.BootstrapKeyId(hash),
            hash,
            lastCharacters,
            "bootstrap",
            ApiKey.BootstrapAccount(hash),
            environment,
            Tier.Enterprise,
            Scopes.All,
            now,
            now + ApiKey.Lifetime,
            null);

        // The list first, for once: a key that exists must be one that its owner can see, and this write is repeated until the second one lands.
        await _tables.WriteAsync(Table, [TableAction.Upsert(AccountRow(key))], cancellationToken);
        var added = await _tables.WriteAsync(Table, [TableAction.Insert(HashRow(key))], cancellationToken);
        return added.IsDone ? key : await ReadAsync(hash, environment, lastCharacters, cancellationToken);
    }

    private void Remember(string cacheKey, CachedKey cached) => _cache.Set(cacheKey, cached, new MemoryCacheEntryOptions
    {
        Size = 1,
        AbsoluteExpirationRelativeToNow = TrustedFor,
    });

    private static (string Partition, string Row) HashKey(byte[] hash)
    {
        var hex = Convert.ToHexStringLower(hash);
        return ($"hash-{hex[..2]}", hex[..32]);
    }

    private static string AccountPartition(string accountId) => $"account-{TableKey.Escape(accountId)}";

    private static TableRow HashRow(ApiKey key)
    {
        var (partition, row) = HashKey(key.Hash);
        return Fill(new TableRow(partition, row), key);
    }

    private static TableRow AccountRow(ApiKey key) => Fill(new TableRow(AccountPartition(key.AccountId), TableKey.Escape(key.KeyId)), key);

    private static TableRow Fill(TableRow row, ApiKey key) => row
        .Set("KeyId", key.KeyId)
        .Set("Hash", key.Hash)
        .Set("LastCharacters", key.LastCharacters)
        .Set("Name", key.Name)
        .Set("AccountId", key.AccountId)
        .Set("Environment", ApiKey.EnvironmentName(key.Environment))
        .Set("Tier", key.Tier.ToString())
        .Set("Scopes", string.Join(' ', key.Scopes))
        .Set("CreatedAt", key.CreatedAt.UtcTicks)
        .Set("ExpiresAt", key.ExpiresAt.UtcTicks)
        .Set("RevokedAt", key.RevokedAt?.UtcTicks);

    private static ApiKey Parse(TableRow row) => new(
        row.Text("KeyId")!,
        row.Bytes("Hash")!,
        row.Text("LastCharacters")!,
        row.Text("Name")!,
        row.Text("AccountId")!,
        row.Text("Environment") == "live" ? KeyEnvironment.Live : KeyEnvironment.Test,
        Enum.Parse<Tier>(row.Text("Tier")!),
        row.Text("Scopes")!.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        new DateTimeOffset(row.Whole("CreatedAt")!.Value, TimeSpan.Zero),
        new DateTimeOffset(row.Whole("ExpiresAt")!.Value, TimeSpan.Zero),
        row.Whole("RevokedAt") is { } ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null);

    private sealed record CachedKey(long ReadAt, Lazy<Task<ApiKey?>> Key);
}
