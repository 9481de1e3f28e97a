using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>
/// Seven dimensions, 1 to 7, are seven places where content can lie: for large content a blob container each, for small content a set of rows,
/// in the main storage account or in one of their own. This keeps count of how well each serves.
/// </summary>
public sealed class Dimensions(TimeProvider time)
{
    /// <summary>The time in which half of what was observed is forgotten: "recent" is some minutes.</summary>
    public static readonly TimeSpan HalfLife = TimeSpan.FromMinutes(5);

    /// <summary>Below this, a dimension is tried after the others.</summary>
    private const double HealthyRatioMin = 0.5;

    private readonly Lock _lock = new();
    private readonly Observed[] _observed = new Observed[StorageAccounts.DimensionMax + 1];

    /// <summary>The route that an entanglement takes when its request names none; from the specification.</summary>
    public static IReadOnlyList<int> DefaultPathway { get; } = [1, 3, 7];

    /// <summary>Where the content of an object lies that is not entangled.</summary>
    public static IReadOnlyList<int> Home { get; } = [1];

    /// <summary>The name of a dimension's blob container.</summary>
    public static string Container(int dimension) => $"dimension-{dimension}";

    /// <summary>Notes that a dimension served.</summary>
    public void Succeeded(int dimension) => Observe(dimension, 1, 0);

    /// <summary>Notes that a dimension did not serve, or did not hold what it should.</summary>
    public void Failed(int dimension) => Observe(dimension, 0, 1);

    /// <summary>The recent success ratio of a pathway's dimensions on this instance, 0 to 1; 1 when nothing has been observed.</summary>
    public double Stability(IReadOnlyList<int> pathway)
    {
        lock (_lock)
        {
            return pathway.Count == 0 ? 1 : pathway.Average(Ratio);
        }
    }

    /// <summary>The dimensions in the order in which to try them: as given, but those that mostly fail last.</summary>
    public IReadOnlyList<int> InOrder(IReadOnlyList<int> dimensions)
    {
        lock (_lock)
        {
            return [.. dimensions.OrderBy(dimension => Ratio(dimension) < HealthyRatioMin)];
        }
    }

    private double Ratio(int dimension)
    {
        var (successes, failures, _) = _observed[dimension];
        return successes + failures == 0 ? 1 : successes / (successes + failures);
    }

    private void Observe(int dimension, double successes, double failures)
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            var (oldSuccesses, oldFailures, at) = _observed[dimension];
            var kept = at == 0 ? 0 : Math.Pow(0.5, Math.Max(0, time.GetElapsedTime(at, now) / HalfLife));
            _observed[dimension] = new Observed((oldSuccesses * kept) + successes, (oldFailures * kept) + failures, now);
        }
    }

    private readonly record struct Observed(double Successes, double Failures, long At);
}
