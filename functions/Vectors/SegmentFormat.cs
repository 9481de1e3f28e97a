using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>The parts of a segment, in the order in which they lie in it, each from a multiple of 64 bytes on.</summary>
public enum SegmentPart
{
    /// <summary>The clusters' centres: of each the rotated coordinates as signed bytes, of which <see cref="ClusterEntry.Scale"/> says what a step stands for.</summary>
    Centres,

    /// <summary>Of each cluster a <see cref="ClusterEntry"/>.</summary>
    Clusters,

    /// <summary>Of other segments the rows that were replaced or deleted before this one was built; see <see cref="GoneRows"/>.</summary>
    Gone,

    /// <summary>
    /// Of each block of 32 vectors the middle, coded against its cluster's centre as a vector is, in blocks of 32 in their turn: the blocks of the first cluster,
    /// then those of the second, without a gap.
    /// </summary>
    Middles,

    /// <summary>
    /// Of each cluster its blocks of 32 vectors (codes of one bit as in <see cref="BitCodes"/>, then for each of the 32 the two numbers of
    /// <see cref="SegmentFormat.BlockBytes"/>), and behind them its rows in bytes: of each the coordinates as signed bytes, then of each a <see cref="RowEntry"/>.
    /// </summary>
    Chunks,

    /// <summary>Where each row begins in <see cref="Rows"/>, and where the last one ends, in steps of 4 bytes: 32 bits each.</summary>
    RowStarts,

    /// <summary>The hashes of all ids in rising order, 64 bits each.</summary>
    IdHashes,

    /// <summary>The row of each hash: 32 bits each.</summary>
    IdRows,

    /// <summary>The rows in the order in which they were written: 32 bits each.</summary>
    Order,

    /// <summary>The contexts; see <see cref="ContextIndex"/>.</summary>
    Contexts,

    /// <summary>The values of metadata; see <c>FieldIndex</c>.</summary>
    Fields,

    /// <summary>
    /// The rows: of each the coordinates as they were sent, in single precision; the length of its id, 16 bits; how many zeros end it, 16 bits; the id in UTF-8;
    /// what <see cref="VectorFacts.Write"/> writes; and the zeros, up to a multiple of <see cref="SegmentFormat.RowAlignment"/>.
    /// </summary>
    Rows,
}

/// <summary>One cluster of a segment.</summary>
/// <param name="FirstRow">Its first row; the next cluster's is where it ends.</param>
/// <param name="Rows">How many rows it has.</param>
/// <param name="FirstBlock">How many blocks the clusters before it have.</param>
/// <param name="FirstUnit">Where its chunk begins in <see cref="SegmentPart.Chunks"/>, in steps of <see cref="SegmentFormat.Alignment"/> bytes.</param>
/// <param name="Scale">What a step of the centre's bytes stands for.</param>
/// <param name="Radius">How far its farthest vector is from the centre.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct ClusterEntry(int FirstRow, int Rows, int FirstBlock, int FirstUnit, float Scale, float Radius)
{
    /// <summary>Where its chunk begins in <see cref="SegmentPart.Chunks"/>, in bytes.</summary>
    public long Offset => (long)FirstUnit * SegmentFormat.Alignment;

    /// <summary>How many blocks of 32 rows it has.</summary>
    public int Blocks => SegmentFormat.Blocks(Rows);
}

/// <summary>
/// What it takes to tell a row's key from its bytes b: cluster's part + <see cref="Base"/> − m × <see cref="Scale"/> × ⟨query, b⟩, where m is 2, or 1 for
/// <see cref="Metric.Dot"/>.
/// </summary>
/// <param name="Base">The part that no query changes.</param>
/// <param name="Scale">What a step of the bytes stands for.</param>
/// <param name="Error">The length of what the bytes miss.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct RowEntry(float Base, float Scale, float Error);

/// <summary>The beginning of a segment: what it is, and where its parts lie.</summary>
public static class SegmentFormat
{
    /// <summary>The bytes of the header. Everything in it is little-endian.</summary>
    public const int HeaderBytes = 512;

    /// <summary>What stands first: "QFV" and the version of the format.</summary>
    public const uint Magic = 0x32564651;

    /// <summary>How many parts there are.</summary>
    public const int Parts = (int)SegmentPart.Rows + 1;

    /// <summary>Parts begin at multiples of this.</summary>
    public const int Alignment = 64;

    /// <summary>Rows begin at multiples of this within their part.</summary>
    public const int RowAlignment = sizeof(float);

    /// <summary>The bytes between a row's coordinates and its id.</summary>
    public const int RowHeaderBytes = 2 * sizeof(ushort);

    /// <summary>The bytes of a block in a chunk: its codes, then 32 numbers A and 32 numbers B in single precision.</summary>
    /// <remarks>A vector's key is about the cluster's part + A + B × the inner product of query and code.</remarks>
    public static int BlockBytes(int length) => BitCodes.BlockBytes(length) + (2 * BitCodes.BlockVectors * sizeof(float));

    /// <summary>How many blocks a number of rows fills.</summary>
    public static int Blocks(int rows) => (rows + BitCodes.BlockVectors - 1) / BitCodes.BlockVectors;

    /// <summary>The bytes of a cluster's chunk.</summary>
    public static long ChunkBytes(int rows, int length) =>
        Align(((long)Blocks(rows) * BlockBytes(length)) + ((long)rows * (length + Marshal.SizeOf<RowEntry>())));

    /// <summary>The next multiple of <see cref="Alignment"/>.</summary>
    public static long Align(long offset) => (offset + Alignment - 1) / Alignment * Alignment;

    /// <summary>A hash of an id's UTF-8 bytes (FNV-1a, with the finish of MurmurHash3 so that all bits count).</summary>
    public static ulong HashId(ReadOnlySpan<byte> id)
    {
        var hash = 14695981039346656037;
        foreach (var part in id)
        {
            hash = (hash ^ part) * 1099511628211;
        }

        hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
        hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
        return hash ^ (hash >> 33);
    }
}

/// <summary>The facts in a segment's header.</summary>
/// <param name="Metric">How its vectors are compared.</param>
/// <param name="Dimension">The coordinates of a vector, as sent.</param>
/// <param name="Rows">How many vectors it holds.</param>
/// <param name="Clusters">How many clusters they form.</param>
/// <param name="FirstSequence">The first record of the log that it covers.</param>
/// <param name="LastSequence">The last one.</param>
/// <param name="Parts">Offset and length of each part in bytes, by <see cref="SegmentPart"/>.</param>
public sealed record SegmentHeader(
    Metric Metric, int Dimension, int Rows, int Clusters, long FirstSequence, long LastSequence, IReadOnlyList<(long Offset, long Bytes)> Parts)
{
    /// <summary>The coordinates of a rotated vector.</summary>
    public int Length { get; } = Rotation.Of(Dimension).Length;

    /// <summary>The bytes of the head: the header, the clusters, and what is gone of other segments.</summary>
    public long HeadBytes => Parts[(int)SegmentPart.Gone].Offset + Parts[(int)SegmentPart.Gone].Bytes;

    /// <summary>The length of the whole segment in bytes.</summary>
    public long TotalBytes => Parts[^1].Offset + Parts[^1].Bytes;

    /// <summary>The header's <see cref="SegmentFormat.HeaderBytes"/> bytes.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[SegmentFormat.HeaderBytes];
        var numbers = MemoryMarshal.Cast<byte, long>(bytes.AsSpan());
        numbers[0] = SegmentFormat.Magic;
        (numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]) = ((long)Metric, Dimension, Rows, Clusters, FirstSequence, LastSequence);
        for (var part = 0; part < Parts.Count; part++)
        {
            (numbers[8 + (2 * part)], numbers[9 + (2 * part)]) = Parts[part];
        }

        return bytes;
    }

    /// <summary>Reads a header.</summary>
    /// <exception cref="InvalidDataException">It is none, or of a later format.</exception>
    public static SegmentHeader Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SegmentFormat.HeaderBytes)
        {
            throw new InvalidDataException("A segment is shorter than its header.");
        }

        var numbers = MemoryMarshal.Cast<byte, long>(bytes);
        if (numbers[0] != SegmentFormat.Magic)
        {
            throw new InvalidDataException("A segment does not begin as segments do.");
        }

        var parts = new (long, long)[SegmentFormat.Parts];
        for (var part = 0; part < parts.Length; part++)
        {
            parts[part] = (numbers[8 + (2 * part)], numbers[9 + (2 * part)]);
        }

        return new SegmentHeader((Metric)numbers[1], (int)numbers[2], (int)numbers[3], (int)numbers[4], numbers[5], numbers[6], parts);
    }
}
