using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Writes the rows nearest to a query, nearest first, as many as there is room for, and returns how many it wrote.</summary>
public delegate int Search(ReadOnlySpan<float> query, Span<int> ids);

/// <summary>A way to search that takes part in the comparison.</summary>
/// <param name="Name">What the tables call it.</param>
/// <param name="Build">Makes it ready to search the rows. What this takes is its build time. The rows stay as they are as long as it is used.</param>
public sealed record Contender(string Name, Func<VectorRows, Metric, Built> Build)
{
    /// <summary>Those of this repository.</summary>
    public static IReadOnlyList<Contender> All { get; } =
    [
        new(FlatScan.Name, FlatScan.Build),
        new("QuantumFlux, its modes", SegmentIndex.BuildModes),
        new("QuantumFlux, by parameters", SegmentIndex.BuildSearches),
    ];
}

/// <summary>A contender that is ready.</summary>
/// <param name="Bytes">All that it keeps to answer, the vectors included if it needs them.</param>
/// <param name="Settings">Its searches, from fast to thorough; each is measured.</param>
public sealed record Built(long Bytes, IReadOnlyList<Setting> Settings);

/// <summary>A search with its parameters.</summary>
/// <param name="Name">The parameters in words.</param>
/// <param name="Search">The search.</param>
public sealed record Setting(string Name, Search Search);
