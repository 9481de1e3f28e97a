using QuantumFlux.Api;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>What instances do while segments come, go, and fail to.</summary>
public sealed class UpkeepTests : IDisposable
{
    private const int Dimension = 16;
    private const int VectorsPerWrite = 500;

    private static readonly VectorThresholds _thresholds = new() { WholeBytes = 0, PieceBytes = 512 };

    private readonly SimulatedTime _time = new() { IsPunctual = true };
    private readonly StorageAccounts _storage;
    private readonly VectorInstance _one;
    private MemoryHook? _hook;

    public UpkeepTests()
    {
        MemoryHook hook = (operation, moment) => _hook is null ? ValueTask.FromResult(MemoryFault.None) : _hook(operation, moment);
        _storage = new StorageAccounts(new StorageAccount(new MemoryTables(_time, hook), new MemoryBlobs(_time, hook)), new Dictionary<int, StorageAccount>());
        _one = Open(_thresholds);
    }

    public void Dispose() => _one.Dispose();

    [Fact]
    public async Task AnInstanceWhoseSegmentIsGoneReadsWhatReplacedIt()
    {
        var vectors = TestVectors.Clustered(1, 6_000, Dimension);
        await WriteAsync(vectors);
        await _one.LookAfterAsync(1);
        using var other = Open(_thresholds);
        Assert.NotNull(await FindAsync(other, vectors[1].Id));

        await WriteAsync([.. vectors.Skip(3_000)]);
        while (!await _one.LookAfterAsync(1))
        {
            _time.Advance(TimeSpan.FromMinutes(11));
        }

        // By looks of another kind than those before, so that they need what is not in reach.
        await other.ChangeAsync([], [vectors[2].Id]);
        Assert.Null(await FindAsync(other, vectors[2].Id));
        Assert.Equal(vectors[2_500].Values, (await FindAsync(other, vectors[2_500].Id))!.Values);
        var query = Query(vectors[1_000].Values);
        Assert.Equal(vectors[1_000].Values, await other.Vectors.LookAsync(true, false, (state, _) => BestAsync(state, query), CancellationToken.None));
    }

    [Fact]
    public async Task AColdQueryKnowsThatTheVectorsAreOfAnotherKindNow()
    {
        var vectors = TestVectors.Clustered(1, 6_000, Dimension);
        await WriteAsync(vectors);
        await _one.LookAfterAsync(1);
        var next = TestVectors.Clustered(2, 10, 2 * Dimension);
        foreach (var some in vectors.Chunk(VectorsPerWrite))
        {
            await _one.ChangeAsync([], [.. some.Select(vector => vector.Id)]);
        }

        await WriteAsync(next);
        using var cold = Open(_thresholds);

        var query = Query(next[3].Values);
        Assert.Equal(next[3].Values, await cold.Vectors.LookAsync(true, false, (state, _) => BestAsync(state, query), CancellationToken.None));
    }

    [Fact]
    public async Task AfterASegmentThatCouldNotBeBuiltTheNextIsSoon()
    {
        var vectors = TestVectors.Clustered(1, 600, Dimension);
        await WriteAsync(vectors);
        _hook = (operation, _) => ValueTask.FromResult(operation == "Blobs.Put" ? MemoryFault.GiveUp : MemoryFault.None);
        await Assert.ThrowsAsync<StorageException>(() => _one.LookAfterAsync(1));
        _hook = null;

        await _one.LookAfterAsync(1);
        Assert.Equal(0, await SegmentsAsync());

        _time.Advance(TimeSpan.FromMinutes(1));
        await _one.LookAfterAsync(1);
        Assert.Equal(1, await SegmentsAsync());
    }

    [Fact]
    public async Task WritesWaitForSegmentsWhenTheLogIsLong()
    {
        var thresholds = _thresholds with { TailBytesMax = 100_000 };
        using var instance = Open(thresholds);
        var vectors = TestVectors.Clustered(1, 400, Dimension);
        var refusal = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            foreach (var vector in vectors)
            {
                await instance.ChangeAsync([vector], []);
            }
        });

        Assert.Equal((429, true), (refusal.Status, refusal.RetryAfter > TimeSpan.Zero));
        using (var held = await instance.Vectors.HoldAsync(isStrong: true, CancellationToken.None))
        {
            Assert.InRange(held.State.Tail.Bytes, 100_000, 110_000);
        }

        await instance.LookAfterAsync(1);
        await instance.ChangeAsync([vectors[^1]], []);
        Assert.NotNull(await FindAsync(instance, vectors[^1].Id));
    }

    private static Task<StoredVector?> FindAsync(VectorInstance instance, string id) => instance.Vectors.LookAsync(
        isStrong: true,
        isSettled: true,
        async (state, _) =>
        {
            await state.NeedAsync([id]);
            return state.Find(id);
        },
        CancellationToken.None);

    private static VectorQuery Query(float[] vector) => new(vector, null, QueryMode.Balanced, false, 1, TimeSpan.MaxValue, null, true, true, true);

    private static async Task<float[]> BestAsync(VectorState state, VectorQuery query)
    {
        var found = await new VectorSearch(state, query, TestVectors.Now, TimeProvider.System, () => false).RunAsync(CancellationToken.None);
        return found.Hits.Single().Vector.Values.ToArray();
    }

    private VectorInstance Open(VectorThresholds thresholds) => new(_storage, thresholds, _time);

    private async Task WriteAsync(IEnumerable<StoredVector> vectors)
    {
        foreach (var some in vectors.Chunk(VectorsPerWrite))
        {
            await _one.ChangeAsync(some, []);
        }
    }

    private async Task<int> SegmentsAsync()
    {
        using var held = await _one.Vectors.HoldAsync(isStrong: true, CancellationToken.None);
        return held.State.Segments.Count;
    }
}
