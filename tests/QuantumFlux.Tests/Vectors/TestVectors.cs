using System.Text;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Vectors for tests of segments, made by a seed.</summary>
public static class TestVectors
{
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Vectors around some middles: many around a few, and a few around many; every seventh is the same as the one before.</summary>
    public static List<StoredVector> Clustered(int seed, int count, int dimension)
    {
        var random = new Random(seed);
        var middles = Enumerable.Range(0, 1 + (count / 50)).Select(_ => Gauss(random, dimension, 1)).ToList();
        var vectors = new List<StoredVector>();
        for (var index = 0; index < count; index++)
        {
            var middle = middles[(int)(middles.Count * Math.Pow(random.NextDouble(), 2))];
            var values = index % 7 == 6 ? vectors[^1].Values : Gauss(random, dimension, 0.3).Zip(middle, (offset, value) => offset + value).ToArray();
            vectors.Add(new StoredVector($"id {index}", values, Facts(index, random)));
        }

        return vectors;
    }

    /// <summary>Vectors that vary in few directions, as those of texts and pictures do: whatever clusters they are put into have neighbours all around.</summary>
    public static List<StoredVector> Continuous(int seed, int count, int dimension)
    {
        const int Directions = 10;
        var random = new Random(seed);
        var directions = Enumerable.Range(0, Directions).Select(_ => Gauss(random, dimension, 1)).ToArray();
        return [.. Enumerable.Range(0, count).Select(index =>
        {
            var values = Gauss(random, dimension, 0.05);
            foreach (var (direction, share) in directions.Zip(Gauss(random, Directions, 1)))
            {
                VectorMath.Add(direction, share, values);
            }

            return new StoredVector($"id {index}", values, Facts(index, random));
        })];
    }

    public static float[] Gauss(Random random, int dimension, double spread) =>
        [.. Enumerable.Range(0, dimension).Select(_ => (float)(spread * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    /// <summary>A segment of vectors, in memory.</summary>
    public static Segment ToSegment(IReadOnlyList<StoredVector> vectors, Metric metric) => new("seg", SegmentWriter.Write(
        new SegmentContent(
            metric, vectors.Count == 0 ? 1 : vectors[0].Values.Length, [.. vectors.Select(vector => new SegmentRow(null, 0, vector))], [], 5, 9),
        CancellationToken.None));

    private static VectorFacts Facts(int index, Random random) => new(
        index % 3 == 0 ? [new VectorContext("even", 0.25 + (random.NextDouble() / 2)), new VectorContext($"own {index}", 0.1)] : [],
        index % 6 == 0 ? TimeSpan.FromSeconds(index) : null,
        Now,
        Now.AddTicks(index),
        index % 2 == 0 ? Encoding.UTF8.GetBytes($$"""{"number":{{index}},"group":{{index % 10}}}""") : default(ReadOnlyMemory<byte>));
}
