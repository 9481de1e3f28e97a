using System.Net;

namespace QuantumFlux.Tests.Anchors;

public sealed class AnchorListTests
{
    [Fact]
    public async Task AListIsFilteredAndPagedNewestFirst()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("one", "1");
        await client.PutObjectAsync("two", "2");
        var start = world.Now;
        var ids = new List<string>();
        foreach (var (dataset, type, moment, duration) in new (string, string, TimeSpan, long?)[]
        {
            ("one", "fixed", TimeSpan.Zero, 60),
            ("one", "sliding", TimeSpan.Zero, null),
            ("two", "periodic", TimeSpan.Zero, 60),
            ("two", "fixed", TimeSpan.FromHours(-1), null),
            ("two", "sliding", TimeSpan.Zero, null),
        })
        {
            world.Time.Advance(TimeSpan.FromMilliseconds(1));
            ids.Add(await client.AnchoredAsync(dataset, start + moment, type, duration, new { allow_drift = true }));
        }

        world.Time.Advance(TimeSpan.FromSeconds(60));

        await ShowsAsync("", 4, 3, 2, 1, 0);
        await ShowsAsync("?status=active", 4, 1);
        await ShowsAsync("?status=expired", 2, 0);
        await ShowsAsync("?status=drifting", 3);
        await ShowsAsync("?anchor_type=fixed", 3, 0);
        await ShowsAsync("?anchor_type=sliding&dataset_id=two", 4);
        await ShowsAsync("?dataset_id=one", 1, 0);
        await ShowsAsync("?dataset_id=three");
        await ShowsAsync("?per_page=2&page=2", 2, 1);
        await ShowsAsync("?per_page=2&page=4");
        await ShowsAsync("?page=1000000&per_page=100");
        await ShowsAsync("?limit=2", 4, 3);
        await ShowsAsync($"?limit=2&starting_after={ids[3]}", 2, 1);
        await ShowsAsync($"?starting_after={ids[3]}&dataset_id=one", 1, 0);
        await ShowsAsync($"?starting_after={ids[0]}");
        Assert.Equal(
            """{"page":2,"per_page":2,"total_pages":3,"total_count":5}""",
            (await client.GetAsync($"{AnchorRequests.Path}?per_page=2&page=2")).Json.GetProperty("pagination").GetRawText());
        Assert.Equal(
            """{"page":1,"per_page":47,"total_pages":1,"total_count":2}""",
            (await client.GetAsync($"{AnchorRequests.Path}?status=expired")).Json.GetProperty("pagination").GetRawText());
        Assert.True((await client.GetAsync($"{AnchorRequests.Path}?limit=4")).Json.GetProperty("has_more").GetBoolean());
        Assert.False((await client.GetAsync($"{AnchorRequests.Path}?limit=5")).Json.GetProperty("has_more").GetBoolean());

        async Task ShowsAsync(string query, params int[] expected) =>
            Assert.Equal(expected.Select(index => ids[index]), await client.AnchorIdsAsync(query));
    }

    [Fact]
    public async Task AnEntryHasTheDocumentedFields()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");
        await client.AnchoredAsync("ds", TimeProvider.System.GetUtcNow());

        var list = (await client.GetAsync(AnchorRequests.Path)).Expect(HttpStatusCode.OK).Json;

        Assert.Equal(
            ["anchor_id", "dataset_id", "anchor_time", "anchor_type", "status", "stability_index", "drift_amount_ms"],
            list.GetProperty("anchors")[0].EnumerateObject().Select(member => member.Name));
        Assert.Equal("""{"page":1,"per_page":47,"total_pages":1,"total_count":1}""", list.GetProperty("pagination").GetRawText());
    }

    [Theory]
    [InlineData("status=removed", "status")]
    [InlineData("status=", "status")]
    [InlineData("anchor_type=Fixed", "anchor_type")]
    [InlineData("dataset_id=.x", "dataset_id")]
    [InlineData("page=0", "page")]
    [InlineData("page=1000001", "page")]
    [InlineData("per_page=0", "per_page")]
    [InlineData("per_page=101", "per_page")]
    [InlineData("limit=101", "limit")]
    [InlineData("starting_after=anc_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "starting_after")]
    [InlineData("limit=5&page=2", "page")]
    [InlineData("limit=5&per_page=2", "per_page")]
    [InlineData("sort=created_at", "sort")]
    public async Task ABadQueryNamesItsParameter(string query, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.GetAsync($"{AnchorRequests.Path}?{query}");

        Assert.Equal(parameter, Assert.Single(answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.EnumerateObject()).Name);
    }
}
