using System.Buffers;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>Keeps segments: a blob each, never changed, in the container <c>vectors</c>.</summary>
public sealed class SegmentStore(StorageAccounts storage, VectorThresholds thresholds)
{
    private const string Container = "vectors";

    private const int PieceBytes = IBlobs.BlockBytesMax;
    private const int BlocksAtOnce = 4;

    private const int BufferBytes = 128 * 1024;

    private readonly IBlobs _blobs = storage.Main.Blobs;

    /// <summary>Opens a segment: brings its head into reach, or all of it when that is one request.</summary>
    /// <returns>The segment; null when it is gone, because others replace it.</returns>
    /// <exception cref="StorageException">It is not what was stored.</exception>
    public async Task<Segment?> OpenAsync(string tenant, SegmentInfo info, CancellationToken cancellationToken)
    {
        var bytes = new MappedBytes(info.Bytes, isSparse: true);
        var download = new SegmentDownload(bytes, thresholds.PieceBytes, (offset, length, token) => ReadAsync(tenant, info, offset, length, bytes, token));
        Segment? segment = null;
        try
        {
            var head = info.Bytes <= thresholds.WholeBytes ? info.Bytes : info.HeadBytes;
            await download.NeedAsync([(0, head)]).WaitAsync(cancellationToken);
            return segment = new Segment(info.Id, bytes, download);
        }
        catch (StorageException) when (download.IsLost)
        {
            return null;
        }
        catch (InvalidDataException exception)
        {
            throw new StorageException($"The segment {info.Id} is not what was stored.", 0, null, exception);
        }
        finally
        {
            if (segment is null)
            {
                bytes.Dispose();
            }
        }
    }

    /// <summary>Writes a segment. One storage request up to 8 MiB; else one for each 8 MiB, four at once, and one more.</summary>
    public async Task SaveAsync(string tenant, Segment segment, CancellationToken cancellationToken)
    {
        var name = Name(tenant, segment.Id);
        if (segment.Bytes <= PieceBytes)
        {
            await _blobs.PutAsync(Container, name, segment.Copy(0, (int)segment.Bytes), new BlobOptions(), cancellationToken);
            return;
        }

        var blocks = Enumerable.Range(0, Pieces(segment.Bytes)).Select(number => $"{number:D6}").ToList();
        await AtOnce.ForEachAsync(blocks.Count, BlocksAtOnce, async number =>
        {
            var offset = (long)number * PieceBytes;
            var block = segment.Copy(offset, (int)Math.Min(PieceBytes, segment.Bytes - offset));
            await _blobs.StageBlockAsync(Container, name, blocks[number], block, cancellationToken);
        });
        await _blobs.CommitBlocksAsync(Container, name, blocks, new BlobOptions(), cancellationToken);
    }

    /// <summary>Deletes a segment, if it is there.</summary>
    public Task DeleteAsync(string tenant, string id, CancellationToken cancellationToken) =>
        _blobs.DeleteAsync(Container, Name(tenant, id), null, cancellationToken);

    private async Task<bool> ReadAsync(string tenant, SegmentInfo info, long offset, int length, MappedBytes bytes, CancellationToken cancellationToken)
    {
        // What was disposed of meanwhile is not to be written to.
        if (!bytes.TryHold())
        {
            return false;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var content = await _blobs.GetAsync(Container, Name(tenant, info.Id), offset, length, null, cancellationToken);
            if (content is null)
            {
                return false;
            }

            for (var read = 0; read < length;)
            {
                var count = await content.Stream.ReadAsync(buffer.AsMemory(0, Math.Min(BufferBytes, length - read)), cancellationToken);
                if (count == 0)
                {
                    throw new StorageException($"The segment {info.Id} is shorter than it was.", 0, null);
                }

                Write(bytes, offset + read, buffer.AsSpan(0, count));
                read += count;
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            bytes.Release();
        }
    }

    private static void Write(MappedBytes bytes, long offset, ReadOnlySpan<byte> piece)
    {
        try
        {
            bytes.Write(offset, piece);
        }
        catch (IOException exception)
        {
            throw new StorageException("There is no room for a segment on this instance.", 0, null, exception);
        }
    }

    private static int Pieces(long bytes) => (int)((bytes + PieceBytes - 1) / PieceBytes);

    private static string Name(string tenant, string id) => $"{tenant}/{id}";
}
