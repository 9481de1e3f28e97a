using System.Buffers;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>An entry that was written.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Sha256">The hash of its value.</param>
public sealed record WrittenEntry(CacheEntry Entry, byte[] Sha256);

/// <summary>Receives values and stores them.</summary>
public sealed class CacheWriter(CacheStore store, CacheContent contents, CacheSeal seal, TimeProvider time)
{
    /// <summary>Values up to this length are received whole before they are encoded.</summary>
    private const int MemoryBytesMax = 1024 * 1024;

    private const int PieceBytes = 64 * 1024;

    /// <summary>Receives an entry and stores it. A large value is never held whole in memory.</summary>
    /// <param name="request">The request: <c>key</c>, <c>value</c>, <c>ttl_seconds</c>, <c>options</c>.</param>
    /// <param name="tenant">The tenant.</param>
    /// <param name="check">The condition, as <see cref="CacheStore.WriteAsync"/> takes it.</param>
    /// <param name="effect">The same of what is to be done once.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <remarks>
    /// A large value is encoded before all of its body is known. Options that come after it, and ask for something else than the defaults, have it encoded a second
    /// time, so large values do well to come last.
    /// </remarks>
    public async Task<WrittenEntry> ReceiveAsync(
        HttpRequest request, string tenant, Action<string?>? check, CacheEffect? effect, CancellationToken cancellationToken)
    {
        if (request.ContentLength > CacheLimits.RequestBytesMax)
        {
            throw ApiException.PayloadTooLarge(CacheLimits.RequestBytesMax);
        }

        var cutter = new BodyCutter("value");
        var small = new ArrayBufferWriter<byte>(1024);
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        ValueUpload? upload = null;
        try
        {
            var received = 0L;
            while (await request.Body.ReadAsync(buffer, cancellationToken) is var count and > 0)
            {
                if (received == 0)
                {
                    JsonText.RequireJson(request);
                }

                if ((received += count) > CacheLimits.RequestBytesMax)
                {
                    throw ApiException.PayloadTooLarge(CacheLimits.RequestBytesMax);
                }

                for (var rest = buffer.AsMemory(0, count); !rest.IsEmpty;)
                {
                    var taken = rest[..cutter.Take(rest.Span, out var isValue)];
                    rest = rest[taken.Length..];
                    if (!isValue)
                    {
                        continue;
                    }

                    if (upload is null && small.WrittenCount + taken.Length > MemoryBytesMax)
                    {
                        upload = Begin(tenant, SoFar(request, cutter), isLarge: true);
                        await upload.WriteAsync(small.WrittenMemory, cancellationToken);
                    }

                    if (upload is null)
                    {
                        small.Write(taken.Span);
                    }
                    else
                    {
                        // What computes does not belong on the thread that listens to the socket.
                        await Task.Yield();
                        await upload.WriteAsync(taken, cancellationToken);
                    }
                }
            }

            cutter.End();
            var body = JsonBody.Parse(request, cutter.Rest, isRequired: true);
            var create = CreateCacheEntry.From(body);

            // The cutter has put it there in the value's place.
            if (!body.Flag("value", absent: false))
            {
                body.Faults.Add("value", "is required: any JSON value");
            }

            body.ThrowIfInvalid();
            if (upload is null)
            {
                return await PutAsync(tenant, create, small.WrittenMemory, check, effect, cancellationToken);
            }

            return await EndAsync(tenant, create, upload, check, effect, cancellationToken);
        }
        finally
        {
            upload?.Dispose();
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Stores a value that is in memory. One storage request for one of row size without a condition.</summary>
    public async Task<WrittenEntry> PutAsync(
        string tenant, CreateCacheEntry create, ReadOnlyMemory<byte> value, Action<string?>? check, CacheEffect? effect, CancellationToken cancellationToken)
    {
        using var upload = Begin(tenant, create, isLarge: false);
        await upload.WriteAsync(value, cancellationToken);
        return await EndAsync(tenant, create, upload, check, effect, cancellationToken);
    }

    // What the members before the value ask for; the object ends after the value as far as this is concerned.
    private static CreateCacheEntry SoFar(HttpRequest request, BodyCutter cutter) =>
        CreateCacheEntry.From(JsonBody.Parse(request, (byte[])[.. cutter.Rest.Span, (byte)'}'], isRequired: true));

    private ValueUpload Begin(string tenant, CreateCacheEntry create, bool isLarge) => new(
        contents,
        store,
        tenant,
        Ids.New(CacheLimits.IdPrefix, time.GetUtcNow()),
        create.Compression,
        create.Encryption,
        CacheLimits.DimensionsOf(create.ReplicationFactor),
        isLarge);

    private async Task<WrittenEntry> EndAsync(
        string tenant, CreateCacheEntry create, ValueUpload upload, Action<string?>? check, CacheEffect? effect, CancellationToken cancellationToken)
    {
        var sha256 = await upload.EndAsync(cancellationToken);
        if (upload.Compression != create.Compression
            || upload.Encryption != create.Encryption
            || (upload.IsStaged && !upload.Dimensions.SequenceEqual(CacheLimits.DimensionsOf(create.ReplicationFactor))))
        {
            return await EncodeAgainAsync(tenant, create, upload, sha256, check, effect, cancellationToken);
        }

        var now = time.GetUtcNow();
        var storedAt = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMillisecond));
        var entry = Entry(create, upload, storedAt);
        var closed = seal.Close(tenant, entry, new CacheSecrets(upload.DataKey, sha256));
        if (entry.IsBlob)
        {
            var missing = await upload.CommitAsync(entry.Key, now, cancellationToken);
            entry = await store.WriteAsync(
                tenant, entry, [CacheRows.Row(tenant, CacheRows.EntryKey(entry.Key), entry, closed, null)], missing, check, effect, cancellationToken);
        }
        else
        {
            if (contents.IsOutside(entry))
            {
                await upload.ScheduleCheckAsync(entry.Key, now, isBlob: false, cancellationToken);
            }

            var (rows, missing) = await contents.PlaceRowsAsync(tenant, entry, closed, upload.Stored.ToArray(), cancellationToken);
            entry = await store.WriteAsync(tenant, entry, rows, missing, check, effect, cancellationToken);
        }

        return new WrittenEntry(entry, sha256);
    }

    private CacheEntry Entry(CreateCacheEntry create, ValueUpload upload, DateTimeOffset storedAt) => new(
        create.Key,
        upload.CacheId,
        storedAt,
        storedAt + create.TimeToLive,
        upload.Compression,
        upload.Encryption,
        upload.OriginalBytes,
        upload.CompressedBytes,
        CacheLimits.DimensionsOf(create.ReplicationFactor),
        upload.IsStaged || upload.Stored.Length > CacheLimits.RowBytesMax,
        seal.MasterKeyId);

    // What was encoded on a wrong guess is read back, and removed when the right one is in its place.
    private async Task<WrittenEntry> EncodeAgainAsync(
        string tenant, CreateCacheEntry create, ValueUpload guess, byte[] sha256, Action<string?>? check, CacheEffect? effect, CancellationToken cancellationToken)
    {
        var isStaged = guess.IsStaged;
        if (isStaged)
        {
            await guess.CommitAsync(create.Key, time.GetUtcNow(), cancellationToken);
        }

        var entry = Entry(create, guess, time.GetUtcNow()) with { IsBlob = isStaged, Dimensions = guess.Dimensions };
        using var cipher = new ChunkCipher(guess.DataKey);
        var found = new FoundEntry(entry, new CacheSecrets(guess.DataKey, sha256), [], null, true, new Hits(0, null), "");
        await using var stored = isStaged
            ? await contents.OpenAsync(tenant, found, guess.Dimensions, [], cancellationToken)
            : new MemoryStream(cipher.DecryptAll(guess.Stored.Span, guess.CompressedBytes)!);
        await using var value = CacheResult.Decompress(stored, guess.Compression);
        using var upload = Begin(tenant, create, isLarge: true);
        var buffer = new byte[PieceBytes];
        while (await value.ReadAsync(buffer, cancellationToken) is var count and > 0)
        {
            await upload.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
        }

        var written = await EndAsync(tenant, create, upload, check, effect, cancellationToken);
        if (isStaged)
        {
            await contents.RemoveOutsideAsync(tenant, guess.CacheId, guess.Dimensions, isBlob: true, cancellationToken);
        }

        return written;
    }
}
