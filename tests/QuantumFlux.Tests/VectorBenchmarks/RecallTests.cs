using QuantumFlux.VectorBenchmarks;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.VectorBenchmarks;

public sealed class RecallTests
{
    [Theory]
    [InlineData(Metric.Euclidean)]
    [InlineData(Metric.Cosine)]
    [InlineData(Metric.Dot)]
    public void DistancesOfAnyLengthAreThoseOfTheSlowSum(Metric metric)
    {
        var random = new Random(3);
        for (var length = 1; length < 700; length++)
        {
            var rows = Draw(random, 2, length);

            var exact = Distance.ExactBetween(metric, rows[0], rows[1]);
            var tolerance = 1e-5 * (VectorMath.Dot(rows[0], rows[0]) + VectorMath.Dot(rows[1], rows[1]));
            Assert.True(Math.Abs(Distance.Between(metric, rows[0], rows[1]) - exact) <= tolerance, $"seed 3, length {length}");
        }
    }

    [Theory]
    [InlineData(Metric.Euclidean, 9, 10)]
    [InlineData(Metric.Dot, 9, 1)]
    [InlineData(Metric.Euclidean, 700, 100)]
    [InlineData(Metric.Cosine, 700, 3_000)]
    public void TheTruthIsWhatSortingAllDistancesFinds(Metric metric, int dimensions, int k)
    {
        var random = new Random(5);
        var (rows, queries) = (Draw(random, 3_000, dimensions), Draw(random, 5, dimensions));

        var truth = GroundTruth.Compute(rows, queries, metric, k);

        for (var query = 0; query < queries.Count; query++)
        {
            var sorted = Enumerable.Range(0, rows.Count).Select(row => Distance.ExactBetween(metric, queries[query], rows[row])).Order().Take(k);
            var found = truth.Skip(query * k).Take(k).ToList();
            Assert.Equal(k, found.Distinct().Count());
            Assert.All(found.Zip(sorted), pair => Assert.Equal(pair.Second, Distance.ExactBetween(metric, queries[query], rows[pair.First]), 1e-2));
        }
    }

    [Fact]
    public void TheTruthOfAnotherMetricOrWithTooFewIsNotTaken()
    {
        var random = new Random(6);
        var (rows, queries) = (Draw(random, 400, 8), Draw(random, 30, 8));
        var right = GroundTruth.Compute(rows, queries, Metric.Euclidean, 5);
        var wrong = GroundTruth.Compute(rows, queries, Metric.Dot, 5);

        Assert.Equal(right, GroundTruth.Find(new VectorData(rows, queries, wrong), Metric.Euclidean, 5));
        Assert.Equal(right, GroundTruth.Find(new VectorData(rows, queries, GroundTruth.Compute(rows, queries, Metric.Euclidean, 4)), Metric.Euclidean, 5));
        Assert.Equal(right, GroundTruth.Find(new VectorData(rows, queries, []), Metric.Euclidean, 5));
    }

    [Fact]
    public void TheTruthOfTheFolderIsTakenWhereItIsRight()
    {
        var random = new Random(7);
        var (rows, queries) = (Draw(random, 400, 8), Draw(random, 30, 8));
        var truth = GroundTruth.Compute(rows, queries, Metric.Euclidean, 9);

        // One of the queries that are not looked at.
        (truth[(29 * 9) + 0], truth[(29 * 9) + 1]) = (truth[(29 * 9) + 1], truth[(29 * 9) + 0]);

        Assert.Equal(truth.Chunk(9).SelectMany(row => row.Take(5)), GroundTruth.Find(new VectorData(rows, queries, truth), Metric.Euclidean, 5));
    }

    [Fact]
    public void TheFlatScanFindsAll()
    {
        var random = new Random(8);
        var data = new VectorData(Draw(random, 400, 8), Draw(random, 30, 8), []);
        var recall = new Recall(data, Metric.Dot, 7, GroundTruth.Compute(data.Base, data.Query, Metric.Dot, 7));

        Assert.Equal(1, recall.Of(new FlatScan(data.Base, Metric.Dot).Search, 30));
    }

    [Fact]
    public void AnotherRowThatIsAsNearCountsAndARepeatedOneDoesNot()
    {
        var rows = Rows([0], [1], [1], [2]);
        var data = new VectorData(rows, Rows([0]), []);
        var recall = new Recall(data, Metric.Euclidean, 2, [0, 1]);

        Assert.Equal(1, recall.Of(Answer(2, 0), 1));
        Assert.Equal(0.5, recall.Of(Answer(0, 0), 1));
        Assert.Equal(0.5, recall.Of(Answer(0, 3), 1));
        Assert.Equal(0.5, recall.Of(Answer(1), 1));

        static Search Answer(params int[] answer) => (_, ids) =>
        {
            answer.CopyTo(ids);
            return answer.Length;
        };
    }

    private static VectorRows Draw(Random random, int count, int dimensions)
    {
        var rows = new VectorRows(count, dimensions);
        foreach (ref var value in rows.Values)
        {
            value = (random.NextSingle() * 2) - 1;
        }

        return rows;
    }

    private static VectorRows Rows(params float[][] values)
    {
        var rows = new VectorRows(values.Length, values[0].Length);
        for (var row = 0; row < values.Length; row++)
        {
            values[row].CopyTo(rows[row]);
        }

        return rows;
    }
}
