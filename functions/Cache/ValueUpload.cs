using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>A value on its way into storage: it is encoded as it comes, and what is ready beyond a few mebibytes goes into blobs at once.</summary>
public sealed class ValueUpload(
    CacheContent contents,
    CacheStore store,
    string tenant,
    string cacheId,
    CacheCompression compression,
    CacheEncryption encryption,
    IReadOnlyList<int> dimensions,
    bool isLarge) : IDisposable
{
    /// <summary>Blobs are written in blocks of about this size: each is a paid request in every dimension, and is in memory once.</summary>
    public const int BlockBytes = 4 * 1024 * 1024;

    private const int SmallOutputBytes = 4 * 1024;

    // A piece may take a block a little beyond its size.
    private const int LargeOutputBytes = BlockBytes + (4 * ChunkCipher.PlainBytes);

    private readonly ValueEncoder _encoder = new(compression, encryption, isLarge ? LargeOutputBytes : SmallOutputBytes);
    private readonly HashSet<int> _alive = [.. dimensions];
    private readonly List<string> _blockIds = [];

    public string CacheId { get; } = cacheId;

    public CacheCompression Compression { get; } = compression;

    public CacheEncryption Encryption { get; } = encryption;

    public IReadOnlyList<int> Dimensions { get; } = dimensions;

    public byte[] DataKey => _encoder.DataKey;

    public long OriginalBytes => _encoder.OriginalBytes;

    public long CompressedBytes => _encoder.CompressedBytes;

    /// <summary>Whether some of it is in blobs already; else all of it is in <see cref="Stored"/>.</summary>
    public bool IsStaged => _blockIds.Count > 0;

    /// <summary>What is not in blobs yet.</summary>
    public ReadOnlyMemory<byte> Stored => _encoder.Output.WrittenMemory;

    /// <summary>The id of a block by its number.</summary>
    public static string BlockId(int number) => $"{number:D6}";

    /// <summary>Takes a piece of the value's JSON.</summary>
    public async Task WriteAsync(ReadOnlyMemory<byte> original, CancellationToken cancellationToken)
    {
        _encoder.Write(original.Span);
        if (Stored.Length >= BlockBytes)
        {
            await StageAsync(cancellationToken);
        }
    }

    /// <summary>Ends the value.</summary>
    /// <returns>The SHA-256 of its JSON.</returns>
    public async Task<byte[]> EndAsync(CancellationToken cancellationToken)
    {
        var sha256 = _encoder.End();
        if (IsStaged)
        {
            await StageAsync(cancellationToken);
        }

        return sha256;
    }

    /// <summary>Makes blobs of it.</summary>
    /// <param name="key">The key that is to point to them.</param>
    /// <param name="now">When.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The dimensions that did not take their copy.</returns>
    /// <exception cref="Api.ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when none took it.</exception>
    public async Task<IReadOnlyList<int>> CommitAsync(string key, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await ScheduleCheckAsync(key, now, isBlob: true, cancellationToken);
        await contents.ForEachBlobAsync(_alive, Dimensions, (blobs, container) => IsStaged
            ? blobs.CommitBlocksAsync(container, Name, _blockIds, new BlobOptions(), cancellationToken)
            : blobs.PutAsync(container, Name, Stored, new BlobOptions(), cancellationToken));
        return [.. Dimensions.Except(_alive)];
    }

    /// <summary>
    /// Has what is about to be written outside of the table looked after: before it is written, so that nothing is lost sight of. Blocks that are never
    /// committed need nobody: storage drops them after a week.
    /// </summary>
    public Task ScheduleCheckAsync(string key, DateTimeOffset now, bool isBlob, CancellationToken cancellationToken) => store.ScheduleAsync(
        tenant, new CacheDue(CacheDueKind.Check, now, key, CacheId, now, Dimensions, isBlob).Next(now), cancellationToken);

    public void Dispose() => _encoder.Dispose();

    private string Name => CacheContent.BlobName(tenant, CacheId);

    private async Task StageAsync(CancellationToken cancellationToken)
    {
        var id = BlockId(_blockIds.Count);
        await contents.ForEachBlobAsync(_alive, Dimensions, (blobs, container) => blobs.StageBlockAsync(container, Name, id, Stored, cancellationToken));
        _blockIds.Add(id);
        _encoder.Output.ResetWrittenCount();
    }
}
