using QuantumFlux.VectorBenchmarks;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.VectorBenchmarks;

public sealed class VectorDataTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void FilesAreFoundByTheEndOfTheirNames()
    {
        Write("base.npy", [[1f, 2f], [3f, 4f]]);
        File.WriteAllBytes(Path.Combine(_folder, "sift_query.fvecs"), [2, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]);
        File.WriteAllBytes(Path.Combine(_folder, "sift_groundtruth.ivecs"), [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);

        var data = VectorData.Read(_folder, Metric.Euclidean);

        Assert.Equal([1f, 2f, 3f, 4f], data.Base.Values.ToArray());
        Assert.Equal([1f, 2f], data.Query.Values.ToArray());
        Assert.Equal([1, 0], data.GroundTruth);
    }

    [Fact]
    public void VectorsHaveUnitLengthUnderCosine()
    {
        Write("base.npy", [[3f, 4f], [0f, 0f]]);
        Write("query.npy", [[0f, -2f]]);

        var data = VectorData.Read(_folder, Metric.Cosine);

        Assert.Equal([0.6f, 0.8f, 0f, 0f], data.Base.Values.ToArray());
        Assert.Equal([0f, -1f], data.Query.Values.ToArray());
    }

    [Fact]
    public void FilesThatDoNotFitEachOtherAreRefused()
    {
        Write("base.npy", [[1f, 2f]]);
        Refused("has no query.npy");

        Write("query.npy", [[1f, 2f, 3f]]);
        Refused("2 dimensions and queries of 3");

        Write("query.npy", [[1f, 2f]]);
        Write("groundtruth.npy", [[0], [0]]);
        Refused("2 rows for 1 queries");

        Write("groundtruth.npy", [[1]]);
        Refused("names a row");

        Write("groundtruth.npy", [[0]]);
        File.WriteAllBytes(Path.Combine(_folder, "x_base.fvecs"), []);
        Refused("more than one");

        void Refused(string reason) => Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => VectorData.Read(_folder, Metric.Euclidean)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheSameSeedMakesTheSameVectorsAndAnotherOneOthers()
    {
        var folders = new[] { "first", "second", "third" }.Select(name => Path.Combine(_folder, name)).ToArray();
        new VectorGenerator(500, 12, 30, Seed: 4).Write(folders[0]);
        new VectorGenerator(500, 12, 30, Seed: 4).Write(folders[1]);
        new VectorGenerator(500, 12, 30, Seed: 5).Write(folders[2]);

        var data = folders.Select(folder => VectorData.Read(folder, Metric.Euclidean)).ToArray();

        Assert.All(data, made => Assert.Equal((500, 12, 30), (made.Base.Count, made.Base.Dimensions, made.Query.Count)));
        Assert.Equal(data[0].Base.Values.ToArray(), data[1].Base.Values.ToArray());
        Assert.Equal(data[0].Query.Values.ToArray(), data[1].Query.Values.ToArray());
        Assert.NotEqual(data[0].Base.Values.ToArray(), data[2].Base.Values.ToArray());
    }

    private void Write<T>(string name, T[][] rows)
        where T : unmanaged
    {
        File.Delete(Path.Combine(_folder, name));
        using var file = new NpyWriter<T>(Path.Combine(_folder, name), rows.Length, rows[0].Length);
        foreach (var row in rows)
        {
            file.Write(row);
        }
    }
}
