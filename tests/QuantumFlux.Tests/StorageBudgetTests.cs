using System.Net;
using QuantumFlux.Tests.Anchors;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests;

/// <summary>Every call's storage requests on a warm instance (design, section 13). A budget that grows is a regression like any other.</summary>
public sealed class StorageBudgetTests
{
    [Fact]
    public async Task EveryCallKeepsItsBudget()
    {
        // The clock stands still, so that what authentication has read stays fresh: its own request is counted below.
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await client.WarmAsync();
        await client.DeleteAsync("/api/v3/quantum/objects/warm");

        await CostsAsync(0, () => client.PostAsync("/api/v3/quantum/entangle", new { }));
        await CostsAsync(2, () => client.PutObjectAsync("a", "one"));
        await CostsAsync(2, () => client.PutObjectAsync("a", "two"));
        await CostsAsync(2, () => client.PutObjectAsync("b", "three"));
        await CostsAsync(1, () => client.GetObjectAsync("a"));
        await CostsAsync(1, () => client.GetObjectAsync("a", ("Range", "bytes=1-")));
        await CostsAsync(1, () => client.GetAsync("/api/v3/quantum/objects"));
        await CostsAsync(2, () => client.GetAsync("/api/v3/quantum/objects/a/versions"));
        string? id = null;
        await CostsAsync(3, async () => id = (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString());
        await CostsAsync(2, () => client.GetAsync($"/api/v3/quantum/entangle/{id}"));
        await CostsAsync(1, () => client.GetAsync("/api/v3/quantum/entangle?status=active"));
        await CostsAsync(4, () => client.PutObjectAsync("a", "with a partner"));
        await CostsAsync(1, () => client.GetObjectAsync("b"));
        await CostsAsync(2, () => client.EntangleAsync("a", "b"));
        await CostsAsync(6, () => client.DeleteAsync($"/api/v3/quantum/entangle/{id}?backup=true"));
        await CostsAsync(2, () => client.DeleteAsync("/api/v3/quantum/objects/a"));
        await client.PutObjectAsync("c", "x");

        // The first thing that falls due in an hour is announced.
        await CostsAsync(4, async () => (await client.EntangleAsync("b", "c", persistence: "temporal")).Expect(HttpStatusCode.OK));
        await client.PutObjectAsync("d", "x");
        await client.PutObjectAsync("e", "x");
        await CostsAsync(3, async () => (await client.EntangleAsync("d", "e", persistence: "temporal")).Expect(HttpStatusCode.OK));
        string? key = null;
        await CostsAsync(2, async () => key = (await client.PostAsync("/api/v3/auth/keys", new { })).Json.GetProperty("key_id").GetString());
        await CostsAsync(1, () => client.GetAsync("/api/v3/auth/keys"));
        await CostsAsync(6, () => client.SendAsync(HttpMethod.Post, $"/api/v3/auth/keys/{key}/rotate"));
        await CostsAsync(4, () => client.PostAsync("/api/v3/auth/revoke", new { key_id = key }));

        // With an Idempotency-Key: the claim, and where no transaction has room for the answer, the answer. Once an hour, that the tenant has some.
        await client.PutObjectAsync("warm", "x", ("Idempotency-Key", "warm"));
        await CostsAsync(3, () => client.PutObjectAsync("f", "one", ("Idempotency-Key", "write")));
        await CostsAsync(2, () => client.PutObjectAsync("f", "one", ("Idempotency-Key", "write")));
        await CostsAsync(2, () => client.PutObjectAsync("f", "two", ("Idempotency-Key", "write")));
        await CostsAsync(4, () => client.DeleteAsync("/api/v3/quantum/objects/f", ("Idempotency-Key", "delete")));
        await CostsAsync(3, () => client.DeleteAsync("/api/v3/quantum/objects/f", ("Idempotency-Key", "delete nothing")));
        await CostsAsync(4, async () => key = (await client.PostAsync("/api/v3/auth/keys", new { }, ("Idempotency-Key", "make"))).Json.GetProperty("key_id").GetString());
        await CostsAsync(8, () => client.SendAsync(HttpMethod.Post, $"/api/v3/auth/keys/{key}/rotate", null, ("Idempotency-Key", "rotate")));
        await client.PutObjectAsync("i", "x");
        await client.PutObjectAsync("j", "x");
        await client.PutObjectAsync("g", "x");
        await client.PutObjectAsync("h", "x");
        await CostsAsync(6, async () => (await client.PostAsync(
            "/api/v3/quantum/entangle", new { source_id = "g", target_id = "h", entanglement_strength = 0.9 }, ("Idempotency-Key", "entangle")))
            .Expect(HttpStatusCode.OK));

        // What a pair keeps in the cache is written and read with the heads.
        await CostsAsync(3, async () => (await client.EntangleAsync("i", "j", new { crystal_cache = true })).Expect(HttpStatusCode.OK));
        await CostsAsync(4, async () => (await client.PutObjectAsync("i", "cached")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, () => client.GetObjectAsync("j"));

        // The cache: the table's creation, and the announcement of the hour in which something falls due, come once.
        await client.CacheAsync("warm", "1", ttlSeconds: 60);
        await CostsAsync(1, () => client.CacheAsync("k", CacheClient.Measurements(1_000)));
        await CostsAsync(1, () => client.CacheAsync("k", CacheClient.Measurements(1_000), ttlSeconds: 60, """{"replication_factor":7}"""));
        await CostsAsync(1, () => client.CacheAsync("k", CacheClient.Measurements(700_000)));
        await CostsAsync(1, () => client.CachedAsync("k"));
        await CostsAsync(1, () => client.CachedAsync("missing"));
        await CostsAsync(2, () => client.CacheAsync("k", "1", headers: ("If-Match", "*")));
        await CostsAsync(1, () => client.GetAsync(CacheClient.Root));
        await CostsAsync(3, () => client.UncacheAsync("k"));

        // Made once, and marked as made, in the same transaction. A refusal looks for the mark.
        await client.CacheAsync("warm", "1", headers: ("Idempotency-Key", "warm cache"));
        await CostsAsync(3, () => client.CacheAsync("once", "1", headers: ("Idempotency-Key", "cache")));
        await CostsAsync(2, () => client.CacheAsync("once", "1", headers: ("Idempotency-Key", "cache")));
        await CostsAsync(4, () => client.CacheAsync("once", "1", headers: [("Idempotency-Key", "cache if"), ("If-Match", "*")]));
        await CostsAsync(4, () => client.CacheAsync("once", "1", headers: [("Idempotency-Key", "cache if none"), ("If-None-Match", "*")]));
        await CostsAsync(5, () => client.UncacheAsync("once", ("Idempotency-Key", "uncache")));
        await CostsAsync(5, () => client.UncacheAsync("once", ("Idempotency-Key", "uncache nothing")));
        var batch = new { operations = new[] { new { operation = "put", key = "one", value = 1 }, new { operation = "put", key = "two", value = 2 } } };
        await CostsAsync(2, () => client.PostAsync($"{CacheClient.Root}/batch", batch));
        await CostsAsync(4, () => client.PostAsync($"{CacheClient.Root}/batch", batch, ("Idempotency-Key", "batch")));
        await client.CacheAsync("large", CacheClient.Measurements(1_500_000));

        // A large value: the row that has its blobs looked after, three blobs, and the entry.
        await CostsAsync(5, () => client.CacheAsync("large", CacheClient.Measurements(1_500_000)));
        await CostsAsync(2, () => client.CachedAsync("large"));
        await CostsAsync(6, () => client.UncacheAsync("large"));

        // The first anchor to fall due in an hour announces it. Far off, since timers of other tests run in the same storage by the real clock.
        const long Seconds = 50L * 365 * 24 * 60 * 60;
        var (anchors, pinned) = (new List<string>(), time.GetUtcNow());
        await CostsAsync(2, () => client.PutObjectAsync("m", "one"));
        await CostsAsync(2, async () => anchors.Add(await client.AnchoredAsync("m", time.GetUtcNow())));
        await CostsAsync(3, async () => anchors.Add(await client.AnchoredAsync("m", time.GetUtcNow(), duration: Seconds)));
        await CostsAsync(2, async () => anchors.Add(await client.AnchoredAsync("m", time.GetUtcNow(), duration: Seconds)));
        string? anchored = null;
        await CostsAsync(3, async () => anchored = (await client.PostAsync(
            AnchorRequests.Path, new { dataset_id = "m", anchor_time = pinned, anchor_type = "fixed" }, ("Idempotency-Key", "anchor")))
            .Expect(HttpStatusCode.Created).Json.GetProperty("anchor_id").GetString());
        await CostsAsync(3, async () => (await client.DeleteAsync($"{AnchorRequests.Path}/{anchored}", ("Idempotency-Key", "unanchor"))).Expect(HttpStatusCode.OK));
        time.Advance(TimeSpan.FromMilliseconds(1));
        await CostsAsync(2, () => client.PutObjectAsync("m", "two"));
        await CostsAsync(3, async () => anchors.Add(await client.AnchoredAsync("m", pinned, duration: Seconds)));
        await CostsAsync(3, () => client.GetAsync($"/api/v3/quantum/objects/m?anchor={anchors[3]}"));
        await CostsAsync(3, () => client.GetAsync($"{AnchorRequests.Path}/{anchors[3]}"));
        await CostsAsync(1, () => client.GetAsync(AnchorRequests.Path));
        await CostsAsync(1, () => client.GetAsync($"{AnchorRequests.Path}?limit=2"));
        await CostsAsync(2, () => client.DeleteAsync("/api/v3/quantum/objects/m"));
        foreach (var anchor in anchors)
        {
            await CostsAsync(2, async () => (await client.DeleteAsync($"{AnchorRequests.Path}/{anchor}")).Expect(HttpStatusCode.OK));
        }

        await CostsAsync(4, async () => (await client.DeleteAsync("/api/v3/quantum/objects/m")).Expect(HttpStatusCode.OK));

        time.Advance(TimeSpan.FromSeconds(5));
        await CostsAsync(2, () => client.GetObjectAsync("b"));

        async Task CostsAsync(int budget, Func<Task> call)
        {
            var count = await app.Requests.DuringAsync(call);
            Assert.True(count <= budget, $"{count} storage requests instead of {budget}");
        }
    }

    [Fact]
    public async Task EveryCallOnVectorsKeepsItsBudget()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        await client.WarmVectorsAsync();
        var batch = Enumerable.Range(0, 100).Select(index => $$"""{"id":"b{{index}}","vector":{{VectorClient.Json(Enumerable.Range(0, 784).Select(axis => (float)((axis * index) % 17)))}}}""").ToList();
        var (one, two) = (VectorClient.Json(Enumerable.Range(0, 784).Select(axis => axis * 0.1f)), VectorClient.Json(Enumerable.Range(0, 784).Select(axis => 1 / (axis + 1f))));

        // The first write of all makes the tables. A tenant's first one on an instance reads manifest and log, and the first of an hour announces the tenant.
        (await (await app.TenantAsync()).WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);
        await CostsAsync(4, async () => (await client.WriteAsync("a", one)).Expect(HttpStatusCode.Created));

        await CostsAsync(1, async () => (await client.WriteAsync("b", one)).Expect(HttpStatusCode.Created));
        await CostsAsync(1, async () => (await client.WriteAsync("b", two)).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.BatchAsync(batch)).Expect(HttpStatusCode.Created));
        await CostsAsync(1, async () => (await client.BatchAsync(batch, isTransaction: false)).Expect(HttpStatusCode.Created));
        await CostsAsync(1, async () => (await client.ChangeAsync("b", """{"metadata":{"a":1}}""")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.ReadAsync("b")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.ReadAsync("missing")).Expect(HttpStatusCode.NotFound));
        await CostsAsync(1, async () => (await client.GetAsync($"{VectorClient.Root}?page=2&size=50")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.QueryAsync(one)).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => Assert.True((await client.QueryAsync(one)).IsHit()));
        await CostsAsync(1, async () => (await client.QueryAsync(two, "\"mode\":\"exploratory\",\"enable_tunneling\":true,\"filters\":{\"metadata.a\":1}")).Expect(HttpStatusCode.OK));
        await CostsAsync(0, async () => (await client.QueryAsync(two, "\"consistency\":\"eventual\"")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.RemoveAsync("b")).Expect(HttpStatusCode.OK));
        await CostsAsync(0, async () => (await client.WriteAsync("b", "[\"x\"]")).Expect(HttpStatusCode.BadRequest));

        // A refusal that another instance could have undone looks first.
        await CostsAsync(1, async () => (await client.RemoveAsync("b")).Expect(HttpStatusCode.NotFound));
        await CostsAsync(1, async () => (await client.WriteAsync("b", "[1]")).Expect(HttpStatusCode.BadRequest));
        await CostsAsync(1, async () => (await client.BatchAsync(["""{"id":"b","vector":[1]}"""], isTransaction: false)).Expect(HttpStatusCode.OK));

        // With an Idempotency-Key: the claim, and the answer where it does not go along.
        await client.WriteAsync("b", one, "", ("Idempotency-Key", "warm"));
        await CostsAsync(2, async () => (await client.WriteAsync("c", one, "", ("Idempotency-Key", "write"))).Expect(HttpStatusCode.Created));
        await CostsAsync(2, async () => (await client.WriteAsync("c", one, "", ("Idempotency-Key", "write"))).Expect(HttpStatusCode.Created));
        await CostsAsync(2, async () => (await client.BatchAsync(batch, null, ("Idempotency-Key", "batch"))).Expect(HttpStatusCode.Created));
        await CostsAsync(2, async () => (await client.ChangeAsync("c", """{"metadata":{"a":1}}""", ("Idempotency-Key", "change"))).Expect(HttpStatusCode.OK));
        await CostsAsync(2, async () => (await client.RemoveAsync("c", ("Idempotency-Key", "remove"))).Expect(HttpStatusCode.OK));
        await CostsAsync(3, async () => (await client.RemoveAsync("c", ("Idempotency-Key", "remove nothing"))).Expect(HttpStatusCode.NotFound));

        // The same from segments.
        await app.BuildSegmentAsync(client);
        await CostsAsync(1, async () => (await client.QueryAsync(two)).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.ReadAsync("b5")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.GetAsync(VectorClient.Root)).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.ChangeAsync("b5", """{"metadata":{"a":1}}""")).Expect(HttpStatusCode.OK));
        await CostsAsync(1, async () => (await client.RemoveAsync("b6")).Expect(HttpStatusCode.OK));

        // Many who write or ask at once share requests.
        Assert.InRange(
            await app.Requests.DuringAsync(() => Task.WhenAll(Enumerable.Range(0, 30).Select(async index => (await client.WriteAsync($"n{index}", one)).Expect(HttpStatusCode.Created)))), 1, 30);

        async Task CostsAsync(int budget, Func<Task> call)
        {
            var count = await app.Requests.DuringAsync(call);
            Assert.True(count == budget, $"{count} storage requests instead of {budget}");
        }
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 1)]
    public async Task AColdReadCostsTwoAndOneOfACachedPair(bool isCached, int expected)
    {
        var opener = QuantumFlux.Keys.ApiKey.NewSecret(QuantumFlux.Keys.KeyEnvironment.Live);
        var time = new ManualTime();
        await using var writer = await TestApp.StartAsync(time, adminKey: opener);
        await using var reader = await TestApp.StartAsync(time, adminKey: opener);
        var client = await writer.TenantAsync();
        await client.EntangledAsync("a", "b", new { crystal_cache = isCached });
        (await client.PutObjectAsync("b", "content")).Expect(HttpStatusCode.OK);
        var cold = reader.ClientWith(client.Key, client.Account);
        for (var request = 0; request < 3; request++)
        {
            await cold.GetObjectAsync("other");
        }

        Assert.Equal(expected, await reader.Requests.DuringAsync(() => cold.GetObjectAsync("a")));
        Assert.Equal(1, await reader.Requests.DuringAsync(() => cold.GetObjectAsync("a")));
    }
}
