namespace QuantumFlux.Vectors;

/// <summary>From when on a tenant's vectors are worth looking after, and how they come into reach.</summary>
public sealed record VectorThresholds
{
    /// <summary>From this many changes on, the log's tail becomes a segment: it takes searches more time than they should have.</summary>
    public int TailRows { get; init; } = 2_048;

    /// <summary>So does one of this many bytes of memory.</summary>
    public long TailBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>A tail of this many bytes grows no further before a segment is built of it: writes are refused, so that it fits an instance's memory.</summary>
    public long TailBytesMax { get; init; } = 128L * 1024 * 1024;

    /// <summary>From this many changes on, the timer makes it one: it runs where nobody waits.</summary>
    public int TimerTailRows { get; init; } = 512;

    /// <summary>The largest segment that is merged with others, in bytes: what is built must fit an instance's memory, and its time.</summary>
    public long MergedBytes { get; init; } = 384L * 1024 * 1024;

    /// <summary>So many rows of a segment may be gone before it is written anew without them; and a fifth of it.</summary>
    public int GoneRows { get; init; } = 256;

    /// <summary>A segment of up to so many bytes is brought into reach as a whole: that is one request, and no slower than several for what is needed of it.</summary>
    public long WholeBytes { get; init; } = SegmentDownload.RequestBytesMax;

    /// <summary>In pieces of so many bytes a larger one comes into reach.</summary>
    public int PieceBytes { get; init; } = 4 * 1024;

    /// <summary>Whether a state's tail is so long that it is to become a segment.</summary>
    public bool IsTailLong(VectorState state) => state.TailCount >= TailRows || state.Tail.Bytes >= TailBytes;
}
