using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Reads on many threads that share their looks at the log.</summary>
public sealed class StrongReadTests
{
    private const int Readers = 4;
    private const int Reads = 25_000;

    [Fact]
    public async Task HoweverManyReadAtOnceEachSeesWhatWasWrittenBeforeIt()
    {
        // Answers come on other threads, at any moment.
        MemoryHook hook = async (_, _) =>
        {
            await Task.Yield();
            return MemoryFault.None;
        };
        var storage = new StorageAccounts(
            new StorageAccount(new MemoryTables(TimeProvider.System, hook), new MemoryBlobs(TimeProvider.System, hook)), new Dictionary<int, StorageAccount>());
        var (here, there) = (Open(storage), Open(storage));
        var written = 0L;
        var isOver = false;

        var writing = Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                await there.CommitAsync(["a"], Write, _ => Task.FromResult<IReadOnlyList<TableAction>>([]), CancellationToken.None);
                Interlocked.Increment(ref written);
            }
        });
        var reading = Enumerable.Range(0, Readers).Select(_ => Task.Run(async () =>
        {
            for (var read = 0; read < Reads; read++)
            {
                // At any moment of another's look.
                Thread.SpinWait(Random.Shared.Next(400));
                var before = Interlocked.Read(ref written);
                using var held = await here.HoldAsync(isStrong: true, CancellationToken.None);
                Assert.True(held.State.Head.LastSequence >= before, $"{before} were written, and a strong read knew of {held.State.Head.LastSequence}");
            }
        })).ToList();
        try
        {
            await Task.WhenAll(reading);
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            await writing;
        }

        static object Write(VectorDraft draft) => draft.Write(
            new StoredVector("a", [1, 2, 3], new VectorFacts([], null, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, default)), Metric.Cosine);
    }

    private static TenantVectors Open(StorageAccounts storage) => new(
        "acc_threads-live",
        storage.Main.Tables,
        new SegmentStore(storage, new VectorThresholds()),
        new DueTenants(storage, TimeProvider.System),
        new VectorThresholds(),
        TimeProvider.System,
        _ => { });
}
