using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>
/// Reads a value out of blobs, chunk by chunk: every chunk is checked before a byte of it is given out, and when a dimension fails, or holds something else than
/// was written, the next one goes on with the same chunk.
/// </summary>
/// <param name="entry">The entry.</param>
/// <param name="dataKey">Its value's key.</param>
/// <param name="order">The dimensions in the order in which they are tried.</param>
/// <param name="open">Opens a dimension's blob from a byte on; null when it has none.</param>
/// <param name="report">Is told of every dimension, whether it served.</param>
public sealed class SealedBlobStream(
    CacheEntry entry, byte[] dataKey, IReadOnlyList<int> order, Func<int, long, Task<BlobContent?>> open, Action<int, Exception?, bool> report) : Stream
{
    private readonly ChunkCipher _cipher = new(dataKey);
    private readonly byte[] _chunk = new byte[ChunkCipher.PlainBytes + ChunkCipher.TagBytes];
    private readonly byte[] _plain = new byte[ChunkCipher.PlainBytes];
    private readonly long _count = ChunkCipher.ChunkCount(entry.CompressedBytes);
    private BlobContent? _blob;
    private int _dimension;
    private long _number;
    private int _start;
    private int _end;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Reads and checks the first bytes, so that a value that nobody has is noticed before an answer begins.</summary>
    /// <exception cref="ApiException">503 <c>DIMENSIONAL_INSTABILITY</c> when no dimension has them.</exception>
    public async Task BeginAsync(CancellationToken cancellationToken) => await FillAsync(cancellationToken);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_start == _end)
        {
            if (_number == _count)
            {
                return 0;
            }

            await FillAsync(cancellationToken);
        }

        var count = Math.Min(buffer.Length, _end - _start);
        _plain.AsMemory(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _cipher.Dispose();
        await base.DisposeAsync();
    }

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        for (; _dimension < order.Count; _dimension++)
        {
            StorageException? cause = null;
            try
            {
                if (await TryFillAsync(order[_dimension], cancellationToken))
                {
                    return;
                }
            }
            catch (StorageException exception)
            {
                cause = exception;
            }

            report(order[_dimension], cause, false);
            await CloseAsync();
        }

        throw ApiException.DimensionalInstability(entry.Dimensions);
    }

    private async Task<bool> TryFillAsync(int dimension, CancellationToken cancellationToken)
    {
        if (_blob is null)
        {
            _blob = await open(dimension, _number * _chunk.Length);
            if (_blob is null || _blob.Properties.Length != ChunkCipher.SealedBytes(entry.CompressedBytes))
            {
                return false;
            }
        }

        var isLast = _number == _count - 1;
        var plainBytes = isLast ? (int)(entry.CompressedBytes - (_number * ChunkCipher.PlainBytes)) : ChunkCipher.PlainBytes;
        var chunk = _chunk.AsMemory(0, plainBytes + ChunkCipher.TagBytes);
        if (await _blob.Stream.ReadAtLeastAsync(chunk, chunk.Length, throwOnEndOfStream: false, cancellationToken) < chunk.Length
            || !_cipher.TryDecrypt(chunk.Span, _number, isLast, _plain))
        {
            return false;
        }

        (_start, _end) = (0, plainBytes);
        if (++_number == _count)
        {
            report(dimension, null, true);
        }

        return true;
    }

    private async Task CloseAsync()
    {
        if (_blob is not null)
        {
            await _blob.DisposeAsync();
            _blob = null;
        }
    }
}
