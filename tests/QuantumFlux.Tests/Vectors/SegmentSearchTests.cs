using QuantumFlux.Vectors;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Vectors;

public sealed class SegmentSearchTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(Metric.Cosine)]
    [InlineData(Metric.Dot)]
    [InlineData(Metric.Euclidean)]
    public void AnExactSearchFindsWhatComparingAllFinds(Metric metric)
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var random = new Random(seed);
            var (count, dimension) = (random.Next(1, 3000), random.Next(1, 100));
            var vectors = TestVectors.Clustered(seed, count, dimension);
            using var segment = TestVectors.ToSegment(vectors, metric);
            var rows = random.Next(2) == 0 ? null : Some(random, count);
            var weights = random.Next(3) > 0 ? null : Enumerable.Range(0, count).Select(_ => random.NextSingle()).ToArray();
            var query = new QueryVector(metric, random.Next(4) == 0 ? vectors[random.Next(count)].Values : TestVectors.Gauss(random, dimension, 1));
            var wanted = random.Next(1, 50);

            var search = new SegmentSearch(query, [new SearchPart(segment, rows, weights)], wanted, () => false);
            search.FindExactly();
            var found = search.Found(out var ranks);

            var expected = Ranks(query, segment, rows, weights).Order().Take(wanted).ToArray();
            Assert.True(expected.Length == found.Length, $"seed {seed}: {found.Length} instead of {expected.Length}");
            for (var place = 0; place < found.Length; place++)
            {
                Assert.True(expected[place] == ranks[place], $"seed {seed}, place {place}: {ranks[place]} instead of {expected[place]}");
            }

            Assert.Equal(found.Length, found.ToArray().Distinct().Count());
            Assert.All(found.ToArray(), row => Assert.True(rows?.Contains(row.Row) ?? true));
        }
    }

    [Fact]
    public void AnExactSearchFindsWhatIsInSeveralSegments()
    {
        var vectors = TestVectors.Clustered(5, 4000, 24);
        using var first = TestVectors.ToSegment(vectors[..1000], Metric.Euclidean);
        using var second = TestVectors.ToSegment(vectors[1000..], Metric.Euclidean);
        var query = new QueryVector(Metric.Euclidean, vectors[77].Values);

        var search = new SegmentSearch(query, [new SearchPart(first, null, null), new SearchPart(second, null, null)], 20, () => false);
        search.FindExactly();
        search.Found(out var ranks);

        Assert.Equal(vectors.Select(vector => (float)query.Key(vector.Values)).Order().Take(20), ranks.ToArray());
    }

    [Theory]
    [InlineData(Metric.Cosine)]
    [InlineData(Metric.Dot)]
    [InlineData(Metric.Euclidean)]
    public void AnApproximateSearchFindsMost(Metric metric)
    {
        using var questions = new Questions(metric, TestVectors.Clustered(11, Questions.Rows, 48));

        var few = questions.Ask(search => search.FindApproximately(SearchReach.Of(4), 100));
        var more = questions.Ask(search => search.FindApproximately(SearchReach.Of(16), 100));
        var all = questions.Ask(search => search.FindApproximately(SearchReach.Unlimited, 100));

        output.WriteLine($"{few}, {more}, {all}");
        Assert.InRange(few.Recall, 0.5, 1);
        Assert.InRange(more.Recall, Math.Max(few.Recall, 0.9), 1);
        Assert.InRange(all.Recall, Math.Max(more.Recall, 0.99), 1);
        Assert.Equal(Questions.Rows, all.Looked);
        Assert.True(few.Looked < Questions.Rows / 5 && more.Looked < Questions.Rows / 2, $"{few.Looked} and {more.Looked} vectors were looked at");
    }

    [Fact]
    public void TunnelingFindsMoreThanAsMuchWorkInFurtherClustersWouldAndLosesNothing()
    {
        using var questions = new Questions(Metric.Euclidean, TestVectors.Continuous(12, Questions.Rows, 48));
        var plain = Enumerable.Range(1, 30).Select(clusters => questions.Ask(search => search.FindApproximately(SearchReach.Of(clusters), 100))).ToList();
        foreach (var clusters in new[] { 2, 4, 8 })
        {
            var tunneled = questions.Ask(search =>
            {
                search.FindApproximately(SearchReach.Of(clusters), 100);
                search.Tunnel(0.5, 100);
            });

            var next = plain.FindIndex(other => other.Looked >= tunneled.Looked);
            var (less, more) = (plain[next - 1], plain[next]);
            var equal = less.Recall + ((more.Recall - less.Recall) * (tunneled.Looked - less.Looked) / (more.Looked - less.Looked));
            output.WriteLine($"{clusters} clusters: {plain[clusters - 1]}, tunneled {tunneled}, where further clusters would have {equal:F3}");
            Assert.True(tunneled.Looked <= plain[clusters - 1].Looked * 1.6);
            Assert.True(tunneled.Recall > equal, $"{tunneled} is no more than {equal:F3}");
            Assert.All(tunneled.Distances.Zip(plain[clusters - 1].Distances), pair => Assert.True(pair.First <= pair.Second));
        }
    }

    [Fact]
    public void TheSameQueryTunnelsTheSameWay()
    {
        var vectors = TestVectors.Clustered(13, 5_000, 32);
        using var segment = TestVectors.ToSegment(vectors, Metric.Cosine);

        Assert.Equal(Once(), Once());

        FoundRow[] Once()
        {
            var search = new SegmentSearch(new QueryVector(Metric.Cosine, vectors[3].Values), [new SearchPart(segment, null, null)], 10, () => false);
            search.FindApproximately(SearchReach.Of(1), 50);
            search.Tunnel(1, 50);
            return search.Found(out _).ToArray();
        }
    }

    [Fact]
    public void ASearchWhoseTimeIsUpSaysSo()
    {
        var vectors = TestVectors.Clustered(14, 5_000, 8);
        using var segment = TestVectors.ToSegment(vectors, Metric.Cosine);
        var looks = 0;

        var search = new SegmentSearch(new QueryVector(Metric.Cosine, vectors[0].Values), [new SearchPart(segment, null, null)], 10, () => ++looks > 3);
        search.FindExactly();

        Assert.True(search.IsPartial);
        Assert.Equal(10, search.Found(out _).Length);
        Assert.True(search.Looked < 5_000);
    }

    [Fact]
    public void OnlyWhatMayBeFoundIsFoundAndLookedAt()
    {
        var vectors = TestVectors.Clustered(15, 10_000, 16);
        using var segment = TestVectors.ToSegment(vectors, Metric.Euclidean);
        var rows = Some(new Random(1), 10_000, 100);
        var query = new QueryVector(Metric.Euclidean, vectors[9].Values);

        foreach (var find in new Action<SegmentSearch>[] { search => search.FindExactly(), search => search.FindApproximately(SearchReach.Unlimited, 100) })
        {
            var search = new SegmentSearch(query, [new SearchPart(segment, rows, null)], 10, () => false);
            find(search);
            search.Found(out var ranks);

            Assert.Equal(Ranks(query, segment, rows, null).Order().Take(10), ranks.ToArray());
            Assert.InRange(search.Looked, 10, rows.Count);
        }
    }

    [Fact]
    public void HugeAndTinyCoordinatesAreComparedExactly()
    {
        foreach (var scale in new[] { 1e15f, 1e-20f, 1f })
        {
            var random = new Random(8);
            var vectors = Enumerable.Range(0, 500)
                .Select(index => new StoredVector($"{index}", [.. TestVectors.Gauss(random, 10, 0.2).Select(value => value * scale)], new VectorFacts([], null, default, default, default)))
                .ToList();
            foreach (var metric in Enum.GetValues<Metric>())
            {
                using var segment = TestVectors.ToSegment(vectors, metric);
                var query = new QueryVector(metric, vectors[3].Values);
                var search = new SegmentSearch(query, [new SearchPart(segment, null, null)], 5, () => false);
                search.FindExactly();
                search.Found(out var ranks);

                Assert.Equal(Ranks(query, segment, null, null).Order().Take(5), ranks.ToArray());
            }
        }
    }

    private static List<float> Ranks(QueryVector query, Segment segment, RowSet? rows, float[]? weights)
    {
        var ranks = new List<float>();
        for (var row = 0; row < segment.Rows; row++)
        {
            if (rows?.Contains(row) ?? true)
            {
                var key = (float)query.Key(segment.Vector(row));
                ranks.Add(weights is null ? key : -weights[row] * (float)query.Metric.Score(key));
            }
        }

        return ranks;
    }

    private static RowSet Some(Random random, int count, int? some = null)
    {
        var rows = new RowSet(count);
        var wanted = some ?? random.Next(count + 1);
        for (var index = 0; index < wanted; index++)
        {
            rows.Add(random.Next(count));
        }

        return rows;
    }

    /// <summary>Queries to a segment, and the distances within which their nearest lie.</summary>
    private sealed class Questions : IDisposable
    {
        public const int Rows = 20_000;

        private const int Count = 50;
        private const int Wanted = 10;

        private readonly Segment _segment;
        private readonly List<(QueryVector Query, float Farthest)> _queries = [];

        public Questions(Metric metric, List<StoredVector> vectors)
        {
            _segment = TestVectors.ToSegment(vectors, metric);
            var random = new Random(99);
            for (var number = 0; number < Count; number++)
            {
                var middle = vectors[random.Next(vectors.Count)].Values;
                var query = new QueryVector(metric, [.. TestVectors.Gauss(random, middle.Length, 0.2).Zip(middle, (offset, value) => offset + value)]);
                _queries.Add((query, Ranks(query, _segment, null, null).Order().ElementAt(Wanted - 1)));
            }
        }

        public Outcome Ask(Action<SegmentSearch> find)
        {
            var (found, looked, distances) = (0, 0L, new List<float>());
            foreach (var (query, farthest) in _queries)
            {
                var search = new SegmentSearch(query, [new SearchPart(_segment, null, null)], Wanted, () => false);
                find(search);
                search.Found(out var ranks);
                foreach (var rank in ranks)
                {
                    found += rank <= farthest ? 1 : 0;
                }

                looked += search.Looked;
                distances.Add(ranks[^1]);
            }

            return new Outcome(found / (double)(Count * Wanted), looked / Count, distances);
        }

        public void Dispose() => _segment.Dispose();
    }

    private sealed record Outcome(double Recall, long Looked, IReadOnlyList<float> Distances)
    {
        public override string ToString() => $"recall {Recall:F3} for {Looked} vectors";
    }
}
