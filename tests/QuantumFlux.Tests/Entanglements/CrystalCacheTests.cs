using System.Net;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Entanglements;

/// <summary>Entanglements with <c>crystal_cache</c>: the heads of both objects carry the content along.</summary>
public sealed class CrystalCacheTests
{
    private const int Longest = ObjectLimits.CrystalBytesMax;

    [Fact]
    public async Task ACachedPairIsReadWhereNoDimensionOfItsPathwayAnswers()
    {
        var world = new MemoryWorld();
        await using var writer = await world.StartAsync();
        await using var reader = await world.StartAsync();
        var client = await writer.TenantAsync();
        var cold = reader.ClientWith(client.Key, client.Account);
        var content = Content(Longest);
        await client.EntangledAsync("a", "b", new { crystal_cache = true }, [2, 5]);
        await client.EntangledAsync("x", "y", new { crystal_cache = false }, [2, 5]);
        (await client.PutObjectAsync("a", content)).Expect(HttpStatusCode.OK);
        (await client.PutObjectAsync("x", Content(Longest))).Expect(HttpStatusCode.OK);

        world.Down.UnionWith([2, 5]);

        foreach (var id in new[] { "a", "b" })
        {
            var read = await cold.GetObjectAsync(id);
            Assert.True(content.AsSpan().SequenceEqual(read.Expect(HttpStatusCode.OK).Bytes));
            Assert.Equal("hit", read.Header("X-Crystal-Cache"));
            var part = await cold.GetObjectAsync(id, ("Range", "bytes=10-19"));
            Assert.True(content.AsSpan(10, 10).SequenceEqual(part.Expect(HttpStatusCode.PartialContent).Bytes));
        }

        (await cold.GetObjectAsync("y")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
    }

    [Fact]
    public async Task ANewPairCachesTheContentThatItsSourceHad()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();

        var id = await client.EntangledAsync("a", "b", new { crystal_cache = true, quantum_verify = false });

        Assert.True(await IsHitAsync(client, "a", "content of a"u8.ToArray()));
        Assert.True(await IsHitAsync(client, "b", "content of a"u8.ToArray()));
        Assert.True((await client.GetAsync($"/api/v3/quantum/entangle/{id}")).Json.GetProperty("crystal_cache").GetBoolean());
    }

    [Fact]
    public async Task EveryReadIsOfTheLastWriteWhetherItIsCachedOrTooLarge()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.EntangledAsync("a", "b", new { crystal_cache = true });

        foreach (var (length, isCached) in new[] { (Longest, true), (Longest + 1, false), (1, true), (1_000_000, false), (2, true), (0, false) })
        {
            var content = Content(length);
            (await client.PutObjectAsync("b", content)).Expect(HttpStatusCode.OK);
            Assert.Equal(isCached, await IsHitAsync(client, "a", content));
            Assert.Equal(isCached, await IsHitAsync(client, "b", content));
            Assert.Equal(isCached ? length : 0, (await HeadAsync(world, client, "a")).Crystal.Length);
        }
    }

    [Fact]
    public async Task ADissolvedPairTakesItsContentOutOfTheCacheUnlessAnotherKeepsIt()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var first = await client.EntangledAsync("a", "b", new { crystal_cache = true });
        await client.PutObjectAsync("c", "x");
        (await client.EntangleAsync("b", "c", new { crystal_cache = true })).Expect(HttpStatusCode.OK);
        var content = Content(1000);
        (await client.PutObjectAsync("c", content)).Expect(HttpStatusCode.OK);

        (await client.DeleteAsync($"/api/v3/quantum/entangle/{first}")).Expect(HttpStatusCode.OK);

        Assert.False(await IsHitAsync(client, "a", content));
        Assert.True(await IsHitAsync(client, "b", content));
        Assert.True((await HeadAsync(world, client, "a")).Crystal.IsEmpty);
    }

    [Fact]
    public async Task AnExpiredPairIsNotServedFromTheCacheAndTheTimerEmptiesIt()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var content = Content(1000);
        await client.PutObjectAsync("a", content);
        await client.PutObjectAsync("b", "x");
        (await client.EntangleAsync("a", "b", new { crystal_cache = true }, persistence: "temporal")).Expect(HttpStatusCode.OK);
        Assert.True(await IsHitAsync(client, "b", content));

        time.Advance(Pair.TemporalLifetime);

        Assert.False(await IsHitAsync(client, "b", content));
        await MemoryWorld.FireAsync(app, "EntanglementDecoherence");
        Assert.True((await HeadAsync(world, client, "b")).Crystal.IsEmpty);
        Assert.False(await IsHitAsync(client, "b", content));
    }

    [Fact]
    public async Task WhatIsCachedIsNotServedWhenItIsNotWhatWasWritten()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.EntangledAsync("a", "b", new { crystal_cache = true });
        var content = Content(1000);
        (await client.PutObjectAsync("a", content)).Expect(HttpStatusCode.OK);

        var head = await HeadAsync(world, client, "b");
        var forged = TableAction.Replace(ObjectRows.HeadRow(client.Tenant(), head with { Crystal = Content(1000) }), head.RowETag!);
        Assert.True((await world.Storage.Main.Tables.WriteAsync(ObjectRows.Table, [forged], CancellationToken.None)).IsDone);

        Assert.False(await IsHitAsync(client, "b", content));
    }

    [Fact]
    public async Task AGroupThatNeedsSeveralTransactionsGoesWithoutTheCache()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("hub", "x");
        for (var partner = 0; partner < 40; partner++)
        {
            await client.PutObjectAsync($"p{partner}", "x");
            (await client.EntangleAsync("hub", $"p{partner}", new { crystal_cache = true })).Expect(HttpStatusCode.OK);
            if (partner is 25 or 39)
            {
                var content = Content(Longest);
                (await client.PutObjectAsync("p3", content)).Expect(HttpStatusCode.OK);
                foreach (var id in new[] { "hub", "p0", "p3", $"p{partner}" })
                {
                    Assert.Equal(partner == 25, await IsHitAsync(client, id, content));
                }
            }
        }
    }

    private static async Task<bool> IsHitAsync(TestClient client, string id, byte[] content)
    {
        var read = (await client.GetObjectAsync(id)).Expect(HttpStatusCode.OK);
        Assert.True(content.AsSpan().SequenceEqual(read.Bytes), $"{id} is not what was written last");
        return read.Header("X-Crystal-Cache") == "hit";
    }

    private static async Task<ObjectHead> HeadAsync(MemoryWorld world, TestClient client, string id) => ObjectRows.ParseHead(
        (await world.Storage.Main.Tables.GetAsync(ObjectRows.Table, client.Tenant(), ObjectRows.HeadKey(id), null, CancellationToken.None))!);

    private static byte[] Content(int length)
    {
        var content = new byte[length];
        Random.Shared.NextBytes(content);
        return content;
    }
}
