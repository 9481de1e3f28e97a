using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace QuantumFlux.Tests.Objects;

public sealed class ObjectTests
{
    private const string Path = "/api/v3/quantum/objects";

    [Fact]
    public async Task AnObjectIsReadBackAsItWasWritten()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var written = (await client.PutObjectAsync("thing", "héllo")).Expect(HttpStatusCode.Created);
        var read = (await client.GetObjectAsync("thing")).Expect(HttpStatusCode.OK);

        var view = written.Json;
        Assert.Equal(
            ["object_id", "version", "type", "content_type", "size_bytes", "sha256", "created_at", "last_modified", "synced_to"],
            view.EnumerateObject().Select(member => member.Name));
        Assert.Equal("thing", view.GetProperty("object_id").GetString());
        Assert.Equal("text/plain; charset=utf-8", view.GetProperty("content_type").GetString());
        Assert.Equal(6, view.GetProperty("size_bytes").GetInt64());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("héllo"u8)), view.GetProperty("sha256").GetString());
        Assert.Equal("héllo", read.Text);
        Assert.Equal("text/plain; charset=utf-8", read.Header("Content-Type"));
        Assert.Equal(written.Header("ETag"), read.Header("ETag"));
        Assert.NotNull(read.Header("Last-Modified"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64 * 1024)]
    [InlineData((64 * 1024) + 1)]
    [InlineData(384 * 1024)]
    [InlineData((384 * 1024) + 1)]
    [InlineData(4 * 1024 * 1024)]
    [InlineData((4 * 1024 * 1024) + (384 * 1024))]
    [InlineData(9_000_001)]
    public async Task ContentOfAnySizeIsReadBackIdentical(int size)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var content = new byte[size];
        new Random(size).NextBytes(content);

        (await client.PutObjectAsync("thing", content)).Expect(HttpStatusCode.Created);

        var read = (await client.GetObjectAsync("thing")).Expect(HttpStatusCode.OK);
        Assert.True(content.AsSpan().SequenceEqual(read.Bytes));
        if (size > 2)
        {
            var middle = await client.GetObjectAsync("thing", ("Range", $"bytes={size / 2}-{size - 2}"));
            Assert.True(content.AsSpan(size / 2, size - 1 - (size / 2)).SequenceEqual(middle.Expect(HttpStatusCode.PartialContent).Bytes));
            Assert.Equal($"bytes {size / 2}-{size - 2}/{size}", middle.Header("Content-Range"));
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(500_000)]
    public async Task ContentIsCheckedAgainstItsDigest(int size)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var content = new byte[size];
        var digest = $"sha-256=:{Convert.ToBase64String(SHA256.HashData(content))}:";

        (await client.PutObjectAsync("thing", content.Append((byte)1).ToArray(), ("Content-Digest", digest)))
            .ExpectError(HttpStatusCode.UnprocessableEntity, "CONTENT_MISMATCH");
        (await client.PutObjectAsync("thing", content, ("Content-Digest", "sha-256=:abc:"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        (await client.GetObjectAsync("thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.PutObjectAsync("thing", content, ("Content-Digest", $"md5=:AAAA:, {digest}"))).Expect(HttpStatusCode.Created);
        Assert.Equal(digest, (await client.GetObjectAsync("thing")).Header("Repr-Digest"));
    }

    [Fact]
    public async Task AChunkedWriteNeedsNoLength()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var content = new StreamContent(new MemoryStream(new byte[1_000_000]));

        var answer = await client.SendAsync(HttpMethod.Put, $"{Path}/thing", content, ("Transfer-Encoding", "chunked"));

        Assert.Equal(1_000_000, answer.Expect(HttpStatusCode.Created).Json.GetProperty("size_bytes").GetInt64());
    }

    [Fact]
    public async Task OlderVersionsStayReadable()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var first = (await client.PutObjectAsync("thing", "one")).Json.GetProperty("version").GetInt64();
        await client.PutObjectAsync("thing", "two");
        var third = (await client.PutObjectAsync("thing", "three")).Expect(HttpStatusCode.OK).Json.GetProperty("version").GetInt64();

        var versions = (await client.GetAsync($"{Path}/thing/versions?limit=2")).Expect(HttpStatusCode.OK).Json;
        var rest = (await client.GetAsync($"{Path}/thing/versions?starting_after={versions.GetProperty("versions")[1].GetProperty("version")}")).Json;

        Assert.Equal(third, versions.GetProperty("versions")[0].GetProperty("version").GetInt64());
        Assert.True(versions.GetProperty("has_more").GetBoolean());
        Assert.Equal(first, rest.GetProperty("versions")[0].GetProperty("version").GetInt64());
        Assert.False(rest.GetProperty("has_more").GetBoolean());
        Assert.Equal("one", (await client.GetAsync($"{Path}/thing?version={first}")).Text);
        (await client.GetAsync($"{Path}/thing?version={first - 1}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AReadAsOfAMomentGivesTheVersionOfThatMoment()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await client.PutObjectAsync("thing", "noon");
        time.Advance(TimeSpan.FromHours(1));
        await client.PutObjectAsync("thing", "one");

        Assert.Equal("noon", (await client.GetAsync($"{Path}/thing?at=2026-03-01T12:00:00Z")).Text);
        Assert.Equal("noon", (await client.GetAsync($"{Path}/thing?at=2026-03-01T13:59:59.999%2B01:00")).Text);
        Assert.Equal("one", (await client.GetAsync($"{Path}/thing?at=2026-03-01T13:00:00Z")).Text);
        (await client.GetAsync($"{Path}/thing?at=2026-03-01T11:59:59.999Z")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.GetAsync($"{Path}/thing?at=1960-01-01T00:00:00Z")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.GetAsync($"{Path}/thing?at=yesterday")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
    }

    [Fact]
    public async Task VersionNumbersRiseAlthoughTheClockStandsStill()
    {
        await using var app = await TestApp.StartAsync(new ManualTime());
        var client = await app.TenantAsync();

        var first = (await client.PutObjectAsync("thing", "one")).Json.GetProperty("version").GetInt64();
        var second = (await client.PutObjectAsync("thing", "two")).Json.GetProperty("version").GetInt64();

        Assert.Equal(first + 1, second);
    }

    [Fact]
    public async Task ConditionsGuardWrites()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var etag = (await client.PutObjectAsync("thing", "one", ("If-None-Match", "*"))).Expect(HttpStatusCode.Created).Header("ETag")!;

        (await client.PutObjectAsync("thing", "two", ("If-None-Match", "*"))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.PutObjectAsync("thing", "two", ("If-Match", "\"other\""))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.PutObjectAsync("thing", "two", ("If-Match", etag))).Expect(HttpStatusCode.OK);
        (await client.PutObjectAsync("thing", "three", ("If-Match", etag))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.PutObjectAsync("none", "x", ("If-Match", "*"))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.DeleteAsync($"{Path}/thing", ("If-Match", etag))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.PutObjectAsync("thing", "three", ("If-Match", "nonsense"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
    }

    [Fact]
    public async Task OfManyConditionalWritersOneWins()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var etag = (await client.PutObjectAsync("thing", "start")).Header("ETag")!;

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => client.PutObjectAsync("thing", $"writer {i}", ("If-Match", etag))));

        Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
        Assert.Equal(15, answers.Count(answer => answer.Status == HttpStatusCode.PreconditionFailed));
    }

    [Fact]
    public async Task AnUnchangedObjectIsNotSentAgain()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var etag = (await client.PutObjectAsync("thing", "one")).Header("ETag")!;

        var unchanged = await client.GetObjectAsync("thing", ("If-None-Match", etag));

        Assert.Empty(unchanged.Expect(HttpStatusCode.NotModified).Bytes);
        Assert.Equal(etag, unchanged.Header("ETag"));
    }

    [Fact]
    public async Task ARangeOutsideTheContentIsNamed()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("thing", "12345");

        var answer = await client.GetObjectAsync("thing", ("Range", "bytes=5-"));

        Assert.Null(answer.Header("Repr-Digest"));
        Assert.Null(answer.Header("X-Object-Version"));
        Assert.Equal(5, answer.ExpectError(HttpStatusCode.RequestedRangeNotSatisfiable, "RANGE_NOT_SATISFIABLE").Details.GetProperty("size_bytes").GetInt64());
    }

    [Fact]
    public async Task HeadGivesTheFactsWithoutTheContent()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("thing", "12345");

        var head = await client.SendAsync(HttpMethod.Head, $"{Path}/thing");
        var missing = await client.SendAsync(HttpMethod.Head, $"{Path}/nothing");

        Assert.Empty(head.Expect(HttpStatusCode.OK).Bytes);
        Assert.Equal("5", head.Header("Content-Length"));
        Assert.Empty(missing.Expect(HttpStatusCode.NotFound).Bytes);
        Assert.Equal("RESOURCE_NOT_FOUND", missing.Header("X-Error-Code"));
    }

    [Fact]
    public async Task AListWalksAllObjectsInOrder()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        string[] ids = ["a", "b1", "b2", "b3", "c"];
        foreach (var id in ids)
        {
            (await client.PutObjectAsync(id, id)).Expect(HttpStatusCode.Created);
        }

        var first = (await client.GetAsync($"{Path}?limit=2")).Expect(HttpStatusCode.OK).Json;
        var second = (await client.GetAsync($"{Path}?limit=3&starting_after=b1")).Json;
        var prefixed = (await client.GetAsync($"{Path}?prefix=b&limit=100")).Json;
        var after = (await client.GetAsync($"{Path}?prefix=b&starting_after=b2")).Json;

        Assert.Equal(["a", "b1"], Ids(first));
        Assert.True(first.GetProperty("has_more").GetBoolean());
        Assert.Equal(["b2", "b3", "c"], Ids(second));
        Assert.False(second.GetProperty("has_more").GetBoolean());
        Assert.Equal(["b1", "b2", "b3"], Ids(prefixed));
        Assert.Equal(["b3"], Ids(after));
    }

    [Fact]
    public async Task ADeletedObjectIsGoneWithItsHistory()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var version = (await client.PutObjectAsync("thing", "one")).Json.GetProperty("version").GetInt64();
        await client.PutObjectAsync("thing", "two");

        var deleted = (await client.DeleteAsync($"{Path}/thing")).Expect(HttpStatusCode.OK).Json;

        Assert.Equal("deleted", deleted.GetProperty("status").GetString());
        (await client.GetObjectAsync("thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.DeleteAsync($"{Path}/thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.PutObjectAsync("thing", "new")).Expect(HttpStatusCode.Created);
        (await client.GetAsync($"{Path}/thing?version={version}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal(1, (await client.GetAsync($"{Path}/thing/versions")).Json.GetProperty("versions").GetArrayLength());
    }

    [Fact]
    public async Task ALongHistoryIsDeletedToo()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        for (var i = 0; i < 210; i++)
        {
            (await client.PutObjectAsync("thing", "x")).Expect(i == 0 ? HttpStatusCode.Created : HttpStatusCode.OK);
        }

        (await client.DeleteAsync($"{Path}/thing")).Expect(HttpStatusCode.OK);
        await client.PutObjectAsync("thing", "again");

        Assert.Equal(1, (await client.GetAsync($"{Path}/thing/versions?limit=100")).Json.GetProperty("versions").GetArrayLength());
    }

    [Theory]
    [InlineData("has space")]
    [InlineData(".hidden")]
    [InlineData("a%2Fb")]
    [InlineData("ü")]
    [InlineData("-x")]
    public async Task AnImpossibleIdIsNamed(string id)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.PutObjectAsync(id, "x");

        Assert.True(answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("object_id", out _));
    }

    [Fact]
    public async Task ContentBeyondTheLimitIsRefusedBeforeItIsSent()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        var answer = await RawAsync(app, client, "Content-Length: 2700000001\r\nExpect: 100-continue\r\n");

        Assert.StartsWith("HTTP/1.1 413", answer, StringComparison.Ordinal);
        Assert.Contains("PAYLOAD_TOO_LARGE", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AWriteMustSayHowLongItIs()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        var answer = await RawAsync(app, client, "");

        Assert.StartsWith("HTTP/1.1 411", answer, StringComparison.Ordinal);
        Assert.Contains("LENGTH_REQUIRED", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TenantsShareNothing()
    {
        var app = await TestApp.SharedAsync;
        var one = await app.TenantAsync();
        var other = await app.TenantAsync();
        var sandbox = await app.KeyAsync(one.Account, "test");
        await one.PutObjectAsync("thing", "mine");

        (await other.GetObjectAsync("thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await sandbox.GetObjectAsync("thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Empty((await other.GetAsync(Path)).Json.GetProperty("objects").EnumerateArray());
    }

    private static IEnumerable<string?> Ids(JsonElement list) =>
        list.GetProperty("objects").EnumerateArray().Select(item => item.GetProperty("object_id").GetString());

    private static async Task<string> RawAsync(TestApp app, TestClient client, string headers)
    {
        using var tcp = new System.Net.Sockets.TcpClient();
        await tcp.ConnectAsync(app.Address.Host, app.Address.Port);
        var stream = tcp.GetStream();
        var request = $"PUT {Path}/thing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nQFlux-Token: Bearer {client.Key}\r\n{headers}\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));

        // Not to the end: the server waits a while for the rest of the content before it closes.
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        while (!answer.ToString().Contains("}}", StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(buffer);
            Assert.True(count > 0, answer.ToString());
            answer.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return answer.ToString();
    }
}
