using System.Globalization;
using System.Net;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Metering;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Keys;

public sealed class FailedAuthenticationTests
{
    private const string Probe = "/api/v3/quantum/entangle";
    private const string Setting = "QuantumFlux:RateLimits:FailedAuthenticationsPerMinute";

    [Fact]
    public async Task BeyondTheLimitAnAddressIsRefusedUntilItsMinuteEnds()
    {
        var time = new ManualTime(new DateTimeOffset(2026, 3, 1, 12, 0, 20, 500, TimeSpan.Zero));
        await using var app = await StartAsync(time, new MemoryTables(time), "3");
        await SendAsync(app, null);
        await SendAsync(app, "nonsense");
        (await SendAsync(app, UnknownKey())).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");

        foreach (var key in new[] { null, "nonsense", UnknownKey() })
        {
            var refused = (await SendAsync(app, key)).ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED");
            var error = refused.Json.GetProperty("error");
            Assert.Equal("Limit of 3 failed authentications per minute exceeded", error.GetProperty("message").GetString());
            Assert.Equal("40", refused.Header("Retry-After"));
            Assert.Equal(40, error.GetProperty("retry_after").GetInt64());
            Assert.Equal("2026-03-01T12:01:00.000Z", error.GetProperty("window_reset").GetString());
            Assert.Equal("https://docs.quantumflux.example/rate-limits", error.GetProperty("documentation").GetString());
        }

        time.Advance(TimeSpan.FromSeconds(39.499));
        (await SendAsync(app, null)).Expect(HttpStatusCode.TooManyRequests);
        time.Advance(TimeSpan.FromMilliseconds(1));
        (await SendAsync(app, null)).Expect(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task ALimitedAddressCostsNoStorageRequest()
    {
        var time = new ManualTime();
        var tables = new MemoryTables(time);
        await using var app = await StartAsync(time, tables, "2");
        var stranger = await app.TenantAsync();
        await SendAsync(app, UnknownKey());
        await SendAsync(app, UnknownKey());
        var before = tables.Requests;

        (await SendAsync(app, UnknownKey())).Expect(HttpStatusCode.TooManyRequests);
        (await stranger.GetAsync(Probe)).Expect(HttpStatusCode.TooManyRequests);

        Assert.Equal(before, tables.Requests);
    }

    [Fact]
    public async Task AKeyKnownToBeGoodWorksOnFromALimitedAddressUntilItEnds()
    {
        var time = new ManualTime();
        await using var app = await StartAsync(time, new MemoryTables(time), "2");
        var client = await app.TenantAsync();
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        await SendAsync(app, null);
        await SendAsync(app, null);

        (await SendAsync(app, null)).Expect(HttpStatusCode.TooManyRequests);
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        time.Advance(KeyStore.TrustedFor);
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);

        (await app.Admin.PostAsync("/api/v3/auth/revoke", new { key = client.Key, account_id = client.Account })).Expect(HttpStatusCode.OK);
        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.TooManyRequests, "RATE_LIMIT_EXCEEDED");
    }

    [Fact]
    public async Task GuessesThatArriveTogetherGetNoMoreAnswersThanTheLimit()
    {
        var time = new ManualTime();
        await using var app = await StartAsync(time, new MemoryTables(time), "5");

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => SendAsync(app, UnknownKey())));

        Assert.Equal(5, answers.Count(answer => answer.Status == HttpStatusCode.Unauthorized));
        Assert.Equal(35, answers.Count(answer => answer.Status == HttpStatusCode.TooManyRequests));
    }

    [Fact]
    public async Task WithoutLimitsEveryFailureIsSaidSo()
    {
        var time = new ManualTime();
        await using var app = await StartAsync(time, new MemoryTables(time), "1", ("QuantumFlux:RateLimits:Enabled", "false"));

        for (var count = 0; count < 5; count++)
        {
            (await SendAsync(app, null)).ExpectError(HttpStatusCode.Unauthorized, "AUTHENTICATION_REQUIRED");
        }
    }

    [Fact]
    public async Task ALimitThatIsNoneStopsTheStart()
    {
        var time = new ManualTime();

        await Assert.ThrowsAsync<OptionsValidationException>(() => StartAsync(time, new MemoryTables(time), "0"));
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    public void AnAddressIsWhatOneSubscriberHas(string one, string other, bool areSame)
    {
        var failures = Failures(2);

        failures.Add(IPAddress.Parse(one));

        Assert.Equal(areSame ? 1 : 2, failures.StateOf(IPAddress.Parse(other)).Nearest.Remaining);
    }

    [Fact]
    public void AFloodOfAddressesSharesACountInsteadOfFillingMemory()
    {
        var failures = Failures(2);
        for (var number = 0; number < FailedAuthentications.AddressesMax; number++)
        {
            failures.Add(AddressOf(number));
        }

        failures.Add(AddressOf(FailedAuthentications.AddressesMax));
        failures.Add(AddressOf(FailedAuthentications.AddressesMax + 1));

        Assert.Equal(0, failures.StateOf(AddressOf(FailedAuthentications.AddressesMax + 2)).Nearest.Remaining);
        Assert.Equal(1, failures.StateOf(AddressOf(7)).Nearest.Remaining);
        Assert.Throws<ApiException>(() => failures.Add(AddressOf(FailedAuthentications.AddressesMax + 3)));
    }

    private static FailedAuthentications Failures(int limit) =>
        new(Options.Create(new RateLimitOptions { FailedAuthenticationsPerMinute = limit }), new ManualTime());

    private static IPAddress AddressOf(int number) => IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}"));

    private static string UnknownKey() => ApiKey.NewSecret(KeyEnvironment.Live);

    private static Task<TestApp> StartAsync(ManualTime time, MemoryTables tables, string limit, params (string Name, string Value)[] settings) => TestApp.StartAsync(
        time,
        new StorageAccounts(new StorageAccount(tables, new MemoryBlobs(time)), new Dictionary<int, StorageAccount>()),
        settings.Append((Name: Setting, Value: limit)).ToDictionary(setting => setting.Name, setting => (string?)setting.Value));

    private static async Task<Answer> SendAsync(TestApp app, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Probe);
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("QFlux-Token", $"Bearer {key}");
        }

        using var response = await app.Http.SendAsync(request);
        return new Answer(response.StatusCode, await response.Content.ReadAsByteArrayAsync(), response.Headers, response.Content.Headers);
    }
}
