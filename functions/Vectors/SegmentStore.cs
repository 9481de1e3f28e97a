using System.Buffers;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>Keeps segments: a blob each, never changed, in the container <c>vectors</c>.</summary>
public sealed class SegmentStore(StorageAccounts storage)
{
    private const string Container = "vectors";

    // A segment comes in pieces, so many at once.
    private const int PieceBytes = IBlobs.BlockBytesMax;
    private const int PiecesAtOnce = 8;
    private const int BlocksAtOnce = 4;

    private const int BufferBytes = 128 * 1024;

    private readonly IBlobs _blobs = storage.Main.Blobs;

    /// <summary>Brings a segment into reach. A storage request for each 8 MiB, eight at once.</summary>
    /// <returns>The segment; null when it is gone, because others replace it.</returns>
    /// <exception cref="StorageException">It is not what was stored.</exception>
    public async Task<Segment?> LoadAsync(string tenant, SegmentInfo info, CancellationToken cancellationToken)
    {
        var bytes = new MappedBytes(info.Bytes);
        Segment? segment = null;
        try
        {
            var isGone = false;
            await AtOnce.ForEachAsync(
                Pieces(info.Bytes),
                PiecesAtOnce,
                async piece => isGone |= !await ReadPieceAsync(tenant, info, (long)piece * PieceBytes, bytes, cancellationToken));
            return isGone ? null : segment = new Segment(info.Id, bytes);
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

    private async Task<bool> ReadPieceAsync(string tenant, SegmentInfo info, long offset, MappedBytes bytes, CancellationToken cancellationToken)
    {
        var length = (int)Math.Min(PieceBytes, info.Bytes - offset);
        await using var content = await _blobs.GetAsync(Container, Name(tenant, info.Id), offset, length, null, cancellationToken);
        if (content is null)
        {
            return false;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            for (var read = 0; read < length;)
            {
                var count = await content.Stream.ReadAsync(buffer.AsMemory(0, Math.Min(BufferBytes, length - read)), cancellationToken);
                if (count == 0)
                {
                    throw new InvalidDataException("A segment is shorter than it was.");
                }

                buffer.AsSpan(0, count).CopyTo(bytes.Span(offset + read, count));
                read += count;
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static int Pieces(long bytes) => (int)((bytes + PieceBytes - 1) / PieceBytes);

    private static string Name(string tenant, string id) => $"{tenant}/{id}";
}
