using System.Buffers;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>A vector that a query found.</summary>
/// <param name="Vector">The vector, to be read while the state is held.</param>
/// <param name="Score">How well it matches; the larger, the better.</param>
/// <param name="Similarity">The same without the weight of a context.</param>
/// <param name="IsCollapsed">Whether it was in the context that the query collapsed to, and its score is weighted by how strongly.</param>
public readonly record struct VectorHit(SegmentRow Vector, double Score, double Similarity, bool IsCollapsed);

/// <summary>What a query found.</summary>
/// <param name="Hits">The vectors, the best first.</param>
/// <param name="QuantumTime">How much of the time went into contexts and tunneling.</param>
/// <param name="IsPartial">Whether time was up before the search was over.</param>
/// <param name="ValidUntil">Until when the same search in the same vectors finds the same; null for ever.</param>
/// <param name="Looked">How many vectors were compared with the query, be it by their codes.</param>
public sealed record VectorHits(IReadOnlyList<VectorHit> Hits, TimeSpan QuantumTime, bool IsPartial, DateTimeOffset? ValidUntil, long Looked)
{
    public static VectorHits None { get; } = new([], TimeSpan.Zero, false, null, 0);
}

/// <summary>Answers a query from a state: from its segments, and from what was written since.</summary>
/// <param name="state">The state, held by the caller.</param>
/// <param name="query">The query.</param>
/// <param name="now">The moment that decides which superpositions are still coherent.</param>
/// <param name="time">Measures.</param>
/// <param name="isOver">Says when time is up.</param>
public sealed class VectorSearch(VectorState state, VectorQuery query, DateTimeOffset now, TimeProvider time, Func<bool> isOver)
{
    // So few vectors are looked at one by one: no slower than choosing clusters, and none is missed.
    private const int ExactRowsMax = 4_096;

    // Behind barriers, half as many vectors again.
    private const double TunnelShare = 0.5;

    private const int CandidatesMin = 96;
    private const int CandidatesPerResult = 6;

    // An exploratory query chooses from so many times what it answers with, and for so many places at most.
    private const int ExploredPerResult = 4;
    private const int ExploredPlacesMax = 100;

    // Looking at the clock takes as long as comparing a short vector.
    private const int RowsBetweenLooks = 64;

    // How much of a choice is a vector's own match; the rest is how little it is like those that were chosen before. So what is least like them comes before
    // what is the same as one of them, as long as it matches more than 4/7 as well as the best.
    private const double OwnShare = 0.7;

    private readonly List<VectorHit> _found = [];
    private readonly List<RowSet> _sets = [];
    private readonly List<float[]> _weights = [];
    private TimeSpan _quantumTime;
    private DateTimeOffset? _validUntil;
    private bool _isPartial;
    private long _looked;
    private int _tailLooked;

    /// <summary>Answers from segments that are in reach as a whole.</summary>
    public VectorHits Run()
    {
        try
        {
            return state.Shape is { } shape ? Run(shape) : VectorHits.None;
        }
        finally
        {
            GiveBack();
        }
    }

    /// <summary>
    /// Answers from segments of which perhaps only the heads are in reach. What the query needs is brought there: for the most common kind the nearest clusters'
    /// codes, and then the coordinates of what they find; for others all there is.
    /// </summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="StorageException">Storage failed.</exception>
    public async Task<VectorHits> RunAsync(CancellationToken cancellationToken)
    {
        if (state.IsWhole && state.IsSettled)
        {
            return Run();
        }

        var isPlain = query is { Context: null, Filter: null, Mode: not QueryMode.Precise, IsTunneling: false };
        if (isPlain
            && state.Segments.Sum(segment => segment.Count) > ExactRowsMax
            && state.Shape is { } shape
            && shape.Dimension == query.Vector.Length
            && state.Segments.All(segment => segment.Count == 0 || (segment.Segment.Header.Dimension, segment.Segment.Header.Metric) == shape)
            && await FindInPartsAsync(shape, cancellationToken) is { } hits)
        {
            return hits;
        }

        await state.NeedAllAsync().WaitAsync(cancellationToken);
        return new VectorSearch(state.Settle(), query, now, time, isOver).Run();
    }

    // Null when the nearest clusters hold too few, or the tail replaces too many of them.
    private async Task<VectorHits?> FindInPartsAsync((int Dimension, Metric Metric) shape, CancellationToken cancellationToken)
    {
        try
        {
            var prepared = new QueryVector(shape.Metric, query.Vector);
            var matching = Matching();
            var parts = Parts(matching);
            var search = new SegmentSearch(prepared, parts, Wanted, isOver);
            var clusters = search.Choose(Reach(parts, parts.Sum(part => part.Rows?.Count ?? part.Segment.Rows))).GroupBy(cluster => cluster.Part, cluster => cluster.Cluster);
            await Task.WhenAll(clusters.Select(some => parts[some.Key].Segment.NeedCodesAsync(some))).WaitAsync(cancellationToken);
            var closest = search.ClosestByCodes(CandidatesOf(Wanted));
            var rows = closest.Select(row => new SegmentRow(parts[row.Part].Segment, row.Row, null)).ToList();
            await VectorState.NeedAsync(rows).WaitAsync(cancellationToken);
            var there = closest.Where((_, index) => !state.IsReplaced(rows[index])).ToList();
            if (there.Count < Wanted)
            {
                return null;
            }

            search.Compare(there);
            Take(search, parts, prepared, 1);
            FindInTail(prepared, matching[^1], Wanted, 1);
            return Hits(prepared.Metric);
        }
        finally
        {
            GiveBack();
        }
    }

    private void GiveBack()
    {
        _sets.ForEach(set => set.Dispose());
        _weights.ForEach(weights => ArrayPool<float>.Shared.Return(weights));
    }

    private VectorHits Run((int Dimension, Metric Metric) shape)
    {
        CheckDimension(shape.Dimension);
        var prepared = new QueryVector(shape.Metric, query.Vector);
        var matching = Matching();
        if (query.Context is not null && Collapse(matching) is { } collapsed)
        {
            Find(prepared, collapsed);
            if (_found.Count(hit => hit.Score > 0) < query.TopK)
            {
                // What is not in the context matches it with weight 0, after all that does.
                Find(prepared, [.. matching.Zip(collapsed, Without)], weight: 0);
            }
        }
        else
        {
            Find(prepared, matching);
        }

        return Hits(prepared.Metric);
    }

    // How many to find: an exploratory query chooses from more than it answers with.
    private int Wanted => query.Mode == QueryMode.Exploratory ? query.TopK * ExploredPerResult : query.TopK;

    private static int CandidatesOf(int count) => Math.Max(CandidatesMin, CandidatesPerResult * count);

    private void CheckDimension(int dimension)
    {
        var faults = new Faults();
        NewVector.CheckDimension(dimension, query.Vector, "vector", faults);
        faults.ThrowIfAny();
    }

    private VectorHits Hits(Metric metric)
    {
        _found.Sort(Compare);
        if (_found.Count > Wanted)
        {
            _found.RemoveRange(Wanted, _found.Count - Wanted);
        }

        var best = query.Mode == QueryMode.Exploratory ? Diversify(_found, metric) : _found;
        return new VectorHits(best, _quantumTime, _isPartial, _validUntil, _looked);
    }

    // The best first; among equals by id, so that the answer is the same each time.
    private static int Compare(VectorHit a, VectorHit b)
    {
        var order = b.Score.CompareTo(a.Score);
        order = order != 0 ? order : b.Similarity.CompareTo(a.Similarity);
        return order != 0 ? order : a.Vector.IdBytes.SequenceCompareTo(b.Vector.IdBytes);
    }

    // All that the filter leaves: of each segment its rows, and of the tail its changes. Nothing more once time is up.
    private List<Candidates> Matching()
    {
        var all = new List<Candidates>();
        foreach (var live in state.Segments)
        {
            var rows = live.Alive;
            if (query.Filter is not null && live.Count > 0)
            {
                if (FieldIndex.Evaluate(query.Filter, live.Segment.Fields, live.Segment.Rows, row => FieldsOf(live.Segment, row), isOver) is { } passing)
                {
                    rows = passing;
                    _sets.Add(rows);
                    rows.And(live.Alive);
                }
                else
                {
                    rows = NewSet(live.Segment.Rows);
                    _isPartial = true;
                }
            }

            all.Add(new Candidates(live.Segment, rows, ReferenceEquals(rows, live.Alive) ? live.Count : rows.Count, null));
        }

        var tail = NewSet(state.TailCount);
        for (var row = 0; row < state.TailCount; row++)
        {
            if (!state.Tail.IsAlive(row, state.TailCount))
            {
                continue;
            }

            // Metadata may be long, and a filter too.
            if (query.Filter is not null && isOver())
            {
                _isPartial = true;
                break;
            }

            if (query.Filter?.Matches(state.Tail[row].Fields) != false)
            {
                tail.Add(row);
            }
        }

        all.Add(new Candidates(null, tail, tail.Count, null));
        return all;
    }

    // Those of the matching that are in the context, with their weights; null when none is.
    private List<Candidates>? Collapse(List<Candidates> matching)
    {
        var began = time.GetTimestamp();
        var all = new List<Candidates>();
        foreach (var candidates in matching)
        {
            var members = NewSet(candidates.Rows.Rows);
            var weights = ArrayPool<float>.Shared.Rent(candidates.Rows.Rows);
            _weights.Add(weights);
            if (candidates.Segment is { } segment)
            {
                foreach (var entry in ContextIndex.Find(segment.Contexts, query.Context!))
                {
                    if (entry.Until > now.UtcTicks && candidates.Rows.Contains(entry.Row))
                    {
                        Add(entry.Row, entry.Weight, entry.Until);
                    }
                }
            }
            else
            {
                foreach (var row in candidates.Rows)
                {
                    var facts = state.Tail[row].Change.Vector!.Facts;
                    if (facts.IsCoherent(now) && facts.Contexts.FirstOrDefault(context => context.Name == query.Context) is { } context)
                    {
                        Add(row, (float)context.Weight, facts.CoherentUntil?.UtcTicks ?? long.MaxValue);
                    }
                }
            }

            all.Add(new Candidates(candidates.Segment, members, members.Count, weights));

            void Add(int row, float weight, long until)
            {
                members.Add(row);
                weights[row] = weight;
                if (until < (_validUntil?.UtcTicks ?? long.MaxValue))
                {
                    _validUntil = new DateTimeOffset(until, TimeSpan.Zero);
                }
            }
        }

        _quantumTime += time.GetElapsedTime(began);
        return all.Any(candidates => candidates.Count > 0) ? all : null;
    }

    private void Find(QueryVector prepared, IReadOnlyList<Candidates> where, double weight = 1)
    {
        var rows = where.Where(candidates => candidates.Segment is not null).Sum(candidates => candidates.Count);
        if (rows > 0)
        {
            var parts = Parts(where);
            var search = new SegmentSearch(prepared, parts, Math.Min(Wanted, rows), isOver);
            if (query.Mode == QueryMode.Precise || rows <= ExactRowsMax)
            {
                search.FindExactly();
            }
            else
            {
                FindApproximately(search, parts, rows);
            }

            Take(search, parts, prepared, weight);
        }

        FindInTail(prepared, where[^1], Wanted, weight);
    }

    private static List<SearchPart> Parts(IEnumerable<Candidates> where) =>
    [
        .. where
            .Where(candidates => candidates is { Segment: not null, Count: > 0 })
            .Select(candidates => new SearchPart(candidates.Segment!, candidates.Count == candidates.Segment!.Rows ? null : candidates.Rows, candidates.Weights)),
    ];

    private void Take(SegmentSearch search, List<SearchPart> parts, QueryVector prepared, double weight)
    {
        _isPartial |= search.IsPartial;
        _looked += search.Looked;
        foreach (var (part, row) in search.Found(out _))
        {
            Add(prepared, new SegmentRow(parts[part].Segment, row, null), parts[part].Weights is not null, weight);
        }
    }

    private void FindApproximately(SegmentSearch search, List<SearchPart> parts, int rows)
    {
        var candidates = CandidatesOf(Wanted);
        search.FindApproximately(Reach(parts, rows), candidates);
        if (query.IsTunneling && !search.IsPartial)
        {
            var began = time.GetTimestamp();
            search.Tunnel(TunnelShare, candidates);
            _quantumTime += time.GetElapsedTime(began);
        }
    }

    private SearchReach Reach(List<SearchPart> parts, int rows)
    {
        if (parts.Any(part => part.Weights is not null))
        {
            // A weight can count for more than nearness.
            return SearchReach.Unlimited;
        }

        // Clusters of which a filter leaves little count for little.
        var left = parts.Sum(part => (double)part.Segment.Rows) / rows;
        var (least, most, stretch) = query.Mode == QueryMode.Exploratory ? (8, 128, 1.6f) : (4, 48, 1.3f);
        return new SearchReach(
            (int)Math.Ceiling((least + (query.TopK / 32)) * left),
            (int)Math.Ceiling((most + (query.TopK / 4)) * left),
            left > 2 ? float.PositiveInfinity : stretch);
    }

    private void FindInTail(QueryVector prepared, Candidates tail, int count, double weight)
    {
        var nearest = new Nearest<int>(Math.Min(count, tail.Count));
        foreach (var row in tail.Rows)
        {
            if (++_tailLooked % RowsBetweenLooks == 0 && isOver())
            {
                _isPartial = true;
                break;
            }

            _looked++;
            var key = prepared.Key(state.Tail[row].Change.Vector!.Values);
            nearest.Add(tail.Weights is { } weights ? (float)(-weights[row] * prepared.Metric.Score(key)) : (float)key, row);
        }

        foreach (var row in nearest.Items)
        {
            Add(prepared, new SegmentRow(null, 0, state.Tail[row].Change.Vector), tail.Weights is not null, weight);
        }
    }

    private void Add(QueryVector prepared, SegmentRow vector, bool isCollapsed, double weight)
    {
        var similarity = prepared.Metric.Score(prepared.Key(vector.Values));
        if (isCollapsed)
        {
            weight = vector.Facts.Contexts.First(context => context.Name == query.Context).Weight;
        }

        // Not −0, which would be written so.
        _found.Add(new VectorHit(vector, weight == 0 ? 0 : weight * similarity, similarity, isCollapsed));
    }

    // Maximal marginal relevance (Carbonell and Goldstein, 1998): the next is the one that matches well and is unlike those before it.
    private List<VectorHit> Diversify(List<VectorHit> best, Metric compared)
    {
        var chosen = new List<VectorHit>();
        if (best.Count == 0)
        {
            return chosen;
        }

        var metric = compared == Metric.Euclidean ? Metric.Euclidean : Metric.Cosine;
        var (least, most) = (best[^1].Score, best[0].Score);
        var left = best.Select(hit => (Hit: hit, Match: most > 0 ? Math.Max(0, hit.Score) / most : most > least ? (hit.Score - least) / (most - least) : 1)).ToList();
        var likeness = new double[best.Count];
        while (chosen.Count < Math.Min(query.TopK, ExploredPlacesMax) && left.Count > 0)
        {
            if (isOver())
            {
                _isPartial = true;
                break;
            }

            // Both are taken relative to the most that there is. Matches are often all close to one another, and likenesses too.
            var widest = 0d;
            for (var other = 0; other < left.Count; other++)
            {
                widest = Math.Max(widest, 1 - likeness[other]);
            }

            var next = 0;
            for (var other = 1; other < left.Count; other++)
            {
                next = Worth(other, widest) > Worth(next, widest) ? other : next;
            }

            var values = left[next].Hit.Vector.Values;
            var divisor = metric.Divisor(values);
            chosen.Add(left[next].Hit);
            left.RemoveAt(next);
            likeness.AsSpan(next + 1).CopyTo(likeness.AsSpan(next));
            for (var other = 0; other < left.Count; other++)
            {
                likeness[other] = Math.Max(likeness[other], metric.Score(metric.Key(values, divisor, left[other].Hit.Vector.Values)));
            }
        }

        chosen.AddRange(left.Take(query.TopK - chosen.Count).Select(item => item.Hit));
        return chosen;

        double Worth(int place, double widest) => (OwnShare * left[place].Match) + (widest > 0 ? (1 - OwnShare) * (1 - likeness[place]) / widest : 0);
    }

    private RowSet NewSet(int rows)
    {
        var set = new RowSet(rows);
        _sets.Add(set);
        return set;
    }

    private Candidates Without(Candidates all, Candidates others)
    {
        var rows = NewSet(all.Rows.Rows);
        rows.Or(all.Rows);
        rows.AndNot(others.Rows);
        return new Candidates(all.Segment, rows, rows.Count, null);
    }

    private static MetadataFields FieldsOf(Segment segment, int row) =>
        segment.Facts(row).Metadata is { IsEmpty: false } metadata ? MetadataFields.Parse(metadata.Span) : MetadataFields.Empty;

    /// <summary>Where to look.</summary>
    /// <param name="Segment">A segment; null means the tail.</param>
    /// <param name="Rows">Its rows, or the tail's changes.</param>
    /// <param name="Count">How many that is.</param>
    /// <param name="Weights">The weight of each of these rows, and anything for others; null when they have none.</param>
    private sealed record Candidates(Segment? Segment, RowSet Rows, int Count, float[]? Weights);
}
