using System.Net;
using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Entanglements;

public sealed class EntanglementLimitTests
{
    private const string Path = "/api/v3/quantum/entangle";

    [Fact]
    public async Task BeyondTheLimitAKeyMakesNoEntanglementUntilItDissolvesOne()
    {
        await using var world = await World.StartAsync(limit: 2);
        var client = await world.Here.TenantAsync("test");
        var first = await MadeAsync(client, "a", "b");
        await MadeAsync(client, "a", "c");

        var refused = (await client.EntangleAsync("a", "d")).ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED");
        (await client.DeleteAsync($"{Path}/{first}")).Expect(HttpStatusCode.OK);

        Assert.Equal("Limit of 2 concurrent entanglements per API key exceeded", refused.Json.GetProperty("error").GetProperty("message").GetString());
        Assert.Equal("""{"limit":2,"active":2}""", refused.Details.GetRawText());
        Assert.Null(refused.Header("Retry-After"));
        Assert.False(refused.Json.GetProperty("error").TryGetProperty("retry_after", out _));
        await MadeAsync(client, "a", "d");
        (await client.EntangleAsync("a", "b")).ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED");
    }

    [Fact]
    public async Task ARefusedEntanglementCreatesNothing()
    {
        await using var world = await World.StartAsync(limit: 1);
        var client = await world.Here.TenantAsync("test");
        await MadeAsync(client, "a", "b");

        (await client.EntangleAsync("c", "d")).Expect(HttpStatusCode.TooManyRequests);

        Assert.Equal(["a", "b"], (await client.GetAsync("/api/v3/quantum/objects")).Json.GetProperty("objects").EnumerateArray().Select(item => item.GetProperty("object_id").GetString()));
        Assert.Equal(1, await TotalAsync(client));
    }

    [Fact]
    public async Task OneTooWeakToHoldCountsToo()
    {
        await using var world = await World.StartAsync(limit: 1);
        var client = await world.Here.TenantAsync("test");

        (await client.EntangleAsync("a", "b", new { quantum_verify = false }, strength: 0.1)).Expect(HttpStatusCode.OK);

        (await client.EntangleAsync("a", "c")).Expect(HttpStatusCode.TooManyRequests);
        (await client.EntangleAsync("a", "c", new { quantum_verify = false }, strength: 0.1)).Expect(HttpStatusCode.TooManyRequests);
    }

    [Fact]
    public async Task AnExpiredEntanglementCountsNoLonger()
    {
        await using var world = await World.StartAsync(limit: 2);
        var client = await world.Here.TenantAsync("test");
        var temporal = (await client.EntangleAsync("a", "b", persistence: "temporal")).Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString();
        await MadeAsync(client, "a", "c");
        world.Time.Advance(TimeSpan.FromHours(1));

        var refused = (await client.EntangleAsync("a", "d")).Expect(HttpStatusCode.TooManyRequests);
        world.Time.Advance(Pair.TemporalLifetime - TimeSpan.FromHours(1) - TimeSpan.FromMilliseconds(1));
        var last = (await client.EntangleAsync("a", "d")).Expect(HttpStatusCode.TooManyRequests);
        world.Time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal("82800", refused.Header("Retry-After"));
        Assert.Equal(82_800, refused.Json.GetProperty("error").GetProperty("retry_after").GetInt64());
        Assert.Equal("1", last.Header("Retry-After"));
        await MadeAsync(client, "a", "d");

        // It is out of the count: to dissolve it now makes room for nothing.
        (await client.DeleteAsync($"{Path}/{temporal}")).Expect(HttpStatusCode.OK);
        (await client.EntangleAsync("a", "e")).Expect(HttpStatusCode.TooManyRequests);
    }

    [Fact]
    public async Task EachKeyHasItsOwnLimitAndAnotherKeyFreesItsMakers()
    {
        await using var world = await World.StartAsync(limit: 1);
        var client = await world.Here.TenantAsync("test");
        var other = await world.There.KeyAsync(client.Account, "test");
        var id = await MadeAsync(client, "a", "b");
        await MadeAsync(other, "c", "d");

        (await other.DeleteAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK);

        (await other.EntangleAsync("e", "f")).Expect(HttpStatusCode.TooManyRequests);
        await MadeAsync(client, "a", "b");
    }

    [Fact]
    public async Task TwoInstancesTogetherNeverMakeMoreThanTheLimit()
    {
        await using var world = await World.StartAsync(limit: 10);
        var client = await world.Here.TenantAsync("test");
        var there = world.There.ClientWith(client.Key, client.Account);

        for (var round = 0; round < 3; round++)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(number =>
                (number % 2 == 0 ? client : there).EntangleAsync($"s{number}", $"t{number}")));

            var made = answers.Where(answer => answer.Status == HttpStatusCode.OK).Select(answer => answer.Json.GetProperty("entanglement_id").GetString()!).ToList();
            Assert.Equal(10, made.Count);
            Assert.All(answers.Where(answer => answer.Status != HttpStatusCode.OK), answer => answer.ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED"));
            Assert.Equal(10, await TotalAsync(client));
            var ended = await Task.WhenAll(made.Select((id, number) => (number % 2 == 0 ? there : client).DeleteAsync($"{Path}/{id}")));
            Assert.All(ended, answer => answer.Expect(HttpStatusCode.OK));
        }
    }

    [Fact]
    public async Task WithoutLimitsTheCountIsKeptAllTheSame()
    {
        await using var world = await World.StartAsync(limit: 1, isLimitedHere: false);
        var client = await world.Here.TenantAsync("test");
        var id = await MadeAsync(client, "a", "b");
        await MadeAsync(client, "a", "c");
        var there = world.There.ClientWith(client.Key, client.Account);

        var refused = (await there.EntangleAsync("a", "d")).Expect(HttpStatusCode.TooManyRequests);
        (await client.DeleteAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK);

        Assert.Equal("""{"limit":1,"active":2}""", refused.Details.GetRawText());
        (await there.EntangleAsync("a", "d")).Expect(HttpStatusCode.TooManyRequests);
        await MadeAsync(client, "a", "d");
    }

    [Fact]
    public async Task AFullCountIsProvedOnceAndThenCostsOneRequestMore()
    {
        await using var world = await World.StartAsync(limit: 1);
        var client = await world.Here.TenantAsync("test");
        await MadeAsync(client, "a", "b");

        // Metering leases what the next requests need; its own requests are counted elsewhere.
        for (var request = 0; request < 3; request++)
        {
            await client.PostAsync(Path, new { });
        }

        var proved = await CostAsync(() => client.EntangleAsync("c", "d"));
        var known = await CostAsync(() => client.EntangleAsync("c", "d"));

        Assert.Equal((4, 3), (proved, known));

        async Task<int> CostAsync(Func<Task<Answer>> call)
        {
            var before = world.Tables.Requests;
            (await call()).Expect(HttpStatusCode.TooManyRequests);
            return world.Tables.Requests - before;
        }
    }

    private static async Task<string> MadeAsync(TestClient client, string source, string target) =>
        (await client.EntangleAsync(source, target)).Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString()!;

    private static async Task<int> TotalAsync(TestClient client) =>
        (await client.GetAsync(Path)).Json.GetProperty("pagination").GetProperty("total_count").GetInt32();

    /// <summary>Two instances over one storage in memory.</summary>
    private sealed class World : IAsyncDisposable
    {
        public required ManualTime Time { get; init; }

        public required MemoryTables Tables { get; init; }

        public required TestApp Here { get; init; }

        public required TestApp There { get; init; }

        public static async Task<World> StartAsync(int limit, bool isLimitedHere = true)
        {
            var time = new ManualTime();
            var tables = new MemoryTables(time);
            var storage = new StorageAccounts(new StorageAccount(tables, new MemoryBlobs(time)), new Dictionary<int, StorageAccount>());
            var opener = ApiKey.NewSecret(KeyEnvironment.Live);
            return new World
            {
                Time = time,
                Tables = tables,
                Here = await StartAsync(isLimitedHere),
                There = await StartAsync(true),
            };

            Task<TestApp> StartAsync(bool isLimited) => TestApp.StartAsync(
                time,
                storage,
                new Dictionary<string, string?> { ["QuantumFlux:RateLimits:EntanglementsMax"] = $"{limit}", ["QuantumFlux:RateLimits:Enabled"] = $"{isLimited}" },
                opener);
        }

        public async ValueTask DisposeAsync()
        {
            await Here.DisposeAsync();
            await There.DisposeAsync();
        }
    }
}
