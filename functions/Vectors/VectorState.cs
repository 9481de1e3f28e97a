using System.Text;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>A segment, and which of its vectors are still there.</summary>
/// <param name="Segment">The segment.</param>
/// <param name="Alive">The rows that are; never changed.</param>
/// <param name="Count">How many that is.</param>
public sealed record LiveSegment(Segment Segment, RowSet Alive, int Count)
{
    public static LiveSegment Of(Segment segment, RowSet alive) => new(segment, alive, alive.Count);

    /// <summary>The rows that a search may find; null when it may find all.</summary>
    public RowSet? Rows => Count == Segment.Rows ? null : Alive;
}

/// <summary>
/// All vectors of a tenant as they were after some record of its log: segments, and what was written since. Never changes: a search sees one state from
/// beginning to end, and a transaction whole or not at all.
/// </summary>
/// <param name="Head">The last record, and what an append goes on from.</param>
/// <param name="Manifest">What names the segments.</param>
/// <param name="Segments">The segments, the oldest first.</param>
/// <param name="Tail">What was written since; others may add to it.</param>
/// <param name="TailCount">How much of the tail belongs to this state.</param>
public sealed record VectorState(LogHead Head, VectorManifest Manifest, IReadOnlyList<LiveSegment> Segments, VectorTail Tail, int TailCount)
{
    /// <summary>The state in which there is nothing.</summary>
    public static VectorState Empty { get; } = new(LogHead.None, VectorManifest.None, [], new VectorTail(), 0);

    /// <summary>How many vectors of the tail are there.</summary>
    public int TailAlive { get; private init; }

    /// <summary>How many vectors there are.</summary>
    public int Count => Segments.Sum(segment => segment.Count) + TailAlive;

    /// <summary>The coordinates of each vector, and how they are compared; null while there is none.</summary>
    public (int Dimension, Metric Metric)? Shape { get; private init; }

    /// <summary>The state that segments alone make.</summary>
    /// <param name="manifest">What names them.</param>
    /// <param name="segments">Those that it names, the oldest first.</param>
    public static VectorState Of(VectorManifest manifest, IReadOnlyList<LiveSegment> segments) =>
        new(new LogHead(manifest.Covered, null), manifest, segments, new VectorTail(), 0)
        {
            Shape = segments.LastOrDefault(segment => segment.Count > 0) is { Segment.Header: var header } ? (header.Dimension, header.Metric) : null,
        };

    /// <summary>The state after further records, which follow the last one. Only to be called for the newest state of a tail.</summary>
    /// <returns>The state; settled when all segments are in reach.</returns>
    public VectorState Apply(IEnumerable<(long Sequence, VectorChange Change)> changes, LogHead head)
    {
        var (tailCount, tailAlive, shape) = (TailCount, TailAlive, Shape);
        foreach (var (sequence, change) in changes)
        {
            tailAlive -= Tail.Add(sequence, change) is { Change.Vector: not null } ? 1 : 0;
            tailCount++;
            if (change.Vector is { } vector)
            {
                tailAlive++;
                shape = (vector.Values.Length, change.Metric);
            }
        }

        var applied = this with { Head = head, TailCount = tailCount, TailAlive = tailAlive, Shape = shape };
        return IsWhole ? applied.Settle() : applied;
    }

    /// <summary>The same state with the tail's changes looked up in the segments, whose ids have to be in reach.</summary>
    public VectorState Settle()
    {
        var removed = new Dictionary<int, RowSet>();
        for (var row = LookedUp; row < TailCount; row++)
        {
            if (Tail[row] is { IsFirst: true, Change.Id: var id } && FindInSegments(id) is { } place)
            {
                if (!removed.TryGetValue(place.Segment, out var rows))
                {
                    removed.Add(place.Segment, rows = new RowSet(Segments[place.Segment].Segment.Rows));
                }

                rows.Add(place.Row);
            }
        }

        var segments = removed.Count == 0 ? Segments : [.. Segments.Select((segment, index) => removed.TryGetValue(index, out var rows) ? Without(segment, rows) : segment)];
        foreach (var rows in removed.Values)
        {
            rows.Dispose();
        }

        return this with
        {
            Segments = segments,
            LookedUp = TailCount,
            Shape = TailAlive + segments.Sum(segment => segment.Count) == 0 ? null : Shape,
        };
    }

    /// <summary>The vector of an id; null when there is none.</summary>
    public StoredVector? Find(string id)
    {
        if (Tail.Find(id, TailCount) is { } row)
        {
            return row.Change.Vector;
        }

        return FindInSegments(id) is { } place ? Segments[place.Segment].Segment.Read(place.Row) : null;
    }

    /// <summary>Whether there is a vector of an id.</summary>
    public bool Contains(string id) => Tail.Find(id, TailCount) is { } row ? row.Change.Vector is not null : FindInSegments(id) is not null;

    /// <summary>The changes of the tail that belong to this state.</summary>
    public IEnumerable<TailRow> TailRows()
    {
        for (var row = 0; row < TailCount; row++)
        {
            yield return Tail[row];
        }
    }

    /// <summary>Whether all segments are in reach, as a whole.</summary>
    public bool IsWhole => Segments.All(segment => segment.Segment.IsWhole);

    /// <summary>Whether it can be told of each segment's row whether it is there. If not, rows that the tail replaces or deletes still count.</summary>
    public bool IsSettled => LookedUp == TailCount;

    // How many of the tail's changes have been looked up in the segments.
    private int LookedUp { get; init; }

    /// <summary>Brings all segments into reach, one after the other.</summary>
    public async Task NeedAllAsync()
    {
        foreach (var segment in Segments)
        {
            await segment.Segment.NeedAllAsync();
        }
    }

    /// <summary>Brings into reach what <see cref="Settle"/> looks at.</summary>
    public Task NeedTailIdsAsync() => NeedAsync(TailRows().Skip(LookedUp).Where(row => row.IsFirst).Select(row => row.Change.Id));

    /// <summary>Brings into reach what tells whether there are vectors of some ids, and those that there are.</summary>
    public Task NeedAsync(IEnumerable<string> ids)
    {
        if (IsWhole)
        {
            return Task.CompletedTask;
        }

        var bytes = ids.Select(Encoding.UTF8.GetBytes).ToList();
        return Task.WhenAll(Segments.Select(segment => segment.Segment.NeedIdsAsync(bytes)));
    }

    /// <summary>Brings into reach in which order vectors were written.</summary>
    public Task NeedOrderAsync() => Task.WhenAll(Segments.Select(segment => segment.Segment.NeedOrderAsync()));

    /// <summary>Brings some vectors into reach.</summary>
    public static Task NeedAsync(IEnumerable<SegmentRow> vectors) => Task.WhenAll(
        vectors.Where(vector => vector.Segment is { IsWhole: false }).GroupBy(vector => vector.Segment!).Select(some => some.Key.NeedRowsAsync([.. some.Select(vector => vector.Row)])));

    /// <summary>Whether a segment's row is replaced or deleted by the tail, when that has not been looked up.</summary>
    public bool IsReplaced(SegmentRow row) => !IsSettled && Tail.Find(row.Id, TailCount) is not null;

    /// <summary>Whether some of it can be brought into reach no more, because others have replaced it.</summary>
    public bool IsLost => Segments.Any(segment => segment.Segment.IsLost);

    /// <summary>The vectors in the order in which they were last written: some of them, which are perhaps not in reach yet.</summary>
    /// <param name="skip">How many to leave out.</param>
    /// <param name="take">How many at most.</param>
    public IReadOnlyList<SegmentRow> List(long skip, int take)
    {
        var found = new List<SegmentRow>(take);
        foreach (var (segment, alive, count) in Segments)
        {
            if (skip >= count)
            {
                skip -= count;
                continue;
            }

            // Where nothing is gone, nothing has to be counted.
            var first = count == segment.Rows ? (int)skip : 0;
            skip -= first;
            foreach (var row in segment.Order[first..])
            {
                if (found.Count == take)
                {
                    return found;
                }

                if (alive.Contains(row) && skip-- <= 0)
                {
                    found.Add(new SegmentRow(segment, row, null));
                }
            }

            skip = Math.Max(0, skip);
        }

        for (var row = 0; row < TailCount && found.Count < take; row++)
        {
            if (Tail.IsAlive(row, TailCount) && skip-- <= 0)
            {
                found.Add(new SegmentRow(null, 0, Tail[row].Change.Vector));
            }
        }

        return found;
    }

    /// <summary>Keeps the memory of all segments until <see cref="Release"/>; false when some of it is gone, and none is kept.</summary>
    public bool TryHold()
    {
        for (var index = 0; index < Segments.Count; index++)
        {
            if (!Segments[index].Segment.TryHold())
            {
                while (--index >= 0)
                {
                    Segments[index].Segment.Release();
                }

                return false;
            }
        }

        return true;
    }

    public void Release()
    {
        foreach (var segment in Segments)
        {
            segment.Segment.Release();
        }
    }

    /// <summary>A segment's rows without those that were gone when the newest segment was built.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="newest">The one that was built last of all that the manifest names; it may be the same.</param>
    public static LiveSegment Alive(Segment segment, Segment newest)
    {
        var alive = new RowSet(segment.Rows);
        alive.Fill();
        newest.RemoveGone(segment.Id, alive);
        return LiveSegment.Of(segment, alive);
    }

    private static LiveSegment Without(LiveSegment segment, RowSet rows)
    {
        var alive = new RowSet(segment.Segment.Rows);
        alive.Or(segment.Alive);
        alive.AndNot(rows);
        return LiveSegment.Of(segment.Segment, alive);
    }

    private (int Segment, int Row)? FindInSegments(string id)
    {
        if (Segments.Count == 0)
        {
            return null;
        }

        Span<byte> buffer = stackalloc byte[3 * VectorLimits.IdCharactersMax];
        var bytes = buffer[..Encoding.UTF8.GetBytes(id, buffer)];
        var hash = SegmentFormat.HashId(bytes);
        for (var index = Segments.Count - 1; index >= 0; index--)
        {
            var (segment, alive, count) = Segments[index];
            if (count > 0 && segment.Find(bytes, hash) is var row and >= 0 && alive.Contains(row))
            {
                return (index, row);
            }
        }

        return null;
    }
}
