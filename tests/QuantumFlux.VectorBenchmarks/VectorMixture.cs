namespace QuantumFlux.VectorBenchmarks;

/// <summary>A mixture of clusters to draw vectors from, as <see cref="VectorGenerator"/> describes it.</summary>
public sealed class VectorMixture
{
    private const int FlatDimensionsMax = 32;

    // Standard deviations along a direction of the flat, where the centres of a family's clusters have 1.
    private const double SpreadMin = 0.1;
    private const double SpreadMax = 4.0;
    private const float FamilySpread = 0.5f;

    // Off the flat, as a part of the cluster's spread along it.
    private const float Noise = 0.3f;

    private readonly Random _random;
    private readonly Normal _normal;
    private readonly Family[] _families;
    private readonly Cluster[] _clusters;

    // The part of all vectors that lies in this cluster or one before.
    private readonly double[] _parts;

    // A length that is spread over the flat's directions is spread over all dimensions with this factor.
    private readonly float _perDimension;

    /// <param name="count">How many vectors will be drawn; the number of clusters is its square root.</param>
    /// <param name="dimensions">Their dimensions, at least 2.</param>
    /// <param name="random">Where chance comes from, here and in what is drawn.</param>
    public VectorMixture(int count, int dimensions, Random random)
    {
        (_random, _normal) = (random, new Normal(random));
        var flatDimensions = Math.Clamp(dimensions / 4, 2, FlatDimensionsMax);
        _perDimension = MathF.Sqrt((float)flatDimensions / dimensions);
        _clusters = new Cluster[Math.Max(2, (int)Math.Sqrt(count))];
        _families = new Family[Math.Max(1, (int)Math.Sqrt(_clusters.Length))];
        for (var family = 0; family < _families.Length; family++)
        {
            var centre = _normal.Next(dimensions, FamilySpread * _perDimension);

            // Of length 1 and at right angles, nearly.
            var directions = new float[flatDimensions][];
            for (var direction = 0; direction < flatDimensions; direction++)
            {
                directions[direction] = _normal.Next(dimensions, 1 / MathF.Sqrt(dimensions));
            }

            _families[family] = new Family(centre, directions);
        }

        _parts = new double[_clusters.Length];
        var weights = Enumerable.Range(1, _clusters.Length).Sum(rank => 1.0 / rank);
        for (var cluster = 0; cluster < _clusters.Length; cluster++)
        {
            var spread = SpreadMin * Math.Pow(SpreadMax / SpreadMin, random.NextDouble());
            var spreads = new float[flatDimensions];
            foreach (ref var along in spreads.AsSpan())
            {
                along = (float)(spread * (0.3 + (1.4 * random.NextDouble())));
            }

            _clusters[cluster] = new Cluster(_normal.Next(flatDimensions, 1), spreads, (float)spread * Noise * _perDimension);
            _parts[cluster] = (cluster == 0 ? 0 : _parts[cluster - 1]) + (1 / (weights * (cluster + 1)));
        }
    }

    /// <summary>A cluster, as likely as it is large.</summary>
    public int PickCluster()
    {
        var place = Array.BinarySearch(_parts, _random.NextDouble());
        return Math.Min(place < 0 ? ~place : place, _clusters.Length - 1);
    }

    /// <summary>Another cluster of the same family, each equally likely, or the same one.</summary>
    public int PickSibling(int cluster)
    {
        var first = cluster % _families.Length;
        return first + (_families.Length * _random.Next((_clusters.Length - first + _families.Length - 1) / _families.Length));
    }

    /// <summary>A vector of a cluster.</summary>
    public void Draw(int cluster, Span<float> vector)
    {
        var family = _families[cluster % _families.Length];
        for (var index = 0; index < vector.Length; index++)
        {
            vector[index] = family.Centre[index] + (_normal.Next() * _clusters[cluster].Noise);
        }

        for (var direction = 0; direction < family.Directions.Length; direction++)
        {
            var along = _clusters[cluster].Centre[direction] + (_normal.Next() * _clusters[cluster].Spreads[direction]);
            var values = family.Directions[direction];
            for (var index = 0; index < vector.Length; index++)
            {
                vector[index] += along * values[index];
            }
        }
    }

    // A flat through a centre.
    private sealed record Family(float[] Centre, float[][] Directions);

    // On the flat of the family whose number is this one's modulo the number of families.
    private sealed record Cluster(float[] Centre, float[] Spreads, float Noise);
}
