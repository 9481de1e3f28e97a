using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Cache;
using QuantumFlux.Idempotency;
using QuantumFlux.Local;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests.Idempotency;

public sealed class IdempotencyTests
{
    private const string Objects = "/api/v3/quantum/objects";
    private const string Entangle = "/api/v3/quantum/entangle";
    private const string Keys = "/api/v3/auth/keys";

    private static readonly (string, string) _key = ("Idempotency-Key", "7c9e6679-7425-40de-944b-e07fc1f90ae7");

    [Fact]
    public async Task ARepeatedRequestGetsTheFirstAnswerToTheByteAndHasNoSecondEffect()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var first = await client.PutObjectAsync("a", "content", _key, ("X-Client-Request-Id", "one"));
        await client.PutObjectAsync("a", "later");
        var again = await client.PutObjectAsync("a", "content", _key, ("X-Client-Request-Id", "two"));

        Assert.Equal(HttpStatusCode.Created, again.Expect(first.Status).Status);
        Assert.Equal(first.Text, again.Text);
        Assert.Equal(first.Header("ETag"), again.Header("ETag"));
        Assert.Equal(first.Header("Content-Type"), again.Header("Content-Type"));
        Assert.Null(first.Header("Idempotent-Replayed"));
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        Assert.Equal(first.Header("X-Request-Id"), again.Header("X-Original-Request-Id"));
        Assert.NotEqual(first.Header("X-Request-Id"), again.Header("X-Request-Id"));
        Assert.Equal("two", again.Header("X-Client-Request-Id"));
        Assert.Equal("later", (await client.GetObjectAsync("a")).Text);
        Assert.Equal(2, (await client.GetAsync($"{Objects}/a/versions")).Json.GetProperty("versions").GetArrayLength());
    }

    [Fact]
    public async Task TheHeadersOfAnAnswerBelongToItAndThoseOfARequestDoNot()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var body = new { source_id = "a", target_id = "b", entanglement_strength = 0.9 };

        var first = (await client.PostAsync(Entangle, body, _key, ("X-API-Key", client.Key))).Expect(HttpStatusCode.OK);
        var again = await client.PostAsync(Entangle, body, _key);
        var newKey = await client.PostAsync(Keys, new { }, _key);
        var sameKey = await client.PostAsync(Keys, new { }, _key);

        Assert.Equal(first.Text, again.Text);
        Assert.NotNull(first.Header("Location"));
        Assert.Equal(first.Header("Location"), again.Header("Location"));
        Assert.True(again.Json.GetProperty("latency_ns").GetInt64() > 0);
        Assert.Equal(newKey.Expect(HttpStatusCode.Created).Text, sameKey.Text);
        Assert.Equal("no-store", sameKey.Header("Cache-Control"));
    }

    [Fact]
    public async Task ARefusalIsReplayedAlsoWhenItsReasonIsGone()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var first = await client.DeleteAsync($"{Objects}/a", _key);
        await client.PutObjectAsync("a", "content");
        var again = await client.DeleteAsync($"{Objects}/a", _key);

        first.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal(first.Text, again.Text);
        Assert.Equal("RESOURCE_NOT_FOUND", again.Header("X-Error-Code"));
        Assert.Equal("no-store", again.Header("Cache-Control"));
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        (await client.GetObjectAsync("a")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task EveryMutationIsReplayed()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");
        var other = (await client.PostAsync(Keys, new { })).Json.GetProperty("key_id").GetString();

        var upload = (await TwiceAsync(key => client.PostAsync($"{Objects}/c/uploads", new { }, key), HttpStatusCode.Created)).Json;
        using (var block = new StringContent("uploaded"))
        using (var storage = new HttpClient())
        {
            using var staged = await storage.PutAsync(new Uri($"{upload.GetProperty("upload_url").GetString()}&comp=block&blockid=MDAwMQ=="), block);
        }

        // One route, so a key of its own.
        var commit = $"{Objects}/c/uploads/{upload.GetProperty("upload_id").GetString()}/commit";
        await TwiceAsync(key => client.PostAsync(commit, new { }, (key.Item1, "commit")), HttpStatusCode.Created);
        await TwiceAsync(key => client.DeleteAsync($"{Entangle}/{id}?backup=true", key), HttpStatusCode.OK);
        await TwiceAsync(key => client.DeleteAsync($"{Objects}/a", key), HttpStatusCode.OK);
        await TwiceAsync(key => client.PostAsync("/api/v3/auth/revoke", new { key_id = other }, key), HttpStatusCode.OK);
        Assert.Equal("uploaded", (await client.GetObjectAsync("c")).Text);

        static async Task<Answer> TwiceAsync(Func<(string, string), Task<Answer>> sendAsync, HttpStatusCode status)
        {
            var first = (await sendAsync(_key)).Expect(status);
            var again = (await sendAsync(_key)).Expect(status);
            Assert.Null(first.Header("Idempotent-Replayed"));
            Assert.Equal("true", again.Header("Idempotent-Replayed"));
            Assert.Equal(first.Text, again.Text);
            return first;
        }
    }

    [Fact]
    public async Task TheSameKeyWithAnotherRequestIsRefused()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "content", _key);
        await client.DeleteAsync($"{Entangle}/ent_0123456789abcdef0123456789abcdef?backup=true", _key);

        await RefusedAsync(client.PutObjectAsync("a", "Content", _key));
        await RefusedAsync(client.PutObjectAsync("a", "content and more", _key));
        await RefusedAsync(client.PutObjectAsync("a", "conten", _key));
        await RefusedAsync(client.PutObjectAsync("b", "content", _key));
        await RefusedAsync(client.PutObjectAsync("a", "content", _key, ("Content-Type", "text/html")));
        await RefusedAsync(client.DeleteAsync($"{Entangle}/ent_0123456789abcdef0123456789abcdef?backup=false", _key));
        (await client.PutObjectAsync("a", "content", _key)).Expect(HttpStatusCode.Created);

        static async Task RefusedAsync(Task<Answer> answer) => Assert.True((await answer)
            .ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED").Details.TryGetProperty("Idempotency-Key", out _));
    }

    [Fact]
    public async Task AKeyIsOneTenantsAndOneRoutesAndOneVerbs()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var stranger = await app.TenantAsync();
        var sibling = await app.KeyAsync(client.Account, "live");
        var sandbox = await app.KeyAsync(client.Account, "test");

        var first = (await client.PutObjectAsync("a", "content", _key)).Expect(HttpStatusCode.Created);

        Assert.Null((await stranger.PutObjectAsync("a", "theirs", _key)).Expect(HttpStatusCode.Created).Header("Idempotent-Replayed"));
        Assert.Null((await sandbox.PutObjectAsync("a", "test", _key)).Expect(HttpStatusCode.Created).Header("Idempotent-Replayed"));
        Assert.Equal(first.Text, (await sibling.PutObjectAsync("a", "content", _key)).Text);
        Assert.Equal(first.Text, (await client.PutAsync("/v3/quantum/objects/a", "content", _key)).Text);
        Assert.Null((await client.PostAsync(Keys, new { }, _key)).Expect(HttpStatusCode.Created).Header("Idempotent-Replayed"));
        Assert.Null((await client.DeleteAsync($"{Objects}/a", _key)).Expect(HttpStatusCode.OK).Header("Idempotent-Replayed"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a\tb")]
    [InlineData("256")]
    public async Task AKeyIsOneTo255PrintableCharacters(string key)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var bad = ("Idempotency-Key", key == "256" ? new string('k', 256) : key);

        var refused = await client.PutObjectAsync("a", "content", bad);

        Assert.True(refused.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("Idempotency-Key", out _));
        (await client.GetObjectAsync("a", bad)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.PutObjectAsync("a", "content", ("Idempotency-Key", new string('~', 255)))).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task AReadIsNeverReplayed()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "one");

        await client.GetObjectAsync("a", _key);
        await client.PutObjectAsync("a", "two");

        Assert.Equal("two", (await client.GetObjectAsync("a", _key)).Text);
    }

    [Fact]
    public async Task WhatNobodyMayAskIsNotKept()
    {
        var app = await TestApp.SharedAsync;
        var reader = await app.TenantAsync(scopes: ["read"]);
        var writer = await app.KeyAsync(reader.Account, "live");

        (await reader.PutObjectAsync("a", "content", _key)).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");

        (await writer.PutObjectAsync("a", "content", _key)).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task WhileTheFirstRunsTheSecondIsToldToWait()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var upload = await HeldUpload.StartAsync(world, client);

        var second = await client.PutObjectAsync("a", "content", _key);
        var other = await client.PutObjectAsync("a", "another body", _key);
        var first = await upload.EndAsync();

        Assert.Equal("1", second.ExpectError(HttpStatusCode.Conflict, "IDEMPOTENCY_IN_PROGRESS").Header("Retry-After"));
        other.ExpectError(HttpStatusCode.Conflict, "IDEMPOTENCY_IN_PROGRESS");
        Assert.Equal(first.Expect(HttpStatusCode.Created).Text, (await client.PutObjectAsync("a", "content", _key)).Text);
    }

    [Fact]
    public async Task WhoeverIsOvertakenHasNoEffectAnyMore()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var slow = await HeldUpload.StartAsync(world, client);

        world.Time.Advance(TimeSpan.FromSeconds(31));
        var second = (await client.PutObjectAsync("a", "content", _key)).Expect(HttpStatusCode.Created);
        var first = await slow.EndAsync();
        var third = await client.PutObjectAsync("a", "content", _key);

        first.ExpectError(HttpStatusCode.Conflict, "IDEMPOTENCY_IN_PROGRESS");
        Assert.Equal(second.Text, third.Text);
        Assert.Equal(1, (await client.GetAsync($"{Objects}/a/versions")).Json.GetProperty("versions").GetArrayLength());
    }

    [Fact]
    public async Task AClientThatLeavesCanSendAgainAtOnce()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var upload = await HeldUpload.StartAsync(world, client);

        // The one request that the host makes once it knows gives the lease back.
        world.Done = _ => released.TrySetResult();
        await upload.AbandonAsync();
        await released.Task.WaitAsync(TimeSpan.FromSeconds(30));
        world.Done = null;
        var again = await client.PutObjectAsync("a", "content", _key);

        again.Expect(HttpStatusCode.Created);
        Assert.Null(again.Header("Idempotent-Replayed"));
    }

    [Fact]
    public async Task AFailureOfOursIsMendedAndNotKept()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();

        world.Strike(Trouble.RequestLost, 3);
        var failed = await client.PutObjectAsync("a", "content", _key);
        world.Heal();
        var again = await client.PutObjectAsync("a", "content", _key);

        failed.ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
        Assert.Null(again.Expect(HttpStatusCode.Created).Header("Idempotent-Replayed"));
    }

    [Fact]
    public async Task AfterADayAKeyIsNewWhetherOrNotTheTimerHasCome()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var timer = app.Services.GetRequiredService<ClaimStore>();
        var first = await client.PostAsync(Keys, new { name = "made" }, _key);

        world.Time.Advance(TimeSpan.FromHours(24) - TimeSpan.FromSeconds(1));
        await timer.RemoveDueAsync(CancellationToken.None);
        var lastReplay = await client.PostAsync(Keys, new { name = "made" }, _key);
        world.Time.Advance(TimeSpan.FromSeconds(1));
        var second = await client.PostAsync(Keys, new { name = "made" }, _key);
        world.Time.Advance(TimeSpan.FromHours(2));
        await timer.RemoveDueAsync(CancellationToken.None);
        var secondReplay = await client.PostAsync(Keys, new { name = "made" }, _key);
        world.Time.Advance(TimeSpan.FromHours(23));
        await timer.RemoveDueAsync(CancellationToken.None);

        Assert.Equal(first.Text, lastReplay.Text);
        Assert.NotEqual(first.Json.GetProperty("key").GetString(), second.Expect(HttpStatusCode.Created).Json.GetProperty("key").GetString());
        Assert.Equal(second.Text, secondReplay.Text);
        Assert.DoesNotContain(await world.RowsAsync("objects", client.Tenant()), row => row.Key.StartsWith('i'));
    }

    [Fact]
    public async Task AKeyIsStillInUseWhenTheMasterKeyHasBeenReplaced()
    {
        var world = new MemoryWorld();
        var (old, current) = (Convert.ToBase64String([1, .. new byte[31]]), Convert.ToBase64String([2, .. new byte[31]]));
        await using var before = await world.StartAsync(new() { [LocalSettings.MasterKeySetting] = old });
        var client = await before.TenantAsync();
        var first = await client.PostAsync(Keys, new { name = "made" }, _key);

        await using var after = await world.StartAsync(
            new() { [LocalSettings.MasterKeySetting] = current, ["QuantumFlux:PreviousMasterKeys:0"] = old });
        var same = after.ClientWith(client.Key, client.Account);
        var again = await same.PostAsync(Keys, new { name = "made" }, _key);
        (await same.PostAsync(Keys, new { name = "other" }, _key)).ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
        world.Time.Advance(TimeSpan.FromHours(24));
        var anew = await same.PostAsync(Keys, new { name = "made" }, _key);

        Assert.Equal(first.Expect(HttpStatusCode.Created).Text, again.Text);
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        Assert.NotEqual(first.Text, anew.Expect(HttpStatusCode.Created).Text);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(60)]
    public async Task TheTimerReadsAndRemovesOnlyWhatIsDue(int notDue)
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        for (var number = 0; number < 4; number++)
        {
            await client.PutObjectAsync("a", "content", ("Idempotency-Key", $"due {number}"));
        }

        world.Time.Advance(TimeSpan.FromHours(12));
        for (var number = 0; number < notDue; number++)
        {
            await client.PutObjectAsync("a", "content", ("Idempotency-Key", $"not due {number}"));
        }

        var timer = app.Services.GetRequiredService<ClaimTimer>();
        var early = await CostAsync();
        world.Time.Advance(TimeSpan.FromHours(13));
        var due = await CostAsync();
        var rows = (await world.RowsAsync("objects", client.Tenant())).Count(row => row.Key.StartsWith("i:", StringComparison.Ordinal));
        var after = await CostAsync();

        // The announced tenants; then the tenant's due rows and their removal; then the due rows, of which there are none left.
        Assert.Equal((1, 3, 2), (early, due, after));
        Assert.Equal(notDue, rows);

        async Task<int> CostAsync()
        {
            var before = world.Tables.Requests;
            await timer.RunAsync(new Microsoft.Azure.Functions.Worker.TimerInfo(), CancellationToken.None);
            return world.Tables.Requests - before;
        }
    }

    [Fact]
    public async Task NothingOfAnAnswerOrOfItsRequestCanBeReadInStorage()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var made = (await client.PostAsync(Keys, new { name = "whispered" }, _key)).Expect(HttpStatusCode.Created).Json;
        await client.DeleteAsync($"{Objects}/whispered-about", _key);

        var rows = (await world.RowsAsync("objects", client.Tenant())).Where(row => row.Key.StartsWith('i')).ToList();
        var stored = string.Join('\n', rows.Select(row => row.Key + string.Join('\n', row.Values.Values.Select(value => value switch
        {
            byte[] bytes => Encoding.Latin1.GetString(bytes) + Convert.ToBase64String(bytes) + Convert.ToHexStringLower(bytes),
            _ => value.ToString(),
        }))));

        Assert.Equal(4, rows.Count);
        foreach (var secret in new[] { made.GetProperty("key").GetString()!, "whispered", made.GetProperty("key_id").GetString()!, _key.Item2, "RESOURCE" })
        {
            Assert.DoesNotContain(secret, stored, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(secret)).TrimEnd('=')[..^1], stored, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AnAnswerThatStorageChangedIsNeverServed()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "content", _key);
        await client.PutObjectAsync("a", "other", ("Idempotency-Key", "another"));
        var claims = (await world.RowsAsync("objects", client.Tenant())).Where(row => row.Key.StartsWith("i:", StringComparison.Ordinal)).ToList();

        // Each with the answer of the other.
        foreach (var (claim, answer) in claims.Zip(claims.Select(claim => claim.Large("Answer")!).Reverse().ToList()))
        {
            await world.Tables.WriteAsync("objects", [TableAction.Replace(claim.SetLarge("Answer", answer), "*")], CancellationToken.None);
        }

        (await client.PutObjectAsync("a", "content", _key)).ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
        foreach (var claim in claims)
        {
            await world.Tables.WriteAsync("objects", [TableAction.Replace(claim.SetLarge("Answer", [1, 2, 3]), "*")], CancellationToken.None);
        }

        (await client.PutObjectAsync("a", "content", _key)).ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
    }

    [Fact]
    public async Task ANewMasterKeyFindsWhatBeganUnderTheOldOne()
    {
        var world = new MemoryWorld();
        TestClient client;
        Answer first;
        await using (var before = await world.StartAsync())
        {
            client = await before.TenantAsync();
            first = (await client.PostAsync(Keys, new { name = "made" }, _key)).Expect(HttpStatusCode.Created);
            world.Strike(Trouble.RequestLost, 4);
            (await client.PostAsync(Keys, new { name = "half made" }, ("Idempotency-Key", "broken"))).Expect(HttpStatusCode.ServiceUnavailable);
            Assert.True(world.IsStruck);
            world.Heal();
        }

        await using var app = await world.StartAsync(new Dictionary<string, string?>
        {
            ["QuantumFlux:MasterKey"] = Convert.ToBase64String([.. Enumerable.Repeat((byte)1, 32)]),
            ["QuantumFlux:PreviousMasterKeys:0"] = Convert.ToBase64String([.. Enumerable.Repeat((byte)2, 32)]),
            ["QuantumFlux:PreviousMasterKeys:1"] = Convert.ToBase64String(new byte[32]),
        });
        client = app.ClientWith(client.Key, client.Account);
        var again = await client.PostAsync(Keys, new { name = "made" }, _key);
        (await client.PostAsync(Keys, new { name = "half made" }, ("Idempotency-Key", "broken"))).Expect(HttpStatusCode.Created);

        Assert.Equal(first.Text, again.Text);
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        (await client.PostAsync(Keys, new { name = "other" }, _key)).ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
        var names = (await client.GetAsync(Keys)).Json.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("name").GetString()).ToList();
        Assert.Single(names, "made");
        Assert.Single(names, "half made");
    }

    [Fact]
    public async Task ASecondRunOfACacheWriteLeavesWhatOthersWroteSince()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("warm", "0", headers: ("Idempotency-Key", "warm"));

        // Storage fails later and later, until the value is written and only its answer is not kept.
        for (var at = 1; (await client.CachedAsync("k")).Status == HttpStatusCode.NotFound; at++)
        {
            world.Strike(Trouble.RequestLost, at);
            (await client.CacheAsync("k", "1", headers: _key)).Expect(HttpStatusCode.ServiceUnavailable);
            world.Heal();
        }

        var written = (await client.CachedAsync("k")).Header("ETag");
        await client.CacheAsync("k", "2");
        var other = await client.CacheAsync("k", "3", headers: _key);
        var again = await client.CacheAsync("k", "1", headers: _key);

        other.ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
        Assert.Equal("2", (await client.CachedAsync("k")).Value());
        Assert.Equal(written, again.Expect(HttpStatusCode.Created).Header("ETag"));
    }

    [Fact]
    public async Task ASecondRunOfABatchOfVectorsGoesOnWhereTheFirstEnded()
    {
        var prepared = new MemoryWorld();
        TestClient caller;
        await using (var before = await prepared.StartAsync())
        {
            caller = await before.TenantAsync();
            (await caller.BatchAsync(["""{"id":"last","vector":[0]}"""])).Expect(HttpStatusCode.Created);
        }

        var text = new string('x', 30_000);
        List<string> batch =
        [
            """{"id":"misfit","vector":[1,2]}""",
            .. Enumerable.Range(0, 120).Select(index => $$$"""{"id":"v{{{index}}}","vector":[1],"metadata":{"text":"{{{text}}}"}}"""),
            """{"id":"last","vector":[1]}""",
        ];

        // Storage fails later and later, until the first append is made and the second is not.
        for (var at = 1; ; at++)
        {
            Assert.True(at < 20, "the batch is never half way");
            var world = prepared.Copy();
            await using var app = await world.StartAsync();
            var client = app.ClientWith(caller.Key, caller.Account);
            (await client.ReadAsync("last")).Expect(HttpStatusCode.OK);
            world.Strike(Trouble.RequestLost, at);
            await client.BatchAsync(batch, isTransaction: false, _key);
            world.Heal();
            if ((await client.ReadAsync("v0")).Status == HttpStatusCode.OK && (await client.ReadAsync("last")).Json.GetProperty("vector").GetRawText() == "[0]")
            {
                await AssertGoesOnAsync(client, batch);
                return;
            }
        }
    }

    private static async Task AssertGoesOnAsync(TestClient client, List<string> batch)
    {
        (await client.WriteAsync("v0", "[2]")).Expect(HttpStatusCode.OK);
        (await client.RemoveAsync("v1")).Expect(HttpStatusCode.OK);
        var other = await client.BatchAsync([.. batch, """{"id":"more","vector":[1]}"""], isTransaction: false, _key);
        var again = await client.BatchAsync(batch, isTransaction: false, _key);

        other.ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
        var answer = again.Expect(HttpStatusCode.Created).Json;
        Assert.Equal((121, 1, 1), (answer.GetProperty("inserted").GetInt32(), answer.GetProperty("failed").GetInt32(), answer.GetProperty("replaced").GetInt32()));
        Assert.Equal("misfit", answer.GetProperty("errors")[0].GetProperty("id").GetString());
        Assert.Equal("[2]", (await client.ReadAsync("v0")).Json.GetProperty("vector").GetRawText());
        (await client.ReadAsync("v1")).Expect(HttpStatusCode.NotFound);
        Assert.Equal("[1]", (await client.ReadAsync("last")).Json.GetProperty("vector").GetRawText());
        (await client.ReadAsync("more")).Expect(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task TheMarksOfCacheWritesGoOnceTheirKeysAreFreeAgain()
    {
        var world = new MemoryWorld();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "1", headers: _key);
        await client.UncacheAsync("k", _key);
        var timer = app.Services.GetRequiredService<CacheMaintenance>();

        world.Time.Advance(TimeSpan.FromHours(24));
        await timer.RunAsync(CancellationToken.None);
        var before = (await world.RowsAsync("cache", client.Tenant())).Count;
        world.Time.Advance(TimeSpan.FromHours(1));
        await timer.RunAsync(CancellationToken.None);

        Assert.Equal(2, before);
        Assert.Empty(await world.RowsAsync("cache", client.Tenant()));
    }

    [Fact]
    public async Task ABodyOfManyMegabytesIsToldFromAnotherWithoutBeingHeld()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var content = new byte[20_000_000];
        new Random(17).NextBytes(content);

        var first = (await client.PutObjectAsync("a", content, _key)).Expect(HttpStatusCode.Created);
        var again = await client.PutObjectAsync("a", content, _key);
        content[^1] ^= 1;
        var other = await client.PutObjectAsync("a", content, _key);

        Assert.Equal(first.Text, again.Text);
        other.ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
    }

    [Fact]
    public async Task ARefusalBeforeALongBodyWasReadIsNotKept()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var content = new byte[5_000_000];
        await client.PutObjectAsync("a", "old");

        var refused = await client.PutObjectAsync("a", content, _key, ("If-None-Match", "*"));
        await client.DeleteAsync($"{Objects}/a");
        var again = await client.PutObjectAsync("a", content, _key, ("If-None-Match", "*"));

        refused.ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        again.Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task OfManySimultaneousSendsOneHasAnEffectAndAllGetItsAnswer()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 32).Select(async _ =>
        {
            while (true)
            {
                var answer = await client.PutObjectAsync("a", "content", _key);
                if (answer.Status != HttpStatusCode.Conflict)
                {
                    return answer.Expect(HttpStatusCode.Created);
                }
            }
        }));

        Assert.Single(answers.Select(answer => answer.Text).Distinct());
        Assert.Single(answers, answer => answer.Header("Idempotent-Replayed") is null);
        Assert.Equal(1, (await client.GetAsync($"{Objects}/a/versions")).Json.GetProperty("versions").GetArrayLength());
    }

    /// <summary>A write of <c>content</c> to <c>a</c> whose last byte is held back, so that it runs until a test ends it.</summary>
    private sealed class HeldUpload(TaskCompletionSource end, CancellationTokenSource leaving, Task<HttpResponseMessage> response)
    {
        private static readonly TimeSpan _startMax = TimeSpan.FromSeconds(30);

        public static async Task<HeldUpload> StartAsync(MemoryWorld world, TestClient client)
        {
            // The announcement, the claim: then it reads its body.
            var claimed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var writes = 0;
            world.Done = operation =>
            {
                if (operation == "Tables.Write" && ++writes == 2)
                {
                    claimed.SetResult();
                }
            };
            var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var request = new HttpRequestMessage(HttpMethod.Put, $"{Objects}/a") { Content = new HeldContent(end.Task) };
            request.Headers.TryAddWithoutValidation("QFlux-Token", $"Bearer {client.Key}");
            request.Headers.TryAddWithoutValidation(_key.Item1, _key.Item2);
            var leaving = new CancellationTokenSource();
            var response = client.Http.SendAsync(request, leaving.Token);
            await claimed.Task.WaitAsync(_startMax);
            world.Done = null;
            return new HeldUpload(end, leaving, response);
        }

        public async Task<Answer> EndAsync()
        {
            end.SetResult();
            using var answer = await response;
            return new Answer(answer.StatusCode, await answer.Content.ReadAsByteArrayAsync(), answer.Headers, answer.Content.Headers);
        }

        public async Task AbandonAsync()
        {
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => response);
        }
    }

    private sealed class HeldContent : HttpContent
    {
        private readonly Task _end;

        public HeldContent(Task end)
        {
            _end = end;
            Headers.TryAddWithoutValidation("Content-Type", "text/plain; charset=utf-8");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync("conten"u8.ToArray(), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await _end.WaitAsync(cancellationToken);
            await stream.WriteAsync("t"u8.ToArray(), cancellationToken);
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
