using Microsoft.Extensions.Options;
using QuantumFlux.Keys;
using QuantumFlux.Metering;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Metering;

public sealed class RateLimitsTests(ITestOutputHelper output)
{
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData(false, 1, 100)]
    [InlineData(false, 3, 40)]
    [InlineData(true, 1, 100)]
    [InlineData(true, 3, 40)]
    public async Task AtTenRequestsASecondFewerThanOneInSoManyAsksStorage(bool isQStore, int instances, int oneIn)
    {
        const int Requests = 4_500;
        var tables = new MemoryTables(_time);
        var limits = Enumerable.Range(0, instances).Select(_ => New(tables)).ToList();

        for (var request = 0; request < Requests; request++)
        {
            Assert.True((await limits[request % instances].AdmitAsync(Key(Tier.Enterprise), isQStore, CancellationToken.None)).IsAdmitted);
            _time.Advance(TimeSpan.FromMilliseconds(100));
        }

        output.WriteLine($"{tables.Requests} storage requests for {Requests}: one in {(double)Requests / tables.Requests:F0}.");
        Assert.True(tables.Requests * oneIn < Requests, $"{tables.Requests} storage requests");
    }

    [Fact]
    public async Task AWindowThatIsUsedUpAsksStorageNoMore()
    {
        var tables = new MemoryTables(_time);
        var limits = New(tables);
        for (var request = 0; request < 23; request++)
        {
            Assert.True((await limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None)).IsAdmitted);
        }

        var before = tables.Requests;
        for (var request = 0; request < 1_000; request++)
        {
            Assert.False((await limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None)).IsAdmitted);
        }

        Assert.Equal(before, tables.Requests);
    }

    [Fact]
    public async Task EveryWindowOfATierHoldsByItself()
    {
        // A request every ten minutes never meets the limits of minute, hour and day, but that of the month.
        var options = new RateLimitOptions { Free = new TierLimits { Minute = 1, Hour = 6, Day = 144, Month = 1_000 } };
        var limits = New(new MemoryTables(_time), options);
        _time.Advance(RoundUp(_time.GetUtcNow(), TimeSpan.FromDays(30)) - _time.GetUtcNow());

        var admitted = 0;
        RateState state;
        do
        {
            state = await limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None);
            admitted += state.IsAdmitted ? 1 : 0;
            _time.Advance(TimeSpan.FromMinutes(10));
        }
        while (state.IsAdmitted);

        Assert.Equal(1_000, admitted);
        Assert.Equal("month", state.Nearest.Window.Name);
        Assert.Equal("Rate limit of 1000 requests per month exceeded", state.Refusal().Message);
    }

    [Fact]
    public async Task WhatAnInstanceTookWithItComesBackWhenTheWindowTurns()
    {
        var tables = new MemoryTables(_time);
        var ended = New(tables);
        for (var request = 0; request < 10; request++)
        {
            await ended.AdmitAsync(Key(Tier.Free), false, CancellationToken.None);
        }

        var lost = ended.MeterOf(Key(Tier.Free), false).Unspent()[0].Values.Sum();
        var survivor = New(tables);
        var rest = await CountAsync(survivor);
        _time.Advance(TimeSpan.FromMinutes(1));
        var next = await CountAsync(survivor);

        Assert.Equal(23 - 10 - lost, rest);
        Assert.Equal(23, next);

        async Task<int> CountAsync(RateLimits limits)
        {
            var admitted = 0;
            while ((await limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None)).IsAdmitted)
            {
                admitted++;
            }

            return admitted;
        }
    }

    [Fact]
    public async Task AnAnswerOfStorageThatWasLostCostsNoBudget()
    {
        var failures = 3;
        var tables = new MemoryTables(_time, (operation, moment) => ValueTask.FromResult(
            operation == "Tables.Write" && moment == MemoryMoment.After && failures-- > 0 ? MemoryFault.GiveUp : MemoryFault.None));
        var limits = New(tables);
        var admitted = 0;

        for (var request = 0; request < 40; request++)
        {
            try
            {
                admitted += (await limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None)).IsAdmitted ? 1 : 0;
            }
            catch (StorageException)
            {
            }
        }

        Assert.Equal(23, admitted);
    }

    [Fact]
    public async Task RequestsThatArriveTogetherShareOneLease()
    {
        var begin = new TaskCompletionSource();
        var tables = new MemoryTables(_time, async (_, _) =>
        {
            await begin.Task;
            return MemoryFault.None;
        });
        var limits = New(tables);

        var requests = Enumerable.Range(0, 100).Select(_ => limits.AdmitAsync(Key(Tier.Enterprise), false, CancellationToken.None).AsTask()).ToList();
        begin.SetResult();
        var states = await Task.WhenAll(requests);

        Assert.All(states, state => Assert.True(state.IsAdmitted));
        Assert.Equal(2, tables.Requests);
    }

    [Fact]
    public async Task ARequestThatGivesUpWaitingTakesNobodyElseWithIt()
    {
        var begin = new TaskCompletionSource();
        var tables = new MemoryTables(_time, async (_, _) =>
        {
            await begin.Task;
            return MemoryFault.None;
        });
        var limits = New(tables);
        using var impatient = new CancellationTokenSource();

        var first = limits.AdmitAsync(Key(Tier.Free), false, impatient.Token).AsTask();
        var second = limits.AdmitAsync(Key(Tier.Free), false, CancellationToken.None).AsTask();
        await impatient.CancelAsync();
        begin.SetResult();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.True((await second).IsAdmitted);
    }

    [Fact]
    public async Task WithLimitsSwitchedOffNothingIsRefusedAndTheLastUseIsKnown()
    {
        var tables = new MemoryTables(_time);
        var limits = New(tables, new RateLimitOptions { Enabled = false });
        var start = _time.GetUtcNow();

        for (var request = 0; request < 100_000; request++)
        {
            Assert.True((await limits.AdmitAsync(Key(Tier.Free), request % 2 == 0, CancellationToken.None)).IsAdmitted);
        }

        var row = KeyStore.UseRow(Key(Tier.Free), "unlimited");
        Assert.Equal(start, Meter.LastUsedAt((await tables.GetAsync(row.Table, row.Partition, row.Key, null, CancellationToken.None))!));
        Assert.True(tables.Requests < 40, $"{tables.Requests} storage requests");
    }

    [Fact]
    public void LeasesReadBackAsTheyWereWritten()
    {
        var window = new RateWindow("minute", TimeSpan.FromMinutes(1), 100);
        var leases = Leases.None
            .With(window, 1_000, [new(1_000, 30), new(1_002, 4)])
            .With(window, 1_061, [new(1_061, 7)]);

        var read = Leases.Parse(leases.ToString());

        Assert.Equal("<1000 1002=4 1061=7", leases.ToString());
        Assert.Equal([0, 100, 96, 93, 100], new long[] { 1_000, 1_001, 1_002, 1_061, 1_062 }.Select(span => read.Left(window, span)));
        Assert.Equal(100, Leases.Parse(null).Left(window, -5));
    }

    private RateLimits New(ITables tables, RateLimitOptions? options = null) => new(
        new StorageAccounts(new StorageAccount(tables, new MemoryBlobs(_time)), new Dictionary<int, StorageAccount>()),
        Options.Create(options ?? new RateLimitOptions()),
        _time);

    private static ApiKey Key(Tier tier) =>
        new("key_0123", new byte[32], "0000", "", "acc", KeyEnvironment.Live, tier, Scopes.All, default, default, null, null);

    private static DateTimeOffset RoundUp(DateTimeOffset moment, TimeSpan length) =>
        DateTimeOffset.UnixEpoch + (Math.Ceiling((moment - DateTimeOffset.UnixEpoch) / length) * length);
}
