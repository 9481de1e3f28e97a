using System.Net;

namespace QuantumFlux.Tests.Api;

public sealed class ApiGateTests
{
    private const string Path = "/v3/quantum/objects";

    [Theory]
    [InlineData("good", null, null, HttpStatusCode.OK)]
    [InlineData(null, "good", null, HttpStatusCode.OK)]
    [InlineData(null, null, "good", HttpStatusCode.OK)]
    [InlineData("good", "bad", "bad", HttpStatusCode.OK)]
    [InlineData("bad", "good", "good", HttpStatusCode.Unauthorized)]
    [InlineData(null, "good", "bad", HttpStatusCode.OK)]
    [InlineData(null, "bad", "good", HttpStatusCode.Unauthorized)]
    [InlineData("", "good", null, HttpStatusCode.Unauthorized)]
    public async Task TheFirstHeaderThatIsThereDecides(string? token, string? authorization, string? legacy, HttpStatusCode status)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, Path);
        Add("QFlux-Token", "Bearer ", token);
        Add("Authorization", "Bearer ", authorization);
        Add("X-API-Key", "", legacy);

        using var response = await app.Http.SendAsync(request);

        Assert.Equal(status, response.StatusCode);

        void Add(string header, string scheme, string? which)
        {
            if (which is not null)
            {
                request.Headers.TryAddWithoutValidation(header, scheme + (which == "good" ? client.Key : which));
            }
        }
    }

    [Theory]
    [InlineData("X-API-Key", "{key}", true)]
    [InlineData("X-API-Key", "wrong", true)]
    [InlineData("QFlux-Token", "Bearer {key}", false)]
    [InlineData("Authorization", "Bearer {key}", false)]
    public async Task OnlyTheLegacyHeaderIsToldItsEnd(string header, string value, bool isTold)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, Path);
        request.Headers.TryAddWithoutValidation(header, value.Replace("{key}", client.Key, StringComparison.Ordinal));

        using var response = await app.Http.SendAsync(request);

        // RFC 9745 gives the first as a date of RFC 9651; 2024-11-15 is the day of version 3.7.2. The second is the specification's.
        Assert.Equal(isTold ? "@1731628800" : null, response.Headers.TryGetValues("Deprecation", out var deprecation) ? deprecation.Single() : null);
        Assert.Equal(isTold ? "Wed, 19 Nov 2025 00:00:00 GMT" : null, response.Headers.TryGetValues("Sunset", out var sunset) ? sunset.Single() : null);
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("3f2b 77-{x}/\"~\"", true)]
    [InlineData("", false)]
    [InlineData("a\tb", false)]
    public async Task TheClientsRequestIdComesBack(string id, bool isEchoed)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        foreach (var path in new[] { Path, "/v3/nowhere" })
        {
            var answer = await client.GetAsync(path, ("X-Client-Request-Id", id));

            Assert.Equal(isEchoed ? id : null, answer.Header("X-Client-Request-Id"));
        }
    }

    [Theory]
    [InlineData(128, true)]
    [InlineData(129, false)]
    public async Task ALongRequestIdDoesNot(int length, bool isEchoed)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = new string('a', length);

        var answer = await client.GetAsync(Path, ("X-Client-Request-Id", id));

        Assert.Equal(isEchoed ? id : null, answer.Header("X-Client-Request-Id"));
    }

    [Fact]
    public async Task TwoRequestIdsAreNone()
    {
        var app = await TestApp.SharedAsync;

        var answer = await RawHttp.SendAsync(
            app.Address, "GET /v3/nowhere HTTP/1.1\r\nHost: a\r\nX-Client-Request-Id: a\r\nX-Client-Request-Id: b\r\n\r\n");

        Assert.Equal(404, answer.Status);
        Assert.Null(answer.Header("x-client-request-id"));
    }

    [Fact]
    public async Task EveryAnswerHasARequestIdOfItsOwn()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var ids = new[]
        {
            (await client.GetAsync(Path)).Header("X-Request-Id"),
            (await client.GetAsync(Path)).Header("X-Request-Id"),
            (await client.GetAsync("/v3/nowhere")).Header("X-Request-Id"),
        };

        Assert.All(ids, id => Assert.Matches("^req_[0-9a-f]{32}$", id));
        Assert.Equal(3, ids.Distinct().Count());
    }
}
