using System.Net;

namespace QuantumFlux.Tests.Keys;

public sealed class KeyTests
{
    private const string Path = "/api/v3/auth/keys";
    private const string Revoke = "/api/v3/auth/revoke";
    private const string Probe = "/api/v3/quantum/entangle";

    [Fact]
    public async Task ANewKeyIsShownOnceAndWorksAtOnce()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        var created = (await client.PostAsync(Path, new { name = "mine", environment = "test", scopes = new[] { "read" } })).Expect(HttpStatusCode.Created);
        var list = (await client.GetAsync(Path)).Expect(HttpStatusCode.OK);

        var key = created.Json;
        Assert.Equal(
            ["key_id", "key", "name", "account_id", "environment", "tier", "scopes", "created_at", "expires_at"],
            key.EnumerateObject().Select(member => member.Name));
        Assert.Matches("^qfx_test_[0-9a-f]{64}$", key.GetProperty("key").GetString());
        Assert.Equal("no-store", created.Header("Cache-Control"));
        Assert.Equal(470, (key.GetProperty("expires_at").GetDateTimeOffset() - key.GetProperty("created_at").GetDateTimeOffset()).TotalDays);
        Assert.Equal(client.Account, key.GetProperty("account_id").GetString());
        Assert.DoesNotContain(key.GetProperty("key").GetString()!, list.Text, StringComparison.Ordinal);
        Assert.Contains(key.GetProperty("key_id").GetString()!, list.Text, StringComparison.Ordinal);
        var other = app.ClientWith(key.GetProperty("key").GetString()!, client.Account);
        (await other.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        (await other.PutObjectAsync("a", "x")).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await other.GetAsync(Path)).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
    }

    [Fact]
    public async Task AKeyWithoutAnyParameterIsLikeItsMakers()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync(tier: "professional");

        var key = (await client.SendAsync(HttpMethod.Post, Path)).Expect(HttpStatusCode.Created).Json;

        Assert.Equal("live", key.GetProperty("environment").GetString());
        Assert.Equal("professional", key.GetProperty("tier").GetString());
        Assert.Equal("""["read","write"]""", key.GetProperty("scopes").GetRawText());
    }

    [Fact]
    public async Task AKeyNeverHandsOnMoreThanItHas()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var sandbox = await app.TenantAsync("test");

        (await client.PostAsync(Path, new { tier = "enterprise" })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await client.PostAsync(Path, new { account_id = "acc_other" })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await client.PostAsync(Path, new { scopes = new[] { "admin" } })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await sandbox.PostAsync(Path, new { environment = "live" })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
    }

    [Fact]
    public async Task KeysAreListedAPageAtATime()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PostAsync(Path, new { name = "second" });
        await client.PostAsync(Path, new { name = "third" });

        var first = (await client.GetAsync($"{Path}?limit=2")).Json;
        var rest = (await client.GetAsync($"{Path}?starting_after={first.GetProperty("keys")[1].GetProperty("key_id")}")).Json;

        Assert.Equal(["test", "second"], first.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("name").GetString()));
        Assert.True(first.GetProperty("has_more").GetBoolean());
        Assert.Equal(["third"], rest.GetProperty("keys").EnumerateArray().Select(key => key.GetProperty("name").GetString()));
        Assert.False(rest.GetProperty("has_more").GetBoolean());
    }

    [Fact]
    public async Task ARevokedKeyStopsAtOnceHere()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var other = await app.KeyAsync(client.Account, "live");
        (await other.GetAsync(Probe)).Expect(HttpStatusCode.OK);

        var revoked = (await client.PostAsync(Revoke, new { key = other.Key })).Expect(HttpStatusCode.OK).Json;

        Assert.Equal("revoked", revoked.GetProperty("status").GetString());
        (await other.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
        Assert.Equal(
            revoked.GetProperty("revoked_at").GetString(),
            (await client.PostAsync(Revoke, new { key_id = revoked.GetProperty("key_id").GetString() })).Json.GetProperty("revoked_at").GetString());
        Assert.Contains("\"revoked_at\":\"2", (await client.GetAsync(Path)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARevokedKeyStopsWithinFiveSecondsOnAnotherInstance()
    {
        var time = new ManualTime();
        var opener = QuantumFlux.Keys.ApiKey.NewSecret(QuantumFlux.Keys.KeyEnvironment.Live);
        await using var here = await TestApp.StartAsync(time, adminKey: opener);
        await using var there = await TestApp.StartAsync(time, adminKey: opener);
        var client = await here.TenantAsync();
        var victim = await here.KeyAsync(client.Account, "live");
        var elsewhere = there.ClientWith(victim.Key, client.Account);
        (await elsewhere.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromSeconds(4));
        (await client.PostAsync(Revoke, new { key = victim.Key })).Expect(HttpStatusCode.OK);

        time.Advance(TimeSpan.FromSeconds(1));

        (await elsewhere.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
    }

    [Fact]
    public async Task AKeyEndsAfter470Days()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();

        time.Advance(TimeSpan.FromDays(470) - TimeSpan.FromSeconds(1));
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromSeconds(1));

        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
    }

    [Fact]
    public async Task AnotherAccountsKeyCannotBeRevoked()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var stranger = await app.TenantAsync();

        (await stranger.PostAsync(Revoke, new { key = client.Key })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await stranger.PostAsync(Revoke, new { key_id = "key_00000000000000000000000000000000" })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await stranger.PostAsync(Revoke, new { })).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task AnAdministratorKeepsTheKeysOfOtherAccounts()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var stranger = await app.TenantAsync();

        var listed = (await app.Admin.GetAsync($"{Path}?account_id={client.Account}")).Expect(HttpStatusCode.OK).Json.GetProperty("keys")[0];
        (await stranger.GetAsync($"{Path}?account_id={client.Account}")).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await stranger.PostAsync(Revoke, new { key = client.Key, account_id = client.Account })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await app.Admin.PostAsync(Revoke, new { key_id = listed.GetProperty("key_id").GetString(), account_id = client.Account })).Expect(HttpStatusCode.OK);

        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
    }

    [Fact]
    public async Task TheSandboxDoesNotReachProductionKeys()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var sandbox = await app.KeyAsync(client.Account, "test");

        (await sandbox.PostAsync(Revoke, new { key = client.Key })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal("test", Assert.Single((await sandbox.GetAsync(Path)).Json.GetProperty("keys").EnumerateArray()).GetProperty("environment").GetString());
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task APageOfTheSandboxIsFullHoweverManyProductionKeysLieBefore()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        for (var made = 0; made < 8; made++)
        {
            (await client.PostAsync(Path, new { })).Expect(HttpStatusCode.Created);
        }

        var sandbox = await app.KeyAsync(client.Account, "test");
        var first = (await sandbox.GetAsync($"{Path}?limit=1")).Json;
        (await sandbox.PostAsync(Path, new { name = "second" })).Expect(HttpStatusCode.Created);
        var again = (await sandbox.GetAsync($"{Path}?limit=1")).Json;

        Assert.Equal("test", Assert.Single(first.GetProperty("keys").EnumerateArray()).GetProperty("environment").GetString());
        Assert.False(first.GetProperty("has_more").GetBoolean());
        Assert.Equal(first.GetProperty("keys")[0].GetProperty("key_id").GetString(), again.GetProperty("keys")[0].GetProperty("key_id").GetString());
        Assert.True(again.GetProperty("has_more").GetBoolean());
    }

    [Theory]
    [InlineData("QFlux-Token", "Bearer {0}")]
    [InlineData("qflux-token", "bearer {0}")]
    [InlineData("Authorization", "Bearer {0}")]
    [InlineData("X-API-Key", "{0}")]
    public async Task AKeyComesInAnyOfThreeHeaders(string header, string form)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        using var request = new HttpRequestMessage(HttpMethod.Get, Probe);
        request.Headers.TryAddWithoutValidation(header, string.Format(System.Globalization.CultureInfo.InvariantCulture, form, client.Key));
        using var response = await app.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(header == "X-API-Key", response.Headers.Contains("Deprecation"));
        Assert.Equal(header == "X-API-Key", response.Headers.Contains("Sunset"));
    }

    [Theory]
    [InlineData("Bearer qfx_live_0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("Bearer qfx_live_00")]
    [InlineData("Bearer ")]
    [InlineData("Basic abc")]
    [InlineData("")]
    public async Task EveryBadKeyAnswersAlike(string token)
    {
        var app = await TestApp.SharedAsync;

        using var request = new HttpRequestMessage(HttpMethod.Get, Probe);
        request.Headers.TryAddWithoutValidation("QFlux-Token", token);
        using var response = await app.Http.SendAsync(request);
        var body = await response.Content.ReadAsStringAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("\"code\":\"INVALID_API_KEY\",\"message\":\"API key is invalid or expired\"", body, StringComparison.Ordinal);
        Assert.Contains("Bearer", response.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NoKeyAtAllIsSaidSo()
    {
        var app = await TestApp.SharedAsync;

        using var response = await app.Http.GetAsync(Probe);
        var body = await response.Content.ReadAsStringAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("AUTHENTICATION_REQUIRED", body, StringComparison.Ordinal);
        Assert.StartsWith("req_", response.Headers.GetValues("X-Request-Id").Single(), StringComparison.Ordinal);
    }
}
