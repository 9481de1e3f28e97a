using System.Net;
using QuantumFlux.Objects;

namespace QuantumFlux.Tests.Entanglements;

public sealed class DecoherenceTests
{
    private const string Path = "/api/v3/quantum/entangle";
    private const string Timer = "EntanglementDecoherence";

    [Fact]
    public async Task TemporalPairsLiveADayCanBeReadThirtyMoreAndAreGoneThen()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var eternal = await client.EntangledAsync("x", "y");
        var made = new List<(string Id, DateTimeOffset At)>();
        for (var step = 0; step < 34 * 4; step++)
        {
            if (step % 8 == 0 && step < 30 * 4)
            {
                await client.PutObjectAsync($"a{step}", "1");
                await client.PutObjectAsync($"b{step}", "2");
                var created = (await client.EntangleAsync($"a{step}", $"b{step}", persistence: "temporal")).Expect(HttpStatusCode.OK).Json;
                made.Add((created.GetProperty("entanglement_id").GetString()!, time.GetUtcNow()));
            }

            time.Advance(TimeSpan.FromHours(6));
            await MemoryWorld.FireAsync(app, Timer);
            var listed = (await client.GetAsync($"{Path}?per_page=100")).Expect(HttpStatusCode.OK).Json.GetProperty("entanglements")
                .EnumerateArray()
                .ToDictionary(entry => entry.GetProperty("entanglement_id").GetString()!, entry => entry.GetProperty("status").GetString());
            Assert.Equal("active", listed[eternal]);
            foreach (var (id, at) in made)
            {
                var age = time.GetUtcNow() - at;
                Assert.Equal(age < TimeSpan.FromDays(1) ? "active" : age < TimeSpan.FromDays(31) ? "collapsed" : null, listed.GetValueOrDefault(id));
            }
        }

        (await client.GetAsync($"{Path}/{made[0].Id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal("collapsed", (await client.GetAsync($"{Path}/{made[^1].Id}")).Json.GetProperty("status").GetString());
        Assert.Equal(2, (await world.KeysAsync(client.Tenant(), "t:")).Count(key => made.TakeLast(2).Any(pair => key.EndsWith(pair.Id, StringComparison.Ordinal))));
    }

    [Fact]
    public async Task BothObjectsForgetACollapsedPairAndItCanBeDissolved()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var id = (await client.EntangleAsync("a", "b", persistence: "temporal")).Json.GetProperty("entanglement_id").GetString();
        time.Advance(TimeSpan.FromHours(24));

        await MemoryWorld.FireAsync(app, Timer);
        var links = await LinksAsync(world, client, "a", "b");
        (await client.DeleteAsync("/api/v3/quantum/objects/b")).Expect(HttpStatusCode.OK);
        var dissolved = (await client.DeleteAsync($"{Path}/{id}?backup=true")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromDays(31));
        await MemoryWorld.FireAsync(app, Timer);

        Assert.Equal(0, links);
        Assert.Equal(dissolved.Text, (await client.DeleteAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK).Text);
        Assert.Empty(await world.KeysAsync(client.Tenant(), "t:pairs:"));
    }

    [Fact]
    public async Task APairThatNeverHeldCollapsesWithTheNextRun()
    {
        var world = new MemoryWorld(new ManualTime());
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var created = (await client.EntangleAsync("a", "b", new { quantum_verify = false }, strength: 0.46)).Expect(HttpStatusCode.OK).Json;
        var id = created.GetProperty("entanglement_id").GetString();

        await MemoryWorld.FireAsync(app, Timer);

        Assert.Equal("pending", created.GetProperty("status").GetString());
        Assert.Equal("collapsed", (await client.GetAsync($"{Path}/{id}")).Json.GetProperty("status").GetString());
        Assert.Equal("2", (await client.GetObjectAsync("b")).Text);
        (await client.DeleteAsync("/api/v3/quantum/objects/b")).Expect(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("a write that is refused")]
    [InlineData("a look at its details")]
    public async Task ATimerThatSharesNothingWithAnInstanceCollapsesWhatFailsThere(string noticedBy)
    {
        var world = new MemoryWorld(new ManualTime());
        await using var app = await world.StartAsync();
        await using var timers = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var id = (await client.EntangleAsync("a", "b", strength: 0.48)).Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString();
        world.IsWriteDown = true;
        await client.PutObjectAsync("a", "lost");
        await client.PutObjectAsync("a", "lost");
        world.IsWriteDown = false;
        await MemoryWorld.FireAsync(timers, Timer);
        var unnoticed = (await client.GetAsync($"{Path}?status=active")).Json.GetProperty("pagination").GetProperty("total_count").GetInt32();

        if (noticedBy == "a look at its details")
        {
            (await client.GetAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK);
        }
        else
        {
            (await client.PutObjectAsync("a", "late")).ExpectError(HttpStatusCode.ServiceUnavailable, "QUANTUM_COHERENCE_LOST");
            (await client.PutObjectAsync("a", "late")).ExpectError(HttpStatusCode.ServiceUnavailable, "QUANTUM_COHERENCE_LOST");
        }

        var noted = await world.KeysAsync(client.Tenant(), "t:pairs:");
        await MemoryWorld.FireAsync(timers, Timer);

        Assert.Equal(1, unnoticed);
        Assert.Single(noted);
        Assert.Equal("collapsed", (await client.GetAsync($"{Path}/{id}")).Json.GetProperty("status").GetString());
        (await client.PutObjectAsync("a", "apart")).Expect(HttpStatusCode.OK);
        Assert.NotEqual("apart", (await client.GetObjectAsync("b")).Text);
        (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task PairsThatWaitTooLongForAWriteCollapseAndTheOthersDoNot()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync("test");
        for (var i = 0; i < 70; i++)
        {
            (await client.EntangleAsync("hub", $"spoke{i}", strength: 1)).Expect(HttpStatusCode.OK);
        }

        world.WritesLeft = 2;
        var moved = (await client.PutObjectAsync("hub", "most of you")).Expect(HttpStatusCode.OK).Json.GetProperty("synced_to").GetArrayLength();
        world.WritesLeft = null;

        // e^(-45.3 min / 1 h) = 0.47
        time.Advance(TimeSpan.FromMinutes(45));
        await MemoryWorld.FireAsync(app, Timer);
        var collapsedEarly = await CountAsync("collapsed");
        time.Advance(TimeSpan.FromMinutes(1));
        await MemoryWorld.FireAsync(app, Timer);
        await MemoryWorld.FireAsync(app, "ObjectMaintenance");

        Assert.InRange(moved, 20, 69);
        Assert.Equal(0, collapsedEarly);
        Assert.Equal(70 - moved, await CountAsync("collapsed"));
        Assert.Equal(moved, await CountAsync("active"));

        async Task<int> CountAsync(string status) =>
            (await client.GetAsync($"{Path}?status={status}")).Json.GetProperty("pagination").GetProperty("total_count").GetInt32();
    }

    [Fact]
    public async Task TwoRunsAtOnceDoNoMoreThanOne()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var other = await world.StartAsync();
        var client = await app.TenantAsync("test");
        for (var i = 0; i < 20; i++)
        {
            (await client.EntangleAsync("hub", $"spoke{i}", persistence: "temporal")).Expect(HttpStatusCode.OK);
        }

        time.Advance(Pair.TemporalLifetime);
        await Task.WhenAll(MemoryWorld.FireAsync(app, Timer), MemoryWorld.FireAsync(other, Timer));
        await MemoryWorld.FireAsync(app, Timer);

        Assert.Equal(20, (await client.GetAsync($"{Path}?status=collapsed")).Json.GetProperty("pagination").GetProperty("total_count").GetInt32());
        Assert.Equal(0, await LinksAsync(world, client, "hub"));
        Assert.Equal(20, (await world.KeysAsync(client.Tenant("test"), "t:pairs:")).Count);
    }

    [Fact]
    public async Task WhatIsNotDueIsNotRead()
    {
        var world = new MemoryWorld(new ManualTime());
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync("test");
        var alone = await world.RequestsAsync(() => MemoryWorld.FireAsync(app, Timer));
        for (var i = 0; i < 30; i++)
        {
            (await client.EntangleAsync($"a{i}", $"b{i}")).Expect(HttpStatusCode.OK);
            (await client.EntangleAsync($"c{i}", $"d{i}", persistence: "temporal")).Expect(HttpStatusCode.OK);
        }

        var crowded = await world.RequestsAsync(() => MemoryWorld.FireAsync(app, Timer));

        Assert.Equal(2, alone);
        Assert.Equal(2, crowded);
    }

    private static async Task<int> LinksAsync(MemoryWorld world, TestClient client, params string[] ids)
    {
        var count = 0;
        foreach (var id in ids)
        {
            foreach (var tenant in new[] { client.Tenant(), client.Tenant("test") })
            {
                var row = await world.Storage.Main.Tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.HeadKey(id), null, CancellationToken.None);
                count += row is null ? 0 : ObjectRows.ParseHead(row).Links.Count;
            }
        }

        return count;
    }
}
