using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>The copies of stored values in the dimensions: rows for small ones, blobs for large ones.</summary>
public sealed partial class CacheContent(StorageAccounts storage, Dimensions dimensions, CacheSeal seal, ILogger<CacheContent> logger)
{
    /// <summary>Larger values are given out while they are read; up to this length the whole is checked before the answer begins.</summary>
    private const long CheckedAheadBytesMax = 4 * 1024 * 1024;

    /// <summary>Whether all copies of an entry of row size lie in the main account's table, and are replaced with it.</summary>
    public bool IsOutside(CacheEntry entry) => entry.IsBlob || entry.Dimensions.Any(dimension => !IsMain(dimension));

    /// <summary>
    /// Prepares the rows of an entry: the entry's own, which holds the first copy of a value of row size, and those of its copies in the main account. Copies in
    /// other accounts are written here.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="closed">Its secrets, wrapped.</param>
    /// <param name="stored">The value of row size.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The rows, the entry's own first, and the dimensions that did not take their copy.</returns>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension takes it.</exception>
    public async Task<(IReadOnlyList<TableRow> Rows, IReadOnlyList<int> Missing)> PlaceRowsAsync(
        string tenant, CacheEntry entry, byte[] closed, byte[] stored, CancellationToken cancellationToken)
    {
        var main = entry.Dimensions.Where(IsMain).ToList();
        var missing = new List<int>();
        foreach (var dimension in entry.Dimensions.Except(main))
        {
            var row = CacheRows.Row(tenant, CacheRows.OutsideKey(entry.CacheId), entry, closed, stored);
            if (!await TryAsync(dimension, () => WriteOutsideAsync(dimension, row, cancellationToken)))
            {
                missing.Add(dimension);
            }
        }

        if (missing.Count == entry.Dimensions.Count)
        {
            throw ApiException.DimensionalInstability(entry.Dimensions);
        }

        var rows = new List<TableRow> { CacheRows.Row(tenant, CacheRows.EntryKey(entry.Key), entry, closed, main.Count > 0 ? stored : null) };
        rows.AddRange(main.Skip(1).Select(dimension => CacheRows.Row(tenant, CacheRows.CopyKey(entry.Key, dimension), entry, closed, stored)));
        return (rows, missing);
    }

    /// <summary>Does something with the blobs of some dimensions, at once. Those where it fails leave the set.</summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when none is left.</exception>
    public async Task ForEachBlobAsync(HashSet<int> alive, IReadOnlyList<int> all, Func<IBlobs, string, Task> action)
    {
        var outcomes = await Task.WhenAll(alive.Select(async dimension => (dimension, isDone: await TryAsync(dimension, async () =>
        {
            await action(storage.ForDimension(dimension).Blobs, Container(dimension));
            return true;
        }))));
        alive.ExceptWith(outcomes.Where(outcome => !outcome.isDone).Select(outcome => outcome.dimension));
        if (alive.Count == 0)
        {
            throw ApiException.DimensionalInstability(all);
        }
    }

    /// <summary>The name of a write's blob, the same in each dimension's container.</summary>
    public static string BlobName(string tenant, string cacheId) => $"{tenant}/{cacheId}";

    /// <summary>Finds the entry itself in one of its copies, when its own row does not open.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="key">The key.</param>
    /// <param name="cacheId">The write that the entry's row is of: older copies may lie about.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task<(CacheEntry Entry, CacheSecrets Secrets, byte[] Closed)?> FindInCopiesAsync(
        string tenant, string key, string cacheId, CancellationToken cancellationToken)
    {
        for (var dimension = 1; dimension <= StorageAccounts.DimensionMax; dimension++)
        {
            TableRow? row = null;
            try
            {
                row = await ReadRowAsync(tenant, key, cacheId, dimension, cancellationToken);
            }
            catch (StorageException exception)
            {
                Report(dimension, exception, false);
            }

            if (row is not null
                && CacheRows.TryParse(row) is { } entry
                && entry.Key == key
                && entry.CacheId == cacheId
                && seal.Open(tenant, entry, CacheRows.Sealed(row)) is { } secrets)
            {
                return (entry, secrets, CacheRows.Sealed(row));
            }
        }

        return null;
    }

    /// <summary>Opens a stored value, still compressed. Every byte of it is checked before it is given out.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="found">The entry.</param>
    /// <param name="from">The dimensions to read from.</param>
    /// <param name="failed">Receives those that have no sound copy, for repair; also while the value is read.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when none has; later, while it is read, when none has the rest.</exception>
    public async Task<Stream> OpenAsync(
        string tenant, FoundEntry found, IReadOnlyList<int> from, ICollection<int> failed, CancellationToken cancellationToken)
    {
        var entry = found.Entry;
        if (!entry.IsBlob)
        {
            return await OpenRowsAsync(tenant, found, from, failed, cancellationToken);
        }

        var blob = new SealedBlobStream(
            entry,
            found.Secrets.DataKey,
            dimensions.InOrder(from),
            (dimension, offset) => storage.ForDimension(dimension).Blobs.GetAsync(
                Container(dimension), BlobName(tenant, entry.CacheId), offset, null, null, cancellationToken),
            (dimension, exception, isSound) =>
            {
                Report(dimension, exception, isSound);
                if (!isSound)
                {
                    failed.Add(dimension);
                }
            });
        try
        {
            if (entry.CompressedBytes > CheckedAheadBytesMax)
            {
                await blob.BeginAsync(cancellationToken);
                return blob;
            }

            var whole = new MemoryStream((int)entry.CompressedBytes);
            await blob.CopyToAsync(whole, cancellationToken);
            await blob.DisposeAsync();
            whole.Position = 0;
            return whole;
        }
        catch
        {
            await blob.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether a dimension holds a whole and sound copy.</summary>
    public async Task<bool> IsSoundAsync(string tenant, FoundEntry found, int dimension, CancellationToken cancellationToken)
    {
        try
        {
            await using var value = await OpenAsync(tenant, found, [dimension], [], cancellationToken);
            await value.CopyToAsync(Stream.Null, cancellationToken);
            return true;
        }
        catch (ApiException)
        {
            return false;
        }
    }

    /// <summary>Writes a copy anew: an entry's value is encrypted again to the same bytes.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="found">The entry.</param>
    /// <param name="dimension">The dimension that lacks it.</param>
    /// <param name="sound">Dimensions that have it.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>False when the dimension does not take it, or the entry has changed since.</returns>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no other dimension has it.</exception>
    public async Task<bool> RepairAsync(
        string tenant, FoundEntry found, int dimension, IReadOnlyList<int> sound, CancellationToken cancellationToken)
    {
        var entry = found.Entry;
        await using var value = await OpenAsync(tenant, found, sound, [], cancellationToken);
        using var cipher = new ChunkCipher(found.Secrets.DataKey);
        if (entry.IsBlob)
        {
            return await TryAsync(dimension, () => RepairBlobAsync(tenant, entry, dimension, value, cipher, cancellationToken));
        }

        var plain = new byte[entry.CompressedBytes];
        await value.ReadExactlyAsync(plain, cancellationToken);
        var stored = cipher.EncryptAll(plain);
        if (!IsMain(dimension))
        {
            var row = CacheRows.Row(tenant, CacheRows.OutsideKey(entry.CacheId), entry, found.Closed, stored);
            return await TryAsync(dimension, () => WriteOutsideAsync(dimension, row, cancellationToken));
        }

        // The entry's row is replaced under its ETag along with the copy, so that no write since is undone.
        var isFirst = dimension == entry.Dimensions.First(IsMain);
        var actions = new List<TableAction> { TableAction.Replace(CacheRows.OwnRow(tenant, found, isFirst ? stored : found.Inline), found.RowETag) };
        if (!isFirst)
        {
            actions.Add(TableAction.Upsert(CacheRows.Row(tenant, CacheRows.CopyKey(entry.Key, dimension), entry, found.Closed, stored)));
        }

        return (await storage.Main.Tables.WriteAsync(CacheRows.Table, actions, cancellationToken)).IsDone;
    }

    /// <summary>Removes the copies of a write that lie outside of the main account's table.</summary>
    /// <returns>False when a dimension did not answer.</returns>
    public async Task<bool> RemoveOutsideAsync(
        string tenant, string cacheId, IReadOnlyList<int> from, bool isBlob, CancellationToken cancellationToken)
    {
        var isDone = true;
        foreach (var dimension in from)
        {
            isDone &= isBlob
                ? await TryAsync(dimension, () =>
                    storage.ForDimension(dimension).Blobs.DeleteAsync(Container(dimension), BlobName(tenant, cacheId), null, cancellationToken))
                : IsMain(dimension) || await TryAsync(dimension, async () =>
                {
                    var delete = TableAction.Delete(tenant, CacheRows.OutsideKey(cacheId), "*");
                    await storage.ForDimension(dimension).Tables.WriteAsync(CacheRows.Table, [delete], cancellationToken);
                    return true;
                });
        }

        return isDone;
    }

    private static string Container(int dimension) => $"crystal-{dimension}";

    private bool IsMain(int dimension) => storage.ForDimension(dimension) == storage.Main;

    private async Task<Stream> OpenRowsAsync(
        string tenant, FoundEntry found, IReadOnlyList<int> from, ICollection<int> failed, CancellationToken cancellationToken)
    {
        var entry = found.Entry;
        using var cipher = new ChunkCipher(found.Secrets.DataKey);

        // The copy that came with the entry costs nothing more, however its dimension fares.
        var first = entry.Dimensions.FirstOrDefault(IsMain);
        foreach (var dimension in dimensions.InOrder(from).OrderByDescending(dimension => dimension == first))
        {
            byte[]? plain = null;
            var isSound = await TryAsync(dimension, async () =>
            {
                var stored = dimension == first
                    ? found.Inline
                    : (await ReadRowAsync(tenant, entry.Key, entry.CacheId, dimension, cancellationToken))?.Large(CacheRows.DataColumn);
                plain = stored is null ? null : cipher.DecryptAll(stored, entry.CompressedBytes);
                return plain is not null;
            });
            if (isSound)
            {
                return new MemoryStream(plain!, 0, plain!.Length, writable: false, publiclyVisible: true);
            }

            failed.Add(dimension);
        }

        throw ApiException.DimensionalInstability(entry.Dimensions);
    }

    private async Task<TableRow?> ReadRowAsync(string tenant, string key, string cacheId, int dimension, CancellationToken cancellationToken) => IsMain(dimension)
        ? await storage.Main.Tables.GetAsync(CacheRows.Table, tenant, CacheRows.CopyKey(key, dimension), null, cancellationToken)
        : await storage.ForDimension(dimension).Tables.GetAsync(CacheRows.Table, tenant, CacheRows.OutsideKey(cacheId), null, cancellationToken);

    private async Task<bool> WriteOutsideAsync(int dimension, TableRow row, CancellationToken cancellationToken) =>
        (await storage.ForDimension(dimension).Tables.WriteAsync(CacheRows.Table, [TableAction.Upsert(row)], cancellationToken)).IsDone;

    private async Task<bool> RepairBlobAsync(
        string tenant, CacheEntry entry, int dimension, Stream value, ChunkCipher cipher, CancellationToken cancellationToken)
    {
        var blobs = storage.ForDimension(dimension).Blobs;
        var name = BlobName(tenant, entry.CacheId);
        var count = ChunkCipher.ChunkCount(entry.CompressedBytes);
        var plain = new byte[ChunkCipher.PlainBytes];
        var block = new MemoryStream();
        var chunk = new byte[ChunkCipher.PlainBytes + ChunkCipher.TagBytes];
        var blockIds = new List<string>();
        for (var number = 0L; number < count; number++)
        {
            var bytes = await value.ReadAtLeastAsync(plain, plain.Length, throwOnEndOfStream: false, cancellationToken);
            cipher.Encrypt(plain.AsSpan(0, bytes), number, number == count - 1, chunk);
            block.Write(chunk, 0, bytes + ChunkCipher.TagBytes);
            if (block.Length >= ValueUpload.BlockBytes || number == count - 1)
            {
                blockIds.Add(ValueUpload.BlockId(blockIds.Count));
                await blobs.StageBlockAsync(Container(dimension), name, blockIds[^1], block.GetBuffer().AsMemory(0, (int)block.Length), cancellationToken);
                block.SetLength(0);
            }
        }

        return await blobs.CommitBlocksAsync(Container(dimension), name, blockIds, new BlobOptions(), cancellationToken) is not null;
    }

    private async Task<bool> TryAsync(int dimension, Func<Task<bool>> action)
    {
        StorageException? cause = null;
        var isDone = false;
        try
        {
            isDone = await action();
        }
        catch (StorageException exception)
        {
            cause = exception;
        }

        Report(dimension, cause, isDone);
        return isDone;
    }

    private void Report(int dimension, StorageException? cause, bool isSound)
    {
        if (isSound)
        {
            dimensions.Succeeded(dimension);
            return;
        }

        dimensions.Failed(dimension);
        LogFailed(cause, dimension);
    }

    private void Report(int dimension, Exception? cause, bool isSound) => Report(dimension, cause as StorageException, isSound);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Dimension {Dimension} did not serve a copy of a cache entry.")]
    private partial void LogFailed(Exception? exception, int dimension);
}
