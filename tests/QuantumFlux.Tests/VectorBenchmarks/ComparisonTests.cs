using System.Globalization;
using QuantumFlux.VectorBenchmarks;

namespace QuantumFlux.Tests.VectorBenchmarks;

public sealed class ComparisonTests
{
    [Fact]
    public void TheFastestSettingThatReachesTheRecallIsTaken()
    {
        var (fast, exact, slow) = (Measured("a", 0.94, 900), Measured("a", 0.95, 500), Measured("a", 0.99, 600));

        Assert.Same(fast, Comparison.Fastest([fast, exact, slow], 0.90));
        Assert.Same(slow, Comparison.Fastest([fast, exact, slow], 0.95));
        Assert.Null(Comparison.Fastest([fast, exact, slow], 0.999));
    }

    [Fact]
    public void RatiosAreToEachPeerAndToTheFastestOfThem()
    {
        var output = new StringWriter(CultureInfo.InvariantCulture);

        new Comparison([Measured("ours", 0.96, 300)], [Measured("slow", 0.99, 100), Measured("fast", 0.91, 600)]).Print(output);

        var ratios = output.ToString().Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(words => words is ["ours", "/", ..]);
        Assert.Equal(["ours / slow 3.00 3.00 -", "ours / fast 0.50 - -", "ours / the fastest peer 0.50 3.00 -"], ratios.Select(words => string.Join(' ', words)));
    }

    [Fact]
    public void ALineOfThePeersIsReadAndAnotherOneRefused()
    {
        const string Line = """{"contender": "faiss Flat", "setting": "exact", "recall": 1.0, "per_second_p50": 26.5, "per_second_mean": 25.5, "p99_milliseconds": 40.5, "queries": 130, "build_seconds": 0.5, "build_processor_seconds": 0.25, "bytes_per_vector": 3136.5, "bytes_are": "serialised"}""";

        Assert.Equal(new Measurement("faiss Flat", "exact", 1, 26.5, 25.5, 40.5, 130, 0.5, 0.25, 3136.5, "serialised"), Measurement.Parse(Line));
        Assert.Throws<InvalidDataException>(() => Measurement.Parse(Line.Replace("\"recall\": 1.0, ", "", StringComparison.Ordinal)));
        Assert.Throws<InvalidDataException>(() => Measurement.Parse("Traceback (most recent call last):"));
    }

    private static Measurement Measured(string contender, double recall, double perSecond) =>
        new(contender, "", recall, perSecond, perSecond, 1, 1, 0, 0, 1, "");
}
