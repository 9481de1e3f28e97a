using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using QuantumFlux.Cache;

namespace QuantumFlux.Tests.Cache;

public sealed class CacheTests
{
    public static TheoryData<string> Values { get; } =
    [
        "null", "true", "false", "0", "-0", "-0.0", "1E400", "123456789012345678901234567890.12345678901234567890", "\"\"", "\"\\u0000\\ud800 ä😀\"", "[]", "{}",
        """{"a":1,"a":2}""", """ [ 1 , { "b" : [ ] } ] """.Trim(), """{"data":[23.7,47.3],"metadata":{"source":"experiment_847","quality":0.9847}}""",
        new string('[', 500) + new string(']', 500),
    ];

    [Theory]
    [MemberData(nameof(Values))]
    public async Task AValueComesBackAsItWasWritten(string value)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        foreach (var compression in new[] { "none", "quantum_lz47" })
        {
            foreach (var encryption in new[] { "qr_aes_2048", "qr_aes_4096" })
            {
                var stored = (await client.CacheAsync("k", value, options: $$"""{"compression":"{{compression}}","encryption":"{{encryption}}"}"""))
                    .Expect(HttpStatusCode.Created).Json;
                var read = (await client.CachedAsync("k")).Expect(HttpStatusCode.OK);

                Assert.Equal(Encoding.UTF8.GetByteCount(value), stored.GetProperty("original_size_bytes").GetInt64());
                Assert.Contains($"\"value\":{value},\"cache_metadata\"", read.Text, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(300_000)]
    [InlineData(1_100_000)]
    [InlineData(12_000_000)]
    public async Task ValuesOfEverySizeComeBack(int bytes)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var value = CacheClient.Measurements(bytes);

        foreach (var options in new[] { null, """{"compression":"none","encryption":"qr_aes_2048","replication_factor":1}""" })
        {
            var stored = (await client.CacheAsync("k", value, options: options)).Expect(HttpStatusCode.Created).Json;
            var read = (await client.CachedAsync("k")).Expect(HttpStatusCode.OK);

            Assert.Equal(bytes, stored.GetProperty("original_size_bytes").GetInt64());
            Assert.True(read.Value() == value);
        }
    }

    [Fact]
    public async Task OptionsBeforeALargeValueCountFromTheStart()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var value = CacheClient.Measurements(11_000_000);
        var body = $$"""{"options":{"compression":"none","replication_factor":1},"ttl_seconds":60,"value":{{value}},"key":"k"}""";

        var stored = (await client.PostRawAsync(CacheClient.Root, body)).Expect(HttpStatusCode.Created).Json;

        Assert.Equal(11_000_000, stored.GetProperty("compressed_size_bytes").GetInt64());
        Assert.True((await client.CachedAsync("k")).Value() == value);
    }

    [Fact]
    public async Task TheAnswersHaveTheSpecifiedFieldsAndRealSizes()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        var value = CacheClient.Measurements(5_000);

        var stored = (await client.CacheAsync("k", value, ttlSeconds: 90)).Expect(HttpStatusCode.Created);
        var raw = (await client.GetAsync($"{CacheClient.Root}/k?decompress=false")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromSeconds(3));
        var read = (await client.CachedAsync("k")).Expect(HttpStatusCode.OK);
        var deleted = (await client.UncacheAsync("k")).Expect(HttpStatusCode.OK);

        Assert.Equal(
            ["key", "cache_id", "stored_at", "expires_at", "compressed_size_bytes", "original_size_bytes", "compression_ratio", "quantum_signature"],
            stored.Json.EnumerateObject().Select(field => field.Name));
        Assert.Equal("2026-03-01T12:00:00.000Z", stored.Json.GetProperty("stored_at").GetString());
        Assert.Equal("2026-03-01T12:01:30.000Z", stored.Json.GetProperty("expires_at").GetString());
        Assert.Equal(raw.Bytes.Length, stored.Json.GetProperty("compressed_size_bytes").GetInt64());
        Assert.Equal(Math.Round(5_000.0 / raw.Bytes.Length, 2), stored.Json.GetProperty("compression_ratio").GetDouble());
        Assert.Equal("quantum_lz47", raw.Header("X-Crystal-Compression"));
        Assert.Equal("5000", raw.Header("X-Crystal-Original-Size"));
        Assert.Equal("application/octet-stream", raw.ContentHeaders.ContentType!.MediaType);
        using var brotli = new BrotliStream(new MemoryStream(raw.Bytes), CompressionMode.Decompress);
        Assert.Equal(value, await new StreamReader(brotli).ReadToEndAsync());
        Assert.Equal(["key", "value", "cache_metadata"], read.Json.EnumerateObject().Select(field => field.Name));
        Assert.Equal(
            """{"stored_at":"2026-03-01T12:00:00.000Z","expires_at":"2026-03-01T12:01:30.000Z","hit_count":2,"last_accessed":"2026-03-01T12:00:03.000Z"}""",
            read.Json.GetProperty("cache_metadata").GetRawText());
        Assert.Equal("""{"key":"k","status":"deleted","deleted_at":"2026-03-01T12:00:03.000Z"}""", deleted.Text);
        (await client.CachedAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task UncompressedBytesAreHandedOverAsTheyWereSent()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.CacheAsync("k", "[1, 2]", options: """{"compression":"none"}""");

        var raw = (await client.GetAsync($"{CacheClient.Root}/k?decompress=false")).Expect(HttpStatusCode.OK);

        Assert.Equal("[1, 2]", raw.Text);
        Assert.Equal("none", raw.Header("X-Crystal-Compression"));
    }

    [Theory]
    [InlineData("""{"value":1}""", "key")]
    [InlineData("""{"key":"","value":1}""", "key")]
    [InlineData("""{"key":7,"value":1}""", "key")]
    [InlineData("""{"key":"\ud800","value":1}""", "key")]
    [InlineData("""{"key":"k"}""", "value")]
    [InlineData("""{"key":"k","value":1,"ttl_seconds":0}""", "ttl_seconds")]
    [InlineData("""{"key":"k","value":1,"ttl_seconds":-1}""", "ttl_seconds")]
    [InlineData("""{"key":"k","value":1,"ttl_seconds":1.5}""", "ttl_seconds")]
    [InlineData("""{"key":"k","value":1,"ttl_seconds":"60"}""", "ttl_seconds")]
    [InlineData("""{"key":"k","value":1,"ttl_seconds":3153600001}""", "ttl_seconds")]
    [InlineData("""{"key":"k","value":1,"options":[]}""", "options")]
    [InlineData("""{"key":"k","value":1,"options":{"compression":"gzip"}}""", "options.compression")]
    [InlineData("""{"key":"k","value":1,"options":{"encryption":"none"}}""", "options.encryption")]
    [InlineData("""{"key":"k","value":1,"options":{"replication_factor":0}}""", "options.replication_factor")]
    [InlineData("""{"key":"k","value":1,"options":{"replication_factor":8}}""", "options.replication_factor")]
    [InlineData("""{"key":"k","value":1,"options":{"x":8}}""", "options.x")]
    [InlineData("""{"key":"k","value":1,"ttl":8}""", "ttl")]
    [InlineData("""{"key":"k","value":1,"value":2}""", "body")]
    [InlineData("""{"key":"k","value":01}""", "body")]
    [InlineData("[]", "body")]
    [InlineData("", "body")]
    public async Task AFaultNamesItsParameter(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.PostRawAsync(CacheClient.Root, body)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.True(answer.Details.TryGetProperty(parameter, out _), answer.Text);
        (await client.CachedAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Theory]
    [InlineData("?decompress=1", "decompress")]
    [InlineData("?x=1", "x")]
    [InlineData("?key=k", "key")]
    public async Task AFaultyQueryIsRefused(string query, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.GetAsync($"{CacheClient.Root}/k{query}")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.True(answer.Details.TryGetProperty(parameter, out _), answer.Text);
    }

    [Fact]
    public async Task OtherVerbsTypesAndSizesAreRefused()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        Assert.Equal("GET, POST", (await client.SendAsync(HttpMethod.Put, CacheClient.Root)).Expect(HttpStatusCode.MethodNotAllowed).Header("Allow"));
        Assert.Equal("GET, HEAD, DELETE", (await client.SendAsync(HttpMethod.Post, CacheClient.Root + "/k")).Expect(HttpStatusCode.MethodNotAllowed).Header("Allow"));
        Assert.Equal("GET, HEAD, POST, DELETE", (await client.SendAsync(HttpMethod.Put, CacheClient.Root + "/batch")).Expect(HttpStatusCode.MethodNotAllowed).Header("Allow"));
        (await client.SendAsync(HttpMethod.Post, CacheClient.Root, new StringContent("{}"))).ExpectError(HttpStatusCode.UnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE");
        (await client.PostRawAsync(CacheClient.Root, "{}", ("X-Quantum-Signature", "qs_1"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.UncacheAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        var reader = await (await TestApp.SharedAsync).TenantAsync(scopes: ["read"]);
        (await reader.CacheAsync("k", "1")).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
    }

    [Fact]
    public async Task TheSignatureIsOfTheEntryAsItWasWritten()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var old = (await client.CacheAsync("k", "1")).Json.GetProperty("quantum_signature").GetString()!;
        var right = (await client.CacheAsync("k", "1")).Json.GetProperty("quantum_signature").GetString()!;

        (await client.CachedAsync("k", ("X-Quantum-Signature", right))).Expect(HttpStatusCode.OK);
        (await client.CachedAsync("k", ("X-Quantum-Signature", old))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.UncacheAsync("k", ("X-Quantum-Signature", old))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.UncacheAsync("k", ("X-Quantum-Signature", right))).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task AnExpiredEntryIsGoneForADayAndThenUnknown()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "1", ttlSeconds: 60);

        time.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        (await client.CachedAsync("k")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromTicks(1));
        var expired = (await client.CachedAsync("k")).ExpectError(HttpStatusCode.Gone, "RESOURCE_EXPIRED");
        (await client.UncacheAsync("k")).ExpectError(HttpStatusCode.Gone, "RESOURCE_EXPIRED");
        Assert.Empty((await client.GetAsync(CacheClient.Root)).Json.GetProperty("entries").EnumerateArray());
        time.Advance(TimeSpan.FromDays(1) - TimeSpan.FromTicks(1));
        (await client.CachedAsync("k")).ExpectError(HttpStatusCode.Gone, "RESOURCE_EXPIRED");
        time.Advance(TimeSpan.FromTicks(1));
        (await client.CachedAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.UncacheAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");

        Assert.Equal("2026-03-01T12:01:00.000Z", expired.Details.GetProperty("expired_at").GetString());
    }

    [Fact]
    public async Task ConditionsDecideWhetherAWriteHappens()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();

        (await client.CacheAsync("k", "0", headers: ("If-Match", "*"))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        var first = (await client.CacheAsync("k", "1", ttlSeconds: 60, headers: ("If-None-Match", "*"))).Expect(HttpStatusCode.Created).Header("ETag")!;
        (await client.CacheAsync("k", "2", headers: ("If-None-Match", "*"))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        Assert.Equal(first, (await client.CachedAsync("k")).Header("ETag"));
        (await client.CachedAsync("k", ("If-None-Match", first))).Expect(HttpStatusCode.NotModified);
        var second = (await client.CacheAsync("k", "3", ttlSeconds: 60, headers: ("If-Match", first))).Expect(HttpStatusCode.Created).Header("ETag")!;
        (await client.CacheAsync("k", "4", headers: ("If-Match", first))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.CachedAsync("k", ("If-None-Match", first))).Expect(HttpStatusCode.OK);
        (await client.UncacheAsync("k", ("If-Match", first))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        Assert.Equal("3", (await client.CachedAsync("k", ("If-Match", second))).Value());
        (await client.CacheAsync("k", "5", headers: ("If-Match", "no"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        // What has expired is not there.
        time.Advance(TimeSpan.FromSeconds(60));
        (await client.CacheAsync("k", "6", headers: ("If-Match", second))).ExpectError(HttpStatusCode.PreconditionFailed, "PRECONDITION_FAILED");
        (await client.CacheAsync("k", "7", headers: ("If-None-Match", "*"))).Expect(HttpStatusCode.Created);
        Assert.Equal("7", (await client.CachedAsync("k")).Value());
    }

    [Fact]
    public async Task OfManyConditionalWritersOneWins()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var created = await Task.WhenAll(Enumerable.Range(0, 12).Select(index => client.CacheAsync("k", $"{index}", headers: ("If-None-Match", "*"))));
        var etag = (await client.CachedAsync("k")).Header("ETag")!;
        var changed = await Task.WhenAll(Enumerable.Range(0, 12).Select(index => client.CacheAsync("k", $"{index}", headers: ("If-Match", etag))));

        foreach (var answers in new[] { created, changed })
        {
            Assert.Single(answers, answer => answer.Status == HttpStatusCode.Created);
            Assert.Equal(11, answers.Count(answer => answer.Status == HttpStatusCode.PreconditionFailed));
        }
    }

    [Fact]
    public async Task ReadingInBetweenDoesNotFailACondition()
    {
        await using var app = await TestApp.StartAsync();
        var client = await app.TenantAsync();
        var etag = (await client.CacheAsync("k", "1")).Header("ETag")!;

        await client.CachedAsync("k");
        await ((CacheHits)app.Services.GetService(typeof(CacheHits))!).FlushAsync(TimeSpan.Zero, CancellationToken.None);

        (await client.CacheAsync("k", "2", headers: ("If-Match", etag))).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task HeadTellsWhatGetWouldTell()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.CacheAsync("k", "[1,2,3]");
        var get = await client.CachedAsync("k");

        var head = (await client.SendAsync(HttpMethod.Head, CacheClient.Root + "/k")).Expect(HttpStatusCode.OK);

        Assert.Empty(head.Bytes);
        Assert.Equal(get.Header("ETag"), head.Header("ETag"));
        Assert.Equal(get.ContentHeaders.ContentLength, head.ContentHeaders.ContentLength);
    }

    [Fact]
    public async Task ListsAreWalkedByPrefix()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var long1 = "long/" + new string('/', 200);
        string[] keys = ["a", "a b", "a/1", "a/2", "a/😀", "b", "ä", long1 + "1", long1 + "2"];
        foreach (var key in keys)
        {
            (await client.CacheAsync(key, "1")).Expect(HttpStatusCode.Created);
        }

        Assert.Equal(keys.Order(StringComparer.Ordinal), (await WalkAsync("")).Order(StringComparer.Ordinal));
        Assert.Equal(["a/1", "a/2", "a/😀"], await WalkAsync("a/"));
        Assert.Equal(["ä"], await WalkAsync("ä"));
        Assert.Equal(2, (await WalkAsync("long")).Count);
        Assert.Equal([long1 + "2"], await WalkAsync(long1 + "2"));
        Assert.Empty(await WalkAsync("c"));
        var entry = (await client.GetAsync($"{CacheClient.Root}?prefix=b")).Json.GetProperty("entries")[0];
        Assert.Equal(
            ["key", "cache_id", "stored_at", "expires_at", "compressed_size_bytes", "original_size_bytes", "compression_ratio", "hit_count", "last_accessed"],
            entry.EnumerateObject().Select(field => field.Name));
        Assert.Equal(JsonValueKind.Null, entry.GetProperty("last_accessed").ValueKind);
        (await client.GetAsync($"{CacheClient.Root}?limit=101")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        async Task<List<string>> WalkAsync(string prefix)
        {
            var found = new List<string>();
            while (true)
            {
                var after = found.Count == 0 ? "" : $"&starting_after={Uri.EscapeDataString(found[^1])}";
                var page = (await client.GetAsync($"{CacheClient.Root}?limit=2&prefix={Uri.EscapeDataString(prefix)}{after}")).Expect(HttpStatusCode.OK).Json;
                found.AddRange(page.GetProperty("entries").EnumerateArray().Select(listed => listed.GetProperty("key").GetString()!));
                if (!page.GetProperty("has_more").GetBoolean())
                {
                    return found;
                }
            }
        }
    }

    [Fact]
    public async Task ABatchAnswersEachOperationByItself()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.CacheAsync("old", "1");
        await client.CacheAsync("large", CacheClient.Measurements(CacheLimits.BatchValueBytesMax + 1));

        var results = (await client.PostRawAsync(CacheClient.Root + "/batch", """
            {"operations":[
              {"operation":"put","key":"batch","value":{"a":[1.50]},"ttl_seconds":60,"options":{"replication_factor":1}},
              {"operation":"get","key":"batch"},
              {"operation":"get","key":"missing"},
              {"operation":"delete","key":"old"},
              {"operation":"get","key":"old"},
              {"operation":"put","key":"x","value":1,"ttl_seconds":0},
              {"operation":"put","key":"x"},
              {"operation":"move","key":"x"},
              {"operation":"get","key":"large"},
              {"operation":"get","key":"x","value":1}
            ]}
            """)).Expect(HttpStatusCode.OK).Json.GetProperty("results");

        Assert.Equal([201, 200, 404, 200, 404, 400, 400, 400, 413, 400], results.EnumerateArray().Select(result => result.GetProperty("status").GetInt32()));
        Assert.Equal("""{"a":[1.50]}""", results[1].GetProperty("body").GetProperty("value").GetRawText());
        Assert.Equal("RESOURCE_NOT_FOUND", results[2].GetProperty("body").GetProperty("error").GetProperty("code").GetString());
        Assert.True(results[5].GetProperty("body").GetProperty("error").GetProperty("details").TryGetProperty("ttl_seconds", out _));
        Assert.Equal("""{"a":[1.50]}""", (await client.CachedAsync("batch")).Value());
        (await client.UncacheAsync("batch")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ABatchHasLimitsAndNeedsTheScopesOfItsOperations()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        foreach (var operations in new[] { "[]", "{}", "[1]", $"[{string.Join(',', Enumerable.Repeat("{}", 101))}]" })
        {
            (await client.PostRawAsync(CacheClient.Root + "/batch", $"{{\"operations\":{operations}}}")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        }

        await client.CacheAsync("k", "1");
        var reader = await app.KeyAsync(client.Account, "live", scopes: ["read"]);
        var results = (await reader.PostRawAsync(CacheClient.Root + "/batch", """{"operations":[{"operation":"get","key":"k"},{"operation":"delete","key":"k"}]}"""))
            .Expect(HttpStatusCode.OK).Json.GetProperty("results");

        Assert.Equal([200, 403], results.EnumerateArray().Select(result => result.GetProperty("status").GetInt32()));
    }

    [Fact]
    public async Task TenantsDoNotSeeEachOther()
    {
        var app = await TestApp.SharedAsync;
        var one = await app.TenantAsync();
        var other = await app.TenantAsync();
        var sandbox = await app.KeyAsync(one.Account, "test");
        await one.CacheAsync("k", "1");

        foreach (var client in new[] { other, sandbox })
        {
            (await client.CachedAsync("k")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
            Assert.Empty((await client.GetAsync(CacheClient.Root)).Json.GetProperty("entries").EnumerateArray());
        }
    }
}
