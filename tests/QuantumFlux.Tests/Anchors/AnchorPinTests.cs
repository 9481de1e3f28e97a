using System.Net;

namespace QuantumFlux.Tests.Anchors;

/// <summary>What anchors of each type pin, and how far off that is, on a clock that the tests move.</summary>
public sealed class AnchorPinTests
{
    [Fact]
    public async Task AFixedAnchorPinsWhatWasCurrentAtItsMoment()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "first");
        world.Time.Advance(TimeSpan.FromMinutes(47));
        var between = world.Now;
        world.Time.Advance(TimeSpan.FromMinutes(10));
        await client.PutObjectAsync("ds", "second");

        var past = await client.AnchoredAsync("ds", between);
        var present = await client.AnchoredAsync("ds", world.Now);
        await client.PutObjectAsync("ds", "third");
        world.Time.Advance(TimeSpan.FromDays(3));

        Assert.Equal("first", (await client.ReadByAsync("ds", past)).Expect(HttpStatusCode.OK).Text);
        Assert.Equal("second", (await client.ReadByAsync("ds", present)).Expect(HttpStatusCode.OK).Text);
        Assert.Equal("rst", (await client.GetAsync($"/api/v3/quantum/objects/ds?anchor={past}", ("Range", "bytes=2-"))).Expect(HttpStatusCode.PartialContent).Text);
        Assert.Equal(("active", 0.0), (await client.StatusOfAsync(past), await client.DriftOfAsync(past)));
    }

    [Theory]
    [InlineData("fixed")]
    [InlineData("sliding")]
    [InlineData("periodic")]
    public async Task AnAnchorThatCannotBeExactIsRefusedUnlessItMayDrift(string type)
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "first");

        foreach (var by in new[] { TimeSpan.FromMinutes(-2), TimeSpan.FromMinutes(3) })
        {
            var refused = await client.AnchorAsync("ds", world.Now + by, type);
            var allowed = await client.AnchoredAsync("ds", world.Now + by, type, options: new { allow_drift = true });

            refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
            Assert.Equal(by.Duration().TotalMilliseconds, refused.Details.GetProperty("drift_amount_ms").GetDouble());
            Assert.Equal(("drifting", by.Duration().TotalMilliseconds), (await client.StatusOfAsync(allowed), await client.DriftOfAsync(allowed)));
            Assert.Equal("first", (await client.ReadByAsync("ds", allowed)).Expect(HttpStatusCode.OK).Text);
        }
    }

    [Fact]
    public async Task AnAnchorToTheMomentThatAnAnswerPrintsIsExact()
    {
        // The version's number has microseconds, the answer's time milliseconds: the moment lies before the object by the difference.
        var world = new AnchorWorld(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero).AddTicks(9_999));
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var printed = (await client.PutObjectAsync("ds", "first")).Json.GetProperty("created_at").GetDateTimeOffset();

        var id = await client.AnchoredAsync("ds", printed);

        Assert.Equal(("active", 0.999), (await client.StatusOfAsync(id), await client.DriftOfAsync(id)));
    }

    [Fact]
    public async Task AnAnchorToAMomentToComeBecomesExactWhenItHasCome()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "early");
        var id = await client.AnchoredAsync("ds", world.Now.AddHours(2), options: new { allow_drift = true });

        world.Time.Advance(TimeSpan.FromHours(1));
        await client.PutObjectAsync("ds", "in time");
        await AnchorWorld.RunTimerAsync(app);
        var before = (await client.ReadByAsync("ds", id)).Text;
        world.Time.Advance(TimeSpan.FromMinutes(61));
        await client.PutObjectAsync("ds", "too late");
        await AnchorWorld.RunTimerAsync(app);

        Assert.Equal("early", before);
        Assert.Equal("in time", (await client.ReadByAsync("ds", id)).Text);
        Assert.Equal(("active", 0.0), (await client.StatusOfAsync(id), await client.DriftOfAsync(id)));
    }

    [Fact]
    public async Task ASlidingAnchorFollowsAtItsLagWithoutAWrite()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        for (var hour = 0; hour < 5; hour++)
        {
            await client.PutObjectAsync("ds", $"hour {hour}");
            world.Time.Advance(TimeSpan.FromHours(1));
        }

        // It is hour 5, and the anchor stands two and a half hours back.
        var id = await client.AnchoredAsync("ds", world.Now.AddHours(-2.5), "sliding");
        var read = new List<string>();
        for (var hour = 0; hour < 4; hour++)
        {
            read.Add((await client.ReadByAsync("ds", id)).Expect(HttpStatusCode.OK).Text);
            world.Time.Advance(TimeSpan.FromHours(1));
            await AnchorWorld.RunTimerAsync(app);
        }

        Assert.Equal(["hour 2", "hour 3", "hour 4", "hour 4"], read);
        Assert.Equal(0, await client.DriftOfAsync(id));
    }

    [Fact]
    public async Task ASlidingAnchorOlderThanItsDatasetDriftsLessAndLess()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "first");

        var id = await client.AnchoredAsync("ds", world.Now.AddHours(-3), "sliding", options: new { allow_drift = true });
        var drifts = new List<double>();
        for (var hour = 0; hour < 5; hour++)
        {
            drifts.Add(await client.DriftOfAsync(id) / 3_600_000);
            world.Time.Advance(TimeSpan.FromHours(1));
        }

        Assert.Equal([3, 2, 1, 0, 0], drifts);
        Assert.Equal("active", await client.StatusOfAsync(id));
    }

    [Fact]
    public async Task APeriodicAnchorDriftsFromItsMomentUntilTheTimerHasPinned()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "monday");
        var id = await client.AnchoredAsync("ds", world.Now, "periodic");

        world.Time.Advance(TimeSpan.FromHours(23));
        await client.PutObjectAsync("ds", "tuesday");
        world.Time.Advance(TimeSpan.FromHours(1) - TimeSpan.FromTicks(1));
        Assert.Equal(("active", 0.0, "monday"), await StateAsync());
        world.Time.Advance(TimeSpan.FromMinutes(10));
        await client.PutObjectAsync("ds", "too late");
        Assert.Equal(("drifting", 86_400_000, "monday"), await StateAsync());
        await AnchorWorld.RunTimerAsync(app);
        Assert.Equal(("active", 0.0, "tuesday"), await StateAsync());

        // The timer was away for days: one run makes good for all of them.
        world.Time.Advance(TimeSpan.FromDays(5));
        Assert.Equal(("drifting", 5 * 86_400_000.0, "tuesday"), await StateAsync());
        await AnchorWorld.RunTimerAsync(app);
        Assert.Equal(("active", 0.0, "too late"), await StateAsync());

        async Task<(string?, double, string)> StateAsync() =>
            (await client.StatusOfAsync(id), await client.DriftOfAsync(id), (await client.ReadByAsync("ds", id)).Expect(HttpStatusCode.OK).Text);
    }

    [Fact]
    public async Task AReadByAnAnchorOfAnotherObjectIsNotFound()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("one", "1");
        await client.PutObjectAsync("two", "2");
        var id = await client.AnchoredAsync("one", TimeProvider.System.GetUtcNow());

        var other = await client.ReadByAsync("two", id);
        var none = await client.ReadByAsync("three", id);
        var both = await client.GetAsync($"/api/v3/quantum/objects/one?anchor={id}&version=1");
        var bad = await client.ReadByAsync("one", "anc_1");

        Assert.True(other.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("anchor", out _));
        Assert.True(none.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("object_id", out _));
        Assert.True(both.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("anchor", out _));
        Assert.True(bad.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("anchor", out _));
    }

    [Fact]
    public async Task AnExpiredAnchorPinsNothing()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "1");
        var id = await client.AnchoredAsync("ds", world.Now, duration: 60);

        world.Time.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        (await client.ReadByAsync("ds", id)).Expect(HttpStatusCode.OK);
        world.Time.Advance(TimeSpan.FromTicks(1));

        (await client.ReadByAsync("ds", id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal("expired", await client.StatusOfAsync(id));
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(600_000)]
    public async Task AMultiDimensionalAnchorIsReadWhenTheHomeOfItsContentIsGone(int size)
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        var client = await app.TenantAsync();
        var content = new byte[size];
        new Random(size).NextBytes(content);
        var sha = (await client.PutObjectAsync("ds", content)).Json.GetProperty("sha256").GetString()!;
        var plain = await client.AnchoredAsync("ds", world.Now);
        var everywhere = await client.AnchoredAsync("ds", world.Now, options: new { multi_dimensional = true });
        (await app.Http.PostAsync("/admin/functions/ObjectMaintenance", null)).EnsureSuccessStatusCode();

        await world.LoseHomeAsync(client.Tenant(), sha);
        var remote = reader.ClientWith(client.Key, client.Account);

        (await remote.ReadByAsync("ds", plain)).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
        var read = (await remote.ReadByAsync("ds", everywhere)).Expect(HttpStatusCode.OK);
        Assert.True(content.AsSpan().SequenceEqual(read.Bytes));
        Assert.InRange((await remote.AnchorOfAsync(plain)).GetProperty("stability_index").GetDouble(), 0, 0.5);
        Assert.InRange((await remote.AnchorOfAsync(everywhere)).GetProperty("stability_index").GetDouble(), 0.8, 0.99);
    }

    [Fact]
    public async Task ASlidingAnchorInAllDimensionsCopiesWhatItHasComeTo()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("ds", "first");
        var id = await client.AnchoredAsync("ds", world.Now, "sliding", options: new { multi_dimensional = true });
        world.Time.Advance(TimeSpan.FromMinutes(10));
        var sha = (await client.PutObjectAsync("ds", "second")).Json.GetProperty("sha256").GetString()!;
        world.Time.Advance(TimeSpan.FromHours(1));

        await AnchorWorld.RunTimerAsync(app);
        await world.LoseHomeAsync(client.Tenant(), sha);

        Assert.Equal("second", (await reader.ClientWith(client.Key, client.Account).ReadByAsync("ds", id)).Expect(HttpStatusCode.OK).Text);
    }
}
