namespace QuantumFlux.Vectors;

/// <summary>Which neighbouring segments, and whether the log's tail behind them, become one new segment.</summary>
/// <param name="First">The first of the segments.</param>
/// <param name="Count">How many; none when the tail becomes one by itself.</param>
/// <param name="HasTail">Whether the tail goes in.</param>
public sealed record SegmentPlan(int First, int Count, bool HasTail)
{
    /// <summary>A segment joins what follows it when it is no more than this many times as large, so that there are few, each larger than all behind it.</summary>
    private const int Ratio = 3;

    /// <summary>A segment is written anew without what is gone when that is more than this part of it.</summary>
    private const double GoneMax = 0.2;

    /// <summary>What to do; null when there is nothing.</summary>
    /// <param name="state">The vectors.</param>
    /// <param name="isTailLong">Whether the tail is to become a segment.</param>
    /// <param name="thresholds">What is worth it.</param>
    public static SegmentPlan? Of(VectorState state, bool isTailLong, VectorThresholds thresholds)
    {
        var segments = state.Segments;
        var first = segments.Count;
        if (isTailLong)
        {
            // Those that the tail, and what joined it already, has grown to.
            var (rows, bytes) = ((long)state.TailAlive, state.Tail.Bytes);
            while (first > 0 && segments[first - 1].Count <= Ratio * rows && bytes + LiveBytes(segments[first - 1]) <= thresholds.MergedBytes)
            {
                first--;
                rows += segments[first].Count;
                bytes += LiveBytes(segments[first]);
            }

            return new SegmentPlan(first, segments.Count - first, HasTail: true);
        }

        for (var index = 0; index < segments.Count; index++)
        {
            var gone = segments[index].Segment.Rows - segments[index].Count;
            if (gone > thresholds.GoneRows && gone > GoneMax * segments[index].Segment.Rows)
            {
                return new SegmentPlan(index, 1, HasTail: false);
            }
        }

        return null;
    }

    /// <summary>What the new segment is to hold.</summary>
    /// <param name="state">The vectors that the plan was made for, held by the caller.</param>
    public SegmentContent Content(VectorState state)
    {
        var replaced = state.Segments.Skip(First).Take(Count).ToList();
        var rows = new List<SegmentRow>();
        foreach (var (segment, alive, _) in replaced)
        {
            foreach (var row in segment.Order)
            {
                if (alive.Contains(row))
                {
                    rows.Add(new SegmentRow(segment, row, null));
                }
            }
        }

        if (HasTail)
        {
            for (var row = 0; row < state.TailCount; row++)
            {
                if (state.Tail.IsAlive(row, state.TailCount))
                {
                    rows.Add(new SegmentRow(null, 0, state.Tail[row].Change.Vector));
                }
            }
        }

        var (dimension, metric) = state.Shape ?? (1, Metric.Cosine);
        var firstSequence = replaced.Count > 0 ? replaced[0].Segment.Header.FirstSequence : state.Manifest.Covered + 1;
        var lastSequence = HasTail ? state.Head.LastSequence : replaced[^1].Segment.Header.LastSequence;
        return new SegmentContent(metric, dimension, rows, GoneRows.Write(state.Segments.Except(replaced)), firstSequence, lastSequence);
    }

    private static long LiveBytes(LiveSegment segment) => segment.Segment.Rows == 0 ? 0 : segment.Segment.Bytes * segment.Count / segment.Segment.Rows;
}
