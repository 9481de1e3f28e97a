using System.Globalization;
using System.Net;

namespace QuantumFlux.Tests.Anchors;

/// <summary>Thirty days of anchors of every kind, in steps, against a model of a few lines.</summary>
public sealed class AnchorMonthTests
{
    [Fact]
    public async Task ThroughThirtyDaysEveryAnchorIsInItsSpecifiedState()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        try
        {
            await RunAsync(new Random(seed));
        }
        catch (Exception exception)
        {
            Assert.Fail($"QUANTUMFLUX_SEED={seed}\n{exception}");
        }
    }

    private static async Task RunAsync(Random random)
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var history = new List<(DateTimeOffset At, string Text)>();
        var models = new List<Model>();
        await PutAsync();
        var start = world.Now;

        while (world.Now < start.AddDays(30))
        {
            world.Time.Advance(TimeSpan.FromMinutes(random.Next(1, 600)));
            if (random.Next(3) == 0)
            {
                await PutAsync();
            }

            world.Time.Advance(TimeSpan.FromMinutes(1));
            if (models.Count < 40 && random.Next(2) == 0)
            {
                var model = new Model(
                    new[] { "fixed", "sliding", "periodic" }[random.Next(3)],
                    world.Now - ((world.Now - start) * random.NextDouble()),
                    random.Next(4) == 0 ? null : random.Next(60, 20 * 86_400),
                    random.Next(60, 3 * 86_400),
                    random.Next(2) == 0,
                    world.Now);
                model.Id = await client.AnchoredAsync(
                    "ds", model.Moment, model.Type, model.Seconds, new { quantum_lock = model.IsLocked }, model.Type == "periodic" ? model.Period : null);
                models.Add(model);
            }

            await AnchorWorld.RunTimerAsync(app);
            await VerifyAsync();
        }

        // Whatever does not end by itself is removed. After another thirty days nothing of any anchor is left, and the object may go.
        foreach (var model in models.Where(model => model.Seconds is null))
        {
            (await client.DeleteAsync($"{AnchorRequests.Path}/{model.Id}")).Expect(HttpStatusCode.OK);
        }

        for (var day = 0; day < 52; day++)
        {
            world.Time.Advance(TimeSpan.FromDays(1));
            await AnchorWorld.RunTimerAsync(app);
        }

        Assert.Empty(await client.AnchorIdsAsync(""));
        Assert.Empty(await world.RowsAsync(client.Tenant(), "a"));
        (await client.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);

        async Task PutAsync()
        {
            history.Add((world.Now, $"{history.Count}"));
            await client.PutObjectAsync("ds", history[^1].Text);
        }

        async Task VerifyAsync()
        {
            var now = world.Now;
            var listed = (await client.GetAsync($"{AnchorRequests.Path}?per_page=100")).Expect(HttpStatusCode.OK).Json.GetProperty("anchors")
                .EnumerateArray()
                .ToDictionary(entry => entry.GetProperty("anchor_id").GetString()!);
            Assert.Equal(models.Where(model => !(model.End?.AddDays(30) <= now)).Select(model => model.Id).Order(), listed.Keys.Order());
            foreach (var model in models.Where(model => listed.ContainsKey(model.Id)))
            {
                var isExpired = model.End <= now;
                Assert.Equal(isExpired ? "expired" : "active", listed[model.Id].GetProperty("status").GetString());
                if (!isExpired)
                {
                    Assert.Equal(0, listed[model.Id].GetProperty("drift_amount_ms").GetDouble());
                }
            }

            // One of them each time, with what it holds.
            if (models.Count > 0)
            {
                var model = models[random.Next(models.Count)];
                var read = await client.ReadByAsync("ds", model.Id);
                if (model.End <= now)
                {
                    read.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
                }
                else
                {
                    Assert.Equal(history.Last(write => write.At <= model.MomentAt(now)).Text, read.Expect(HttpStatusCode.OK).Text);
                }
            }

            if (models.Any(model => model.IsLocked && !(model.End <= now)))
            {
                (await client.DeleteAsync("/api/v3/quantum/objects/ds")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
            }
        }
    }

    private sealed record Model(string Type, DateTimeOffset Moment, long? Seconds, long Period, bool IsLocked, DateTimeOffset CreatedAt)
    {
        public string Id { get; set; } = "";

        public DateTimeOffset? End => Seconds is { } seconds ? CreatedAt.AddSeconds(seconds) : null;

        public DateTimeOffset MomentAt(DateTimeOffset now)
        {
            var moment = Moment;
            while (Type == "periodic" && moment.AddSeconds(Period) <= now)
            {
                moment = moment.AddSeconds(Period);
            }

            return Type == "sliding" ? now - (CreatedAt - Moment) : moment;
        }
    }
}
