using System.Globalization;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The product's own index: one segment with all vectors, searched in the ways that a query can ask for, and by more parameters than a query has.</summary>
public sealed class SegmentIndex : IDisposable
{
    private static readonly DateTimeOffset _now = DateTimeOffset.UnixEpoch;

    private readonly Metric _metric;
    private readonly int[] _ids;

    /// <summary>Builds the segment.</summary>
    /// <param name="rows">The vectors.</param>
    /// <param name="metric">What near means.</param>
    /// <param name="metadata">The JSON of each vector's metadata; null when there is none.</param>
    public SegmentIndex(VectorRows rows, Metric metric, Func<int, byte[]>? metadata = null)
    {
        _metric = metric;
        var content = new SegmentContent(metric, rows.Dimensions, new Source(rows, metadata), [], 1, rows.Count);
        Segment = new Segment("seg_benchmark", SegmentWriter.Write(content, CancellationToken.None));
        _ids = [.. Enumerable.Range(0, rows.Count).Select(row => int.Parse(Segment.IdOf(row), CultureInfo.InvariantCulture))];
        var alive = new RowSet(rows.Count);
        alive.Fill();
        var info = new SegmentInfo(Segment.Id, 1, rows.Count, rows.Count, Segment.Bytes, Segment.Header.HeadBytes, _now, rows.Count, 1);
        State = VectorState.Of(new VectorManifest([info], null, [], 0, 1, null), [LiveSegment.Of(Segment, alive)]);
    }

    public Segment Segment { get; }

    public VectorState State { get; }

    /// <summary>The bytes that a search keeps in memory: all but what only an answer needs.</summary>
    public long SearchBytes => Bytes(SegmentPart.Centres, SegmentPart.Clusters, SegmentPart.Middles, SegmentPart.Chunks);

    /// <summary>The bytes by which vectors are found by id and listed.</summary>
    public long IdBytes => Bytes(SegmentPart.RowStarts, SegmentPart.IdHashes, SegmentPart.IdRows, SegmentPart.Order);

    /// <summary>The product as a contender: what its modes find.</summary>
    public static Built BuildModes(VectorRows rows, Metric metric)
    {
        var index = new SegmentIndex(rows, metric);
        return new Built(index.SearchBytes, [
            new Setting("balanced", index.Query(QueryMode.Balanced)),
            new Setting("balanced + tunneling", index.Query(QueryMode.Balanced, isTunneling: true)),
            new Setting("exploratory", index.Query(QueryMode.Exploratory)),
            new Setting("precise", index.Query(QueryMode.Precise)),
        ]);
    }

    /// <summary>The product as a contender: how fast it is at any recall.</summary>
    public static Built BuildSearches(VectorRows rows, Metric metric)
    {
        var index = new SegmentIndex(rows, metric);
        var settings =
            from candidates in new[] { 30, 50, 100, 200, 400 }
            from clusters in new[] { 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128 }
            select new Setting($"clusters={clusters} R={candidates}", index.Search(SearchReach.Of(clusters), candidates, 0));
        var tunnels =
            from candidates in new[] { 50, 100, 200 }
            from clusters in new[] { 2, 4, 8, 16, 32 }
            from share in new[] { 0.5, 1 }
            select new Setting($"clusters={clusters} tunnel={share} R={candidates}", index.Search(SearchReach.Of(clusters), candidates, share));
        var stretches =
            from candidates in new[] { 50, 100, 200 }
            from stretch in new[] { 1.1f, 1.2f, 1.3f, 1.5f }
            select new Setting($"stretch={stretch} R={candidates}", index.Search(new SearchReach(4, 64, stretch), candidates, 0));
        var all = new Setting("all codes R=100", index.Search(SearchReach.Unlimited, 100, 0));
        return new Built(index.SearchBytes, [.. settings, .. tunnels, .. stretches, all]);
    }

    /// <summary>A query as the service answers it.</summary>
    public Search Query(QueryMode mode, bool isTunneling = false, Action<long>? onLooked = null) => (query, ids) =>
    {
        var asked = new VectorQuery(query.ToArray(), null, mode, isTunneling, ids.Length, TimeSpan.MaxValue, null, false, false, true);
        var answer = new VectorSearch(State, asked, _now, TimeProvider.System, () => false).Run();
        onLooked?.Invoke(answer.Looked);
        var found = answer.Hits;
        for (var place = 0; place < found.Count; place++)
        {
            ids[place] = int.Parse(found[place].Vector.IdBytes, CultureInfo.InvariantCulture);
        }

        return found.Count;
    };

    /// <summary>A search by its parameters.</summary>
    public Search Search(SearchReach reach, int candidates, double tunnelShare) => (query, ids) => Search(query, ids, reach, candidates, tunnelShare).Count;

    /// <summary>The same, with how many distances it computed.</summary>
    public (int Count, long Looked) Search(ReadOnlySpan<float> query, Span<int> ids, SearchReach reach, int candidates, double tunnelShare)
    {
        var search = new SegmentSearch(new QueryVector(_metric, query.ToArray()), [new SearchPart(Segment, null, null)], ids.Length, () => false);
        search.FindApproximately(reach, candidates);
        if (tunnelShare > 0)
        {
            search.Tunnel(tunnelShare, candidates);
        }

        var found = search.Found(out _);
        for (var place = 0; place < found.Length; place++)
        {
            ids[place] = _ids[found[place].Row];
        }

        return (found.Length, search.Looked);
    }

    public void Dispose() => Segment.Dispose();

    private long Bytes(params SegmentPart[] parts) => parts.Sum(part => Segment.Header.Parts[(int)part].Bytes);

    /// <summary>The vectors as they would come from the log, made when they are asked for.</summary>
    private sealed class Source(VectorRows rows, Func<int, byte[]>? metadata) : IReadOnlyList<SegmentRow>
    {
        public int Count => rows.Count;

        public SegmentRow this[int index] => new(null, 0, new StoredVector(
            index.ToString(CultureInfo.InvariantCulture), rows[index].ToArray(), new VectorFacts([], null, _now, _now, metadata?.Invoke(index) ?? default(ReadOnlyMemory<byte>))));

        public IEnumerator<SegmentRow> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
