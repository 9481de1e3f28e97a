using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Memory;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>What must be written with a version so that its content is there.</summary>
/// <param name="Pointer">Where the content lies then.</param>
/// <param name="Actions">Rows for the version's own transaction; empty when there are none.</param>
/// <param name="Missing">Dimensions that have no copy yet, for maintenance to bring; empty when all have.</param>
/// <param name="InTransaction">Dimensions that get their copy by <paramref name="Actions"/>.</param>
public sealed record Placement(
    ContentPointer Pointer, IReadOnlyList<TableAction> Actions, IReadOnlyList<int> Missing, List<int> InTransaction);

/// <summary>
/// Content under its SHA-256, stored once per tenant and dimension: up to <see cref="ObjectLimits.RowContentBytesMax"/> in rows, beyond in blobs.
/// Content never changes, so a copy of a version is a pointer, and what was read once can be kept in memory.
/// </summary>
public sealed partial class ContentStore(
    StorageAccounts storage, Dimensions dimensions, CleanUpStore cleanUps, TimeProvider time, ILogger<ContentStore> logger) : IDisposable
{
    /// <summary>When a row of content was last written, in ticks: the clean-up lets young ones be.</summary>
    public const string WrittenAtColumn = "WrittenAt";

    /// <summary>Blocks of this size are written; two of them are in memory for each upload, whatever its length.</summary>
    private const int BlockBytes = 4 * 1024 * 1024;

    private const long CacheBytesMax = 32 * 1024 * 1024;
    private const int CopyBufferBytes = 128 * 1024;
    private const string DataColumn = "Data";
    private const string Sha256Metadata = "sha256";

    private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = CacheBytesMax });

    /// <summary>What the names of a tenant's blobs start with.</summary>
    public static string BlobPrefix(string tenant) => tenant + "/";

    /// <summary>When the writing of a blob began, by its name: that says so by the application's clock, and copies keep it.</summary>
    public static DateTimeOffset WrittenAt(string blob)
    {
        // The first 48 bits of a UUID of version 7 are milliseconds.
        var milliseconds = long.Parse(blob.AsSpan(blob.LastIndexOf('/') + 1, 12), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        return DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
    }

    /// <summary>The pointer to content in rows, once it is placed.</summary>
    public static ContentPointer PointerTo(ReadOnlySpan<byte> content, IReadOnlyList<int> pathway) => content.IsEmpty
        ? ContentPointer.Empty
        : new ContentPointer(Convert.ToHexStringLower(SHA256.HashData(content)), content.Length, pathway, null);

    /// <summary>
    /// Prepares rows for content of row size. Dimensions in the main account become part of the version's own transaction; those with an account of
    /// their own are written here.
    /// </summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension takes it.</exception>
    public async Task<Placement> PlaceRowsAsync(
        string tenant, ContentPointer pointer, ReadOnlyMemory<byte> content, IReadOnlyList<int> into, CancellationToken cancellationToken)
    {
        if (pointer.IsEmpty)
        {
            return new Placement(pointer, [], [], []);
        }

        Remember(tenant, pointer, content);
        var now = time.GetUtcNow();
        if (into.Any(dimension => storage.ForDimension(dimension) != storage.Main))
        {
            await cleanUps.PlanSweepAsync(tenant, now, cancellationToken);
        }

        var actions = new List<TableAction>();
        var missing = new List<int>();
        var inTransaction = new List<int>();
        foreach (var dimension in into)
        {
            var action = PutRows(tenant, pointer, dimension, content, now);
            if (storage.ForDimension(dimension) == storage.Main)
            {
                actions.Add(action);
                inTransaction.Add(dimension);
            }
            else if (!await TryAsync(dimension, () =>
                storage.ForDimension(dimension).Tables.WriteAsync(ObjectRows.Table, [action], cancellationToken)))
            {
                missing.Add(dimension);
            }
        }

        return missing.Count < pointer.Dimensions.Count
            ? new Placement(pointer, actions, missing, inTransaction)
            : throw ApiException.DimensionalInstability(pointer.Dimensions);
    }

    /// <summary>
    /// Prepares an existing pointer for more dimensions. Small content is copied with the version; large content by maintenance, so that a copy of
    /// any size costs a pointer.
    /// </summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when small content cannot be read.</exception>
    public async Task<Placement> ExtendAsync(string tenant, ContentPointer pointer, IReadOnlyList<int> needed, CancellationToken cancellationToken)
    {
        var lacking = pointer.IsEmpty ? [] : needed.Except(pointer.Dimensions).ToList();
        if (lacking.Count == 0)
        {
            return new Placement(pointer, [], [], []);
        }

        var extended = pointer with { Dimensions = [.. pointer.Dimensions, .. lacking] };
        if (pointer.Blob is null)
        {
            return await PlaceRowsAsync(tenant, extended, await ReadRowsAsync(tenant, pointer, cancellationToken), lacking, cancellationToken);
        }

        var row = await FindBlobRowAsync(tenant, pointer.Sha256, cancellationToken);
        return row?.Text("Blob") == pointer.Blob
            ? new Placement(extended, [PutBlobRow(tenant, extended, row)], lacking, [])
            : new Placement(extended, [], lacking, []);
    }

    /// <summary>Streams content into a blob in each of some dimensions, in blocks, never holding more than two of them.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="head">The first bytes, already read.</param>
    /// <param name="rest">The rest.</param>
    /// <param name="pathway">The dimensions.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The pointer and the dimensions that did not take their copy.</returns>
    /// <exception cref="ApiException">413 when it is too large; 503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension takes it.</exception>
    public async Task<(ContentPointer Pointer, IReadOnlyList<int> Missing)> UploadAsync(
        string tenant, ReadOnlyMemory<byte> head, Stream rest, IReadOnlyList<int> pathway, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await cleanUps.PlanSweepAsync(tenant, now, cancellationToken);
        var name = $"{BlobPrefix(tenant)}{Guid.CreateVersion7(now):N}";
        var alive = new HashSet<int>(pathway);
        var blockIds = new List<string>();
        var size = 0L;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var filling = ArrayPool<byte>.Shared.Rent(BlockBytes);
        var sending = ArrayPool<byte>.Shared.Rent(BlockBytes);
        var sent = Task.CompletedTask;
        try
        {
            while (true)
            {
                var count = Math.Min(head.Length, BlockBytes);
                head[..count].CopyTo(filling);
                head = head[count..];
                count += await rest.ReadAtLeastAsync(
                    filling.AsMemory(count, BlockBytes - count), BlockBytes - count, throwOnEndOfStream: false, cancellationToken);
                await sent;
                if (count == 0)
                {
                    break;
                }

                if ((size += count) > ObjectLimits.ContentBytesMax)
                {
                    throw ApiException.PayloadTooLarge(ObjectLimits.ContentBytesMax);
                }

                blockIds.Add($"{blockIds.Count:D6}");
                (filling, sending) = (sending, filling);
                sent = StageAsync(name, blockIds[^1], sending.AsMemory(0, count), alive, pathway, cancellationToken);
                hash.AppendData(sending, 0, count);
            }
        }
        finally
        {
            // A block that is still on its way reads its buffer: the buffer must not go back to the pool before it arrived.
            await sent.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            ArrayPool<byte>.Shared.Return(filling);
            ArrayPool<byte>.Shared.Return(sending);
        }

        var pointer = new ContentPointer(Convert.ToHexStringLower(hash.GetHashAndReset()), size, pathway, name);
        var options = new BlobOptions(Metadata: new Dictionary<string, string> { [Sha256Metadata] = pointer.Sha256 }, Condition: BlobCondition.New);
        await ForEachAsync(
            alive,
            pathway,
            dimension => storage.ForDimension(dimension).Blobs.CommitBlocksAsync(Dimensions.Container(dimension), name, blockIds, options, cancellationToken));
        return (pointer, [.. pathway.Except(alive)]);
    }

    /// <summary>
    /// Prepares the row that says which blob holds larger content. When the tenant has the same content already, and it is still sound, the new blob is
    /// given up for the old one.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="uploaded">The new blob.</param>
    /// <param name="missing">The dimensions that did not take it.</param>
    /// <param name="needed">The dimensions that must hold the content; those that do not get it from maintenance.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<Placement> PlaceBlobAsync(
        string tenant, ContentPointer uploaded, IReadOnlyList<int> missing, IReadOnlyList<int> needed, CancellationToken cancellationToken)
    {
        var row = await FindBlobRowAsync(tenant, uploaded.Sha256, cancellationToken);
        if (row?.Text("Blob") is { } blob && blob != uploaded.Blob)
        {
            var held = uploaded with { Blob = blob, Dimensions = ObjectRows.ParseDimensions(row.Text("Dimensions")) };
            if (await SoundAsync(held, cancellationToken) is { Count: > 0 } sound)
            {
                held = held with { Dimensions = [.. sound.Union(held.Dimensions).Union(uploaded.Dimensions).Union(needed)] };
                return new Placement(held, [PutBlobRow(tenant, held, row)], [.. held.Dimensions.Except(sound)], []);
            }
        }

        var placed = uploaded with { Dimensions = [.. uploaded.Dimensions.Union(needed)] };
        return new Placement(placed, [PutBlobRow(tenant, placed, row)], [.. missing.Union(needed.Except(uploaded.Dimensions))], []);
    }

    /// <summary>Removes a blob that no version points to. What cannot be removed is left for clean-up.</summary>
    public async Task DiscardAsync(ContentPointer uploaded, CancellationToken cancellationToken)
    {
        foreach (var dimension in uploaded.Dimensions)
        {
            await TryAsync(dimension, () =>
                storage.ForDimension(dimension).Blobs.DeleteAsync(Dimensions.Container(dimension), uploaded.Blob!, null, cancellationToken));
        }
    }

    /// <summary>Reads content of row size: from memory, or from the first dimension that has it whole.</summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when none has.</exception>
    public async Task<ReadOnlyMemory<byte>> ReadRowsAsync(string tenant, ContentPointer pointer, CancellationToken cancellationToken)
    {
        if (pointer.IsEmpty)
        {
            return default;
        }

        if (_cache.TryGetValue((tenant, pointer.Sha256), out byte[]? remembered))
        {
            return remembered;
        }

        foreach (var dimension in dimensions.InOrder(pointer.Dimensions))
        {
            byte[]? content = null;
            if (await TryAsync(dimension, async () =>
            {
                var row = await storage.ForDimension(dimension).Tables.GetAsync(
                    ObjectRows.Table, tenant, ObjectRows.ContentKey(pointer.Sha256, dimension), null, cancellationToken);
                content = row?.Large(DataColumn);
                return content is not null && Convert.ToHexStringLower(SHA256.HashData(content)) == pointer.Sha256;
            }))
            {
                Remember(tenant, pointer, content);
                return content;
            }

            LogCopyMissing(dimension, pointer.Sha256);
        }

        throw ApiException.DimensionalInstability(pointer.Dimensions);
    }

    /// <summary>
    /// Makes sure that content is there and is what its hash says: small content is read and hashed (or has been, when it is in memory), of a blob
    /// the length and the hash that it was written with are compared in each dimension.
    /// </summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension has it sound.</exception>
    public async Task VerifyAsync(string tenant, ContentPointer pointer, CancellationToken cancellationToken)
    {
        if (pointer.Blob is null)
        {
            await ReadRowsAsync(tenant, pointer, cancellationToken);
            return;
        }

        if ((await SoundAsync(pointer, cancellationToken)).Count == 0)
        {
            throw ApiException.DimensionalInstability(pointer.Dimensions);
        }
    }

    /// <summary>Copies a range of content to a stream, and goes on with the next dimension when one fails on the way.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="pointer">The content.</param>
    /// <param name="from">The first byte.</param>
    /// <param name="length">How many bytes; all of them exist.</param>
    /// <param name="destination">Where they go. Nothing is written before the first dimension has answered.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension has the content.</exception>
    public async Task CopyAsync(string tenant, ContentPointer pointer, long from, long length, Stream destination, CancellationToken cancellationToken)
    {
        if (pointer.Blob is null)
        {
            var content = await ReadRowsAsync(tenant, pointer, cancellationToken);
            await destination.WriteAsync(content.Slice((int)from, (int)length), cancellationToken);
            return;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(CopyBufferBytes);
        try
        {
            foreach (var dimension in dimensions.InOrder(pointer.Dimensions))
            {
                if (await TryAsync(dimension, () => CopyFromAsync(dimension)))
                {
                    return;
                }

                LogCopyMissing(dimension, pointer.Sha256);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        throw ApiException.DimensionalInstability(pointer.Dimensions);

        async Task<bool> CopyFromAsync(int dimension)
        {
            await using var blob = await storage.ForDimension(dimension).Blobs.GetAsync(
                Dimensions.Container(dimension), pointer.Blob, from, length, null, cancellationToken);
            if (blob is null || blob.Properties.Length != pointer.SizeBytes)
            {
                return false;
            }

            while (length > 0)
            {
                var count = await blob.Stream.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, length)), cancellationToken);
                if (count == 0)
                {
                    return false;
                }

                await destination.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
                from += count;
                length -= count;
            }

            return true;
        }
    }

    /// <summary>Brings the copy of a dimension back from another one.</summary>
    /// <returns>False when that dimension still does not take it.</returns>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no other dimension has the content.</exception>
    public async Task<bool> RepairAsync(string tenant, ContentPointer pointer, int dimension, CancellationToken cancellationToken)
    {
        // The content may become useless, and be removed elsewhere, while it is copied.
        var now = time.GetUtcNow();
        await cleanUps.PlanSweepAsync(tenant, now, cancellationToken);
        var sound = pointer with { Dimensions = [.. pointer.Dimensions.Where(other => other != dimension)] };
        if (pointer.Blob is not null)
        {
            return await CopyBlobAsync(tenant, sound, dimension, cancellationToken);
        }

        var content = await ReadRowsAsync(tenant, sound, cancellationToken);
        var action = PutRows(tenant, pointer, dimension, content, now);
        return await TryAsync(dimension, () =>
            storage.ForDimension(dimension).Tables.WriteAsync(ObjectRows.Table, [action], cancellationToken));
    }

    /// <summary>The blob that new versions with some content get to point to; null when there is none. One storage request.</summary>
    public async Task<string?> FindBlobNameAsync(string tenant, string sha256, CancellationToken cancellationToken) =>
        (await FindBlobRowAsync(tenant, sha256, cancellationToken))?.Text("Blob");

    /// <summary>The hash of the content that a blob was written with; null when it is gone. One storage request.</summary>
    public async Task<string?> FindBlobSha256Async(string blob, int dimension, CancellationToken cancellationToken) =>
        (await storage.ForDimension(dimension).Blobs.GetPropertiesAsync(Dimensions.Container(dimension), blob, cancellationToken))
            ?.Metadata.GetValueOrDefault(Sha256Metadata);

    public void Dispose() => _cache.Dispose();

    // The dimensions that hold a blob with the length and the hash that it was written with.
    private async Task<IReadOnlyList<int>> SoundAsync(ContentPointer pointer, CancellationToken cancellationToken)
    {
        var outcomes = await Task.WhenAll(pointer.Dimensions.Select(async dimension => (dimension, isSound: await TryAsync(dimension, async () =>
            await storage.ForDimension(dimension).Blobs.GetPropertiesAsync(
                Dimensions.Container(dimension), pointer.Blob!, cancellationToken) is { } found
            && found.Length == pointer.SizeBytes
            && found.Metadata.GetValueOrDefault(Sha256Metadata) == pointer.Sha256))));
        return [.. outcomes.Where(outcome => outcome.isSound).Select(outcome => outcome.dimension)];
    }

    private Task<TableRow?> FindBlobRowAsync(string tenant, string sha256, CancellationToken cancellationToken) =>
        storage.Main.Tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.ContentKey(sha256, 0), null, cancellationToken);

    // Written under its ETag: a clean-up that is about to remove a blob then notices that it is needed, and equal uploads that meet agree on one.
    private TableAction PutBlobRow(string tenant, ContentPointer pointer, TableRow? current)
    {
        var row = new TableRow(tenant, ObjectRows.ContentKey(pointer.Sha256, 0))
            .Set("Blob", pointer.Blob)
            .Set("Dimensions", ObjectRows.Format(pointer.Dimensions))
            .Set(WrittenAtColumn, time.GetUtcNow().UtcTicks);
        return current is null ? TableAction.Insert(row) : TableAction.Replace(row, current.ETag!);
    }

    private static TableAction PutRows(
        string tenant, ContentPointer pointer, int dimension, ReadOnlyMemory<byte> content, DateTimeOffset now) =>
        TableAction.Upsert(new TableRow(tenant, ObjectRows.ContentKey(pointer.Sha256, dimension))
            .Set(WrittenAtColumn, now.UtcTicks)
            .SetLarge(DataColumn, content.Span));

    private async Task<bool> CopyBlobAsync(string tenant, ContentPointer pointer, int dimension, CancellationToken cancellationToken)
    {
        var blobs = storage.ForDimension(dimension).Blobs;
        var container = Dimensions.Container(dimension);
        var blockIds = new List<string>();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BlockBytes];
        for (var offset = 0L; offset < pointer.SizeBytes; offset += BlockBytes)
        {
            var count = (int)Math.Min(BlockBytes, pointer.SizeBytes - offset);
            await CopyAsync(tenant, pointer, offset, count, new MemoryStream(buffer), cancellationToken);
            hash.AppendData(buffer, 0, count);
            blockIds.Add($"{blockIds.Count:D6}");
            if (!await TryAsync(dimension, () =>
                blobs.StageBlockAsync(container, pointer.Blob!, blockIds[^1], buffer.AsMemory(0, count), cancellationToken)))
            {
                return false;
            }
        }

        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != pointer.Sha256)
        {
            throw ApiException.DimensionalInstability(pointer.Dimensions);
        }

        var options = new BlobOptions(Metadata: new Dictionary<string, string> { [Sha256Metadata] = pointer.Sha256 });
        return await TryAsync(dimension, () => blobs.CommitBlocksAsync(container, pointer.Blob!, blockIds, options, cancellationToken));
    }

    private Task StageAsync(
        string name, string blockId, ReadOnlyMemory<byte> block, HashSet<int> alive, IReadOnlyList<int> pathway, CancellationToken cancellationToken) =>
        ForEachAsync(
            alive,
            pathway,
            dimension => storage.ForDimension(dimension).Blobs.StageBlockAsync(
                Dimensions.Container(dimension), name, blockId, block, cancellationToken));

    // Does a thing in every dimension that is still alive, at once; one that fails leaves the set.
    private async Task ForEachAsync(HashSet<int> alive, IReadOnlyList<int> pathway, Func<int, Task> action)
    {
        var outcomes = await Task.WhenAll(alive.Select(async dimension => (dimension, isDone: await TryAsync(dimension, () => action(dimension)))));
        foreach (var (dimension, _) in outcomes.Where(outcome => !outcome.isDone))
        {
            alive.Remove(dimension);
        }

        if (alive.Count == 0)
        {
            throw ApiException.DimensionalInstability(pathway);
        }
    }

    private Task<bool> TryAsync(int dimension, Func<Task> action) => TryAsync(dimension, async () =>
    {
        await action();
        return true;
    });

    private async Task<bool> TryAsync(int dimension, Func<Task<bool>> action)
    {
        try
        {
            if (await action())
            {
                dimensions.Succeeded(dimension);
                return true;
            }
        }
        catch (StorageException exception)
        {
            LogDimensionFailed(exception, dimension);
        }

        dimensions.Failed(dimension);
        return false;
    }

    private void Remember(string tenant, ContentPointer pointer, ReadOnlyMemory<byte> content) =>
        _cache.Set((tenant, pointer.Sha256), content.ToArray(), new MemoryCacheEntryOptions { Size = content.Length + 256 });

    [LoggerMessage(Level = LogLevel.Warning, Message = "Dimension {Dimension} did not serve.")]
    private partial void LogDimensionFailed(Exception exception, int dimension);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Dimension {Dimension} holds no sound copy of {Sha256}.")]
    private partial void LogCopyMissing(int dimension, string sha256);
}
