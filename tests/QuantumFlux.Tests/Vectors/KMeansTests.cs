using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class KMeansTests
{
    [Theory]
    [InlineData(1, 1, 8)]
    [InlineData(3, 2, 64)]
    [InlineData(7, 5, 80)]
    [InlineData(501, 37, 64)]
    public void EachVectorIsAssignedToTheNearestCentre(int rows, int count, int length)
    {
        var random = new Random(rows);
        var (vectors, centres) = (VectorMathTests.Vector(random, rows * length), VectorMathTests.Vector(random, count * length));
        var (nearest, distances) = (new int[rows], new float[rows]);

        KMeans.Assign(vectors, length, centres, nearest, distances);

        for (var row = 0; row < rows; row++)
        {
            var all = Enumerable.Range(0, count).Select(centre => ScalarMath.SquaredDistance(Part(vectors, row), Part(centres, centre))).ToList();
            Assert.Equal(all.Min(), all[nearest[row]], all.Min() * 1e-4);
            Assert.Equal(all.Min(), distances[row], all.Max() * 1e-4);
        }

        ReadOnlySpan<float> Part(float[] all, int number) => all.AsSpan(number * length, length);
    }

    [Fact]
    public void ClustersThatLieApartAreFound()
    {
        const int Length = 16;
        var random = new Random(1);
        var middles = Enumerable.Range(0, 5).Select(_ => Enumerable.Range(0, Length).Select(_ => random.NextSingle() * 100).ToArray()).ToArray();
        var sample = Enumerable.Range(0, 1000).SelectMany(row => middles[row % 5].Select(value => value + random.NextSingle())).ToArray();

        // More centres than clusters, so that however they begin each cluster has one.
        var centres = KMeans.Find(sample, Length, 20, new Random(2), CancellationToken.None);
        var (nearest, distances) = (new int[1000], new float[1000]);
        KMeans.Assign(sample, Length, centres, nearest, distances);

        Assert.All(distances, distance => Assert.True(distance < Length));
        Assert.All(nearest.Select((centre, row) => (centre, row)).GroupBy(pair => pair.centre), group => Assert.Single(group.Select(pair => pair.row % 5).Distinct()));
    }

    [Fact]
    public void VectorsThatAreAllAlikeAreOneCluster()
    {
        var centres = KMeans.Find(Enumerable.Repeat(2f, 64 * 16).ToArray(), 16, 4, new Random(1), CancellationToken.None);

        Assert.All(centres, value => Assert.Equal(2, value));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(300)]
    public void BlocksHoldNeighboursAndEveryVectorOnce(int rows)
    {
        const int Length = 32;
        var vectors = VectorMathTests.Vector(new Random(rows), rows * Length);
        var order = Enumerable.Range(0, rows).ToArray();

        BlockOrder.Sort(vectors, Length, order);

        Assert.Equal(Enumerable.Range(0, rows), order.Order());
        if (rows > BitCodes.BlockVectors)
        {
            Assert.True(Spread(order) < 0.97 * Spread([.. Enumerable.Range(0, rows)]), "blocks are no narrower than they were");
        }

        double Spread(int[] all) => all.Chunk(BitCodes.BlockVectors).Sum(block =>
        {
            var mean = new float[Length];
            BlockOrder.Mean(vectors, Length, block, mean);
            return block.Sum(row => (double)ScalarMath.SquaredDistance(vectors.AsSpan(row * Length, Length), mean));
        });
    }
}
