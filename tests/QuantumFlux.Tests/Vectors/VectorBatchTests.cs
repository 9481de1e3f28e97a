using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class VectorBatchTests
{
    private const string Good = """{"id":"good","vector":[1,2]}""";

    [Fact]
    public async Task ABatchIsOneTransactionUnlessItSaysOtherwise()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var usual = (await client.BatchAsync([Good, """{"id":"b","vector":[3,4],"contexts":[{"name":"x","weight":0.5}],"metadata":{"n":1}}"""])).Expect(HttpStatusCode.Created);
        var again = (await client.BatchAsync([Good, """{"id":"c","vector":[3,4]}"""], isTransaction: true)).Expect(HttpStatusCode.Created);
        var single = (await client.BatchAsync(["""{"id":"d","vector":[5,6]}"""], isTransaction: false)).Expect(HttpStatusCode.Created);

        var transaction = usual.Json.GetProperty("transaction_id").GetString()!;
        Assert.Matches("^tx_[0-9a-f]{32}$", transaction);
        Assert.Equal($$"""{"inserted":2,"failed":0,"transaction_id":"{{transaction}}","quantum_batch":true,"replaced":0,"errors":[]}""", usual.Text);
        Assert.Equal((2, 1), (again.Json.GetProperty("inserted").GetInt32(), again.Json.GetProperty("replaced").GetInt32()));
        Assert.NotEqual(transaction, again.Json.GetProperty("transaction_id").GetString());
        Assert.Equal("""{"inserted":1,"failed":0,"transaction_id":null,"quantum_batch":false,"replaced":0,"errors":[]}""", single.Text);
        Assert.Equal(["b", "good", "c", "d"], VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
        Assert.Equal("""[{"name":"x","weight":0.5}]""", (await client.ReadAsync("b")).Json.GetProperty("contexts").GetRawText());
    }

    [Theory]
    [InlineData("""{"id":"bad","vector":[1,"x"]}""", "vectors[1].vector[1]")]
    [InlineData("""{"id":"bad","vector":[1]}""", "vectors[1].vector")]
    [InlineData("""{"id":"bad","vector":[1,2,3]}""", "vectors[1].vector")]
    [InlineData("""{"id":"bad","vector":[1,2],"metric":"dot"}""", "vectors[1].metric")]
    [InlineData("""{"id":"bad","vector":[1,1e16]}""", "vectors[1].vector[1]")]
    [InlineData("""{"id":"bad","vector":[1,2],"contexts":[{"name":"a","weight":0.1},{"name":"b","weight":1.1}]}""", "vectors[1].contexts[1].weight")]
    [InlineData("""{"id":"bad","vector":[1,2],"contexts":[{"name":"a","weight":0.1,"x":1}]}""", "vectors[1].contexts[0].x")]
    [InlineData("""{"id":"bad","vector":[1,2],"coherence_time_ms":0}""", "vectors[1].coherence_time_ms")]
    [InlineData("""{"id":"bad","vector":[1,2],"metadata":1}""", "vectors[1].metadata")]
    [InlineData("""{"id":"bad","vector":[1,2],"x":1}""", "vectors[1].x")]
    [InlineData("""{"id":"batch","vector":[1,2]}""", "vectors[1].id")]
    [InlineData("""{"vector":[1,2]}""", "vectors[1].id")]
    public async Task OneFaultFailsATransactionAndItsOwnVectorWithoutOne(string bad, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var third = """{"id":"third","vector":[3,4]}""";

        var refused = (await client.BatchAsync([Good, bad, third])).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        var nothing = VectorClient.Ids(await client.GetAsync(VectorClient.Root));
        var answer = (await client.BatchAsync([Good, bad, third], isTransaction: false)).Expect(HttpStatusCode.Created).Json;
        var error = answer.GetProperty("errors").EnumerateArray().Single();

        Assert.Equal([parameter], refused.Details.EnumerateObject().Select(fault => fault.Name));
        Assert.Empty(nothing);
        Assert.Equal((2, 1), (answer.GetProperty("inserted").GetInt32(), answer.GetProperty("failed").GetInt32()));
        Assert.Equal(["index", "id", "code", "message", "details"], error.EnumerateObject().Select(member => member.Name));
        Assert.Equal(1, error.GetProperty("index").GetInt32());
        Assert.Equal(parameter.EndsWith("].id", StringComparison.Ordinal) ? null : "bad", error.GetProperty("id").GetString());
        Assert.Equal("INVALID_PARAMETERS", error.GetProperty("code").GetString());
        Assert.Equal([parameter], error.GetProperty("details").EnumerateObject().Select(fault => fault.Name));
        Assert.Equal(["good", "third"], VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
    }

    [Fact]
    public async Task ABatchOfWhichNothingCanBeWrittenSaysSoOfEach()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.WriteAsync("there", "[1]")).Expect(HttpStatusCode.Created);

        foreach (var headers in new (string, string)[][] { [], [("Idempotency-Key", "nothing")], [("Idempotency-Key", "nothing")] })
        {
            var misfits = (await client.BatchAsync([Good, Good], isTransaction: false, headers)).Expect(HttpStatusCode.OK).Json;
            Assert.Equal((0, 2), (misfits.GetProperty("inserted").GetInt32(), misfits.GetProperty("failed").GetInt32()));
            Assert.Equal([0, 1], misfits.GetProperty("errors").EnumerateArray().Select(error => error.GetProperty("index").GetInt32()));
        }

        var faults = (await client.BatchAsync(["{}"], isTransaction: false)).Expect(HttpStatusCode.OK).Json;
        Assert.Equal("""["id","vector"]""", JsonSerializer.Serialize(faults.GetProperty("errors")[0].GetProperty("details").EnumerateObject().Select(fault => fault.Name[11..])));
        Assert.Equal(["there"], VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
    }

    [Fact]
    public async Task WhetherAnythingFitsIsDecidedByWhatOthersHaveWritten()
    {
        var opener = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var one = await TestApp.StartAsync(adminKey: opener);
        await using var other = await TestApp.StartAsync(adminKey: opener);
        var here = await one.TenantAsync();
        var there = other.ClientWith(here.Key, here.Account);
        (await here.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);
        (await there.ChangeAsync("a", """{"vector":[1,2]}""")).Expect(HttpStatusCode.OK);

        // This instance still takes the dimension to be 1, and has to look again before it refuses.
        Assert.Equal(1, (await here.BatchAsync([Good], isTransaction: false)).Expect(HttpStatusCode.Created).Json.GetProperty("inserted").GetInt32());
        (await there.RemoveAsync("a")).Expect(HttpStatusCode.OK);
        (await there.RemoveAsync("good")).Expect(HttpStatusCode.OK);
        (await here.BatchAsync(["""{"id":"c","vector":[1,2,3]}"""])).Expect(HttpStatusCode.Created);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OfTwoWithOneIdTheLaterStays(bool isTransaction)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.BatchAsync(
            ["""{"id":"a","vector":[1],"metadata":{"n":1}}""", """{"id":"b","vector":[1]}""", """{"id":"a","vector":[2]}"""], isTransaction)).Expect(HttpStatusCode.Created).Json;

        Assert.Equal((3, 0, 1), (answer.GetProperty("inserted").GetInt32(), answer.GetProperty("failed").GetInt32(), answer.GetProperty("replaced").GetInt32()));
        Assert.Equal(["b", "a"], VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
        Assert.Equal("[2]{}", (await client.ReadAsync("a")).Json is var read ? read.GetProperty("vector").GetRawText() + read.GetProperty("metadata").GetRawText() : "");
    }

    [Theory]
    [InlineData("""{}""", "vectors")]
    [InlineData("""{"vectors":null}""", "vectors")]
    [InlineData("""{"vectors":[]}""", "vectors")]
    [InlineData("""{"vectors":{}}""", "vectors")]
    [InlineData("""{"vectors":[1]}""", "vectors")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}],"transaction":"yes"}""", "transaction")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}],"atomic":true}""", "atomic")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1],"vector":[1]}]}""", "body")]
    public async Task AFaultyBatchIsRefusedWhole(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        foreach (var flag in new[] { "", ",\"transaction\":false" })
        {
            var sent = body.Contains("transaction", StringComparison.Ordinal) || body.Length < 3 ? body : body[..^1] + flag + "}";
            var answer = (await client.PostRawAsync(VectorClient.Root + "/batch", sent)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
            Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
        }

        Assert.Empty(VectorClient.Ids(await client.GetAsync(VectorClient.Root)));
    }

    [Theory]
    [InlineData("""[1]""", "must be a JSON object")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}]""", "is not valid JSON near line 1, byte 36")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1,]}]}""", "is not valid JSON near line 1, byte 34")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}],"vectors":[]}""", "holds a member twice")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}],"\ud800":1}""", "holds a member name that is not valid Unicode")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1],"\ud800":1}]}""", "holds a member name that is not valid Unicode")]
    public async Task ABatchThatIsNoJsonSaysWhere(string body, string reason)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var refused = (await client.PostRawAsync(VectorClient.Root + "/batch", body)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal(reason, refused.Details.GetProperty("body").GetString());
    }

    [Fact]
    public async Task ABatchAndEachOfItsVectorsHaveALongestText()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        static string Padded(string vector, int bytes) => vector.PadRight(bytes - 1).Replace("}", "", StringComparison.Ordinal) + "}";

        var mixed = (await client.BatchAsync([Padded(Good, VectorLimits.BodyBytesMax + 2), Padded(Good, VectorLimits.BodyBytesMax)], isTransaction: false)).Expect(HttpStatusCode.Created).Json;
        var large = (await client.PostRawAsync(VectorClient.Root + "/batch", $"{{\"vectors\":[{Good}{new string(' ', VectorLimits.BatchBodyBytesMax)}]}}"))
            .ExpectError(HttpStatusCode.RequestEntityTooLarge, "PAYLOAD_TOO_LARGE");
        var beside = (await client.PostRawAsync(VectorClient.Root + "/batch", $"{{\"vectors\":[{Good}],\"more\":[{new string(' ', 64 * 1024)}]}}"))
            .ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal((1, 1), (mixed.GetProperty("inserted").GetInt32(), mixed.GetProperty("failed").GetInt32()));
        Assert.Equal("must have no more than 262144 bytes", mixed.GetProperty("errors")[0].GetProperty("details").GetProperty("vectors[0]").GetString());
        Assert.Equal(16 * 1024 * 1024, large.Details.GetProperty("limit_bytes").GetInt32());
        Assert.Equal("must have no more than 65536 bytes beside vectors", beside.Details.GetProperty("body").GetString());
    }

    // A parsed number takes 12 bytes beside its text.
    [Theory]
    [InlineData("""{"vectors":[{"id":"a","vector":[1LIST]}]}""")]
    [InlineData("""{"vectors":[{"id":"a","vector":[1]}],"more":[1LIST]}""")]
    [InlineData("""{"vectors":[1LIST]}""")]
    [InlineData("""[1LIST]""")]
    public async Task ABatchOfManyShortNumbersIsRefusedWithoutMemoryForEach(string body)
    {
        var bytes = Encoding.UTF8.GetBytes(body.Replace("LIST", string.Concat(Enumerable.Repeat(",1", 2_000_000)), StringComparison.Ordinal));
        var request = new DefaultHttpContext().Request;
        (request.Body, request.ContentLength, request.ContentType) = (new MemoryStream(bytes), bytes.Length, "application/json");

        var before = GC.GetAllocatedBytesForCurrentThread();
        var exception = await Record.ExceptionAsync(async () =>
        {
            var (read, items) = await JsonBody.ReadListAsync(request, "vectors", VectorLimits.BatchVectorsMax, VectorLimits.BatchBodyBytesMax, CancellationToken.None);
            read.ThrowIfInvalid();
            VectorBatch.From(items).RequireAll();
        });
        var taken = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(StatusCodes.Status400BadRequest, Assert.IsType<ApiException>(exception).Status);

        // The text, and what it was received in while it grew.
        Assert.InRange(taken, 0, (2 * bytes.Length) + (1024 * 1024));
    }

    [Fact]
    public async Task ABatchHasAThousandVectorsAtMost()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var most = Enumerable.Range(0, 1000).Select(index => $$"""{"id":"v{{index}}","vector":[{{index}},1],"metric":"dot"}""").ToList();

        Assert.Equal(1000, (await client.BatchAsync(most)).Expect(HttpStatusCode.Created).Json.GetProperty("inserted").GetInt32());
        (await client.BatchAsync([.. most, Good])).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal("""{"page":10,"size":100,"total":1000,"pages":10}""", (await client.GetAsync(VectorClient.Root + "?page=10&size=100")).Json.GetProperty("pagination").GetRawText());
        Assert.Equal(1000, (await client.QueryAsync("[1, 1]", "\"top_k\":1000")).Hits().Count);
        Assert.Equal(1000, (await client.BatchAsync(most)).Expect(HttpStatusCode.Created).Json.GetProperty("replaced").GetInt32());
        await app.BuildSegmentAsync(client);
        var hits = (await client.QueryAsync("[1, 0]", "\"top_k\":1000,\"mode\":\"precise\",\"include_vectors\":false,\"include_metadata\":false")).Hits();
        Assert.Equal(Enumerable.Range(0, 1000).Select(index => $"v{999 - index}"), hits.Select(hit => hit.Id));
    }

    [Fact]
    public async Task ManyFaultsAreToldUpToAHundred()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var bad = Enumerable.Range(0, 1000).Select(_ => "{}").ToList();

        var refused = (await client.BatchAsync(bad)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        var answer = (await client.BatchAsync(bad, isTransaction: false, ("Idempotency-Key", "bad"))).Expect(HttpStatusCode.OK);

        Assert.Equal(100, refused.Details.EnumerateObject().Count());
        Assert.Equal(1000, answer.Json.GetProperty("errors").GetArrayLength());
    }

    [Fact]
    public async Task WhatIsTooLargeForATransactionIsWrittenInAsFewAsItFits()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        await client.WarmVectorsAsync();
        (await client.WriteAsync("first", VectorClient.Json(new float[4096]))).Expect(HttpStatusCode.Created);

        // Up to 16,464 bytes each, of which an append takes 2,816 KiB: 175 of them.
        var values = string.Join(',', Enumerable.Range(0, 4096).Select(index => index % 10));
        var fitting = Enumerable.Range(0, 175).Select(index => $$"""{"id":"v{{index}}","vector":[{{values}}]}""").ToList();
        List<string> more = [.. fitting, $$"""{"id":"v175","vector":[{{values}}]}"""];
        List<string> twice = [.. more, .. Enumerable.Range(176, 175).Select(index => $$"""{"id":"v{{index}}","vector":[{{values}}]}""")];

        Assert.Equal(1, await app.Requests.DuringAsync(async () => (await client.BatchAsync(fitting)).Expect(HttpStatusCode.Created)));
        var refused = (await client.BatchAsync(more)).ExpectError(HttpStatusCode.RequestEntityTooLarge, "PAYLOAD_TOO_LARGE");
        Assert.Equal(2, await app.Requests.DuringAsync(async () => (await client.BatchAsync(more, isTransaction: false)).Expect(HttpStatusCode.Created)));
        var key = ("Idempotency-Key", "large");
        var whole = (await client.BatchAsync(twice, isTransaction: false, key)).Expect(HttpStatusCode.Created);
        var replayed = (await client.BatchAsync(twice, isTransaction: false, key)).Expect(HttpStatusCode.Created);

        Assert.Equal(2816 * 1024, refused.Details.GetProperty("limit_bytes").GetInt32());
        Assert.Equal("""{"inserted":351,"failed":0,"transaction_id":null,"quantum_batch":false,"replaced":176,"errors":[]}""", whole.Text);
        Assert.Equal(whole.Text, replayed.Text);
        Assert.Equal(352, (await client.GetAsync(VectorClient.Root + "?size=1")).Json.GetProperty("pagination").GetProperty("total").GetInt32());
        Assert.Equal(10, (await client.QueryAsync($"[{values}]")).Hits().Count);
    }

    [Fact]
    public async Task AFullAppendLeavesRoomForAnAnswerThatTellsOfManyFailures()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var values = string.Join(',', Enumerable.Repeat("1", 1600));
        string Id(int index) => $"{new string('x', 240)}{index:D4}";
        var batch = Enumerable.Range(0, 1000).Select(index => $$"""{"id":"{{Id(index)}}","vector":[{{(index < 400 ? values : "1")}}]}""").ToList();

        foreach (var headers in new (string, string)[][] { [], [("Idempotency-Key", "many failures")], [("Idempotency-Key", "many failures")] })
        {
            var answer = (await client.BatchAsync(batch, isTransaction: false, headers)).Expect(HttpStatusCode.Created).Json;

            Assert.Equal((400, 600), (answer.GetProperty("inserted").GetInt32(), answer.GetProperty("failed").GetInt32()));
        }
    }

    [Fact]
    public async Task AnAnswerTooLongToBeKeptIsStillGiven()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var members = string.Join(',', Enumerable.Range(0, 120).Select(index => $"\"{index}{new string('n', 2_000)}\":0"));
        foreach (var count in new[] { 1, 5, 20 })
        {
            foreach (var headers in new (string, string)[][] { [], [("Idempotency-Key", $"long {count}")], [("Idempotency-Key", $"long {count}")] })
            {
                var answer = (await client.BatchAsync([Good, .. Enumerable.Repeat($"{{{members}}}", count)], isTransaction: false, headers)).Expect(HttpStatusCode.Created).Json;

                Assert.Equal((1, count), (answer.GetProperty("inserted").GetInt32(), answer.GetProperty("failed").GetInt32()));
                Assert.Equal(100, answer.GetProperty("errors")[0].GetProperty("details").EnumerateObject().Count());
            }
        }
    }

    [Fact]
    public async Task ManyBatchesAtOnceAreEachWholeOrNotAtAll()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        // Each odd one has a vector that does not fit what the even ones write.
        (await client.WriteAsync("first", "[1]")).Expect(HttpStatusCode.Created);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(batch => client.BatchAsync(
            Enumerable.Range(0, 5).Select(index => $$"""{"id":"{{batch}}-{{index}}","vector":[{{(batch % 2 == 1 && index == 4 ? "1,2" : "1")}}]}"""))));

        Assert.All(answers.Where((_, index) => index % 2 == 0), answer => answer.Expect(HttpStatusCode.Created));
        Assert.All(answers.Where((_, index) => index % 2 == 1), answer => answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS"));
        var ids = VectorClient.Ids(await client.GetAsync(VectorClient.Root + "?size=100")).Skip(1).ToList();
        Assert.Equal(50, ids.Count);

        // What came in one batch follows one another.
        Assert.All(ids.Chunk(5), some => Assert.Equal([.. Enumerable.Range(0, 5).Select(index => $"{some[0].Split('-')[0]}-{index}")], some));
    }
}
