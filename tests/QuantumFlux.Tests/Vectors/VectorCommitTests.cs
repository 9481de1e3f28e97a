using System.Text;
using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Writes that wait for one another go into one append. What one of them meets must not be another's trouble.</summary>
public sealed class VectorCommitTests
{
    private const string Tenant = "acc_commits-live";

    private readonly TaskCompletionSource _first = new();
    private readonly MemoryTables _tables;
    private readonly TenantVectors _vectors;
    private int _writes;
    private int _lostWrite;

    private readonly List<string> _ids = ["a", "b", "c", .. Enumerable.Range(0, 80).Select(number => $"c{number}")];

    public VectorCommitTests()
    {
        _tables = new MemoryTables(TimeProvider.System, HookAsync);
        var storage = new StorageAccounts(new StorageAccount(_tables, new MemoryBlobs(TimeProvider.System)), new Dictionary<int, StorageAccount>());
        _vectors = new TenantVectors(
            Tenant, _tables, new SegmentStore(storage, new VectorThresholds()), new DueTenants(storage, TimeProvider.System), new VectorThresholds(), TimeProvider.System, _ => { });
    }

    [Fact]
    public async Task AWriteIsNotRefusedForWhatAnotherWasAboutToWrite()
    {
        _lostWrite = 3;
        var first = WriteAsync(draft => Write(draft, "a", 3));
        var lost = WriteAsync(draft =>
        {
            draft.Delete("a");
            return Write(draft, "b", 4);
        });
        var deletion = WriteAsync(draft => draft.Delete("a") ? new object() : throw ApiException.NotFound("id", "vector"));
        var other = WriteAsync(draft => Write(draft, "c", 3));

        // So that it is known what is there.
        (await _vectors.HoldAsync(isStrong: true, CancellationToken.None)).Dispose();
        _first.SetResult();

        await first;
        await Assert.ThrowsAsync<StorageException>(() => lost);
        await deletion;
        await other;
        using var held = await _vectors.HoldAsync(isStrong: true, CancellationToken.None);
        Assert.Equal(["c"], held.State.List(0, 10).Select(vector => vector.Id));
    }

    [Fact]
    public async Task AWriteThatChangesNothingIsAnsweredAndTakesItsRowAlong()
    {
        var first = WriteAsync(draft => Write(draft, "a", 3));
        var nothing = WriteAsync(_ => new object(), Row("nothing", 1));
        var refused = WriteAsync(_ => new object(), Row("nothing", 2));
        _first.SetResult();

        await first;
        await nothing;
        await Assert.ThrowsAsync<ApiException>(() => refused);
    }

    [Fact]
    public async Task WritesThatTakeTheSameRowAlongAreTwo()
    {
        var first = WriteAsync(draft => Write(draft, "a", 3));
        var one = WriteAsync(draft => Write(draft, "b", 3), Row("same", 1));
        var two = WriteAsync(draft => Write(draft, "c", 3), Row("same", 2));
        _first.SetResult();

        await first;
        await one;
        await Assert.ThrowsAsync<ApiException>(() => two);
    }

    [Fact]
    public async Task WhatOneTakesAlongIsNeverTooLargeBesideAnother()
    {
        var metadata = Encoding.UTF8.GetBytes($"{{\"text\":\"{new string('t', VectorLimits.MetadataBytesMax - 11)}\"}}");
        Assert.Equal(VectorLimits.MetadataBytesMax, metadata.Length);
        var first = WriteAsync(draft => Write(draft, "a", 3));
        var large = WriteAsync(draft => Write(draft, "b", 3), Row("large", 1).SetLarge("Answer", new byte[900 * 1024]));
        var many = WriteAsync(draft =>
        {
            for (var number = 0; number < 80; number++)
            {
                Write(draft, $"c{number}", 3, metadata);
            }

            return new object();
        });
        _first.SetResult();

        await Task.WhenAll(first, large, many);
    }

    private static TableRow Row(string key, long value) => new TableRow(Tenant, key).Set("Value", value);

    private static bool Write(VectorDraft draft, string id, int dimension, byte[]? metadata = null) =>
        new NewVector(id, new float[dimension], [], null, metadata, null).WriteTo(draft, DateTimeOffset.UnixEpoch);

    // As the record of an answer does it: asked again, it looks whether it has been taken over.
    private Task<object> WriteAsync(Func<VectorDraft, object> prepare, TableRow? along = null)
    {
        var attempts = 0;
        return _vectors.CommitAsync(_ids, prepare, _ => AlongAsync(), CancellationToken.None);

        async Task<IReadOnlyList<TableAction>> AlongAsync()
        {
            if (attempts++ > 0 && along is not null && await _tables.GetAsync(ObjectRows.Table, Tenant, along.Key, null, CancellationToken.None) is not null)
            {
                throw ApiException.IdempotencyInProgress();
            }

            return along is null ? [] : [TableAction.Insert(along)];
        }
    }

    // The first write, of an announcement, is followed by the first append, which waits until all others wait for it.
    private async ValueTask<MemoryFault> HookAsync(string operation, MemoryMoment moment)
    {
        if (operation != "Tables.Write" || moment != MemoryMoment.Before)
        {
            return MemoryFault.None;
        }

        var write = ++_writes;
        if (write == 2)
        {
            await _first.Task;
        }

        return write == _lostWrite ? MemoryFault.GiveUp : MemoryFault.None;
    }
}
