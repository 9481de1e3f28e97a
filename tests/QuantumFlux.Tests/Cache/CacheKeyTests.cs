using System.Net;
using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Cache;

namespace QuantumFlux.Tests.Cache;

public sealed class CacheKeyTests
{
    [Theory]
    [InlineData("a", "a")]
    [InlineData("a/b", "a/b")]
    [InlineData("a%2Fb", "a/b")]
    [InlineData("a%2fb", "a/b")]
    [InlineData("a%252Fb", "a%2Fb")]
    [InlineData("a%25252Fb", "a%252Fb")]
    [InlineData("%2F", "/")]
    [InlineData("a%2F%2Fb%2F", "a//b/")]
    [InlineData("a/", "a/")]
    [InlineData("a%20b", "a b")]
    [InlineData("a+b", "a+b")]
    [InlineData("100%25", "100%")]
    [InlineData("100%", "100%")]
    [InlineData("%F0%9F%98%80", "😀")]
    [InlineData("a%2F..%2Fb", "a/../b")]
    [InlineData("...", "...")]
    [InlineData("%3Fa%23b%26c", "?a#b&c")]
    [InlineData("'%27%22%5C%7C", "''\"\\|")]
    [InlineData("batch", "batch")]
    [InlineData("Batch/x", "Batch/x")]
    public async Task APathNamesAKey(string path, string key)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await client.CacheAsync(key, JsonSerializer.Serialize(key));

        foreach (var root in new[] { "/api/v3", "/v3" })
        {
            var answer = await SendAsync(app, client, "GET", $"{root}/cache/crystal/{path}");

            Assert.True(answer.Status == 200, answer.Text);
            Assert.Equal(key, JsonDocument.Parse(answer.Body).RootElement.GetProperty("value").GetString());
        }

        Assert.Equal(200, (await SendAsync(app, client, "DELETE", $"/v3/cache/crystal/{path}")).Status);
        (await client.GetAsync($"{CacheClient.Root}?key={Uri.EscapeDataString(key)}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a//b")]
    [InlineData("/")]
    [InlineData("a/../b")]
    [InlineData("\u2028\u200b\uffff")]
    [InlineData(" leading and trailing ")]
    [InlineData("\t\n")]
    public async Task EveryKeyCanBeNamedInTheQuery(string key)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.CacheAsync(key, "1")).Expect(HttpStatusCode.Created);
        var path = $"{CacheClient.Root}?key={Uri.EscapeDataString(key)}";

        Assert.Equal(key, (await client.GetAsync(path)).Expect(HttpStatusCode.OK).Json.GetProperty("key").GetString());
        Assert.Equal(key, (await client.GetAsync(CacheClient.Root)).Json.GetProperty("entries")[0].GetProperty("key").GetString());
        (await client.DeleteAsync(path)).Expect(HttpStatusCode.OK);
        (await client.GetAsync(path)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AKeyHas256Characters()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        foreach (var character in new[] { "a", "/", "😀", "\0", "!" })
        {
            var key = string.Concat(Enumerable.Repeat(character, 256));
            (await client.CacheAsync(key, "1")).Expect(HttpStatusCode.Created);
            (await client.CacheAsync(key[..^character.Length], "2")).Expect(HttpStatusCode.Created);
            (await client.CacheAsync(key + "a", "1")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

            var read = (await client.PostAsync(CacheClient.Root + "/batch", new { operations = new[] { new { operation = "get", key } } }))
                .Json.GetProperty("results")[0];

            Assert.Equal(200, read.GetProperty("status").GetInt32());
            Assert.Equal(1, read.GetProperty("body").GetProperty("value").GetInt32());
        }
    }

    [Fact]
    public async Task APathThatIsNotUtf8IsRefused()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        Assert.Equal(400, (await SendAsync(app, client, "GET", "/v3/cache/crystal/%FF")).Status);
        Assert.Equal(400, (await SendAsync(app, client, "GET", "/v3/cache/crystal/" + new string('a', 257))).Status);
    }

    [Theory]
    [InlineData("a%2Fb", "http://host/api/v3/cache/crystal/a%2Fb", "a/b")]
    [InlineData("a%2Fb", "/api/v3/cache/crystal/a%252Fb", "a%2Fb")]
    [InlineData("a/b", "/api/v3/cache/crystal/a/b?decompress=true", "a/b")]
    [InlineData("a b", "/somewhere/else", "a b")]
    [InlineData("a%2Fb", "", "a/b")]
    [InlineData("b", "/api/v3/cache/crystal/a/../b", "b")]
    [InlineData("", "/api/v3/cache/crystal/", null)]
    [InlineData(null, "/api/v3/cache/crystal", null)]
    public void TheRawPathCountsWhereItSaysTheSame(string? routeText, string rawTarget, string? key) =>
        Assert.Equal(key, PathText.Of(routeText, rawTarget, "key", "/cache/crystal/"));

    private static Task<RawAnswer> SendAsync(TestApp app, TestClient client, string method, string path) => RawHttp.SendAsync(
        app.Address, $"{method} {path} HTTP/1.1\r\nHost: a\r\nQFlux-Token: Bearer {client.Key}\r\nContent-Length: 0\r\n\r\n");
}
