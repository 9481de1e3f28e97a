using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Metering;
using QuantumFlux.Storage;

namespace QuantumFlux.Keys;

/// <summary>Keeps API keys.</summary>
/// <remarks>
/// Two rows a key in the table <c>keys</c>. The one under the secret's hash is the truth and what a request is checked against; the one under the
/// account lists the key. They lie in different partitions, so they are written one after the other: first the truth, then the list. A crash
/// in between leaves a key that nobody was told, or a list that lags behind a revocation or a rotation until that is sent again.
/// </remarks>
public sealed class KeyStore(StorageAccounts storage, IOptions<KeyOptions> options, TimeProvider time) : IDisposable
{
    /// <summary>How long an instance trusts what it read: the most time that a revoked key goes on working.</summary>
    public static readonly TimeSpan TrustedFor = TimeSpan.FromSeconds(5);

    private const string Table = "keys";
    private const int CachedKeysMax = 100_000;
    private const int AttemptsMax = 16;

    private const char UseMark = ':';

    // The key itself, and its use under each policy: v2, v3 and, while limits are switched off, unlimited.
    private const int RowsOfKeyMax = 4;

    // How long a key that nobody uses is remembered as good; only while its caller's address is limited does that make a difference.
    private static readonly TimeSpan _knownFor = TimeSpan.FromHours(1);

    private readonly ITables _tables = storage.Main.Tables;
    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CachedKeysMax });
    private readonly MemoryCache _knownGood = new(new MemoryCacheOptions { SizeLimit = CachedKeysMax });
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
            var key = await cached.Key.Value.WaitAsync(cancellationToken);
            NoteWhetherGood(cacheKey, key);
            return key;
        }
        catch when (cached.Key.Value.IsFaulted)
        {
            _cache.Remove(cacheKey);
            throw;
        }
    }

    /// <summary>Whether a key was good when this instance last looked, up to an hour of disuse ago. No storage request.</summary>
    public bool IsKnownGood(string secret) =>
        ApiKey.EnvironmentOf(secret) is not null && _knownGood.TryGetValue(Convert.ToHexString(ApiKey.HashOf(secret)), out _);

    /// <summary>Stores a new key, or does nothing when that has been done. Two storage requests.</summary>
    /// <remarks>Rows that are there are this key's, since nobody else has its secret; they stay, for the key may have been revoked since.</remarks>
    public async Task AddAsync(ApiKey key, CancellationToken cancellationToken)
    {
        await _tables.WriteAsync(Table, [TableAction.Insert(HashRow(key))], cancellationToken);
        await _tables.WriteAsync(Table, [TableAction.Insert(AccountRow(key))], cancellationToken);
    }

    /// <summary>A page of an account's keys, oldest first. One storage request, and one more for each page's worth of keys that are passed over.</summary>
    /// <param name="accountId">The account.</param>
    /// <param name="isListed">Whether a key counts; the others are passed over.</param>
    /// <param name="after">The id after which the page starts; null means the beginning.</param>
    /// <param name="limit">The most keys to return.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The keys, each with the moment of its last use (accurate to a minute; null when it was never used), and whether more follow.</returns>
    public async Task<(IReadOnlyList<(ApiKey Key, DateTimeOffset? LastUsedAt)> Keys, bool HasMore)> ListAsync(
        string accountId, Func<ApiKey, bool> isListed, string? after, int limit, CancellationToken cancellationToken)
    {
        // The key after the page shows that there is one; what lies before the first is the use of the key before it.
        var query = new TableQuery(
            AccountPartition(accountId), after is null ? "" : Cursor.After(TableKey.Escape(after)), null, (limit + 1) * RowsOfKeyMax);
        var keys = new List<(ApiKey Key, DateTimeOffset? LastUsedAt)>();
        IReadOnlyList<TableRow> rows;
        do
        {
            rows = await _tables.FirstAsync(Table, query, cancellationToken);
            foreach (var row in rows)
            {
                if (!row.Key.Contains(UseMark))
                {
                    keys.Add((Parse(row), null));
                }
                else if (keys.Count > 0 && keys[^1] is var (key, lastUsedAt) && Meter.LastUsedAt(row) is { } usedAt)
                {
                    keys[^1] = (key, lastUsedAt > usedAt ? lastUsedAt : usedAt);
                }
            }

            query = rows.Count == 0 ? query : query with { From = Cursor.After(rows[^1].Key) };
        }
        while (rows.Count == query.Limit && keys.Count(entry => isListed(entry.Key)) <= limit);

        var listed = keys.Where(entry => isListed(entry.Key)).Take(limit + 1).ToList();
        return ([.. listed.Take(limit)], listed.Count > limit);
    }

    /// <summary>A key by its id, as the list has it. One storage request.</summary>
    /// <returns>The key, or null when the account has no such key.</returns>
    public async Task<ListedKey?> FindListedAsync(string accountId, string keyId, CancellationToken cancellationToken) =>
        await _tables.GetAsync(Table, AccountPartition(accountId), TableKey.Escape(keyId), null, cancellationToken) is { } row
            ? new ListedKey(Parse(row), row.ETag!)
            : null;

    /// <summary>Revokes a key, or does nothing when it is revoked already. Three storage requests.</summary>
    /// <returns>The revoked key.</returns>
    public Task<ApiKey> RevokeAsync(ListedKey listed, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        return ChangeAsync(listed, key => key.RevokedAt is null ? key with { RevokedAt = now } : key, cancellationToken);
    }

    /// <summary>Puts a new key in the place of another, which ends with the grace. Five storage requests.</summary>
    /// <remarks>
    /// The new key is usable and listed before the old one is shortened, so whatever a crash leaves, the owner has a key. Two rotations at once both
    /// make a key; the old one names the later.
    /// </remarks>
    /// <returns>The old key as it is now.</returns>
    /// <exception cref="ApiException">409 <c>QUANTUM_CONFLICT</c> when the old key is revoked or expired.</exception>
    public async Task<ApiKey> RotateAsync(ListedKey old, ApiKey successor, CancellationToken cancellationToken)
    {
        var now = successor.CreatedAt;
        RefuseEnded(old.Key, now);
        await AddAsync(successor, cancellationToken);
        try
        {
            return await ChangeAsync(
                old,
                key =>
                {
                    RefuseEnded(key, now);
                    return key.Rotated(successor.KeyId, now);
                },
                cancellationToken);
        }
        catch (ApiException exception) when (exception.Status is StatusCodes.Status404NotFound or StatusCodes.Status409Conflict)
        {
            // Revoked since it was read: what was revoked must not live on under another name.
            if (await FindListedAsync(successor.AccountId, successor.KeyId, cancellationToken) is { } added)
            {
                await RevokeAsync(added, cancellationToken);
            }

            throw;
        }
    }

    /// <summary>The row that counts the requests of a key under one policy. It lies beside the row that lists the key, so that one range holds both.</summary>
    public static MeterRow UseRow(ApiKey key, string policy) =>
        new(Table, AccountPartition(key.AccountId), $"{TableKey.Escape(key.KeyId)}{UseMark}{policy}");

    public void Dispose()
    {
        _cache.Dispose();
        _knownGood.Dispose();
    }

    // The truth first, under the ETag with which it was read. A change that gives the same key is written nowhere but in the list.
    private async Task<ApiKey> ChangeAsync(ListedKey listed, Func<ApiKey, ApiKey> change, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var (key, etag) = await ReadTruthAsync(listed.Key, cancellationToken);
            var changed = change(key);
            if (ReferenceEquals(changed, key)
                || (await _tables.WriteAsync(Table, [TableAction.Replace(HashRow(changed), etag)], cancellationToken)).IsDone)
            {
                _cache.Remove(Convert.ToHexString(key.Hash));
                await ListAsync(changed, listed.ETag, cancellationToken);
                return changed;
            }
        }

        throw ApiException.Unavailable();
    }

    // The list's row was read before the truth was. So when its ETag still holds, nobody has listed anything newer.
    private async Task ListAsync(ApiKey key, string listETag, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            if ((await _tables.WriteAsync(Table, [TableAction.Replace(AccountRow(key), listETag)], cancellationToken)).IsDone)
            {
                return;
            }

            listETag = (await FindListedAsync(key.AccountId, key.KeyId, cancellationToken) ?? throw ApiException.Unavailable()).ETag;
            (key, _) = await ReadTruthAsync(key, cancellationToken);
        }

        throw ApiException.Unavailable();
    }

    private async Task<(ApiKey Key, string ETag)> ReadTruthAsync(ApiKey key, CancellationToken cancellationToken)
    {
        // A bootstrap key is listed first: until its other row is there, it is no key yet.
        var (partition, row) = HashKey(key.Hash);
        return await _tables.GetAsync(Table, partition, row, null, cancellationToken) is { } found
            ? (Parse(found), found.ETag!)
            : throw ApiException.NotFound("key_id", "API key");
    }

    private static void RefuseEnded(ApiKey key, DateTimeOffset now)
    {
        if (!key.IsUsable(now))
        {
            throw ApiException.QuantumConflict(
                "A key that has ended cannot be rotated",
                new Dictionary<string, object?> { ["key_id"] = key.RevokedAt is null ? "is expired" : "is revoked" });
        }
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
            null,
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

    private void NoteWhetherGood(string cacheKey, ApiKey? key)
    {
        if (key is null || !key.IsUsable(time.GetUtcNow()))
        {
            _knownGood.Remove(cacheKey);
        }
        else if (!_knownGood.TryGetValue(cacheKey, out _))
        {
            _knownGood.Set(cacheKey, true, new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = _knownFor });
        }
    }

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
        .Set("RevokedAt", key.RevokedAt?.UtcTicks)
        .Set("RotatedTo", key.RotatedTo);

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
        row.Whole("RevokedAt") is { } ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null,
        row.Text("RotatedTo"));

    private sealed record CachedKey(long ReadAt, Lazy<Task<ApiKey?>> Key);
}

/// <summary>A key as its account's list has it.</summary>
/// <param name="Key">The key; what it may do and when it ends can lag behind the truth.</param>
/// <param name="ETag">The state of the list's row.</param>
public sealed record ListedKey(ApiKey Key, string ETag);
