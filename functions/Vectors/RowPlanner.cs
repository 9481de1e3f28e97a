using System.Diagnostics;

namespace QuantumFlux.Vectors;

/// <summary>Looks up in an index where the rows of a filter are. Costs two binary searches for each value or bound of the filter, whatever it matches.</summary>
internal readonly ref struct RowPlanner
{
    private readonly ReadOnlySpan<byte> _index;
    private readonly KeyTable _paths;

    public RowPlanner(ReadOnlySpan<byte> index)
    {
        _index = index;
        _paths = new KeyTable(index, new IndexSlice(0, index.Length));
    }

    public RowPlan Plan(Filter filter) => filter switch
    {
        Filter.All all => All(all),
        Filter.Any any => Any(any),
        Filter.Not not => new RowPlan.Not(not, Plan(not.Inner)),
        Filter.Exists exists => Exists(exists, exists.Path),
        Filter.In values => In(values),
        Filter.Range { IsLower: true } range => Range(range, range, null),
        Filter.Range range => Range(range, null, range),
        _ => throw new UnreachableException(),
    };

    // Two bounds on one path are one range when no row has several values there: otherwise another value may be within each.
    private RowPlan.All All(Filter.All all)
    {
        var plans = new List<RowPlan>();
        var open = all.Filters.ToList();
        while (open.Count > 0)
        {
            var filter = open[^1];
            open.RemoveAt(open.Count - 1);
            if (filter is Filter.Range range
                && open.OfType<Filter.Range>().FirstOrDefault(other => IsOtherEnd(range, other)) is { } end
                && !HasSeveral(range.Path))
            {
                open.Remove(end);
                plans.Add(Range(new Filter.All([range, end]), range.IsLower ? range : end, range.IsLower ? end : range));
            }
            else
            {
                plans.Add(Plan(filter));
            }
        }

        return new RowPlan.All(all, plans);
    }

    private RowPlan.Any Any(Filter.Any any)
    {
        var plans = new List<RowPlan>();
        foreach (var filter in any.Filters)
        {
            plans.Add(Plan(filter));
        }

        return new RowPlan.Any(any, plans);
    }

    private RowPlan.Lists Exists(Filter filter, ReadOnlyMemory<byte> path) =>
        new(filter, TryOpen(path, out var field) ? [field.Find([ValueKey.Present]).EqualSlice] : [], []);

    private RowPlan In(Filter.In filter)
    {
        var (sure, doubtful) = (new List<IndexSlice>(), new List<IndexSlice>());
        if (TryOpen(filter.Path, out var field))
        {
            foreach (var value in filter.Values)
            {
                var place = Find(field, value);
                AddTo(sure, place.EqualSlice);
                AddTo(doubtful, place.DoubtfulSlice);
            }
        }

        var lists = new RowPlan.Lists(filter, sure, doubtful);
        return filter.HasNull
            ? new RowPlan.Any(filter, [lists, new RowPlan.Not(new Filter.Not(new Filter.Exists(filter.Path)), Exists(new Filter.Exists(filter.Path), filter.Path))])
            : lists;
    }

    private RowPlan.Lists Range(Filter filter, Filter.Range? lower, Filter.Range? upper)
    {
        var (sure, doubtful) = (new List<IndexSlice>(), new List<IndexSlice>());
        var (path, kind) = ((lower ?? upper)!.Path, (byte)(lower ?? upper)!.Bound.Kind);
        if (!TryOpen(path, out var field))
        {
            return new RowPlan.Lists(filter, [], []);
        }

        // All values of the type lie between its own byte and the next.
        var start = field.Find([kind]).Equal;
        var end = field.Find([(byte)(kind + 1)]).Equal;
        if (lower is not null)
        {
            var place = Find(field, lower.Bound);
            AddTo(doubtful, place.DoubtfulSlice);
            start = lower.Comparison == FilterComparison.GreaterOrEqual ? place.Equal : place.Greater;
        }

        if (upper is not null)
        {
            var place = Find(field, upper.Bound);
            AddTo(doubtful, place.DoubtfulSlice);
            end = upper.Comparison == FilterComparison.LessOrEqual && place.EqualSlice.Length > 0 ? place.Greater : place.Doubtful;
        }

        AddTo(sure, new IndexSlice(start, end - start));
        return new RowPlan.Lists(filter, sure, doubtful);
    }

    private bool TryOpen(ReadOnlyMemory<byte> path, out KeyTable field)
    {
        var place = _paths.Find(path.Span).EqualSlice;
        field = place.Length > 0 ? new KeyTable(_index, place) : default;
        return place.Length > 0;
    }

    private bool HasSeveral(ReadOnlyMemory<byte> path) => TryOpen(path, out var field) && field.Find([ValueKey.Several]).EqualSlice.Length > 0;

    private static bool IsOtherEnd(Filter.Range range, Filter.Range other) =>
        other.IsLower != range.IsLower && other.Bound.Kind == range.Bound.Kind && other.Path.Span.SequenceEqual(range.Path.Span);

    private static KeyPlace Find(KeyTable field, FilterValue value)
    {
        Span<byte> key = stackalloc byte[ValueKey.BytesMax];
        return field.Find(key[..ValueKey.Write(key, value.Kind, value.Number, value.Text.Span)]);
    }

    private static void AddTo(List<IndexSlice> slices, IndexSlice slice)
    {
        if (slice.Length > 0)
        {
            slices.Add(slice);
        }
    }
}
