using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Objects;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Anchors;

public sealed class AnchorLockTests
{
    [Fact]
    public async Task ALockedObjectStaysUntilItsLastAnchorIsRemoved()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");
        var now = TimeProvider.System.GetUtcNow();
        var first = await client.AnchoredAsync("ds", now);
        var second = await client.AnchoredAsync("ds", now, "periodic", 3600);
        await client.AnchoredAsync("ds", now, options: new { quantum_lock = false });

        var both = await client.DeleteAsync("/api/v3/quantum/objects/ds");
        (await client.DeleteAsync($"{AnchorRequests.Path}/{first}")).Expect(HttpStatusCode.OK);
        var one = await client.DeleteAsync("/api/v3/quantum/objects/ds");
        (await client.DeleteAsync($"{AnchorRequests.Path}/{second}")).Expect(HttpStatusCode.OK);

        Assert.Equal([first, second], Named(both));
        Assert.Equal([second], Named(one));
        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ALockEndsWithItsAnchorEvenBeforeTheTimerComes()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "1");
        await client.AnchoredAsync("ds", world.Now, duration: 60);

        world.Time.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        world.Time.Advance(TimeSpan.FromTicks(1));

        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ALockedObjectCanBeWrittenAndEntangled()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");
        var id = await client.AnchoredAsync("ds", TimeProvider.System.GetUtcNow());

        await client.PutObjectAsync("ds", "2");
        await client.PutObjectAsync("other", "3");
        var pair = (await client.EntangleAsync("other", "ds")).Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString();
        (await client.DeleteAsync($"/api/v3/quantum/entangle/{pair}")).Expect(HttpStatusCode.OK);

        Assert.Equal(("3", "1"), ((await client.GetObjectAsync("ds")).Text, (await client.ReadByAsync("ds", id)).Text));
        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
    }

    [Theory]
    [InlineData("fixed")]
    [InlineData("sliding")]
    [InlineData("periodic")]
    public async Task WithoutALockTheDatasetCanGoAndTheAnchorPinsNothing(string type)
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "old");
        var id = await client.AnchoredAsync("ds", world.Now, type, options: new { quantum_lock = false });

        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);
        (await client.ReadByAsync("ds", id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");

        // Another object of the name is not the one that was anchored.
        world.Time.Advance(TimeSpan.FromDays(1));
        await client.PutObjectAsync("ds", "new");
        await AnchorWorld.RunTimerAsync(app);
        (await client.ReadByAsync("ds", id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        var anchor = await client.AnchorOfAsync(id);
        Assert.Equal(JsonValueKind.Null, anchor.GetProperty("version").ValueKind);
        Assert.Equal(type == "periodic" ? "drifting" : "active", anchor.GetProperty("status").GetString());
        (await client.DeleteAsync($"{AnchorRequests.Path}/{id}")).Expect(HttpStatusCode.OK);
    }

    /// <summary>At each of the requests that the one makes to storage, the other comes in between.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ADeletionAndALockNeverBothSucceed(bool isDeletionInterrupted)
    {
        var world = new AnchorWorld();
        await using var one = await world.StartAsync();
        await using var two = await world.StartAsync();
        var client = await one.TenantAsync();
        var other = two.ClientWith(client.Key, client.Account);
        await client.GetAsync("/api/v3/quantum/objects");
        await other.GetAsync("/api/v3/quantum/objects");
        var outcomes = new HashSet<(bool, bool)>();
        for (var step = 0; step < 12; step++)
        {
            var id = $"ds{step}";
            await client.PutObjectAsync(id, "1");

            // An object that was locked once is looked at more closely.
            var before = await client.AnchoredAsync(id, world.Now);
            (await client.DeleteAsync($"{AnchorRequests.Path}/{before}")).Expect(HttpStatusCode.OK);
            Answer? within = null;
            var calls = 0;
            world.Hook = async (_, _) =>
            {
                if (calls++ == step)
                {
                    world.Hook = null;
                    within = isDeletionInterrupted ? await other.AnchorAsync(id, world.Now) : await other.DeleteAsync($"/api/v3/quantum/objects/{id}");
                }

                return MemoryFault.None;
            };
            var outer = isDeletionInterrupted ? await client.DeleteAsync($"/api/v3/quantum/objects/{id}") : await client.AnchorAsync(id, world.Now);
            world.Hook = null;
            if (within is null)
            {
                break;
            }

            var (deletion, creation) = isDeletionInterrupted ? (outer, within) : (within, outer);
            outcomes.Add((deletion.Status == HttpStatusCode.OK, creation.Status == HttpStatusCode.Created));
            if (creation.Status == HttpStatusCode.Created)
            {
                deletion.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
                (await client.ReadByAsync(id, creation.Json.GetProperty("anchor_id").GetString()!)).Expect(HttpStatusCode.OK);
            }
            else
            {
                creation.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
                deletion.Expect(HttpStatusCode.OK);
                Assert.Empty(await world.RowsAsync(client.Tenant(), ObjectRows.LocksFrom(id)));
            }
        }

        Assert.Equal(2, outcomes.Count);
    }

    [Fact]
    public async Task OfManyDeletionsAndLocksOnTwoInstancesOneSideWins()
    {
        var app = await TestApp.SharedAsync;
        await using var second = await TestApp.StartAsync();
        var client = await app.TenantAsync();
        var rivals = new[] { client, second.ClientWith(client.Key, client.Account) };
        for (var round = 0; round < 10; round++)
        {
            var id = $"ds{round}";
            await client.PutObjectAsync(id, "1");
            var moment = TimeProvider.System.GetUtcNow();

            var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(async index => index % 2 == 0
                ? (IsDeletion: true, Answer: await rivals[index / 4].DeleteAsync($"/api/v3/quantum/objects/{id}"))
                : (IsDeletion: false, Answer: await rivals[index / 4].AnchorAsync(id, moment))));

            var isDeleted = answers.Any(answer => answer.IsDeletion && answer.Answer.Status == HttpStatusCode.OK);
            var created = answers.Where(answer => !answer.IsDeletion && answer.Answer.Status == HttpStatusCode.Created).ToList();
            Assert.True(isDeleted == (created.Count == 0), $"deleted: {isDeleted}, anchors: {created.Count}");
            foreach (var (_, answer) in created)
            {
                (await client.ReadByAsync(id, answer.Json.GetProperty("anchor_id").GetString()!)).Expect(HttpStatusCode.OK);
            }
        }
    }

    [Fact]
    public async Task OnlyALockThatHoldsKeepsContentFromCleanUp()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var sha = (await client.PutObjectAsync("ds", "1")).Json.GetProperty("sha256").GetString();
        await client.AnchoredAsync("ds", world.Now, duration: 60, options: new { quantum_lock = false });
        Assert.Empty(await ReferencesAsync());

        await client.AnchoredAsync("ds", world.Now, duration: 60);
        var removed = await client.AnchoredAsync("ds", world.Now, "periodic", duration: 60);
        Assert.Equal([sha, sha], await ReferencesAsync());

        (await client.DeleteAsync($"{AnchorRequests.Path}/{removed}")).Expect(HttpStatusCode.OK);
        Assert.Equal([sha], await ReferencesAsync());

        world.Time.Advance(TimeSpan.FromSeconds(60));
        await AnchorWorld.RunTimerAsync(app);
        Assert.Empty(await ReferencesAsync());

        async Task<IEnumerable<string?>> ReferencesAsync() =>
            (await world.RowsAsync(client.Tenant(), "a")).Where(row => row.Text("Sha256") is not null).Select(row => row.Text("Sha256"));
    }

    [Fact]
    public async Task ALockThatIsOverKeepsNoContentEvenIfNoTimerHasTakenItAway()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "1");
        await client.AnchoredAsync("ds", world.Now, duration: 60);
        world.Time.Advance(TimeSpan.FromSeconds(60));
        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);
        Assert.NotEmpty(await world.RowsAsync(client.Tenant(), ObjectRows.ContentFrom));

        world.Time.Advance(CleanUpStore.Grace + TimeSpan.FromHours(1));
        await app.Services.GetRequiredService<CleanUp>().RunAsync(CancellationToken.None);

        Assert.Empty(await world.RowsAsync(client.Tenant(), ObjectRows.ContentFrom));
    }

    private static IEnumerable<string?> Named(Answer refused) => refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT").Details
        .GetProperty("anchor_ids").EnumerateArray().Select(item => item.GetString());
}
