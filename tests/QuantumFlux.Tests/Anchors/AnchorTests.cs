using System.Net;
using System.Text;
using System.Text.Json;

namespace QuantumFlux.Tests.Anchors;

public sealed class AnchorTests
{
    private const string Dataset = "ds_7c4a9e2f5b8d1g3h6j0k2m5n8p1q4r7s";

    [Theory]
    [InlineData("/api/v3")]
    [InlineData("/v3")]
    public async Task TheSpecificationsSampleExpiresWhenItsSumSays(string root)
    {
        // 2024-11-19T14:47:23.470Z + 847000 s, by hand: 9 days, 19 hours, 16 minutes and 40 seconds later. The specification prints 2024-12-09T06:27:43.470Z.
        var moment = new DateTimeOffset(2024, 11, 19, 14, 47, 23, 470, TimeSpan.Zero);
        var world = new AnchorWorld(moment.AddHours(-1));
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync(Dataset, "pinned");
        world.Time.Advance(TimeSpan.FromHours(1));

        var answer = await client.PostAsync(root + "/temporal/anchor", new
        {
            dataset_id = Dataset,
            anchor_time = "2024-11-19T14:47:23.470Z",
            anchor_type = "fixed",
            duration_seconds = 847000,
            options = new { allow_drift = false, quantum_lock = true, multi_dimensional = true },
        });

        var created = answer.Expect(HttpStatusCode.Created).Json;
        Assert.Equal(
            ["anchor_id", "dataset_id", "anchor_time", "anchor_type", "status", "quantum_signature", "stability_index", "created_at", "expires_at"],
            created.EnumerateObject().Select(member => member.Name));
        Assert.Matches("^anc_[0-9a-f]{32}$", created.GetProperty("anchor_id").GetString());
        Assert.Equal("2024-11-19T14:47:23.470Z", created.GetProperty("created_at").GetString());
        Assert.Equal("2024-11-29T10:04:03.470Z", created.GetProperty("expires_at").GetString());
        Assert.Equal("active", created.GetProperty("status").GetString());
        Assert.Equal(1, created.GetProperty("stability_index").GetDouble());
        Assert.Equal($"{AnchorRequests.Path}/{created.GetProperty("anchor_id")}", answer.Header("Location"));
    }

    [Fact]
    public async Task AnAnchorIsReadWithAllItsFields()
    {
        var world = new AnchorWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var version = (await client.PutObjectAsync("ds", "1")).Json.GetProperty("version").GetInt64();
        var created = (await client.AnchorAsync("ds", world.Now, "periodic", 3600, new { quantum_lock = false }, 600)).Expect(HttpStatusCode.Created).Json;

        var anchor = await client.AnchorOfAsync(created.GetProperty("anchor_id").GetString()!);

        Assert.Equal(
            [
                "anchor_id", "dataset_id", "anchor_time", "anchor_type", "status", "stability_index", "drift_amount_ms", "quantum_lock", "created_at",
                "expires_at", "allow_drift", "multi_dimensional", "period_seconds", "version", "quantum_signature",
            ],
            anchor.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("periodic", false, false, 600L, version), (
            anchor.GetProperty("anchor_type").GetString(),
            anchor.GetProperty("quantum_lock").GetBoolean(),
            anchor.GetProperty("multi_dimensional").GetBoolean(),
            anchor.GetProperty("period_seconds").GetInt64(),
            anchor.GetProperty("version").GetInt64()));
        foreach (var same in new[] { "quantum_signature", "created_at", "expires_at", "anchor_time", "status", "stability_index" })
        {
            Assert.Equal(created.GetProperty(same).GetRawText(), anchor.GetProperty(same).GetRawText());
        }
    }

    [Theory]
    [InlineData("""{"anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed"}""", "dataset_id")]
    [InlineData("""{"dataset_id":"../x","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed"}""", "dataset_id")]
    [InlineData("""{"dataset_id":"ds","anchor_type":"fixed"}""", "anchor_time")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00","anchor_type":"fixed"}""", "anchor_time")]
    [InlineData("""{"dataset_id":"ds","anchor_time":1767225600,"anchor_type":"fixed"}""", "anchor_time")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z"}""", "anchor_type")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"Fixed"}""", "anchor_type")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"0"}""", "anchor_type")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","duration_seconds":0}""", "duration_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","duration_seconds":-1}""", "duration_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","duration_seconds":1.5}""", "duration_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","duration_seconds":"60"}""", "duration_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","duration_seconds":3153600001}""", "duration_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","period_seconds":60}""", "period_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"sliding","period_seconds":60}""", "period_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"periodic","period_seconds":59}""", "period_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"periodic","period_seconds":31622401}""", "period_seconds")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","options":{"allow_drift":"no"}}""", "options.allow_drift")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","options":{"quantum_lock":1}}""", "options.quantum_lock")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","options":{"multi_dimensional":[]}}""", "options.multi_dimensional")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","options":{"color":1}}""", "options.color")]
    [InlineData("""{"dataset_id":"ds","anchor_time":"2026-01-01T00:00:00Z","anchor_type":"fixed","status":"active"}""", "status")]
    public async Task ABadBodyNamesWhatIsWrong(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.SendAsync(HttpMethod.Post, AnchorRequests.Path, new StringContent(body, Encoding.UTF8, "application/json"));

        Assert.Equal(parameter, Assert.Single(answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.EnumerateObject()).Name);
    }

    [Fact]
    public async Task EveryFaultIsNamedAtOnce()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.PostAsync(AnchorRequests.Path, new { anchor_type = "wobbly", duration_seconds = 0, options = new { allow_drift = 1 } });

        Assert.Equal(
            ["anchor_time", "anchor_type", "dataset_id", "duration_seconds", "options.allow_drift"],
            answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.EnumerateObject().Select(member => member.Name).Order());
    }

    [Fact]
    public async Task WithoutADurationAnAnchorIsEternal()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");

        var answer = await client.AnchorAsync("ds", TimeProvider.System.GetUtcNow());

        Assert.Equal(JsonValueKind.Null, answer.Expect(HttpStatusCode.Created).Json.GetProperty("expires_at").ValueKind);
    }

    [Fact]
    public async Task AnUnknownDatasetIsNotFoundInProduction()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.AnchorAsync("nowhere", TimeProvider.System.GetUtcNow());

        Assert.True(answer.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("dataset_id", out _));
    }

    [Fact]
    public async Task TheSandboxMakesTheDatasetEmptySinceTheAnchorsMoment()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test");
        var moment = new DateTimeOffset(2024, 11, 19, 14, 47, 23, 470, TimeSpan.Zero);

        var id = await client.AnchoredAsync(Dataset, moment);

        Assert.Equal(("active", 0.0), (await client.StatusOfAsync(id), await client.DriftOfAsync(id)));
        Assert.Empty((await client.ReadByAsync(Dataset, id)).Expect(HttpStatusCode.OK).Bytes);
        Assert.Empty((await client.GetObjectAsync(Dataset)).Expect(HttpStatusCode.OK).Bytes);
        (await client.PutObjectAsync(Dataset, "later")).Expect(HttpStatusCode.OK);
        Assert.Empty((await client.ReadByAsync(Dataset, id)).Expect(HttpStatusCode.OK).Bytes);
    }

    [Theory]
    [InlineData("0001-01-01T00:00:00Z")]
    [InlineData("1969-12-31T23:59:59Z")]
    [InlineData("9999-12-31T23:59:59.9999999Z")]
    public async Task NoMomentIsTooFar(string moment)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test");
        foreach (var type in new[] { "fixed", "sliding", "periodic" })
        {
            var id = await client.AnchoredAsync($"ds-{type}", DateTimeOffset.Parse(moment, System.Globalization.CultureInfo.InvariantCulture), type, 3153600000, new { allow_drift = true });

            Assert.Equal(moment[0] == '9' || type != "periodic" ? "drifting" : "active", await client.StatusOfAsync(id));
            (await client.ReadByAsync($"ds-{type}", id)).Expect(HttpStatusCode.OK);
            (await client.DeleteAsync($"{AnchorRequests.Path}/{id}")).Expect(HttpStatusCode.OK);
        }
    }

    [Fact]
    public async Task TheFreeTierHasNoCopiesInAllDimensions()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test", "free");
        var now = TimeProvider.System.GetUtcNow();

        var refused = await client.AnchorAsync("ds", now.AddHours(-1), options: new { multi_dimensional = true });

        refused.ExpectError(HttpStatusCode.Forbidden, "DIMENSIONAL_ROUTING_DENIED");
        Assert.True(refused.Details.TryGetProperty("options.multi_dimensional", out _));
        await client.AnchoredAsync("ds", now.AddHours(-1));
    }

    [Fact]
    public async Task AReaderMayNotAnchor()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync(scopes: ["read"]);

        (await client.AnchorAsync("ds", TimeProvider.System.GetUtcNow())).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await client.DeleteAsync($"{AnchorRequests.Path}/anc_00000000000000000000000000000000")).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await client.GetAsync(AnchorRequests.Path)).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ARemovedAnchorIsGoneAndRemovingItAgainIsNotFound()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");
        var id = await client.AnchoredAsync("ds", TimeProvider.System.GetUtcNow(), duration: 3600);

        var removed = (await client.DeleteAsync($"{AnchorRequests.Path}/{id}")).Expect(HttpStatusCode.OK).Json;

        Assert.Equal(["anchor_id", "status", "final_drift_ms", "removed_at"], removed.EnumerateObject().Select(member => member.Name));
        Assert.Equal((id, "removed", 0.0), (
            removed.GetProperty("anchor_id").GetString(), removed.GetProperty("status").GetString(), removed.GetProperty("final_drift_ms").GetDouble()));
        (await client.DeleteAsync($"{AnchorRequests.Path}/{id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.GetAsync($"{AnchorRequests.Path}/{id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.ReadByAsync("ds", id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Empty(await client.AnchorIdsAsync(""));
    }

    [Theory]
    [InlineData("anc_00000000000000000000000000000000")]
    [InlineData("anc_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")]
    [InlineData("ent_00000000000000000000000000000000")]
    [InlineData("anc_")]
    [InlineData("a")]
    public async Task AnUnknownAnchorIsNotFound(string id)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var read = await client.GetAsync($"{AnchorRequests.Path}/{id}");
        var removed = await client.DeleteAsync($"{AnchorRequests.Path}/{id}");

        Assert.True(read.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("anchor_id", out _));
        removed.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AnotherTenantsAnchorDoesNotExist()
    {
        var app = await TestApp.SharedAsync;
        var owner = await app.TenantAsync();
        var stranger = await app.TenantAsync();
        foreach (var client in new[] { owner, stranger })
        {
            await client.PutObjectAsync("ds", "1");
        }

        var id = await owner.AnchoredAsync("ds", TimeProvider.System.GetUtcNow());

        (await stranger.GetAsync($"{AnchorRequests.Path}/{id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await stranger.DeleteAsync($"{AnchorRequests.Path}/{id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await stranger.ReadByAsync("ds", id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Empty(await stranger.AnchorIdsAsync(""));
        (await stranger.DeleteAsync("/api/v3/quantum/objects/ds")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ASignatureIsCheckedWhereOneIsSent()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("ds", "1");
        var created = (await client.AnchorAsync("ds", TimeProvider.System.GetUtcNow())).Json;
        var path = $"{AnchorRequests.Path}/{created.GetProperty("anchor_id").GetString()}";
        var signature = created.GetProperty("quantum_signature").GetString()!;

        (await client.GetAsync(path, ("X-Quantum-Signature", signature))).Expect(HttpStatusCode.OK);
        (await client.GetAsync(path, ("X-Quantum-Signature", "qs_8b1d4e7f0a3b6c9d2e5f8a1b4c7d0e3f"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.DeleteAsync(path, ("X-Quantum-Signature", "qs_"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.GetAsync(AnchorRequests.Path, ("X-Quantum-Signature", signature))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.DeleteAsync(path, ("X-Quantum-Signature", signature))).Expect(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("PUT", AnchorRequests.Path, "GET, POST")]
    [InlineData("POST", AnchorRequests.Path + "/anc_00000000000000000000000000000000", "GET, DELETE")]
    public async Task AWrongVerbLearnsTheRightOnes(string method, string path, string allow)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.SendAsync(new HttpMethod(method), path);

        answer.ExpectError(HttpStatusCode.MethodNotAllowed, "METHOD_NOT_ALLOWED");
        Assert.Equal(allow, answer.Header("Allow"));
    }
}
