using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace QuantumFlux.Vectors;

/// <summary>
/// A segment in reach: vectors that were written in one stretch of the log, clustered and coded, none of them ever changed. What has been deleted or
/// replaced since is known outside of it.
/// </summary>
/// <remarks>Whoever reads it holds it meanwhile, with <see cref="TryHold"/> and <see cref="Release"/>.</remarks>
public sealed class Segment : IDisposable
{
    private readonly MappedBytes _bytes;
    private readonly SegmentDownload? _download;

    /// <summary>Takes over the bytes of a segment.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="bytes">Its bytes: the head at least.</param>
    /// <param name="download">What brings the rest into reach; null when all of it is there.</param>
    /// <exception cref="InvalidDataException">It is no segment.</exception>
    public Segment(string id, MappedBytes bytes, SegmentDownload? download = null)
    {
        Id = id;
        _bytes = bytes;
        _download = download;
        Header = SegmentHeader.Parse(bytes.Span(0, (int)Math.Min(bytes.Length, SegmentFormat.HeaderBytes)));
        Rotation = Rotation.Of(Header.Dimension);
        if (Header.TotalBytes > bytes.Length)
        {
            throw new InvalidDataException("A segment is shorter than it says.");
        }
    }

    public string Id { get; }

    public SegmentHeader Header { get; }

    /// <summary>How many vectors it holds.</summary>
    public int Rows => Header.Rows;

    public Rotation Rotation { get; }

    /// <summary>The length of the whole in bytes.</summary>
    public long Bytes => _bytes.Length;

    /// <summary>Whether all of it is in reach.</summary>
    public bool IsWhole => _download?.IsWhole ?? true;

    /// <summary>Whether what is missing cannot be had any more.</summary>
    public bool IsLost => _download?.IsLost ?? false;

    public ReadOnlySpan<ClusterEntry> Clusters => Part<ClusterEntry>(SegmentPart.Clusters);

    /// <summary>The centre of a cluster, rotated, in steps of <see cref="ClusterEntry.Scale"/>.</summary>
    public ReadOnlySpan<sbyte> Centre(int cluster) => Slice<sbyte>(SegmentPart.Centres, (long)cluster * Header.Length, Header.Length);

    /// <summary>A block of a cluster: codes and numbers of 32 vectors, in <see cref="SegmentFormat.BlockBytes"/>.</summary>
    public ReadOnlySpan<byte> Block(in ClusterEntry cluster, int block)
    {
        var bytes = SegmentFormat.BlockBytes(Header.Length);
        return Slice<byte>(SegmentPart.Chunks, cluster.Offset + ((long)block * bytes), bytes);
    }

    /// <summary>32 of the blocks' middles, as a block of <see cref="SegmentFormat.BlockBytes"/>.</summary>
    /// <param name="first">The first of them, a multiple of 32.</param>
    public ReadOnlySpan<byte> Middles(int first)
    {
        var bytes = SegmentFormat.BlockBytes(Header.Length);
        return Slice<byte>(SegmentPart.Middles, (long)(first / BitCodes.BlockVectors) * bytes, bytes);
    }

    /// <summary>A cluster's rows in bytes, one after the other.</summary>
    public ReadOnlySpan<sbyte> RowBytes(in ClusterEntry cluster) => MemoryMarshal.Cast<byte, sbyte>(
        Slice<byte>(SegmentPart.Chunks, cluster.Offset + ((long)cluster.Blocks * SegmentFormat.BlockBytes(Header.Length)), cluster.Rows * Header.Length));

    /// <summary>What tells a cluster's rows' keys from their bytes.</summary>
    public ReadOnlySpan<RowEntry> RowEntries(in ClusterEntry cluster) => MemoryMarshal.Cast<byte, RowEntry>(Slice<byte>(
        SegmentPart.Chunks,
        cluster.Offset + ((long)cluster.Blocks * SegmentFormat.BlockBytes(Header.Length)) + ((long)cluster.Rows * Header.Length),
        cluster.Rows * Marshal.SizeOf<RowEntry>()));

    /// <summary>A row's coordinates as they were sent.</summary>
    public ReadOnlySpan<float> Vector(int row) =>
        MemoryMarshal.Cast<byte, float>(Slice<byte>(SegmentPart.Rows, RowRange(row).Offset, Header.Dimension * sizeof(float)));

    /// <summary>A row's id in UTF-8.</summary>
    public ReadOnlySpan<byte> IdBytes(int row)
    {
        var bytes = IdAndFacts(row, out var idBytes);
        return bytes[..idBytes];
    }

    public string IdOf(int row) => Encoding.UTF8.GetString(IdBytes(row));

    /// <summary>What is known of a row's vector, in the bytes of <see cref="VectorFacts.Write"/>.</summary>
    public ReadOnlySpan<byte> FactBytes(int row)
    {
        var bytes = IdAndFacts(row, out var idBytes);
        return bytes[idBytes..];
    }

    public VectorFacts Facts(int row) => VectorFacts.Read(FactBytes(row));

    public StoredVector Read(int row) => new(IdOf(row), Vector(row).ToArray(), Facts(row));

    /// <summary>The rows in the order in which they were written.</summary>
    public ReadOnlySpan<int> Order => Part<int>(SegmentPart.Order);

    public ReadOnlySpan<byte> Contexts => Part<byte>(SegmentPart.Contexts);

    public ReadOnlySpan<byte> Fields => Part<byte>(SegmentPart.Fields);

    /// <summary>The row of an id; −1 when there is none.</summary>
    public int Find(ReadOnlySpan<byte> id) => Find(id, SegmentFormat.HashId(id));

    /// <summary>The same with the id's hash.</summary>
    public int Find(ReadOnlySpan<byte> id, ulong hash)
    {
        foreach (var row in RowsOf(hash))
        {
            if (IdBytes(row).SequenceEqual(id))
            {
                return row;
            }
        }

        return -1;
    }

    /// <summary>Takes the rows of another segment out of a set that were gone when this one was built.</summary>
    public void RemoveGone(string segmentId, RowSet rows) => GoneRows.Remove(Part<byte>(SegmentPart.Gone), segmentId, rows);

    /// <summary>A copy of some of its bytes.</summary>
    public byte[] Copy(long offset, int count) => _bytes.Span(offset, count).ToArray();

    /// <summary>Brings all of it into reach.</summary>
    public Task NeedAllAsync() => _download?.NeedAllAsync() ?? Task.CompletedTask;

    /// <summary>Brings into reach what tells whether ids are here, and the rows of those that are.</summary>
    /// <param name="ids">The ids in UTF-8.</param>
    public async Task NeedIdsAsync(IReadOnlyCollection<byte[]> ids)
    {
        if (!IsWhole && ids.Count > 0)
        {
            await NeedAsync([Whole(SegmentPart.IdHashes), Whole(SegmentPart.IdRows)]);
            await NeedRowsAsync([.. ids.SelectMany(id => RowsOf(SegmentFormat.HashId(id)).ToArray())]);
        }
    }

    /// <summary>Brings into reach in which order the rows were written.</summary>
    public Task NeedOrderAsync() => NeedAsync([Whole(SegmentPart.Order)]);

    /// <summary>Brings into reach the codes of some clusters' vectors, and where their rows lie.</summary>
    public Task NeedCodesAsync(IEnumerable<int> clusters) => NeedAsync(clusters.SelectMany(cluster =>
    {
        var entry = Clusters[cluster];
        return new[]
        {
            Range(SegmentPart.Chunks, entry.Offset, (long)entry.Blocks * SegmentFormat.BlockBytes(Header.Length)),
            Range(SegmentPart.RowStarts, (long)entry.FirstRow * sizeof(int), (entry.Rows + 1L) * sizeof(int)),
        };
    }));

    /// <summary>Brings some rows into reach.</summary>
    public async Task NeedRowsAsync(IReadOnlyCollection<int> rows)
    {
        await NeedAsync(rows.Select(row => Range(SegmentPart.RowStarts, (long)row * sizeof(int), 2 * sizeof(int))));
        await NeedAsync(rows.Select(RowRange).Select(range => Range(SegmentPart.Rows, range.Offset, range.Length)));
    }

    public bool TryHold() => _bytes.TryHold();

    public void Release() => _bytes.Release();

    public void Dispose() => _bytes.Dispose();

    // Hashes are spread evenly, so where one stands can be guessed: a few looks instead of a binary search's twenty.
    private static int FirstAtLeast(ReadOnlySpan<ulong> hashes, ulong hash)
    {
        const int NearEnough = 16;
        var (low, high) = (0, hashes.Length);
        while (high - low > NearEnough)
        {
            var (least, most) = (hashes[low], hashes[high - 1]);
            if (hash <= least || hash > most)
            {
                return hash <= least ? low : high;
            }

            // Never at the very ends, so that the range shrinks.
            var guess = low + (int)((high - low) * ((double)(hash - least) / (most - least)));
            guess = Math.Clamp(guess, low + 1, high - 2);
            (low, high) = hashes[guess] < hash ? (guess + 1, high) : (low, guess);
        }

        while (low < high && hashes[low] < hash)
        {
            low++;
        }

        return low;
    }

    // The rows whose ids have a hash: more than one only by accident.
    private ReadOnlySpan<int> RowsOf(ulong hash)
    {
        var hashes = Part<ulong>(SegmentPart.IdHashes);
        var first = FirstAtLeast(hashes, hash);
        var last = first;
        while (last < hashes.Length && hashes[last] == hash)
        {
            last++;
        }

        return Slice<int>(SegmentPart.IdRows, first, last - first);
    }

    private (long Offset, int Length) RowRange(int row)
    {
        var starts = Slice<int>(SegmentPart.RowStarts, row, 2);
        return ((long)starts[0] * SegmentFormat.RowAlignment, checked((starts[1] - starts[0]) * SegmentFormat.RowAlignment));
    }

    private ReadOnlySpan<byte> IdAndFacts(int row, out int idBytes)
    {
        var (offset, length) = RowRange(row);
        var coordinates = Header.Dimension * sizeof(float);
        var bytes = Slice<byte>(SegmentPart.Rows, offset + coordinates, length - coordinates);
        idBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        return bytes[SegmentFormat.RowHeaderBytes..^BinaryPrimitives.ReadUInt16LittleEndian(bytes[sizeof(ushort)..])];
    }

    private (long Offset, long Length) Whole(SegmentPart part) => Header.Parts[(int)part];

    private (long Offset, long Length) Range(SegmentPart part, long offset, long length) => (Header.Parts[(int)part].Offset + offset, length);

    // Where nothing is missing, nobody asks for the ranges.
    private Task NeedAsync(IEnumerable<(long Offset, long Length)> ranges) => _download?.NeedAsync(ranges) ?? Task.CompletedTask;

    // What is not in reach reads as zeros: nobody is to take them for data.
    private void Require(long offset, long length)
    {
        if (_download is { IsWhole: false } && !_download.Has(offset, length))
        {
            throw new InvalidOperationException($"Bytes {offset} to {offset + length} of the segment {Id} were not asked for.");
        }
    }

    private ReadOnlySpan<T> Part<T>(SegmentPart part)
        where T : unmanaged
    {
        var (offset, bytes) = Header.Parts[(int)part];
        Require(offset, bytes);
        return MemoryMarshal.Cast<byte, T>(_bytes.Span(offset, checked((int)bytes)));
    }

    private ReadOnlySpan<T> Slice<T>(SegmentPart part, long first, int count)
        where T : unmanaged
    {
        var size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        Require(Header.Parts[(int)part].Offset + (first * size), (long)count * size);
        return _bytes.Span<T>(Header.Parts[(int)part].Offset + (first * size), count);
    }
}
