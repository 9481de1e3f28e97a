using System.Text.Json;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>What an instance answers that has just begun to bring a tenant's segments into reach, and what it waits for.</summary>
public sealed class ColdQueryTests : IAsyncLifetime
{
    private const int Vectors = 6_000;
    private const int Dimension = 16;
    private const int VectorsPerWrite = 500;

    private static readonly VectorThresholds _thresholds = new() { WholeBytes = 0, PieceBytes = 512 };

    private readonly List<StoredVector> _vectors = TestVectors.Clustered(1, Vectors, Dimension);
    private readonly StorageAccounts _storage;
    private readonly VectorInstance _warm;
    private MemoryHook? _hook;

    public ColdQueryTests()
    {
        MemoryHook hook = (operation, moment) => _hook is null ? ValueTask.FromResult(MemoryFault.None) : _hook(operation, moment);
        _storage = new StorageAccounts(
            new StorageAccount(new MemoryTables(TimeProvider.System, hook), new MemoryBlobs(TimeProvider.System, hook)), new Dictionary<int, StorageAccount>());
        _warm = Open(_thresholds);
    }

    // A segment, and after it in the log vectors that replace some of it, and deletions.
    public async Task InitializeAsync()
    {
        foreach (var some in _vectors.Chunk(VectorsPerWrite))
        {
            await _warm.ChangeAsync(some, []);
        }

        await _warm.LookAfterAsync(1);
        await _warm.ChangeAsync(
            [.. _vectors.Take(200).Select(vector => vector with { Values = [.. vector.Values.Select(value => value + 0.01f)] })],
            [.. _vectors.Skip(200).Take(200).Select(vector => vector.Id)]);
        using var held = await _warm.Vectors.HoldAsync(isStrong: false, CancellationToken.None);
        Assert.Equal((Vectors, 400), (held.State.Segments.Single().Segment.Rows, held.State.TailCount));
    }

    public Task DisposeAsync()
    {
        _warm.Dispose();
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData(QueryMode.Balanced, false, false, false)]
    [InlineData(QueryMode.Exploratory, false, false, false)]
    [InlineData(QueryMode.Balanced, true, false, false)]
    [InlineData(QueryMode.Precise, false, false, false)]
    [InlineData(QueryMode.Balanced, false, true, false)]
    [InlineData(QueryMode.Balanced, false, false, true)]
    public async Task AColdInstanceAnswersAsAWarmOneDoes(QueryMode mode, bool isTunneling, bool isFiltered, bool isInContext)
    {
        var random = new Random(3);
        using var warm = await _warm.Vectors.HoldAsync(isStrong: true, CancellationToken.None);
        for (var index = 0; index < 20; index++)
        {
            // Of what is only in the segment, of what is replaced, and of what is deleted.
            var near = _vectors[(index % 4 * 150) + random.Next(150)].Values;
            var query = Query(near, random) with
            {
                Context = isInContext ? "even" : null,
                Mode = mode,
                IsTunneling = isTunneling,
                Filter = isFiltered ? Filter("""{"metadata.group":{"$in":[2,4]}}""") : null,
            };

            var expected = Text(await SearchAsync(warm, query));
            var found = await OnColdAsync(async cold =>
            {
                Assert.False(cold.State.IsWhole);
                return Text(await SearchAsync(cold, query));
            });

            Assert.Equal(10, expected.Count(character => character == '\n'));
            Assert.Equal(expected, found);
        }
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(1 << 23, 2)]
    public void APlainQueryWaitsForFewRequestsAfterOneAnother(long wholeBytes, int expected)
    {
        // Each takes a second, however many there are at once.
        var time = new SimulatedTime { IsPunctual = true };
        var second = TimeSpan.FromSeconds(1);
        _hook = async (_, moment) =>
        {
            await (moment == MemoryMoment.Before ? Task.Delay(second, time) : Task.CompletedTask);
            return MemoryFault.None;
        };
        using var cold = Open(_thresholds with { WholeBytes = wholeBytes });

        new SimulationContext(new Random(1), time.Rest).Run(async () =>
        {
            var began = time.GetTimestamp();
            using var held = await cold.Vectors.HoldUnsettledAsync(isStrong: true, CancellationToken.None);
            await SearchAsync(held, Query(_vectors[1000].Values, new Random(1)));

            Assert.Equal(expected * second, time.GetElapsedTime(began));
        });
    }

    [Fact]
    public async Task WhatStorageDidNotGiveIsAskedForAgain()
    {
        var query = Query(_vectors[1000].Values, new Random(1));
        await OnColdAsync(async cold =>
        {
            _hook = (operation, _) => ValueTask.FromResult(operation == "Blobs.Get" ? MemoryFault.GiveUp : MemoryFault.None);
            await Assert.ThrowsAsync<StorageException>(() => SearchAsync(cold, query));
            _hook = null;
            return await SearchAsync(cold, query);
        });
    }

    private VectorInstance Open(VectorThresholds thresholds) => new(_storage, thresholds, TimeProvider.System);

    private async Task<T> OnColdAsync<T>(Func<HeldState, Task<T>> act)
    {
        using var cold = Open(_thresholds);
        using var held = await cold.Vectors.HoldUnsettledAsync(isStrong: true, CancellationToken.None);
        return await act(held);
    }

    private static Task<VectorHits> SearchAsync(HeldState held, VectorQuery query) =>
        new VectorSearch(held.State, query, TestVectors.Now, TimeProvider.System, () => false).RunAsync(CancellationToken.None);

    // While its state is held.
    private static string Text(VectorHits hits) => VectorHistory.Text(hits.Hits.Select(hit => hit.Vector));

    private static VectorQuery Query(float[] near, Random random) => new(
        [.. near.Select(value => value + (0.1f * random.NextSingle()))], null, QueryMode.Balanced, false, 10, TimeSpan.FromMinutes(1), null, true, true, true);

    private static Filter Filter(string json)
    {
        using var document = JsonDocument.Parse(json);
        return QuantumFlux.Vectors.Filter.Parse(document.RootElement, new QuantumFlux.Api.Faults());
    }
}
