using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Vectors of which most are deleted or replaced.</summary>
public sealed class ChurnTests
{
    private const int Count = 8_000;
    private const int Dimension = 24;
    private const int VectorsPerWrite = 500;

    [Fact]
    public async Task HalfOfThemDeletedAndAThirdReplacedTheRestIsFoundAndNothingElseIsKept()
    {
        var time = new SimulatedTime { IsPunctual = true };
        var blobs = new MemoryBlobs(time);
        var storage = new StorageAccounts(new StorageAccount(new MemoryTables(time), blobs), new Dictionary<int, StorageAccount>());
        using var instance = new VectorInstance(storage, new VectorThresholds(), time);
        var vectors = TestVectors.Clustered(1, Count, Dimension);
        var anew = TestVectors.Clustered(2, Count, Dimension);
        var live = new Dictionary<string, StoredVector>();
        var random = new Random(1);
        foreach (var some in vectors.Chunk(VectorsPerWrite))
        {
            await WriteAsync(some, []);
        }

        // In any order, each write of both kinds.
        var order = vectors.Select((_, index) => index).ToArray();
        random.Shuffle(order);
        var deletions = order.Take(Count / 2).Select(index => vectors[index].Id).Chunk(VectorsPerWrite);
        var replacements = order.Skip(Count * 2 / 5).Take(Count * 3 / 10).Select(index => anew[index]).Chunk(VectorsPerWrite * 3 / 5);
        foreach (var (deleted, replaced) in deletions.Zip(replacements))
        {
            await WriteAsync(replaced, deleted);
        }

        while (!await instance.LookAfterAsync(new VectorThresholds().TimerTailRows))
        {
            time.Advance(TimeSpan.FromMinutes(11));
        }

        using var held = await instance.Vectors.HoldAsync(isStrong: true, CancellationToken.None);
        Assert.Equal(live.Count, held.State.Count);
        foreach (var mode in new[] { QueryMode.Precise, QueryMode.Balanced })
        {
            var lost = live.Values.Where(vector => !Finds(held.State, mode, vector)).Select(vector => vector.Id).ToList();
            Assert.True(lost.Count == 0, $"{mode} does not find {lost.Count} of {live.Count}, such as {lost.FirstOrDefault()}");
        }

        // What is kept, against what would be if the vectors had come last.
        using var least = TestVectors.ToSegment([.. live.Values], Metric.Cosine);
        var kept = (await blobs.ListAsync("vectors", "", 5_000, null, CancellationToken.None)).Blobs.Sum(blob => blob.Length);
        Assert.InRange(kept, 1, 1.25 * least.Bytes);

        async Task WriteAsync(IReadOnlyCollection<StoredVector> written, IReadOnlyCollection<string> deleted)
        {
            await instance.ChangeAsync(written, deleted);
            foreach (var vector in written)
            {
                live[vector.Id] = vector;
            }

            foreach (var id in deleted)
            {
                live.Remove(id);
            }

            if (random.Next(3) == 0)
            {
                await instance.LookAfterAsync(new VectorThresholds().TailRows);
            }
        }
    }

    // Another may have the same coordinates.
    private static bool Finds(VectorState state, QueryMode mode, StoredVector vector)
    {
        var query = new VectorQuery(vector.Values, null, mode, false, 1, TimeSpan.MaxValue, null, true, true, true);
        var hits = new VectorSearch(state, query, TestVectors.Now, TimeProvider.System, () => false).Run().Hits;
        return hits.Single().Vector.Values.SequenceEqual(vector.Values);
    }
}
