namespace QuantumFlux.VectorBenchmarks;

/// <summary>Makes vectors that are hard to search by clusters; the same ones for the same numbers, on one version of .NET.</summary>
/// <param name="Count">How many base vectors.</param>
/// <param name="Dimensions">Of how many dimensions, at least 2.</param>
/// <param name="Queries">How many queries.</param>
/// <param name="Seed">The seed.</param>
/// <remarks>
/// A mixture of √Count clusters in families. A family is a flat through a centre of its own, with a quarter of all dimensions, at most 32; its clusters lie on
/// it, each with spreads of its own along the flat's directions, and a little off it. The largest cluster holds a sixth of 100,000 vectors, and sizes fall as
/// 1 / rank (Zipf). Tight clusters lie apart from all others or inside of a wide one, and wide ones overlap: there the nearest neighbours of a vector lie in
/// several clusters, and a search that visits the nearest clusters first meets some whose vectors are farther than those behind them. One query in five lies
/// between two clusters of a family.
/// </remarks>
public sealed record VectorGenerator(int Count, int Dimensions, int Queries, int Seed)
{
    private const double BetweenClusters = 0.2;

    /// <summary>Writes <c>base.npy</c> and <c>query.npy</c> into a folder, which is made if there is none.</summary>
    /// <exception cref="IOException">A file of that name is there already.</exception>
    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        var random = new Random(Seed);
        var mixture = new VectorMixture(Count, Dimensions, random);
        var vector = new float[Dimensions];
        using (var file = new NpyWriter<float>(Path.Combine(folder, "base.npy"), Count, Dimensions))
        {
            for (var row = 0; row < Count; row++)
            {
                mixture.Draw(mixture.PickCluster(), vector);
                file.Write(vector);
            }
        }

        var other = new float[Dimensions];
        using (var file = new NpyWriter<float>(Path.Combine(folder, "query.npy"), Queries, Dimensions))
        {
            for (var row = 0; row < Queries; row++)
            {
                var cluster = mixture.PickCluster();
                mixture.Draw(cluster, vector);
                if (random.NextDouble() < BetweenClusters)
                {
                    mixture.Draw(mixture.PickSibling(cluster), other);
                    var part = 0.3f + (0.4f * random.NextSingle());
                    for (var index = 0; index < vector.Length; index++)
                    {
                        vector[index] += part * (other[index] - vector[index]);
                    }
                }

                file.Write(vector);
            }
        }
    }
}
