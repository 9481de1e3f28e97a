using System.Text;
using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>A vector that a query found.</summary>
/// <param name="Vector">The vector.</param>
/// <param name="Score">How well it matches; the larger, the better.</param>
/// <param name="IsCollapsed">Whether it was in the context that the query collapsed to, and its score is weighted by how strongly.</param>
public sealed record VectorHit(StoredVector Vector, double Score, bool IsCollapsed);

/// <summary>What a query found.</summary>
/// <param name="Hits">The vectors, the best first.</param>
/// <param name="QuantumTime">How much of the time went into contexts and tunneling.</param>
/// <param name="IsPartial">Whether time was up before the search was over.</param>
/// <param name="ValidUntil">Until when the same search in the same vectors finds the same; null for ever.</param>
public sealed record VectorHits(IReadOnlyList<VectorHit> Hits, TimeSpan QuantumTime, bool IsPartial, DateTimeOffset? ValidUntil)
{
    public static VectorHits None { get; } = new([], TimeSpan.Zero, false, null);
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

    private readonly List<Found> _found = [];
    private TimeSpan _quantumTime;
    private DateTimeOffset? _validUntil;
    private bool _isPartial;

    public VectorHits Run()
    {
        if (state.Shape is not { } shape)
        {
            return VectorHits.None;
        }

        var faults = new Faults();
        NewVector.CheckDimension(shape.Dimension, query.Vector, "vector", faults);
        faults.ThrowIfAny();

        var prepared = new QueryVector(shape.Metric, query.Vector);
        var matching = Matching();
        if (query.Context is not null && Collapse(matching) is { } collapsed)
        {
            Find(prepared, collapsed);
            if (_found.Count(found => found.Score > 0) < query.TopK)
            {
                // What is not in the context matches it with weight 0, after all that does.
                Find(prepared, [.. matching.Zip(collapsed, (all, members) => all.Without(members))], weight: 0);
            }
        }
        else
        {
            Find(prepared, matching);
        }

        var best = _found
            .OrderByDescending(found => found.Score)
            .ThenByDescending(found => found.Similarity)
            .ThenBy(found => found.Vector.Id, StringComparer.Ordinal)
            .Take(query.Mode == QueryMode.Exploratory ? query.TopK * ExploredPerResult : query.TopK)
            .ToList();
        if (query.Mode == QueryMode.Exploratory)
        {
            best = Diversify(best, prepared);
        }

        return new VectorHits(
            [.. best.Select(found => new VectorHit(found.Vector, found.Score, found.IsCollapsed))], _quantumTime, _isPartial, _validUntil);
    }

    // All that the filter leaves: of each segment its rows, and of the tail its changes.
    private List<Candidates> Matching()
    {
        var all = new List<Candidates>();
        foreach (var live in state.Segments)
        {
            var rows = live.Alive;
            if (query.Filter is not null && live.Count > 0)
            {
                rows = FieldIndex.Evaluate(query.Filter, live.Segment.Fields, live.Segment.Rows, row => FieldsOf(live.Segment, row));
                rows.And(live.Alive);
            }

            all.Add(new Candidates(live.Segment, rows, ReferenceEquals(rows, live.Alive) ? live.Count : rows.Count, null));
        }

        var tail = new RowSet(state.TailCount);
        for (var row = 0; row < state.TailCount; row++)
        {
            if (state.Tail.IsAlive(row, state.TailCount) && query.Filter?.Matches(state.Tail[row].Fields) != false)
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
            var members = new RowSet(candidates.Rows.Rows);
            var weights = new float[candidates.Rows.Rows];
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
        var count = query.Mode == QueryMode.Exploratory ? query.TopK * ExploredPerResult : query.TopK;
        var inSegments = where.Where(candidates => candidates is { Segment: not null, Count: > 0 }).ToList();
        var rows = inSegments.Sum(candidates => candidates.Count);
        if (rows > 0)
        {
            var parts = inSegments
                .Select(candidates => new SearchPart(candidates.Segment!, candidates.Count == candidates.Segment!.Rows ? null : candidates.Rows, candidates.Weights))
                .ToList();
            var search = new SegmentSearch(prepared, parts, Math.Min(count, rows), isOver);
            if (query.Mode == QueryMode.Precise || rows <= ExactRowsMax)
            {
                search.FindExactly();
            }
            else
            {
                FindApproximately(search, parts, rows, count);
            }

            _isPartial |= search.IsPartial;
            foreach (var (part, row) in search.Found(out _))
            {
                Add(prepared, parts[part].Segment.Read(row), parts[part].Weights is not null, weight);
            }
        }

        FindInTail(prepared, where[^1], count, weight);
    }

    private void FindApproximately(SegmentSearch search, List<SearchPart> parts, int rows, int count)
    {
        var candidates = Math.Max(CandidatesMin, CandidatesPerResult * count);
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
            if (row % RowsBetweenLooks == 0 && isOver())
            {
                _isPartial = true;
                break;
            }

            var key = prepared.Key(state.Tail[row].Change.Vector!.Values);
            nearest.Add(tail.Weights is { } weights ? (float)(-weights[row] * prepared.Metric.Score(key)) : (float)key, row);
        }

        foreach (var row in nearest.Items)
        {
            Add(prepared, state.Tail[row].Change.Vector!, tail.Weights is not null, weight);
        }
    }

    private void Add(QueryVector prepared, StoredVector vector, bool isCollapsed, double weight)
    {
        var similarity = prepared.Metric.Score(prepared.Key(vector.Values));
        if (isCollapsed)
        {
            weight = vector.Facts.Contexts.First(context => context.Name == query.Context).Weight;
        }

        // Not −0, which would be written so.
        _found.Add(new Found(vector, weight == 0 ? 0 : weight * similarity, similarity, isCollapsed));
    }

    // Maximal marginal relevance (Carbonell and Goldstein, 1998): the next is the one that matches well and is unlike those before it.
    private List<Found> Diversify(List<Found> best, QueryVector prepared)
    {
        var chosen = new List<Found>();
        if (best.Count == 0)
        {
            return chosen;
        }

        var metric = prepared.Metric == Metric.Euclidean ? Metric.Euclidean : Metric.Cosine;
        var (least, most) = (best[^1].Score, best[0].Score);
        var likeness = new double[best.Count];
        var left = best.Select((found, index) => (found, index)).ToList();
        while (chosen.Count < Math.Min(query.TopK, ExploredPlacesMax) && left.Count > 0)
        {
            // Both are taken relative to the most that there is. Matches are often all close to one another, and likenesses too.
            var widest = left.Max(item => 1 - likeness[item.index]);
            var next = left.MaxBy(item => (OwnShare * Match(item.found)) + (widest > 0 ? (1 - OwnShare) * (1 - likeness[item.index]) / widest : 0));
            left.Remove(next);
            chosen.Add(next.found);
            var values = next.found.Vector.Values;
            var divisor = metric.Divisor(values);
            foreach (var (found, index) in left)
            {
                likeness[index] = Math.Max(likeness[index], metric.Score(metric.Key(values, divisor, found.Vector.Values)));
            }
        }

        chosen.AddRange(left.Take(query.TopK - chosen.Count).Select(item => item.found));
        return chosen;

        double Match(Found found) => most > 0 ? Math.Max(0, found.Score) / most : most > least ? (found.Score - least) / (most - least) : 1;
    }

    private static MetadataFields FieldsOf(Segment segment, int row) =>
        segment.Facts(row).Metadata is { IsEmpty: false } metadata ? MetadataFields.Parse(metadata.Span) : MetadataFields.Empty;

    private sealed record Found(StoredVector Vector, double Score, double Similarity, bool IsCollapsed);

    /// <summary>Where to look.</summary>
    /// <param name="Segment">A segment; null means the tail.</param>
    /// <param name="Rows">Its rows, or the tail's changes.</param>
    /// <param name="Count">How many that is.</param>
    /// <param name="Weights">Their weights; null when they have none.</param>
    private sealed record Candidates(Segment? Segment, RowSet Rows, int Count, float[]? Weights)
    {
        public Candidates Without(Candidates others)
        {
            var rows = new RowSet(Rows.Rows);
            rows.Or(Rows);
            rows.AndNot(others.Rows);
            return new Candidates(Segment, rows, rows.Count, null);
        }
    }
}
