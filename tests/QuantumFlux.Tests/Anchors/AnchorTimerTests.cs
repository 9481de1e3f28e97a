using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Anchors;

public sealed class AnchorTimerTests
{
    private const string Tenant = "acc_timer-live";
    private const string Dataset = "ds";

    [Theory]
    [InlineData(1_000)]
    [InlineData(100_000)]
    public async Task AnExpiryCostsOneWriteHoweverManyAnchorsThereAre(int count)
    {
        const int Due = 50;
        var world = new AnchorWorld();
        await using var services = world.Instance();
        var now = world.Now;
        var version = new ObjectVersion(Dataset, VersionNumber.At(now), ContentPointer.Empty, "text/plain");

        // Half of them end at some later time, half never: what is due lies among a lot that is not.
        var anchors = Enumerable.Range(0, count).Select(index =>
            New(now, index < Due ? TimeSpan.FromMinutes(30) : index % 2 == 0 ? null : TimeSpan.FromMinutes(100 + index)) with { IsLocked = index < 2 * Due });
        await FillAsync(world, anchors.SelectMany(anchor => AnchorRows.All(Tenant, anchor.WithPin(version, now), version)));
        await services.GetRequiredService<DueTenants>().AnnounceAsync(AnchorStore.DueKind, Tenant, now.AddMinutes(30), CancellationToken.None);
        world.Time.Advance(TimeSpan.FromMinutes(31));

        var (reads, writes) = await CountAsync(world, () => AnchorWorld.RunTimerAsync(services));
        var (readsAfter, writesAfter) = await CountAsync(world, () => AnchorWorld.RunTimerAsync(services));

        // The tenants and what is due; each expiry, and once the announcement of the hour in which they are all forgotten.
        Assert.Equal((2, Due + 1), (reads, writes));
        Assert.Equal((2, 0), (readsAfter, writesAfter));
        Assert.Equal(Due, (await world.RowsAsync(Tenant, "al:")).Count);
        Assert.Equal(count, (await world.RowsAsync(Tenant, "a:")).Count);

        // A list without totals follows the page; exact totals cost a request for each thousand anchors.
        var store = services.GetRequiredService<AnchorStore>();
        Assert.Equal((1, 0), await CountAsync(world, () => store.AfterAsync(Tenant, null, null, 100, CancellationToken.None)));
        Assert.Equal((count / 1_000, 0), await CountAsync(world, () => store.PageAsync(Tenant, _ => true, 0, 47, CancellationToken.None)));
    }

    [Fact]
    public async Task NothingDueCostsOneRead()
    {
        var world = new AnchorWorld();
        await using var services = world.Instance();
        var store = services.GetRequiredService<AnchorStore>();
        await WriteAsync(services, "1");
        await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromDays(1)), false, null, CancellationToken.None);

        Assert.Equal((1, 0), await CountAsync(world, () => AnchorWorld.RunTimerAsync(services)));
    }

    [Fact]
    public async Task PinningAgainCostsThreeReadsAndAWrite()
    {
        var world = new AnchorWorld();
        await using var services = world.Instance();
        var store = services.GetRequiredService<AnchorStore>();
        await WriteAsync(services, "1");
        for (var index = 0; index < 10; index++)
        {
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, AnchorType.Periodic), false, null, CancellationToken.None);
        }

        world.Time.Advance(TimeSpan.FromDays(1));
        world.Time.Advance(TimeSpan.FromSeconds(5));
        await WriteAsync(services, "2");
        var (reads, writes) = await CountAsync(world, () => AnchorWorld.RunTimerAsync(services));

        // Beside the tenants, what is due, and the announcement of the next day's hour; the hour that was announced is not over yet.
        Assert.Equal(((3 * 10) + 2, 10 + 1), (reads, writes));
    }

    [Fact]
    public async Task WhatTimersDidIsCounted()
    {
        var world = new AnchorWorld();
        await using var services = world.Instance();
        using var metrics = new Outcomes(services);
        var store = services.GetRequiredService<AnchorStore>();
        await WriteAsync(services, "1");
        for (var index = 0; index < 5; index++)
        {
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromHours(1)), false, null, CancellationToken.None);
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, AnchorType.Periodic), false, null, CancellationToken.None);
        }

        world.Time.Advance(TimeSpan.FromDays(1));
        await AnchorWorld.RunTimerAsync(services);
        Assert.Equal("expired 5, pinned 5", metrics.Text);

        world.Time.Advance(TimeSpan.FromDays(30));
        await AnchorWorld.RunTimerAsync(services);
        Assert.Equal("expired 5, forgotten 5, pinned 10", metrics.Text);
    }

    [Fact]
    public async Task OneThatFailsDoesNotStopTheOthersAndIsTriedAgain()
    {
        var world = new AnchorWorld();
        await using var services = world.Instance();
        using var metrics = new Outcomes(services);
        var store = services.GetRequiredService<AnchorStore>();
        await WriteAsync(services, "1");
        for (var index = 0; index < 20; index++)
        {
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromHours(1)), false, null, CancellationToken.None);
        }

        world.Time.Advance(TimeSpan.FromHours(1));
        var writes = 0;
        world.Hook = (operation, moment) => ValueTask.FromResult(
            operation == "Tables.Write" && moment == MemoryMoment.Before && Interlocked.Increment(ref writes) is 3 or 9 ? MemoryFault.GiveUp : MemoryFault.None);
        await AnchorWorld.RunTimerAsync(services);
        world.Hook = null;
        Assert.Equal("expired 18, failed 2", metrics.Text);

        // Even hours later: the announcement stays as long as something due is left.
        world.Time.Advance(TimeSpan.FromHours(9));
        await AnchorWorld.RunTimerAsync(services);
        Assert.Equal("expired 20, failed 2", metrics.Text);
        Assert.Empty(await world.RowsAsync(Tenant, "al:"));
    }

    [Fact]
    public async Task TwoTimersAtOnceDoEachThingOnce()
    {
        var world = new AnchorWorld();
        await using var one = world.Instance();
        await using var two = world.Instance();
        using var first = new Outcomes(one);
        using var second = new Outcomes(two);
        var store = one.GetRequiredService<AnchorStore>();
        await WriteAsync(one, "1");
        for (var index = 0; index < 100; index++)
        {
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromHours(1)), false, null, CancellationToken.None);
            await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, AnchorType.Periodic, period: TimeSpan.FromMinutes(10)), false, null, CancellationToken.None);
        }

        world.Time.Advance(TimeSpan.FromHours(1));
        world.Hook = async (_, _) =>
        {
            await Task.Yield();
            return MemoryFault.None;
        };
        await Task.WhenAll(Task.Run(() => AnchorWorld.RunTimerAsync(one)), Task.Run(() => AnchorWorld.RunTimerAsync(two)));

        Assert.Equal(100, first["expired"] + second["expired"]);
        Assert.Equal(100, first["pinned"] + second["pinned"]);
        Assert.Equal(0, first["failed"] + second["failed"]);
        Assert.Equal(100, (await world.RowsAsync(Tenant, "al:")).Count);
    }

    /// <summary>The process ends at each request of the timer in turn, before it or after it; another one finishes.</summary>
    [Fact]
    public async Task AKillAtAnyMomentOfTheTimerIsHarmless()
    {
        for (var step = 0; await RunAsync(step); step++)
        {
            Assert.True(step < 200);
        }

        static async Task<bool> RunAsync(int step)
        {
            var world = new AnchorWorld();
            await using var services = world.Instance();
            var store = services.GetRequiredService<AnchorStore>();
            await WriteAsync(services, "1");
            var old = await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromMinutes(1)), false, null, CancellationToken.None);
            world.Time.Advance(Anchor.ListedFor);
            await AnchorWorld.RunTimerAsync(services);
            var periodic = await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, AnchorType.Periodic, period: TimeSpan.FromHours(1)), false, null, CancellationToken.None);
            var ending = await store.CreateAsync(Tenant, world.NewId(), Request(world.Now, duration: TimeSpan.FromHours(1)), false, null, CancellationToken.None);
            world.Time.Advance(TimeSpan.FromMinutes(59));
            var version = await WriteAsync(services, "2");
            world.Time.Advance(TimeSpan.FromMinutes(1));

            var wasKilled = await KilledAtAsync(world, step, async () =>
            {
                await using var killed = world.Instance();
                await AnchorWorld.RunTimerAsync(killed);
            });
            await using var next = world.Instance();
            await AnchorWorld.RunTimerAsync(next);

            Assert.Null(await store.FindAsync(Tenant, old.Id, CancellationToken.None));
            Assert.Equal(AnchorStatus.Expired, (await store.FindAsync(Tenant, ending.Id, CancellationToken.None))!.StatusAt(world.Now));
            var pinned = (await store.FindAsync(Tenant, periodic.Id, CancellationToken.None))!;
            Assert.Equal((AnchorStatus.Active, version), (pinned.StatusAt(world.Now), pinned.Version));
            var held = Assert.Single(await world.RowsAsync(Tenant, "al:"));
            Assert.Equal((periodic.Id, version), (held.Text("Anchor"), held.Whole("Version")));
            Assert.Equal(
                ["Pin", "Forget"], (await world.RowsAsync(Tenant, "ad:")).Select(row => row.Text("Kind")));

            // Nothing is forgotten that is still to come, however the one that was killed had left it.
            world.Time.Advance(Anchor.ListedFor);
            await AnchorWorld.RunTimerAsync(next);
            Assert.Null(await store.FindAsync(Tenant, ending.Id, CancellationToken.None));
            Assert.Equal(AnchorStatus.Active, (await store.FindAsync(Tenant, periodic.Id, CancellationToken.None))!.StatusAt(world.Now));
            return wasKilled;
        }
    }

    [Fact]
    public async Task AKillAtAnyMomentOfACreationLeavesAllOfTheAnchorOrNothing()
    {
        var counts = new HashSet<int>();
        for (var step = 0; await RunAsync(step); step++)
        {
            Assert.True(step < 50);
        }

        Assert.Equal([0, 1], counts.Order());

        async Task<bool> RunAsync(int step)
        {
            var world = new AnchorWorld();
            await using var services = world.Instance();
            await WriteAsync(services, "1");
            var wasKilled = await KilledAtAsync(world, step, async () =>
            {
                await using var killed = world.Instance();
                var request = Request(world.Now, AnchorType.Periodic, TimeSpan.FromDays(2)) with { IsMultiDimensional = true };
                await killed.GetRequiredService<AnchorStore>().CreateAsync(Tenant, world.NewId(), request, false, null, CancellationToken.None);
            });

            var count = (await world.RowsAsync(Tenant, "a:")).Count;
            counts.Add(count);
            Assert.Equal((count, 3 * count), ((await world.RowsAsync(Tenant, "al:")).Count, (await world.RowsAsync(Tenant, "ad:")).Count));
            for (var day = 0; day < 33; day++)
            {
                world.Time.Advance(TimeSpan.FromDays(1));
                await AnchorWorld.RunTimerAsync(services);
            }

            Assert.Empty(await world.RowsAsync(Tenant, "a"));
            return wasKilled;
        }
    }

    [Fact]
    public async Task AKillAtAnyMomentOfARemovalLeavesTheAnchorOrNothing()
    {
        foreach (var age in new[] { TimeSpan.FromMinutes(30), TimeSpan.FromHours(2) })
        {
            for (var step = 0; await RunAsync(age, step); step++)
            {
                Assert.True(step < 50);
            }
        }

        static async Task<bool> RunAsync(TimeSpan age, int step)
        {
            var world = new AnchorWorld();
            await using var services = world.Instance();
            var store = services.GetRequiredService<AnchorStore>();
            await WriteAsync(services, "1");
            var request = Request(world.Now, AnchorType.Periodic, TimeSpan.FromHours(1), TimeSpan.FromMinutes(10));
            var created = await store.CreateAsync(Tenant, world.NewId(), request, false, null, CancellationToken.None);
            world.Time.Advance(age);
            var anchor = (await store.FindAsync(Tenant, created.Id, CancellationToken.None))!;
            var wasKilled = await KilledAtAsync(world, step, () => store.RemoveAsync(Tenant, anchor, null, CancellationToken.None));

            if (await store.FindAsync(Tenant, anchor.Id, CancellationToken.None) is { } left)
            {
                Assert.NotNull(await store.RemoveAsync(Tenant, left, null, CancellationToken.None));
            }

            Assert.Empty(await world.RowsAsync(Tenant, "a"));
            return wasKilled;
        }
    }

    [Fact]
    public async Task AnAnchorThatATimerWithAFastClockHasEndedCanBeRemoved()
    {
        var world = new AnchorWorld();
        await using var services = world.Instance();
        await using var fast = world.Instance(new ManualTime(world.Now.AddHours(2)));
        var store = services.GetRequiredService<AnchorStore>();
        await WriteAsync(services, "1");
        var request = Request(world.Now, AnchorType.Periodic, TimeSpan.FromHours(1), TimeSpan.FromMinutes(10));
        var created = await store.CreateAsync(Tenant, world.NewId(), request, false, null, CancellationToken.None);
        await AnchorWorld.RunTimerAsync(fast);

        var anchor = (await store.FindAsync(Tenant, created.Id, CancellationToken.None))!;

        Assert.NotNull(await store.RemoveAsync(Tenant, anchor, null, CancellationToken.None));
        Assert.Empty(await world.RowsAsync(Tenant, "a"));
    }

    // Ends whatever runs at a request to storage: from then on none gets through. False when there was no such request.
    private static async Task<bool> KilledAtAsync(AnchorWorld world, int step, Func<Task> action)
    {
        var calls = -1;
        world.Hook = (_, _) => ValueTask.FromResult(Interlocked.Increment(ref calls) >= step ? MemoryFault.GiveUp : MemoryFault.None);
        try
        {
            await action();
        }
        catch (Exception exception) when (exception is StorageException or ApiException { Status: 503 })
        {
            // What a process sees that is killed matters to nobody.
        }

        world.Hook = null;
        return calls >= step;
    }

    private static async Task<(int Reads, int Writes)> CountAsync(AnchorWorld world, Func<Task> action)
    {
        var (reads, writes) = (0, 0);
        world.Hook = (operation, moment) =>
        {
            if (moment == MemoryMoment.Before)
            {
                Interlocked.Increment(ref operation == "Tables.Write" ? ref writes : ref reads);
            }

            return ValueTask.FromResult(MemoryFault.None);
        };
        await action();
        world.Hook = null;
        return (reads, writes);
    }

    // In the order of their keys: rows that come in between others are slow to add in memory.
    private static async Task FillAsync(AnchorWorld world, IEnumerable<TableRow> rows)
    {
        foreach (var some in rows.OrderBy(row => row.Key, StringComparer.Ordinal).Chunk(ITables.TransactionRowsMax))
        {
            await world.Tables.WriteAsync(ObjectRows.Table, [.. some.Select(TableAction.Insert)], CancellationToken.None);
        }
    }

    private static async Task<long> WriteAsync(IServiceProvider services, string text)
    {
        var content = new NewContent("text/plain", Encoding.UTF8.GetBytes(text), null, []);
        var changed = await services.GetRequiredService<ObjectWriter>().ChangeAsync(Tenant, new Change(Dataset, _ => { }, content), CancellationToken.None);
        return changed.Version.Version;
    }

    private static CreateAnchor Request(DateTimeOffset now, AnchorType type = AnchorType.Fixed, TimeSpan? duration = null, TimeSpan? period = null) => new(
        Dataset, now, type, duration, type == AnchorType.Periodic ? period ?? TimeSpan.FromDays(1) : TimeSpan.Zero, false, true, false);

    private static Anchor New(DateTimeOffset now, TimeSpan? duration) =>
        Request(now, duration: duration).ToAnchor(Ids.New(Anchor.Prefix, now), now) with { FirstVersion = VersionNumber.At(now) };

    /// <summary>What the timer of one instance has counted.</summary>
    private sealed class Outcomes : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly ConcurrentDictionary<string, long> _counts = new(StringComparer.Ordinal);

        public Outcomes(IServiceProvider services)
        {
            var meters = services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "quantumflux.maintenance.items")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
            {
                var tag = tags.ToArray().ToDictionary(pair => pair.Key, pair => (string)pair.Value!);
                Assert.Equal("anchors", tag["timer"]);
                _counts.AddOrUpdate(tag["outcome"], count, (_, sum) => sum + count);
            });
            _listener.Start();
            _ = services.GetRequiredService<Telemetry>();
        }

        public long this[string outcome] => _counts.GetValueOrDefault(outcome);

        public string Text => string.Join(", ", _counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => string.Create(CultureInfo.InvariantCulture, $"{count.Key} {count.Value}")));

        public void Dispose() => _listener.Dispose();
    }
}
