using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The vectors of a folder: what is searched, what is asked for, and what is nearest to it.</summary>
/// <param name="Base">The vectors to search in. Their row is their id.</param>
/// <param name="Query">The vectors to search for, of the same dimension.</param>
/// <param name="GroundTruth">
/// What the folder says is nearest: for each query the same number of base rows, nearest first, one query after the other. Empty when it says nothing.
/// </param>
public sealed record VectorData(VectorRows Base, VectorRows Query, int[] GroundTruth)
{
    /// <summary>
    /// Reads <c>base.npy</c>, <c>base.fvecs</c> or <c>NAME_base.fvecs</c>, and the same of <c>query</c>; and of <c>groundtruth</c>, where it is there, the same with
    /// <c>.ivecs</c>.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="metric">For <see cref="Metric.Cosine"/> the vectors are scaled to unit length.</param>
    /// <exception cref="InvalidDataException">A file is missing, there twice, or malformed, or the files do not fit each other.</exception>
    public static VectorData Read(string folder, Metric metric)
    {
        if (!Directory.Exists(folder))
        {
            throw new InvalidDataException($"There is no folder {folder}.");
        }

        var data = new VectorData(ReadVectors(folder, "base"), ReadVectors(folder, "query"), []);
        if (data.Base.Dimensions != data.Query.Dimensions)
        {
            throw new InvalidDataException($"{folder} has base vectors of {data.Base.Dimensions} dimensions and queries of {data.Query.Dimensions}.");
        }

        if (Find(folder, "groundtruth", ".ivecs") is { } path)
        {
            using var file = VectorFile.Open(path);
            data = data with { GroundTruth = file.ReadIds() };
            if (file.Rows != data.Query.Count)
            {
                throw new InvalidDataException($"{path} has {file.Rows} rows for {data.Query.Count} queries.");
            }

            if (data.GroundTruth.Any(id => id < 0 || id >= data.Base.Count))
            {
                throw new InvalidDataException($"{path} names a row that the {data.Base.Count} base vectors do not have.");
            }
        }

        if (metric == Metric.Cosine)
        {
            data.Base.Normalize();
            data.Query.Normalize();
        }

        return data;
    }

    private static VectorRows ReadVectors(string folder, string name)
    {
        using var file = VectorFile.Open(Find(folder, name, ".fvecs") ?? throw new InvalidDataException($"{folder} has no {name}.npy, {name}.fvecs or NAME_{name}.fvecs."));
        return file.ReadVectors();
    }

    private static string? Find(string folder, string name, string extension)
    {
        var found = new[] { $"{name}.npy", $"{name}{extension}", $"*_{name}{extension}" }.SelectMany(pattern => Directory.EnumerateFiles(folder, pattern)).ToList();
        return found.Count < 2
            ? found.FirstOrDefault()
            : throw new InvalidDataException($"{folder} has more than one file of that name: {string.Join(", ", found.Select(Path.GetFileName))}.");
    }
}
