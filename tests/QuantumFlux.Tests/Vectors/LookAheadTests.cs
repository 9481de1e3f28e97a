using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Strong looks, which look at what the instance knows while storage has not yet said whether that is all.</summary>
public sealed class LookAheadTests : IDisposable
{
    private static readonly TimeSpan _hangs = TimeSpan.FromMinutes(1);

    private readonly VectorInstance _here;
    private readonly VectorInstance _there;
    private readonly List<StoredVector> _vectors = TestVectors.Clustered(1, 3, 8);

    // What a request to read the log waits for, and how it then ends.
    private Task<MemoryFault> _answer = Task.FromResult(MemoryFault.None);

    public LookAheadTests()
    {
        var time = new SimulatedTime { IsPunctual = true };
        MemoryHook hook = async (operation, moment) =>
            operation == "Tables.Query" && moment == MemoryMoment.Before ? await _answer : MemoryFault.None;
        var storage = new StorageAccounts(
            new StorageAccount(new MemoryTables(time, hook), new MemoryBlobs(time, hook)), new Dictionary<int, StorageAccount>());
        (_here, _there) = (new VectorInstance(storage, new VectorThresholds(), time), new VectorInstance(storage, new VectorThresholds(), time));
    }

    public void Dispose()
    {
        _here.Dispose();
        _there.Dispose();
    }

    [Fact]
    public async Task WhatTheInstanceKnowsIsLookedAtBeforeStorageAnswers()
    {
        await BecomeQuietAsync();
        var answer = Hold();
        var (looks, looked) = (0, new TaskCompletionSource());
        var looking = LookAsync((state, _) =>
        {
            looks++;
            looked.SetResult();
            return Task.FromResult(state.Count);
        });

        await looked.Task;
        Assert.False(looking.IsCompleted);
        answer.SetResult(MemoryFault.None);

        Assert.Equal(1, await looking);
        Assert.Equal(1, looks);
    }

    [Fact]
    public async Task WhatComesOutOfAnOldStateIsGivenUp()
    {
        await BecomeQuietAsync();
        await _there.ChangeAsync([], [_vectors[0].Id]);
        await _there.ChangeAsync([_vectors[1], _vectors[2]], []);
        var answer = Hold();
        var (counts, first) = (new List<int>(), new TaskCompletionSource());
        var looking = LookAsync(async (state, end) =>
        {
            lock (counts)
            {
                counts.Add(state.Count);
            }

            if (state.Count == 1)
            {
                first.SetResult();

                // As a search that would take for ever.
                await Task.Delay(Timeout.Infinite, end);
            }

            return state.Count;
        });

        await first.Task;
        answer.SetResult(MemoryFault.None);

        Assert.Equal(2, await looking);
        Assert.Equal([1, 2], counts);
    }

    [Fact]
    public async Task AFaultFoundInAnOldStateIsNone()
    {
        await BecomeQuietAsync();
        await _there.ChangeAsync([_vectors[1]], []);

        Assert.NotNull(await LookAsync((state, _) => Task.FromResult(state.Find(_vectors[1].Id) ?? throw new InvalidOperationException("It is not there."))));
    }

    [Fact]
    public async Task WhatStorageDoesNotConfirmIsNoAnswer()
    {
        await BecomeQuietAsync();
        _answer = Task.FromResult(MemoryFault.GiveUp);

        await Assert.ThrowsAsync<StorageException>(() => LookAsync((state, _) => Task.FromResult(state.Count)));
    }

    [Fact]
    public async Task WhoLeavesEndsTheLook()
    {
        await BecomeQuietAsync();
        Hold();
        using var leaving = new CancellationTokenSource();
        var (looked, isEnded) = (new TaskCompletionSource(), false);
        var looking = LookAsync(
            async (_, end) =>
            {
                looked.SetResult();
                try
                {
                    await Task.Delay(Timeout.Infinite, end);
                }
                finally
                {
                    isEnded = true;
                }

                return 0;
            },
            leaving.Token);

        await looked.Task;
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => looking);
        Assert.True(isEnded);
    }

    [Fact]
    public async Task WhereOthersWriteAllTheTimeNothingIsLookedAtTwice()
    {
        await BecomeQuietAsync();
        var looks = 0;
        for (var write = 0; write < 10; write++)
        {
            await _there.ChangeAsync([_vectors[1]], []);
            await LookAsync((state, _) => Task.FromResult(++looks));
        }

        // But the first time, when nobody could know.
        Assert.Equal(11, looks);
    }

    // Looks ahead from now on.
    private async Task BecomeQuietAsync()
    {
        await _here.ChangeAsync([_vectors[0]], []);
        await LookAsync((state, _) => Task.FromResult(state.Count));
    }

    private TaskCompletionSource<MemoryFault> Hold()
    {
        var answer = new TaskCompletionSource<MemoryFault>(TaskCreationOptions.RunContinuationsAsynchronously);
        _answer = answer.Task;
        return answer;
    }

    private Task<T> LookAsync<T>(Func<VectorState, CancellationToken, Task<T>> look, CancellationToken cancellationToken = default) =>
        _here.Vectors.LookAsync(isStrong: true, isSettled: false, look, cancellationToken).WaitAsync(_hangs, CancellationToken.None);
}
