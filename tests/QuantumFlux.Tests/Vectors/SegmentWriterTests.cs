using System.Numerics;
using QuantumFlux.Vectors;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Vectors;

public sealed class SegmentWriterTests(ITestOutputHelper output)
{
    [Fact]
    public void VectorsThatAreAllAlikeAreNotHeldInMemory()
    {
        const int Rows = 10_000;
        const int Dimension = 1_024;
        const int BytesOfAVector = Dimension * sizeof(float);
        var values = TestVectors.Gauss(new Random(1), Dimension, 1);
        var rows = Enumerable.Range(0, Rows).Select(index => new SegmentRow(null, 0, Vector(index, values))).ToArray();

        // All that the writer allocates, on the one thread that it works on: what it holds at any time cannot be more.
        var before = GC.GetAllocatedBytesForCurrentThread();
        using var bytes = SegmentWriter.Write(new SegmentContent(Metric.Euclidean, Dimension, rows, [], 1, Rows), CancellationToken.None);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        using var segment = new Segment("seg", bytes);
        var sample = Clustering.Count(Rows) * 64L * BytesOfAVector;
        var aVector = (allocated - sample - Clustering.StretchBytes) / Rows;
        output.WriteLine($"{allocated} bytes: beside sample and stretch {aVector} a vector");
        Assert.True(segment.Clusters.ToArray().Max(cluster => cluster.Rows) > Rows * 0.99, "they are not in one cluster");
        Assert.InRange(aVector, 0, BytesOfAVector / 3);
    }

    [Fact]
    public void AClusterThatIsArrangedInStretchesIsSearchedAsAnyOther()
    {
        // A stretch has 1,024 of them, and all that are alike are in one cluster.
        const int Dimension = 4_096;
        const int Alike = 1_100;
        const int Others = 20;
        var random = new Random(2);
        var one = TestVectors.Gauss(random, Dimension, 1);
        var vectors = Enumerable.Range(0, Alike + Others).Select(index => Vector(index, index < Alike ? one : TestVectors.Gauss(random, Dimension, 1))).ToList();
        using var segment = TestVectors.ToSegment(vectors, Metric.Cosine);
        var large = segment.Clusters.ToArray().MaxBy(cluster => cluster.Rows);
        Assert.True(large.Rows > Clustering.StretchBytes / sizeof(float) / Dimension, "a stretch is enough");

        // The middle of vectors that are alike has the code that they have, but for coordinates that lie next to the centre's.
        for (var block = 0; block < large.Blocks; block++)
        {
            var place = (large.FirstBlock + block) % BitCodes.BlockVectors;
            var (code, middle) = (Code(segment.Block(large, block), 0, Dimension), Code(segment.Middles(large.FirstBlock + block - place), place, Dimension));
            Assert.InRange(code.Zip(middle, (a, b) => BitOperations.PopCount((uint)(a ^ b))).Sum(), 0, Dimension / 100);
        }

        Assert.Equal(vectors.Select(vector => vector.Id), segment.Order.ToArray().Select(segment.IdOf));
        Assert.Equal(vectors.Select(vector => vector.Values), segment.Order.ToArray().Select(row => segment.Vector(row).ToArray()));
        foreach (var asked in new[] { one, TestVectors.Gauss(random, Dimension, 1) })
        {
            var query = new QueryVector(Metric.Cosine, asked);
            var expected = vectors.Select(vector => (float)query.Key(vector.Values)).Order().Take(Alike + 10);
            foreach (var find in new Action<SegmentSearch>[] { search => search.FindExactly(), search => search.FindApproximately(SearchReach.Unlimited, Alike + Others) })
            {
                var search = new SegmentSearch(query, [new SearchPart(segment, null, null)], Alike + 10, () => false);
                find(search);
                search.Found(out var ranks);
                Assert.Equal(expected, ranks.ToArray());
            }
        }
    }

    [Theory]
    [InlineData(5_000, 20, 64)]
    [InlineData(20_000, 100, 112)]
    public void ASearchReadsOfAVectorWhatTheReadmeSays(int count, int dimension, int d)
    {
        using var segment = TestVectors.ToSegment(TestVectors.Continuous(3, count, dimension), Metric.Euclidean);

        var clusters = segment.Header.Clusters;
        var bytes = new[] { SegmentPart.Centres, SegmentPart.Clusters, SegmentPart.Middles, SegmentPart.Chunks }.Sum(Bytes);
        var ids = new[] { SegmentPart.RowStarts, SegmentPart.IdHashes, SegmentPart.IdRows, SegmentPart.Order }.Sum(Bytes);
        var expected = (d / 8.0) + 8 + d + 12 + (d / 256.0) + (((3 * d) + 190) / Math.Sqrt(count));
        output.WriteLine($"{bytes / (double)count:F2} bytes a vector, about {expected:F2}");
        Assert.Equal(expected, bytes / (double)count, expected * 0.01);
        Assert.Equal(20, ids / (double)count, 0.01);
        Assert.Equal((clusters * d, clusters * 24), (Bytes(SegmentPart.Centres), Bytes(SegmentPart.Clusters)));

        long Bytes(SegmentPart part) => segment.Header.Parts[(int)part].Bytes;
    }

    private static byte[] Code(ReadOnlySpan<byte> block, int place, int dimension)
    {
        var code = new byte[BitCodes.BlockBytes(dimension) / BitCodes.BlockVectors];
        for (var index = 0; index < code.Length; index++)
        {
            code[index] = block[(index * BitCodes.BlockVectors) + place];
        }

        return code;
    }

    private static StoredVector Vector(int index, float[] values) => new($"id {index}", values, new VectorFacts([], null, TestVectors.Now, TestVectors.Now, default));
}
