namespace QuantumFlux.VectorBenchmarks;

/// <summary>Contenders side by side at equal recall: of each the fastest setting that reaches a bar, nothing in between settings.</summary>
public sealed class Comparison(IReadOnlyList<Measurement> ours, IReadOnlyList<Measurement> peers)
{
    /// <summary>The recalls at which contenders are compared.</summary>
    public static IReadOnlyList<double> Bars { get; } = [0.90, 0.95, 0.99];

    /// <summary>A contender's fastest setting with at least this recall; null when none has it.</summary>
    public static Measurement? Fastest(IEnumerable<Measurement> measurements, double bar) =>
        measurements.Where(measurement => measurement.Recall >= bar).MaxBy(measurement => measurement.PerSecondP50);

    public void Print(TextWriter output)
    {
        output.WriteLine($"{"Queries/s (1000/p50) at recall of at least",-46}{string.Concat(Bars.Select(bar => $"{bar,-28:F2}"))}{"build s",8}{"B/vector",10}");
        foreach (var contender in Enumerable.Concat(ours, peers).GroupBy(measurement => measurement.Contender))
        {
            var cells = Bars.Select(bar => Fastest(contender, bar) is { } fastest ? $"{fastest.PerSecondP50:F0} ({fastest.Setting})" : "-");
            output.WriteLine($"{contender.Key,-46}{string.Concat(cells.Select(cell => $"{cell,-28}"))}{contender.First().BuildSeconds,8:F1}{contender.First().BytesPerVector,10:F0}");
        }

        if (peers.Count == 0)
        {
            return;
        }

        output.WriteLine();
        output.WriteLine($"{"Ratios of these at recall of at least",-46}{string.Concat(Bars.Select(bar => $"{bar,-10:F2}"))}");
        foreach (var contender in ours.GroupBy(measurement => measurement.Contender))
        {
            foreach (var peer in peers.GroupBy(measurement => measurement.Contender))
            {
                PrintRatios(output, $"{contender.Key} / {peer.Key}", contender, peer);
            }

            PrintRatios(output, $"{contender.Key} / the fastest peer", contender, peers);
        }

        PrintRatios(output, "our fastest / the fastest peer", ours, peers);
    }

    private static void PrintRatios(TextWriter output, string name, IEnumerable<Measurement> ours, IEnumerable<Measurement> peers)
    {
        var ratios = Bars.Select(bar => Fastest(ours, bar)?.PerSecondP50 / Fastest(peers, bar)?.PerSecondP50 is { } ratio ? $"{ratio:F2}" : "-");
        output.WriteLine($"{name,-46}{string.Concat(ratios.Select(ratio => $"{ratio,-10}"))}");
    }
}
