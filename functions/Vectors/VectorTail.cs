using System.Collections.Concurrent;

namespace QuantumFlux.Vectors;

/// <summary>One change that no segment holds yet.</summary>
/// <param name="sequence">Its place in the log.</param>
/// <param name="change">The change.</param>
/// <param name="previous">The change of the same id before it, by its place in the tail; −1 when there is none.</param>
public sealed class TailRow(long sequence, VectorChange change, int previous)
{
    private MetadataFields? _fields;

    public long Sequence { get; } = sequence;

    public VectorChange Change { get; } = change;

    public int Previous { get; } = previous;

    /// <summary>Whether it is the first change of its id in the tail: what a segment has of the id ends with it.</summary>
    public bool IsFirst => Previous < 0;

    /// <summary>The change of the same id that follows, by its place in the tail; the largest number while there is none.</summary>
    public int Next { get; set; } = int.MaxValue;

    /// <summary>The values of the metadata, read once.</summary>
    public MetadataFields Fields => _fields ??= Change.Vector is { Facts.Metadata: { IsEmpty: false } json } ? MetadataFields.Parse(json.Span).Trim() : MetadataFields.Empty;
}

/// <summary>
/// The changes that no segment holds yet, in the order of the log. It only grows, so those who know how long it was when they looked see one state, whatever
/// has been added since.
/// </summary>
/// <remarks>One writer at a time; any number of readers.</remarks>
public sealed class VectorTail
{
    // On a runtime of 64 bits, what objects say of themselves included: a row, its change, its vector, the facts, the arrays, and its place in the tables.
    private const int RowBytes = 384;
    private const int ContextBytes = 64;

    private readonly ConcurrentDictionary<string, int> _latest = new(StringComparer.Ordinal);
    private volatile TailRow[] _rows = new TailRow[16];

    /// <summary>How many changes there are.</summary>
    public int Count { get; private set; }

    /// <summary>
    /// About how many bytes of memory they take: rows, ids, coordinates, contexts, metadata, and its fields as if a filter had asked for them already, since
    /// they are kept from then on.
    /// </summary>
    public long Bytes { get; private set; }

    /// <summary>A change.</summary>
    public TailRow this[int row] => _rows[row];

    /// <summary>Adds a change.</summary>
    /// <returns>The change of the same id before it; null when there is none in the tail.</returns>
    public TailRow? Add(long sequence, VectorChange change)
    {
        if (Count == _rows.Length)
        {
            var larger = new TailRow[2 * Count];
            _rows.CopyTo(larger, 0);
            _rows = larger;
        }

        var previous = _latest.GetValueOrDefault(change.Id, -1);
        _rows[Count] = new TailRow(sequence, change, previous);
        if (previous >= 0)
        {
            _rows[previous].Next = Count;
        }

        Bytes += BytesOf(change);
        _latest[change.Id] = Count++;
        return previous < 0 ? null : _rows[previous];
    }

    /// <summary>The last change of an id among the first ones; null when it is not among them.</summary>
    /// <param name="id">The id.</param>
    /// <param name="count">How many to look at.</param>
    public TailRow? Find(string id, int count)
    {
        var row = _latest.GetValueOrDefault(id, -1);
        while (row >= count)
        {
            row = _rows[row].Previous;
        }

        return row < 0 ? null : _rows[row];
    }

    /// <summary>Whether a change is a vector that is there, when only the first ones are looked at.</summary>
    public bool IsAlive(int row, int count) => _rows[row] is { Change.Vector: not null } found && found.Next >= count;

    private static long BytesOf(VectorChange change)
    {
        var bytes = RowBytes + ((long)change.Id.Length * sizeof(char));
        if (change.Vector is not { } vector)
        {
            return bytes;
        }

        bytes += (long)vector.Values.Length * sizeof(float);
        foreach (var context in vector.Facts.Contexts)
        {
            bytes += ContextBytes + ((long)context.Name.Length * sizeof(char));
        }

        var metadata = vector.Facts.Metadata;
        return metadata.IsEmpty ? bytes : bytes + metadata.Length + MetadataFields.Measure(metadata.Span).HeapBytes;
    }
}
