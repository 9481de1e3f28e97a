using Azure;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>A blob's bytes as they arrive. When the connection drops, reading goes on from the same place over another one.</summary>
/// <param name="stream">The open answer.</param>
/// <param name="position">The blob's offset of the stream's first byte.</param>
/// <param name="length">How many bytes follow.</param>
/// <param name="reopen">Opens the same version of the blob at an offset, for a number of bytes; null when it is gone.</param>
/// <remarks>
/// Asynchronous reading only. A reader that got no byte in 1 + <see cref="ReopeningsMax"/> connections gets a <see cref="StorageException"/> with
/// status 0 around the last one's failure, and may try again.
/// </remarks>
public sealed class BlobReadStream(
    Stream stream,
    long position,
    long length,
    Func<long, long, CancellationToken, Task<Stream?>> reopen) : Stream
{
    /// <summary>How often in a row a connection that broke is replaced by another one.</summary>
    public const int ReopeningsMax = 5;

    private Stream? _stream = stream;
    private long _position = position;
    private long _left = length;
    private int _reopenings;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.Length > _left)
        {
            buffer = buffer[..(int)_left];
        }

        while (!buffer.IsEmpty)
        {
            try
            {
                _stream ??= await reopen(_position, _left, cancellationToken)
                    ?? throw new StorageException("The blob was deleted while it was read.", 404, "BlobNotFound");
                if (await _stream.ReadAsync(buffer, cancellationToken) is var count and > 0)
                {
                    _position += count;
                    _left -= count;
                    _reopenings = 0;
                    return count;
                }

                throw new EndOfStreamException("Storage ended its answer early.");
            }
            catch (Exception e) when (IsDrop(e))
            {
                await CloseAsync();
                if (cancellationToken.IsCancellationRequested)
                {
                    throw new OperationCanceledException("Reading the blob was cancelled.", e, cancellationToken);
                }

                if (_reopenings == ReopeningsMax)
                {
                    throw new StorageException($"Storage's answer broke off {ReopeningsMax + 1} times at the same place.", 0, null, e);
                }

                _reopenings++;
            }
        }

        return 0;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("A blob is read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await CloseAsync();
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stream?.Dispose();
            _stream = null;
        }

        base.Dispose(disposing);
    }

    // A time limit without our caller's cancellation is the pipeline's own, for a read that hangs.
    private static bool IsDrop(Exception exception) =>
        exception is IOException or RequestFailedException { Status: 0 } or HttpRequestException or OperationCanceledException;

    private async ValueTask CloseAsync()
    {
        if (_stream is { } stream)
        {
            _stream = null;
            await stream.DisposeAsync();
        }
    }
}
