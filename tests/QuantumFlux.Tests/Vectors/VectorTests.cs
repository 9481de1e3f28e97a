using System.Net;
using System.Text;
using System.Text.Json;
using QuantumFlux.Keys;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class VectorTests
{
    private const string Contexts = """
        "contexts":[{"name":"technical","weight":0.7},{"name":"general","weight":0.3}]
        """;

    public static TheoryData<Place> Places => VectorClient.Places;

    public static TheoryData<string> Ids { get; } =
    [
        "doc_123", "a b", " a ", "a/b", "/", "a//b/", "a/../b", "a/..", "./a", "...", "%", "100%", "%2F", "a%2Fb", "a?b#c&d=e", "a+b", "a\\b", "\"'<>|^`{}[]", ";:@,$!*()",
        "\t\r\n", "\u007f", "ä", "a\u0308", "😀", "\u2028\u200b\uffff", "Batch", "batch/", "/batch", "batch/1", "query", "vectors/vectors/x", "null", "-1",
        new string('x', 256), new string('/', 256), new string('%', 256), string.Concat(Enumerable.Repeat("😀", 128)), new string('\uffff', 256),
    ];

    [Fact]
    public async Task AVectorIsInsertedReadReplacedAndDeleted()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();

        var inserted = (await client.WriteAsync("doc_123", "[0.1, 0.2, 0.3]", Contexts + """
            ,"coherence_time_ms":1000,"metadata":{"source":"arxiv","date":"2025-12-13"}
            """)).Expect(HttpStatusCode.Created);
        var read = (await client.GetAsync(inserted.Header("Location")!)).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromSeconds(3));
        var replaced = (await client.WriteAsync("doc_123", "[1, 2, 3]")).Expect(HttpStatusCode.OK);
        var readAgain = (await client.ReadAsync("doc_123")).Expect(HttpStatusCode.OK);
        var deleted = (await client.RemoveAsync("doc_123")).Expect(HttpStatusCode.OK);

        Assert.Equal("""{"id":"doc_123","status":"inserted","quantum_encoded":true,"timestamp":"2026-03-01T12:00:00.000Z"}""", inserted.Text);
        Assert.Equal("/api/v2/vectors/doc_123", inserted.Header("Location"));
        Assert.Equal(
            """
            {"id":"doc_123","vector":[0.1,0.2,0.3],"contexts":[{"name":"technical","weight":0.7},{"name":"general","weight":0.3}],"coherence_time_ms":1000,
            """
            + """
            "metadata":{"source":"arxiv","date":"2025-12-13"},"quantum_encoded":true,"timestamp":"2026-03-01T12:00:00.000Z"}
            """,
            read.Text);
        Assert.Equal("""{"id":"doc_123","status":"replaced","quantum_encoded":false,"timestamp":"2026-03-01T12:00:03.000Z"}""", replaced.Text);
        Assert.Equal(
            """{"id":"doc_123","vector":[1,2,3],"contexts":[],"coherence_time_ms":null,"metadata":{},"quantum_encoded":false,"timestamp":"2026-03-01T12:00:03.000Z"}""",
            readAgain.Text);
        Assert.Equal("""{"id":"doc_123","status":"deleted","entanglements_removed":0}""", deleted.Text);
        (await client.ReadAsync("doc_123")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.RemoveAsync("doc_123")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public async Task AnyIdIsWrittenFoundAndDeleted(string id)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var shortPath = VectorClient.PathOf(id).Replace("/api/v2", "/v2", StringComparison.Ordinal);

        var inserted = (await client.WriteAsync(id, "[1]")).Expect(HttpStatusCode.Created);
        (await client.WriteAsync("other", "[1]")).Expect(HttpStatusCode.Created);
        await app.BuildSegmentAsync(client);
        var read = await client.GetAsync(inserted.Header("Location")!);
        var changed = (await client.ChangeAsync(id, """{"metadata":{"a":1}}""")).Expect(HttpStatusCode.OK);
        var readAgain = await client.GetAsync(shortPath);
        var listed = await client.GetAsync(VectorClient.Root);
        var found = await client.QueryAsync("[1]", """
            "filters":{"metadata.a":1}
            """);
        var deleted = (await client.DeleteAsync(shortPath)).Expect(HttpStatusCode.OK);

        Assert.Equal(VectorClient.PathOf(id), inserted.Header("Location"));
        Assert.All([inserted, read, changed, readAgain, deleted], answer => Assert.Equal(id, answer.Json.GetProperty("id").GetString()));
        Assert.Equal("""{"a":1}""", readAgain.Json.GetProperty("metadata").GetRawText());
        Assert.Equal(["other", id], VectorClient.Ids(listed));
        Assert.Equal([id], VectorClient.Ids(found));
        (await client.ReadAsync(id)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.ReadAsync("other")).Expect(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("""{"vector":[1]}""", "id")]
    [InlineData("""{"id":null,"vector":[1]}""", "id")]
    [InlineData("""{"id":"","vector":[1]}""", "id")]
    [InlineData("""{"id":7,"vector":[1]}""", "id")]
    [InlineData("""{"id":"batch","vector":[1]}""", "id")]
    [InlineData("""{"id":".","vector":[1]}""", "id")]
    [InlineData("""{"id":"..","vector":[1]}""", "id")]
    [InlineData("""{"id":"\ud800","vector":[1]}""", "id")]
    [InlineData("""{"id":"a\u0000b","vector":[1]}""", "id")]
    [InlineData("""{"id":"v"}""", "vector")]
    [InlineData("""{"id":"v","vector":null}""", "vector")]
    [InlineData("""{"id":"v","vector":1}""", "vector")]
    [InlineData("""{"id":"v","vector":{"0":1}}""", "vector")]
    [InlineData("""{"id":"v","vector":"AAAAAA=="}""", "vector")]
    [InlineData("""{"id":"v","vector":[]}""", "vector")]
    [InlineData("""{"id":"v","vector":[1,null]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,2,"3"]}""", "vector[2]")]
    [InlineData("""{"id":"v","vector":["NaN"]}""", "vector[0]")]
    [InlineData("""{"id":"v","vector":["Infinity"]}""", "vector[0]")]
    [InlineData("""{"id":"v","vector":[1,1e400]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,-1e400]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,1e39]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,1.1e15]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,-1.1e15]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,[2]]}""", "vector[1]")]
    [InlineData("""{"id":"v","vector":[1,NaN]}""", "body")]
    [InlineData("""{"id":"v","vector":[1,Infinity]}""", "body")]
    [InlineData("""{"id":"v","vector":[1,-Infinity]}""", "body")]
    [InlineData("""{"id":"v","vector":[1],"contexts":{}}""", "contexts")]
    [InlineData("""{"id":"v","vector":[1],"contexts":["technical"]}""", "contexts")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"weight":1}]}""", "contexts[0].name")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":0.1},{"name":"","weight":0.1}]}""", "contexts[1].name")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a"}]}""", "contexts[0].weight")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":0.1},{"name":"b","weight":-0.1}]}""", "contexts[1].weight")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":1.0000001}]}""", "contexts[0].weight")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":"1"}]}""", "contexts[0].weight")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":1,"x":1}]}""", "contexts[0].x")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":0.1},{"name":"a","weight":0.1}]}""", "contexts")]
    [InlineData("""{"id":"v","vector":[1],"contexts":[{"name":"a","weight":0.6},{"name":"b","weight":0.5}]}""", "contexts")]
    [InlineData("""{"id":"v","vector":[1],"coherence_time_ms":0}""", "coherence_time_ms")]
    [InlineData("""{"id":"v","vector":[1],"coherence_time_ms":-1}""", "coherence_time_ms")]
    [InlineData("""{"id":"v","vector":[1],"coherence_time_ms":1.5}""", "coherence_time_ms")]
    [InlineData("""{"id":"v","vector":[1],"coherence_time_ms":"1000"}""", "coherence_time_ms")]
    [InlineData("""{"id":"v","vector":[1],"coherence_time_ms":3153600000001}""", "coherence_time_ms")]
    [InlineData("""{"id":"v","vector":[1],"metadata":[]}""", "metadata")]
    [InlineData("""{"id":"v","vector":[1],"metadata":"{}"}""", "metadata")]
    [InlineData("""{"id":"v","vector":[1],"metric":"manhattan"}""", "metric")]
    [InlineData("""{"id":"v","vector":[1],"Metric":"dot"}""", "Metric")]
    [InlineData("""{"id":"v","vector":[1],"context":"a"}""", "context")]
    [InlineData("""{"id":"v","vector":[1],"vector":[2]}""", "body")]
    [InlineData("""[{"id":"v","vector":[1]}]""", "body")]
    [InlineData("", "body")]
    public async Task AFaultNamesItsParameter(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.PostRawAsync(VectorClient.Root, body)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
        Assert.Empty(VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
    }

    [Fact]
    public async Task AllFaultsAreToldAtOnce()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.PostRawAsync(VectorClient.Root, """
            {"vector":[1,true],"contexts":[{"name":1,"weight":2},{"x":0}],"coherence_time_ms":0,"metadata":1,"metric":1,"more":1}
            """)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal(
            [
                "id", "vector[1]", "contexts[0].name", "contexts[0].weight", "contexts[1].name", "contexts[1].weight", "coherence_time_ms", "metadata", "metric", "more",
                "contexts[1].x",
            ],
            answer.Details.EnumerateObject().Select(fault => fault.Name));
    }

    [Fact]
    public async Task EverythingHasItsLimit()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var most = Enumerable.Range(0, VectorLimits.ContextsMax).Select(index => $"{{\"name\":\"{new string('n', 126)}{index:D2}\",\"weight\":0.03125}}").ToList();
        var name = string.Concat(Enumerable.Repeat("😀", 64));

        (await client.WriteAsync("v", "[1]", $"\"contexts\":[{string.Join(',', most)}],\"metadata\":{Metadata(VectorLimits.MetadataBytesMax)}")).Expect(HttpStatusCode.Created);
        (await client.WriteAsync("v", "[1]", $"\"contexts\":[{{\"name\":\"{name}\",\"weight\":1}}]")).Expect(HttpStatusCode.OK);

        await RefusedAsync("id", new string('x', 257), "[1]");
        await RefusedAsync("id", string.Concat(Enumerable.Repeat("😀", 128)) + "x", "[1]");
        await RefusedAsync("vector", "v", VectorClient.Json(new float[4097]));
        await RefusedAsync("contexts", "v", "[1]", $"\"contexts\":[{string.Join(',', most)},{{\"name\":\"one more\",\"weight\":0}}]");
        await RefusedAsync("contexts[0].name", "v", "[1]", $"\"contexts\":[{{\"name\":\"{name}x\",\"weight\":0}}]");
        await RefusedAsync("metadata", "v", "[1]", $"\"metadata\":{Metadata(VectorLimits.MetadataBytesMax + 1)}");
        (await client.ReadAsync(new string('x', 257))).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        (await client.RemoveAsync(new string('x', 257))).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        (await client.ChangeAsync(new string('x', 257), """{"vector":[1]}""")).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        async Task RefusedAsync(string parameter, string id, string values, string more = "")
        {
            var answer = (await client.WriteAsync(id, values, more)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
            Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
        }

        static string Metadata(int bytes) => $"{{\"a\":\"{new string('a', bytes - 8)}\"}}";
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task NumbersComeBackAsTheyWereSent(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        float[] values =
        [
            0.1f, 0.2f, 0.3f, -0.0f, 0, 1, -1, 1e-38f, -1e-38f, float.Epsilon, 1e15f, -1e15f, 16777217, 1 / 3f, MathF.PI, 123456.789f, 1.1754944e-38f, 1e-7f, 1e7f,
        ];

        await app.PlaceAsync(client, [new TestVector("a", values), new TestVector("b", values)], place);
        var read = (await client.ReadAsync("a")).Json.GetProperty("vector");
        var listed = (await client.GetAsync(VectorClient.Root)).Json.GetProperty("results")[0].GetProperty("vector");
        var found = (await client.QueryAsync(VectorClient.Json(values))).Json.GetProperty("results")[0].GetProperty("vector");

        foreach (var answer in new[] { read, listed, found })
        {
            Assert.Equal(values.Select(BitConverter.SingleToUInt32Bits), answer.EnumerateArray().Select(value => BitConverter.SingleToUInt32Bits(value.GetSingle())));
            Assert.StartsWith("[0.1,0.2,0.3,-0,0,1,-1,1E-38,", answer.GetRawText(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task NumbersAreRoundedToSinglePrecision()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        (await client.WriteAsync("a", "[0.1000000014901161193847656, 16777217, 1e-50, 1E2, 0.30000000000000004]")).Expect(HttpStatusCode.Created);

        Assert.Equal("[0.1,16777216,0,100,0.3]", (await client.ReadAsync("a")).Json.GetProperty("vector").GetRawText());
    }

    [Fact]
    public async Task MetadataWhosePathsAreTooLongTogetherIsRefused()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        // A path of 900 bytes, and others of 904 below it: 144 and it come to 131,076 bytes, and 131,072 are allowed.
        static string Metadata(int members) =>
            $"{{\"{new string('a', 900)}\":{{{string.Join(',', Enumerable.Range(100, members).Select(member => $"\"{member}\":0"))}}}}}";
        const string Reason = "must have paths of at most 131072 bytes in UTF-8, all together: the names that lead to each member, joined by dots";

        (await client.WriteAsync("v", "[1]", $"\"metadata\":{Metadata(1)}")).Expect(HttpStatusCode.Created);
        Assert.Equal(131_072, VectorLimits.MetadataPathBytesMax);
        foreach (var (answer, parameter) in new[]
        {
            (await client.WriteAsync("v", "[1]", $"\"metadata\":{Metadata(144)}"), "metadata"),
            (await client.ChangeAsync("v", $"{{\"metadata\":{Metadata(144)}}}"), "metadata"),
            (await client.BatchAsync([$"{{\"id\":\"v\",\"vector\":[1],\"metadata\":{Metadata(144)}}}"]), "vectors[0].metadata"),
        })
        {
            Assert.Equal(Reason, answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.GetProperty(parameter).GetString());
        }

        (await client.ChangeAsync("v", $"{{\"metadata\":{Metadata(143)}}}")).Expect(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{ "a" : [ 1.50 , 1e400, -0.0 ],  "b":{"c":null} }""")]
    [InlineData("""{"":"","\u0000":"\ud800 \u00e4 ä😀","a\"b":"\/"}""")]
    [InlineData("""{"metadata":{"metadata":123456789012345678901234567890.12345678901234567890}}""")]
    public async Task MetadataComesBackByteForByte(string metadata)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        (await client.WriteAsync("a", "[1]", $"\"metadata\":{metadata}")).Expect(HttpStatusCode.Created);
        await AssertAsync();
        await app.BuildSegmentAsync(client);
        await AssertAsync();

        async Task AssertAsync()
        {
            Assert.Equal(metadata, (await client.ReadAsync("a")).Json.GetProperty("metadata").GetRawText());
            Assert.Equal(metadata, (await client.GetAsync(VectorClient.Root)).Json.GetProperty("results")[0].GetProperty("metadata").GetRawText());
            Assert.Equal(metadata, (await client.QueryAsync("[1]")).Json.GetProperty("results")[0].GetProperty("metadata").GetRawText());
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task TheFirstVectorFixesDimensionAndMetricUntilTheLastIsGone(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [new TestVector("a", [1, 2]), new TestVector("b", [3, 4])], place, "dot");

        await RefusedAsync(client.WriteAsync("c", "[1]"), "vector");
        await RefusedAsync(client.WriteAsync("a", "[1, 2, 3]"), "vector");
        await RefusedAsync(client.ChangeAsync("a", """{"vector":[1]}"""), "vector");
        await RefusedAsync(client.QueryAsync("[1, 2, 3]"), "vector");
        await RefusedAsync(client.WriteAsync("c", "[1, 2]", "\"metric\":\"cosine\""), "metric");
        (await client.WriteAsync("c", "[1, 2]", "\"metric\":\"dot\"")).Expect(HttpStatusCode.Created);
        (await client.WriteAsync("c", "[5, 6]")).Expect(HttpStatusCode.OK);
        Assert.Equal([17, 11, 5], (await client.QueryAsync("[1, 2]")).Hits().Select(hit => hit.Score));

        (await client.RemoveAsync("a")).Expect(HttpStatusCode.OK);
        (await client.RemoveAsync("b")).Expect(HttpStatusCode.OK);

        // The only one may become another.
        (await client.ChangeAsync("c", """{"vector":[3]}""")).Expect(HttpStatusCode.OK);
        Assert.Equal([6], (await client.QueryAsync("[2]")).Hits().Select(hit => hit.Score));
        (await client.WriteAsync("c", "[3, 4, 0]")).Expect(HttpStatusCode.OK);
        Assert.Equal([25], (await client.QueryAsync("[3, 4, 1]")).Hits().Select(hit => hit.Score));
        (await client.WriteAsync("c", "[3, 4]", "\"metric\":\"euclidean\"")).Expect(HttpStatusCode.OK);
        Assert.Equal([1.0 / 6], (await client.QueryAsync("[0, 0]")).Hits().Select(hit => hit.Score));

        // When nothing is there, anything may come.
        (await client.RemoveAsync("c")).Expect(HttpStatusCode.OK);
        Assert.Empty((await client.QueryAsync("[1, 2, 3, 4]")).Hits());
        (await client.WriteAsync("d", "[2, 0, 0]")).Expect(HttpStatusCode.Created);
        Assert.Equal([1], (await client.QueryAsync("[3, 0, 0]")).Hits().Select(hit => hit.Score));

        static async Task RefusedAsync(Task<Answer> answer, string parameter) =>
            Assert.Equal([parameter], (await answer).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.EnumerateObject().Select(fault => fault.Name));
    }

    [Fact]
    public async Task OfManyFirstVectorsTheDimensionOfOneStays()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var written = await Task.WhenAll(Enumerable.Range(1, 12).Select(index => client.WriteAsync($"v{index}", VectorClient.Json(new float[1 + (index % 3)]))));

        var listed = (await client.GetAsync(VectorClient.Root)).Json.GetProperty("results").EnumerateArray().ToList();
        Assert.Single(listed.Select(vector => vector.GetProperty("vector").GetArrayLength()).Distinct());
        Assert.Equal((4, 8), (listed.Count, written.Count(answer => answer.Status == HttpStatusCode.BadRequest)));
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AnUpdateChangesWhatItNamesAndNothingElse(Place place)
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await app.PlaceAsync(
            client, [new TestVector("a", [1, 2], Contexts + ",\"coherence_time_ms\":60000,\"metadata\":{\"a\":1}"), new TestVector("b", [1, 1])], place);
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(
            """{"id":"a","status":"updated","entangled_partners_updated":0,"quantum_propagation":false}""",
            (await client.ChangeAsync("a", """{"vector":[3, 4]}""")).Expect(HttpStatusCode.OK).Text);
        await AssertAsync("[3,4]", ["technical", "general"], "60000", """{"a":1}""");
        (await client.ChangeAsync("a", """{"metadata":{"b": 2},"vector":null}""")).Expect(HttpStatusCode.OK);
        await AssertAsync("[3,4]", ["technical", "general"], "60000", """{"b": 2}""");
        (await client.ChangeAsync("a", """{"contexts":[{"name":"x","weight":1}]}""")).Expect(HttpStatusCode.OK);
        await AssertAsync("[3,4]", ["x"], "60000", """{"b": 2}""");
        (await client.ChangeAsync("a", """{"coherence_time_ms":5000}""")).Expect(HttpStatusCode.OK);
        await AssertAsync("[3,4]", ["x"], "5000", """{"b": 2}""");
        (await client.ChangeAsync("a", """{"metadata":{}}""")).Expect(HttpStatusCode.OK);
        await AssertAsync("[3,4]", ["x"], "5000", "{}");
        (await client.ChangeAsync("a", """{"contexts":[]}""")).Expect(HttpStatusCode.OK);
        await AssertAsync("[3,4]", [], "null", "{}");

        async Task AssertAsync(string vector, string[] contexts, string coherence, string metadata)
        {
            var read = (await client.ReadAsync("a")).Expect(HttpStatusCode.OK).Json;
            Assert.Equal(vector, read.GetProperty("vector").GetRawText());
            Assert.Equal(contexts, read.GetProperty("contexts").EnumerateArray().Select(context => context.GetProperty("name").GetString()));
            Assert.Equal(coherence, read.GetProperty("coherence_time_ms").GetRawText());
            Assert.Equal(metadata, read.GetProperty("metadata").GetRawText());
            Assert.Equal("2026-03-01T12:00:01.000Z", read.GetProperty("timestamp").GetString());
        }
    }

    [Theory]
    [InlineData("{}", "body")]
    [InlineData("""{"vector":null,"metadata":null}""", "body")]
    [InlineData("""{"vector":[]}""", "vector")]
    [InlineData("""{"vector":[1,"2"]}""", "vector[1]")]
    [InlineData("""{"vector":[1,1e16]}""", "vector[1]")]
    [InlineData("""{"contexts":[{"name":"a","weight":2}]}""", "contexts[0].weight")]
    [InlineData("""{"coherence_time_ms":0}""", "coherence_time_ms")]
    [InlineData("""{"metadata":1}""", "metadata")]
    [InlineData("""{"id":"b","metadata":{}}""", "id")]
    [InlineData("""{"metric":"dot","metadata":{}}""", "metric")]
    [InlineData("", "body")]
    public async Task AFaultyUpdateIsRefused(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);
        var before = (await client.ReadAsync("a")).Text;

        foreach (var id in new[] { "a", "missing" })
        {
            var answer = (await client.ChangeAsync(id, body)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
            Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
        }

        (await client.ChangeAsync("missing", """{"metadata":{}}""")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal(before, (await client.ReadAsync("a")).Text);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task ASuperpositionEndsAfterItsTimeAndTheVectorRemains(Place place)
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [new TestVector("a", [1, 2], Contexts + ",\"coherence_time_ms\":1000"), new TestVector("b", [1, 1])], place);
        var whole = (await client.ReadAsync("a")).Json.GetProperty("contexts").GetRawText();

        time.Advance(TimeSpan.FromMilliseconds(999));
        await AssertAsync(true);

        // Only what is written of the contexts prepares them anew.
        (await client.ChangeAsync("a", """{"metadata":{"a":1}}""")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await AssertAsync(false);

        // What has ended does not come back by being given more time, nor does its time.
        (await client.ChangeAsync("a", """{"coherence_time_ms":5000}""")).Expect(HttpStatusCode.OK);
        await AssertAsync(false);
        (await client.ChangeAsync("a", $"{{{Contexts}}}")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromDays(30));
        await AssertAsync(true, coherence: "null");
        (await client.ChangeAsync("a", $$"""{{{Contexts}},"coherence_time_ms":1000}""")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromMilliseconds(999));
        await AssertAsync(true);
        (await client.ChangeAsync("a", """{"coherence_time_ms":1000}""")).Expect(HttpStatusCode.OK);
        time.Advance(TimeSpan.FromMilliseconds(999));
        await AssertAsync(true);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await AssertAsync(false);

        async Task AssertAsync(bool isCoherent, string coherence = "1000")
        {
            var read = (await client.ReadAsync("a")).Expect(HttpStatusCode.OK).Json;
            var listed = (await client.GetAsync(VectorClient.Root)).Json.GetProperty("results").EnumerateArray().Single(vector => vector.GetProperty("id").GetString() == "a");
            foreach (var answer in new[] { read, listed })
            {
                Assert.Equal(isCoherent ? whole : "[]", answer.GetProperty("contexts").GetRawText());
                Assert.Equal(isCoherent ? coherence : "null", answer.GetProperty("coherence_time_ms").GetRawText());
                Assert.Equal(isCoherent, answer.GetProperty("quantum_encoded").GetBoolean());
                Assert.Equal("[1,2]", answer.GetProperty("vector").GetRawText());
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AListIsInTheOrderOfWritesWithExactTotals(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [.. Enumerable.Range(0, 120).Select(index => new TestVector($"v{index}", [index]))], place);
        (await client.WriteAsync("v3", "[1]")).Expect(HttpStatusCode.OK);
        (await client.ChangeAsync("v1", """{"metadata":{}}""")).Expect(HttpStatusCode.OK);
        (await client.RemoveAsync("v5")).Expect(HttpStatusCode.OK);
        (await client.WriteAsync("v0", "[1]")).Expect(HttpStatusCode.OK);
        var even = Enumerable.Range(0, 120).Where(index => index % 2 == 0);
        var odd = Enumerable.Range(0, 120).Where(index => index % 2 == 1);
        int[] expected = [.. (place == Place.Both ? odd.Concat(even) : Enumerable.Range(0, 120)).Except([3, 1, 5, 0]), 3, 1, 0];

        var usual = (await client.GetAsync(VectorClient.Root)).Expect(HttpStatusCode.OK);
        var pages = new List<string>();
        for (var page = 1; page <= 7; page++)
        {
            var answer = await client.GetAsync($"{VectorClient.Root}?page={page}&size=17&include_vectors=false");
            pages.AddRange(VectorClient.Ids(answer));
            Assert.Equal($$"""{"page":{{page}},"size":17,"total":119,"pages":7}""", answer.Json.GetProperty("pagination").GetRawText());
        }

        Assert.Equal(expected.Select(index => $"v{index}"), pages);
        Assert.Equal(expected.Take(50).Select(index => $"v{index}"), VectorClient.Ids(usual));
        Assert.Equal("""{"page":1,"size":50,"total":119,"pages":3}""", usual.Json.GetProperty("pagination").GetRawText());
        Assert.Equal(19, VectorClient.Ids(await client.GetAsync($"{VectorClient.Root}?page=2&size=100")).Count);
        Assert.Empty(VectorClient.Ids(await client.GetAsync($"{VectorClient.Root}?page=21474836&size=100")));
    }

    [Fact]
    public async Task AListLeavesOutWhatIsNotWanted()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        Assert.Equal("""{"results":[],"pagination":{"page":1,"size":50,"total":0,"pages":0}}""", (await client.GetAsync(VectorClient.Root)).Expect(HttpStatusCode.OK).Text);
        (await client.WriteAsync("a", "[1]", "\"metadata\":{\"a\":1}")).Expect(HttpStatusCode.Created);

        Assert.Equal(["id", "vector", "contexts", "coherence_time_ms", "metadata", "quantum_encoded", "timestamp"], await MembersAsync(""));
        Assert.Equal(["id", "contexts", "coherence_time_ms", "metadata", "quantum_encoded", "timestamp"], await MembersAsync("?include_vectors=false"));
        Assert.Equal(["id", "vector", "contexts", "coherence_time_ms", "quantum_encoded", "timestamp"], await MembersAsync("?include_metadata=false&include_vectors=true"));

        async Task<IEnumerable<string>> MembersAsync(string query) =>
            (await client.GetAsync(VectorClient.Root + query)).Expect(HttpStatusCode.OK).Json.GetProperty("results")[0].EnumerateObject().Select(member => member.Name);
    }

    [Theory]
    [InlineData("?page=0", "page")]
    [InlineData("?page=-1", "page")]
    [InlineData("?page=x", "page")]
    [InlineData("?page=1&page=2", "page")]
    [InlineData("?page=21474837", "page")]
    [InlineData("?page=99999999999999999999", "page")]
    [InlineData("?size=0", "size")]
    [InlineData("?size=101", "size")]
    [InlineData("?include_vectors=1", "include_vectors")]
    [InlineData("?limit=1", "limit")]
    [InlineData("/a?x=1", "x")]
    public async Task AFaultyQueryStringIsRefused(string query, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.GetAsync(VectorClient.Root + query)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
    }

    [Fact]
    public async Task OtherVerbsAreRefusedAndTheRightOnesNamed()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        foreach (var root in new[] { "/api/v2", "/v2" })
        {
            Assert.Equal("GET, HEAD, POST", await AllowedAsync(HttpMethod.Put, root + "/vectors"));
            Assert.Equal("GET, HEAD, POST", await AllowedAsync(HttpMethod.Delete, root + "/vectors/"));
            Assert.Equal("GET, HEAD, PUT, DELETE", await AllowedAsync(HttpMethod.Post, root + "/vectors/a"));
            Assert.Equal("GET, HEAD, PUT, DELETE", await AllowedAsync(HttpMethod.Patch, root + "/vectors/a%2Fb"));
            Assert.Equal("POST", await AllowedAsync(HttpMethod.Get, root + "/vectors/batch"));
            Assert.Equal("POST", await AllowedAsync(HttpMethod.Delete, root + "/vectors/batch"));
            Assert.Equal("POST", await AllowedAsync(HttpMethod.Get, root + "/query"));
            Assert.Equal("POST", await AllowedAsync(HttpMethod.Put, root + "/query"));
        }

        async Task<string?> AllowedAsync(HttpMethod method, string path) =>
            (await client.SendAsync(method, path)).ExpectError(HttpStatusCode.MethodNotAllowed, "METHOD_NOT_ALLOWED").Header("Allow");
    }

    [Fact]
    public async Task HeadTellsWhatGetWouldTell()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.WriteAsync("a", "[1]");

        foreach (var path in new[] { VectorClient.Root, VectorClient.Root + "/a" })
        {
            var get = (await client.GetAsync(path)).Expect(HttpStatusCode.OK);
            var head = (await client.SendAsync(HttpMethod.Head, path)).Expect(HttpStatusCode.OK);

            Assert.Empty(head.Bytes);
            Assert.Equal(get.ContentHeaders.ContentLength, head.ContentHeaders.ContentLength);
            Assert.Equal("application/json; charset=utf-8", head.ContentHeaders.ContentType!.ToString());
        }

        (await client.SendAsync(HttpMethod.Head, VectorClient.Root + "/b")).Expect(HttpStatusCode.NotFound);
        Assert.Equal("POST", (await client.SendAsync(HttpMethod.Head, VectorClient.QueryPath)).Expect(HttpStatusCode.MethodNotAllowed).Header("Allow"));
    }

    [Theory]
    [InlineData("POST", "/api/v2/vectors", 256 * 1024)]
    [InlineData("POST", "/api/v2/vectors/batch", 16 * 1024 * 1024)]
    [InlineData("PUT", "/api/v2/vectors/a", 256 * 1024)]
    [InlineData("POST", "/api/v2/query", 256 * 1024)]
    public async Task ABodyBeyondTheLimitIsRefused(string method, string path, int limit)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        foreach (var isStreamed in new[] { false, true })
        {
            var bytes = Encoding.UTF8.GetBytes("{}".PadRight(limit + 1));
            var most = (await client.SendAsync(new HttpMethod(method), path, Content(bytes[..limit]))).Expect(HttpStatusCode.BadRequest);
            var more = (await client.SendAsync(new HttpMethod(method), path, Content(bytes)))
                .ExpectError(HttpStatusCode.RequestEntityTooLarge, "PAYLOAD_TOO_LARGE");

            Assert.Equal("INVALID_PARAMETERS", most.ErrorCode);
            Assert.Contains($"{limit}", more.Text, StringComparison.Ordinal);

            HttpContent Content(byte[] body)
            {
                HttpContent content = isStreamed ? new StreamContent(new ForwardStream(body)) : new ByteArrayContent(body);
                content.Headers.ContentType = new("application/json");
                return content;
            }
        }
    }

    [Theory]
    [InlineData("POST", "/api/v2/vectors")]
    [InlineData("POST", "/api/v2/vectors/batch")]
    [InlineData("PUT", "/api/v2/vectors/a")]
    [InlineData("POST", "/api/v2/query")]
    public async Task ABodyThatIsNotSaidToBeJsonIsRefused(string method, string path)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        (await client.SendAsync(new HttpMethod(method), path, new StringContent("{}")))
            .ExpectError(HttpStatusCode.UnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE");
        var answer = (await client.SendAsync(new HttpMethod(method), path + "?size=1", new StringContent("{}", Encoding.UTF8, "application/json")))
            .ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.True(answer.Details.TryGetProperty("size", out _), answer.Text);
    }

    [Fact]
    public async Task ReadingAndQueryingNeedOneScopeAndWritingAnother()
    {
        var app = await TestApp.SharedAsync;
        var owner = await app.TenantAsync();
        var reader = await app.KeyAsync(owner.Account, "live", scopes: ["read"]);
        var writer = await app.KeyAsync(owner.Account, "live", scopes: ["write"]);
        (await writer.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);

        (await reader.ReadAsync("a")).Expect(HttpStatusCode.OK);
        (await reader.GetAsync(VectorClient.Root)).Expect(HttpStatusCode.OK);
        Assert.Equal(["a"], VectorClient.Ids(await reader.QueryAsync("[1]")));
        foreach (var answer in new[]
        {
            await reader.WriteAsync("b", "[1]"), await reader.BatchAsync(["""{"id":"b","vector":[1]}"""]), await reader.ChangeAsync("a", """{"vector":[2]}"""), await reader.RemoveAsync("a"),
            await writer.ReadAsync("a"), await writer.GetAsync(VectorClient.Root), await writer.QueryAsync("[1]"),
        })
        {
            answer.ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        }

        (await writer.ChangeAsync("a", """{"vector":[2]}""")).Expect(HttpStatusCode.OK);
        (await writer.RemoveAsync("a")).Expect(HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Unauthorized, (await app.Http.GetAsync(VectorClient.Root)).StatusCode);
    }

    [Fact]
    public async Task TenantsDoNotSeeEachOther()
    {
        var app = await TestApp.SharedAsync;
        var one = await app.TenantAsync();
        var other = await app.TenantAsync();
        var sandbox = await app.KeyAsync(one.Account, "test");
        (await one.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);

        foreach (var client in new[] { other, sandbox })
        {
            (await client.ReadAsync("a")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
            (await client.ChangeAsync("a", """{"vector":[2]}""")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
            (await client.RemoveAsync("a")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
            Assert.Empty(VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
            Assert.Empty((await client.QueryAsync("[1]")).Hits());
            (await client.WriteAsync("a", "[1, 2]", "\"metric\":\"dot\"")).Expect(HttpStatusCode.Created);
        }

        Assert.Equal("[1]", (await one.ReadAsync("a")).Json.GetProperty("vector").GetRawText());
    }

    [Fact]
    public async Task ManyWritersAtOnceAllSucceed()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var written = await Task.WhenAll(Enumerable.Range(0, 40).Select(index => client.WriteAsync($"v{index % 30}", $"[{index}]")));

        Assert.Equal((30, 10), (written.Count(answer => answer.Status == HttpStatusCode.Created), written.Count(answer => answer.Status == HttpStatusCode.OK)));
        Assert.Equal(30, (await client.GetAsync(VectorClient.Root)).Json.GetProperty("pagination").GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task OfManyWhoDeleteAVectorOneSucceeds()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.WriteAsync("a", "[1]");

        var deleted = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => client.RemoveAsync("a")));

        Assert.Equal((1, 11), (deleted.Count(answer => answer.Status == HttpStatusCode.OK), deleted.Count(answer => answer.Status == HttpStatusCode.NotFound)));
    }

    [Fact]
    public async Task UpdatesOfDifferentMembersAtOnceAllStay()
    {
        var opener = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var one = await TestApp.StartAsync(adminKey: opener);
        await using var other = await TestApp.StartAsync(adminKey: opener);
        var here = await one.TenantAsync();
        var there = other.ClientWith(here.Key, here.Account);
        (await here.WriteAsync("a", "[0]")).Expect(HttpStatusCode.Created);

        await Task.WhenAll(UpdateAsync(here, number => $"{{\"vector\":[{number}]}}"), UpdateAsync(there, number => $"{{\"metadata\":{{\"n\":{number}}}}}"));

        foreach (var client in new[] { here, there })
        {
            var read = (await client.ReadAsync("a")).Json;
            Assert.Equal(("[10]", """{"n":10}"""), (read.GetProperty("vector").GetRawText(), read.GetProperty("metadata").GetRawText()));
        }

        static async Task UpdateAsync(TestClient client, Func<int, string> update)
        {
            for (var number = 1; number <= 10; number++)
            {
                (await client.ChangeAsync("a", update(number))).Expect(HttpStatusCode.OK);
            }
        }
    }

    [Fact]
    public async Task TheLargestVectorIsWrittenReadAndFound()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(1);
        float[] values = [.. Enumerable.Range(0, VectorLimits.DimensionMax).Select(_ => random.NextSingle() - 0.5f)];
        await app.PlaceAsync(client, [new TestVector("a", values), new TestVector("b", [.. values.Reverse()])], Place.Segment);
        (await client.WriteAsync("c", VectorClient.Json(values.Select(value => -value)))).Expect(HttpStatusCode.Created);

        var hits = (await client.QueryAsync(VectorClient.Json(values), "\"mode\":\"precise\"")).Hits();

        Assert.Equal(["a", "b", "c"], hits.Select(hit => hit.Id));
        Assert.Equal(1, hits[0].Score, 1e-6);
        Assert.Equal(-1, hits[2].Score, 1e-6);
        Assert.Equal(values, (await client.ReadAsync("a")).Json.GetProperty("vector").EnumerateArray().Select(value => value.GetSingle()));
    }

    [Fact]
    public async Task ARepeatedRequestWithAKeyIsMadeOnce()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var first = (await client.WriteAsync("a", "[1]", "", ("Idempotency-Key", "write"))).Expect(HttpStatusCode.Created);
        var again = (await client.WriteAsync("a", "[1]", "", ("Idempotency-Key", "write"))).Expect(HttpStatusCode.Created);
        (await client.WriteAsync("a", "[2]", "", ("Idempotency-Key", "write"))).ExpectError(HttpStatusCode.UnprocessableEntity, "IDEMPOTENCY_KEY_REUSED");
        (await client.ChangeAsync("a", """{"vector":[3]}""", ("Idempotency-Key", "change"))).Expect(HttpStatusCode.OK);
        (await client.ChangeAsync("a", """{"vector":[4]}""")).Expect(HttpStatusCode.OK);
        (await client.ChangeAsync("a", """{"vector":[3]}""", ("Idempotency-Key", "change"))).Expect(HttpStatusCode.OK);
        var vector = (await client.ReadAsync("a")).Json.GetProperty("vector").GetRawText();
        var deleted = (await client.RemoveAsync("a", ("Idempotency-Key", "remove"))).Expect(HttpStatusCode.OK);
        var deletedAgain = (await client.RemoveAsync("a", ("Idempotency-Key", "remove"))).Expect(HttpStatusCode.OK);

        Assert.Equal((first.Text, first.Header("Location")), (again.Text, again.Header("Location")));
        Assert.Equal("true", again.Header("Idempotent-Replayed"));
        Assert.Equal("[4]", vector);
        Assert.Equal(deleted.Text, deletedAgain.Text);
    }

    /// <summary>A body whose length nobody knows before.</summary>
    private sealed class ForwardStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
