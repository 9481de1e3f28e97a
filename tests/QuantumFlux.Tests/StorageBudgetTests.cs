using System.Net;
using QuantumFlux.Tests.Anchors;

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
        await client.PutObjectAsync("warm", "x");

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
        await CostsAsync(3, () => client.DeleteAsync("/api/v3/quantum/objects/warm"));

        // The first anchor to fall due in an hour announces it. Far off, since timers of other tests run in the same storage by the real clock.
        const long Seconds = 50L * 365 * 24 * 60 * 60;
        var (anchors, pinned) = (new List<string>(), time.GetUtcNow());
        await CostsAsync(2, () => client.PutObjectAsync("c", "one"));
        await CostsAsync(2, async () => anchors.Add(await client.AnchoredAsync("c", time.GetUtcNow())));
        await CostsAsync(3, async () => anchors.Add(await client.AnchoredAsync("c", time.GetUtcNow(), duration: Seconds)));
        await CostsAsync(2, async () => anchors.Add(await client.AnchoredAsync("c", time.GetUtcNow(), duration: Seconds)));
        time.Advance(TimeSpan.FromMilliseconds(1));
        await CostsAsync(2, () => client.PutObjectAsync("c", "two"));
        await CostsAsync(3, async () => anchors.Add(await client.AnchoredAsync("c", pinned, duration: Seconds)));
        await CostsAsync(3, () => client.GetAsync($"/api/v3/quantum/objects/c?anchor={anchors[3]}"));
        await CostsAsync(3, () => client.GetAsync($"{AnchorRequests.Path}/{anchors[3]}"));
        await CostsAsync(1, () => client.GetAsync(AnchorRequests.Path));
        await CostsAsync(1, () => client.GetAsync($"{AnchorRequests.Path}?limit=2"));
        await CostsAsync(2, () => client.DeleteAsync("/api/v3/quantum/objects/c"));
        foreach (var anchor in anchors)
        {
            await CostsAsync(2, async () => (await client.DeleteAsync($"{AnchorRequests.Path}/{anchor}")).Expect(HttpStatusCode.OK));
        }

        await CostsAsync(4, async () => (await client.DeleteAsync("/api/v3/quantum/objects/c")).Expect(HttpStatusCode.OK));

        time.Advance(TimeSpan.FromSeconds(5));
        await CostsAsync(2, () => client.GetObjectAsync("a"));

        async Task CostsAsync(int budget, Func<Task> call)
        {
            var count = await app.Requests.DuringAsync(call);
            Assert.True(count <= budget, $"{count} storage requests instead of {budget}");
        }
    }

    [Fact]
    public async Task AColdReadCostsTwo()
    {
        var opener = QuantumFlux.Keys.ApiKey.NewSecret(QuantumFlux.Keys.KeyEnvironment.Live);
        await using var writer = await TestApp.StartAsync(adminKey: opener);
        await using var reader = await TestApp.StartAsync(adminKey: opener);
        var client = await writer.TenantAsync();
        await client.PutObjectAsync("a", "content");
        var cold = reader.ClientWith(client.Key, client.Account);
        await cold.GetObjectAsync("other");

        Assert.Equal(2, await reader.Requests.DuringAsync(() => cold.GetObjectAsync("a")));
        Assert.Equal(1, await reader.Requests.DuringAsync(() => cold.GetObjectAsync("a")));
    }
}
