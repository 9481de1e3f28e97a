using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Metering;

public sealed partial class RateLimitHeaderTests
{
    private const string Keys = "/api/v3/auth/keys";

    private readonly ManualTime _time = new();

    [Fact]
    public async Task TheHeadersOfEveryAnswerAgreeAndRemainingNeverRisesInsideAWindow()
    {
        var seed = Random.Shared.Next();
        var random = new Random(seed);
        await using var app = await TestApp.StartAsync(_time);
        var client = await app.TenantAsync(tier: "free");
        var seen = new Dictionary<(string Name, long Reset), long>();
        var statuses = new HashSet<HttpStatusCode>();

        for (var request = 0; request < 400; request++)
        {
            var sentAt = _time.GetUtcNow();
            var answer = await SendAsync();
            statuses.Add(answer.Status);
            var limits = Items(answer.Header("RateLimit")!);
            var policies = Items(answer.Header("RateLimit-Policy")!);

            Assert.True(policies.Keys.SequenceEqual(["minute", "hour", "day", "month"]) && limits.Keys.SequenceEqual(policies.Keys), $"Seed {seed}: {answer.Header("RateLimit")}");
            var (limit, remaining) = (Number(answer, "X-RateLimit-Limit"), Number(answer, "X-RateLimit-Remaining"));
            var (reset, window) = (Number(answer, "X-RateLimit-Reset"), Number(answer, "X-RateLimit-Window"));
            var named = policies.Single(policy => policy.Value["w"] == window);
            Assert.Equal(named.Value["q"], limit);
            Assert.Equal(limits[named.Key]["r"], remaining);
            Assert.Equal(limits.Values.Min(entry => entry["r"]), remaining);
            Assert.Equal(0, reset % window);
            foreach (var (name, entry) in limits)
            {
                var (length, span) = (policies[name]["w"], (name, Reset: ResetOf(sentAt, policies[name]["w"])));
                Assert.Equal(Math.Ceiling(span.Reset - ((sentAt - DateTimeOffset.UnixEpoch).TotalSeconds)), entry["t"]);
                Assert.InRange(entry["r"], 0, seen.GetValueOrDefault(span, policies[name]["q"]));
                Assert.InRange(entry["t"], 1, length);
                seen[span] = entry["r"];
            }

            Assert.Equal(reset, ResetOf(sentAt, window));
            Assert.Equal(answer.Status == HttpStatusCode.TooManyRequests, remaining == 0 && answer.Header("Retry-After") is not null);
            if (answer.Status == HttpStatusCode.TooManyRequests)
            {
                Assert.Equal(limits.Where(entry => entry.Value["r"] == 0).Max(entry => entry.Value["t"]), Number(answer, "Retry-After"));
                Assert.Equal(reset - sentAt.ToUnixTimeSeconds(), Number(answer, "Retry-After"), 1.0);
            }

            _time.Advance(TimeSpan.FromMilliseconds(random.Next(40) == 0 ? random.Next(300_000) : random.Next(2_000)));
        }

        Assert.Superset(new HashSet<HttpStatusCode> { HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.BadRequest, HttpStatusCode.Forbidden, HttpStatusCode.TooManyRequests }, statuses);

        Task<Answer> SendAsync() => random.Next(5) switch
        {
            0 => client.GetAsync("/api/v3/quantum/entangle"),
            1 => client.GetObjectAsync("nothing"),
            2 => client.GetAsync("/v3/quantum/entangle?page=0"),
            3 => client.PostAsync(Keys, new { tier = "enterprise" }),
            _ => client.PutObjectAsync("a", "x"),
        };
    }

    [Fact]
    public async Task TheTwentyFourthRequestOfAFreeMinuteIsRefusedAsTheSpecificationPrintsIt()
    {
        await using var app = await TestApp.StartAsync(_time);
        var client = await app.TenantAsync(tier: "free");
        for (var request = 0; request < 23; request++)
        {
            (await client.GetAsync("/api/v3/quantum/entangle")).Expect(HttpStatusCode.OK);
        }

        _time.Advance(TimeSpan.FromMilliseconds(12_470));
        var refused = (await client.GetAsync("/api/v3/quantum/entangle")).ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED");
        var error = refused.Json.GetProperty("error");

        Assert.Equal("Rate limit of 23 requests per minute exceeded", error.GetProperty("message").GetString());
        Assert.Equal(48, error.GetProperty("retry_after").GetInt32());
        Assert.Equal("48", refused.Header("Retry-After"));
        Assert.Equal("2026-03-01T12:01:00.000Z", error.GetProperty("window_reset").GetString());
        Assert.Equal("https://docs.quantumflux.example/rate-limits", error.GetProperty("documentation").GetString());
        _time.Advance(TimeSpan.FromSeconds(47.529));
        (await client.GetAsync("/api/v3/quantum/entangle")).Expect(HttpStatusCode.TooManyRequests);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await client.GetAsync("/api/v3/quantum/entangle")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task EachTierHasItsOwnWindowsAndSettingsOverrideThem()
    {
        await using var app = await TestApp.StartAsync(_time, settings: new() { ["QuantumFlux:RateLimits:Professional:Hour"] = "600" });

        Assert.Equal(
            "\"minute\";q=23;w=60, \"hour\";q=100;w=3600, \"day\";q=2340;w=86400, \"month\";q=47000;w=2592000", await PolicyAsync("free"));
        Assert.Equal(
            "\"minute\";q=127;w=60, \"hour\";q=600;w=3600, \"day\";q=8470;w=86400, \"month\";q=234000;w=2592000", await PolicyAsync("professional"));
        Assert.Equal(
            "\"minute\";q=847;w=60, \"hour\";q=5000;w=3600, \"day\";q=84700;w=86400, \"month\";q=2340000;w=2592000", await PolicyAsync("enterprise"));

        async Task<string?> PolicyAsync(string tier) => (await (await app.TenantAsync(tier: tier)).GetAsync(Keys)).Header("RateLimit-Policy");
    }

    [Fact]
    public async Task WithLimitsSwitchedOffNoHeaderSpeaksOfThem()
    {
        await using var app = await TestApp.StartAsync(_time, settings: new() { ["QuantumFlux:RateLimits:Enabled"] = "false" });
        var client = await app.TenantAsync(tier: "free");

        for (var request = 0; request < 30; request++)
        {
            var answer = (await client.GetAsync(Keys)).Expect(HttpStatusCode.OK);
            Assert.DoesNotContain(answer.Headers, header => header.Key.Contains("RateLimit", StringComparison.OrdinalIgnoreCase));
        }
    }

    [Fact]
    public async Task AnImpossibleLimitStopsTheStart()
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(
            () => TestApp.StartAsync(_time, settings: new() { ["QuantumFlux:RateLimits:Free:Minute"] = "0" }));

        Assert.Contains("Minute", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListingsTellWhenAKeyWasLastUsed()
    {
        await using var app = await TestApp.StartAsync(_time);
        var client = await app.TenantAsync();
        _time.Advance(TimeSpan.FromSeconds(1)); // Keys are listed in the order of their making.
        var idle = (await client.PostAsync(Keys, new { name = "idle" })).Json.GetProperty("key_id").GetString();
        await client.GetAsync(Keys);
        _time.Advance(TimeSpan.FromMinutes(7));
        await client.GetAsync(Keys);

        var first = (await client.GetAsync($"{Keys}?limit=1")).Json;
        var second = (await client.GetAsync($"{Keys}?limit=1&starting_after={first.GetProperty("keys")[0].GetProperty("key_id")}")).Json;

        Assert.Equal("2026-03-01T12:07:01.000Z", first.GetProperty("keys")[0].GetProperty("last_used_at").GetString());
        Assert.True(first.GetProperty("has_more").GetBoolean());
        Assert.Equal(idle, second.GetProperty("keys")[0].GetProperty("key_id").GetString());
        Assert.Null(second.GetProperty("keys")[0].GetProperty("last_used_at").GetString());
        Assert.False(second.GetProperty("has_more").GetBoolean());
    }

    private static long ResetOf(DateTimeOffset moment, long window) => ((moment.ToUnixTimeMilliseconds() / 1000 / window) + 1) * window;

    private static long Number(Answer answer, string name) => long.Parse(answer.Header(name)!, NumberStyles.None, CultureInfo.InvariantCulture);

    // A structured-field list (RFC 9651) of strings with integer parameters.
    private static Dictionary<string, Dictionary<string, long>> Items(string header) => header.Split(", ").ToDictionary(
        item => Item().Match(item).Groups["name"].Value,
        item => Item().Match(item).Groups["parameter"].Captures
            .Select(capture => capture.Value.Split('='))
            .ToDictionary(parameter => parameter[0], parameter => long.Parse(parameter[1], NumberStyles.None, CultureInfo.InvariantCulture)));

    [GeneratedRegex("""^"(?<name>[a-z]+)"(;(?<parameter>[a-z]=[0-9]+))+$""")]
    private static partial Regex Item();
}
