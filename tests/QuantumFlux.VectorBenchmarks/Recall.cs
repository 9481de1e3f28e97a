using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The part of the true k nearest that a search finds, 0 to 1. Another row that is as near as the k-th counts as one of them.</summary>
public sealed class Recall
{
    // Distances that differ by less than this part of the query's squared length are the same to sums of float32.
    private const double RelativeErrorMax = 1e-6;

    private readonly VectorData _data;
    private readonly Metric _metric;
    private readonly int _k;

    // How far away an answer to each query may be.
    private readonly double[] _bounds;

    /// <param name="data">The vectors.</param>
    /// <param name="metric">What near means.</param>
    /// <param name="k">How many neighbours are asked for.</param>
    /// <param name="truth">The true neighbours: <paramref name="k"/> rows for each query, one query after the other.</param>
    public Recall(VectorData data, Metric metric, int k, int[] truth)
    {
        (_data, _metric, _k) = (data, metric, k);
        _bounds = new double[data.Query.Count];
        for (var query = 0; query < _bounds.Length; query++)
        {
            var farthest = truth.Skip(query * k).Take(k).Max(id => DistanceOf(query, id));
            _bounds[query] = farthest + (RelativeErrorMax * VectorMath.Dot(data.Query[query], data.Query[query]));
        }
    }

    /// <summary>The recall over the first queries.</summary>
    public double Of(Search search, int queries) => ByQuery(search, queries).Sum() / ((double)_k * queries);

    /// <summary>How many of the nearest are found of each of the first queries.</summary>
    public int[] ByQuery(Search search, int queries)
    {
        var found = new int[queries];
        var ids = new int[_k];
        for (var query = 0; query < queries; query++)
        {
            var count = search(_data.Query[query], ids);
            found[query] = ids.Take(count).Distinct().Count(id => DistanceOf(query, id) <= _bounds[query]);
        }

        return found;
    }

    private double DistanceOf(int query, int id) => Distance.ExactBetween(_metric, _data.Query[query], _data.Base[id]);
}
