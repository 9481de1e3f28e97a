using System.Globalization;
using System.Net;
using System.Text.Json;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class QueryTests
{
    private const string Nothing = "\"include_vectors\":false,\"include_metadata\":false";

    public static TheoryData<Place> Places => VectorClient.Places;

    public static TheoryData<string, Place> MetricsAndPlaces { get; } = Cross("cosine", "dot", "euclidean");

    public static TheoryData<string, Place> ModesAndPlaces { get; } = Cross("precise", "balanced", "exploratory");

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AnAnswerHasTheSpecifiedMembers(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [new TestVector("a", [1, 0], """
            "contexts":[{"name":"technical","weight":0.5}],"metadata":{"source": "arxiv"}
            """), new TestVector("b", [0, 1])], place);

        var answer = (await client.QueryAsync("[1, 0]", "\"context\":\"technical\"")).Expect(HttpStatusCode.OK);

        Assert.Equal(["results", "query_time_ms", "quantum_time_ms", "cache_hit"], answer.Json.EnumerateObject().Select(member => member.Name));
        Assert.Equal(
            """
            [{"id":"a","score":0.5,"vector":[1,0],"metadata":{"source": "arxiv"},"quantum_enhanced":true,"context_collapsed":"technical"},
            """
            + """
            {"id":"b","score":0,"vector":[0,1],"metadata":{},"quantum_enhanced":false,"context_collapsed":null}]
            """,
            answer.Json.GetProperty("results").GetRawText());
        var (all, quantum) = (answer.Json.GetProperty("query_time_ms").GetDouble(), answer.Json.GetProperty("quantum_time_ms").GetDouble());
        Assert.True(all > 0 && quantum >= 0 && quantum <= all, answer.Text);
        Assert.False(answer.IsHit());
    }

    [Theory]
    [InlineData("", "id score vector metadata quantum_enhanced context_collapsed")]
    [InlineData("\"include_vectors\":false", "id score metadata quantum_enhanced context_collapsed")]
    [InlineData("\"include_metadata\":false", "id score vector quantum_enhanced context_collapsed")]
    [InlineData(Nothing, "id score quantum_enhanced context_collapsed")]
    public async Task AnAnswerLeavesOutWhatIsNotWanted(string more, string members)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.WriteAsync("a", "[1]", "\"metadata\":{\"a\":1}")).Expect(HttpStatusCode.Created);

        var result = (await client.QueryAsync("[1]", more)).Expect(HttpStatusCode.OK).Json.GetProperty("results")[0];

        Assert.Equal(members.Split(' '), result.EnumerateObject().Select(member => member.Name));
    }

    [Theory]
    [InlineData("""{}""", "vector")]
    [InlineData("""{"vector":[]}""", "vector")]
    [InlineData("""{"vector":"a"}""", "vector")]
    [InlineData("""{"vector":[0,null]}""", "vector[1]")]
    [InlineData("""{"vector":[0,1e39]}""", "vector[1]")]
    [InlineData("""{"vector":[0,NaN]}""", "body")]
    [InlineData("""{"vector":[1,2]}""", "vector")]
    [InlineData("""{"vector":[1],"context":""}""", "context")]
    [InlineData("""{"vector":[1],"context":["a"]}""", "context")]
    [InlineData("""{"vector":[1],"mode":"fast"}""", "mode")]
    [InlineData("""{"vector":[1],"mode":"Precise"}""", "mode")]
    [InlineData("""{"vector":[1],"enable_tunneling":"yes"}""", "enable_tunneling")]
    [InlineData("""{"vector":[1],"enable_tunneling":1}""", "enable_tunneling")]
    [InlineData("""{"vector":[1],"top_k":0}""", "top_k")]
    [InlineData("""{"vector":[1],"top_k":-1}""", "top_k")]
    [InlineData("""{"vector":[1],"top_k":1001}""", "top_k")]
    [InlineData("""{"vector":[1],"top_k":1.5}""", "top_k")]
    [InlineData("""{"vector":[1],"top_k":"10"}""", "top_k")]
    [InlineData("""{"vector":[1],"timeout_ms":0}""", "timeout_ms")]
    [InlineData("""{"vector":[1],"timeout_ms":60001}""", "timeout_ms")]
    [InlineData("""{"vector":[1],"filters":[]}""", "filters")]
    [InlineData("""{"vector":[1],"filters":{"source":"arxiv"}}""", "filters.source")]
    [InlineData("""{"vector":[1],"filters":{"metadata.a":{"$near":1}}}""", "filters.metadata.a.$near")]
    [InlineData("""{"vector":[1],"filters":{"$or":[{"metadata.a":1},{"metadata.a":{"$gt":null}}]}}""", "filters.$or[1].metadata.a.$gt")]
    [InlineData("""{"vector":[1],"include_vectors":"false"}""", "include_vectors")]
    [InlineData("""{"vector":[1],"include_metadata":0}""", "include_metadata")]
    [InlineData("""{"vector":[1],"consistency":"weak"}""", "consistency")]
    [InlineData("""{"vector":[1],"metric":"dot"}""", "metric")]
    [InlineData("""{"vector":[1],"topK":1}""", "topK")]
    [InlineData("""[]""", "body")]
    [InlineData("", "body")]
    public async Task AFaultNamesItsParameter(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);

        var answer = (await client.PostRawAsync(VectorClient.QueryPath, body)).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");

        Assert.Equal([parameter], answer.Details.EnumerateObject().Select(fault => fault.Name));
    }

    [Fact]
    public async Task WhereNothingIsNothingIsFound()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        Assert.Empty((await client.QueryAsync("[1, 2, 3]", "\"context\":\"a\",\"mode\":\"exploratory\",\"enable_tunneling\":true,\"filters\":{\"metadata.a\":1}")).Hits());
    }

    [Theory]
    [InlineData("/api/v2/query")]
    [InlineData("/v2/query")]
    public async Task EveryMemberMayBeSentOrBeNull(string path)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        (await client.WriteAsync("a", "[1]", "\"metadata\":{\"a\":1}")).Expect(HttpStatusCode.Created);

        var all = await client.PostRawAsync(path, """
            {"vector":[1],"context":"x","mode":"exploratory","enable_tunneling":true,"top_k":1000,"timeout_ms":60000,"filters":{"metadata.a":1},"include_vectors":true,
            "include_metadata":true,"consistency":"eventual"}
            """);
        var none = await client.PostRawAsync(path, """
            {"vector":[1],"context":null,"mode":null,"enable_tunneling":null,"top_k":null,"timeout_ms":null,"filters":null,"include_vectors":null,
            "include_metadata":null,"consistency":null}
            """);

        Assert.Equal([new Hit("a", 1, false, null)], all.Hits());
        Assert.Equal([new Hit("a", 1, false, null)], none.Hits());
    }

    [Theory]
    [MemberData(nameof(MetricsAndPlaces))]
    public async Task APreciseQueryFindsWhatComparingAllWouldFind(string metric, Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(7);
        var vectors = Enumerable.Range(0, 300).Select(index => new TestVector($"v{index}", TestNumbers(random, 20, index))).ToList();
        await app.PlaceAsync(client, vectors, place, metric);

        foreach (var query in new[] { TestNumbers(random, 20, 1), vectors[17].Values, new float[20], [.. vectors[40].Values.Select(value => value * 1e-3f)] })
        {
            foreach (var top in new[] { 1, 10, 300, 1000 })
            {
                var hits = (await client.QueryAsync(VectorClient.Json(query), $"\"mode\":\"precise\",\"top_k\":{top},{Nothing}")).Hits();

                AssertBest(vectors, metric, query, hits, top);
            }
        }
    }

    [Theory]
    [MemberData(nameof(ModesAndPlaces))]
    public async Task AmongFewVectorsEveryModeFindsTheBest(string mode, Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(11);
        var vectors = Enumerable.Range(0, 100).Select(index => new TestVector($"v{index}", TestNumbers(random, 16, index))).ToList();
        await app.PlaceAsync(client, vectors, place);

        foreach (var tunneling in new[] { "true", "false" })
        {
            var query = TestNumbers(random, 16, 1);
            var hits = (await client.QueryAsync(VectorClient.Json(query), $"\"mode\":\"{mode}\",\"enable_tunneling\":{tunneling},\"top_k\":20,{Nothing}")).Hits();

            Assert.Equal(Best(vectors, "cosine", query).First().Id, hits[0].Id);
            Assert.Equal(20, hits.Select(hit => hit.Id).Distinct().Count());
            if (mode != "exploratory")
            {
                AssertBest(vectors, "cosine", query, hits, 20);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AnExploratoryAnswerIsNotFilledWithNearDuplicates(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(3);

        // Thirty that are almost the same and match best, and thirty that each look another way.
        var alike = Enumerable.Range(0, 30).Select(index => new TestVector($"alike {index}", [1, .. Enumerable.Range(0, 31).Select(_ => random.NextSingle() * 0.001f)]));
        var other = Enumerable.Range(0, 30).Select(index => new TestVector($"other {index}", [1, .. Enumerable.Range(0, 31).Select(axis => axis == index ? 0.5f : 0)]));
        await app.PlaceAsync(client, [.. alike, .. other], place);
        var query = VectorClient.Json([1, .. new float[31]]);

        var precise = (await client.QueryAsync(query, $"\"mode\":\"precise\",{Nothing}")).Hits();
        var exploratory = (await client.QueryAsync(query, $"\"mode\":\"exploratory\",{Nothing}")).Hits();

        Assert.All(precise, hit => Assert.StartsWith("alike", hit.Id, StringComparison.Ordinal));
        Assert.Equal(10, exploratory.Count);
        Assert.StartsWith("alike", exploratory[0].Id, StringComparison.Ordinal);
        Assert.InRange(exploratory.Count(hit => hit.Id.StartsWith("alike", StringComparison.Ordinal)), 1, 3);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AContextWeighsWhatIsInItAndTheRestFollows(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(
            client,
            [
                new TestVector("strong", [3, 4], In(("x", 0.9), ("y", 0.1))),
                new TestVector("weak", [1, 0], In(("x", 0.25))),
                new TestVector("none", [1, 0]),
                new TestVector("elsewhere", [4, 3], In(("y", 1))),
                new TestVector("zero", [1, 0], In(("x", 0), ("z", 0.5))),
                new TestVector("against", [-1, 0], In(("x", 0.5))),
            ],
            place);

        foreach (var mode in new[] { "precise", "balanced" })
        {
            var hits = (await client.QueryAsync("[1, 0]", $"\"context\":\"x\",\"mode\":\"{mode}\"")).Hits();
            Assert.Equal(["strong", "weak", "none", "zero", "elsewhere", "against"], hits.Select(hit => hit.Id));
            Assert.Equal([0.54, 0.25, 0, 0, 0, -0.5], hits.Select(hit => Math.Round(hit.Score, 6)));
            Assert.Equal(["strong", "weak", "zero", "against"], hits.Where(hit => hit.IsEnhanced).Select(hit => hit.Id));
            Assert.All(hits, hit => Assert.Equal(hit.IsEnhanced ? "x" : null, hit.Context));
            Assert.Equal(["strong", "weak"], (await client.QueryAsync("[1, 0]", $"\"context\":\"x\",\"mode\":\"{mode}\",\"top_k\":2")).Hits().Select(hit => hit.Id));
        }

        // Nobody is in this one.
        var plain = (await client.QueryAsync("[1, 0]", "\"context\":\"X\"")).Hits();
        Assert.Equal(["none", "weak", "zero", "elsewhere", "strong", "against"], plain.Select(hit => hit.Id));
        Assert.Equal([1, 1, 1, 0.8, 0.6, -1], plain.Select(hit => Math.Round(hit.Score, 6)));
        Assert.All(plain, hit => Assert.Equal((false, null), (hit.IsEnhanced, hit.Context)));
    }

    [Theory]
    [MemberData(nameof(MetricsAndPlaces))]
    public async Task AContextFindsWhatWeighingAllWouldFind(string metric, Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(5);
        var weights = Enumerable.Range(0, 200).Select(_ => random.Next(3) == 0 ? Math.Round(random.NextDouble(), 3) : 0).ToList();
        var vectors = weights.Select((weight, index) => new TestVector($"v{index}", TestNumbers(random, 12, index), weight > 0 ? In(("x", weight)) : "")).ToList();
        await app.PlaceAsync(client, vectors, place, metric);
        var query = TestNumbers(random, 12, 1);

        foreach (var top in new[] { 5, 50, 200 })
        {
            var hits = (await client.QueryAsync(VectorClient.Json(query), $"\"context\":\"x\",\"mode\":\"precise\",\"top_k\":{top},{Nothing}")).Hits();

            var expected = vectors.Zip(weights, (vector, weight) => weight * Similarity(metric, query, vector.Values)).OrderDescending().Take(top);
            Assert.All(expected.Zip(hits), pair => Assert.Equal(pair.First, pair.Second.Score, Slack(pair.First)));
            Assert.Equal(top, hits.Select(hit => hit.Id).Distinct().Count());
            Assert.All(hits, hit => Assert.Equal(weights[int.Parse(hit.Id.AsSpan(1), CultureInfo.InvariantCulture)] > 0, hit.IsEnhanced));
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task ASuperpositionThatHasEndedIsNotCollapsedTo(Place place)
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await app.PlaceAsync(
            client,
            [
                new TestVector("short", [1, 0], In(("x", 0.5)) + ",\"coherence_time_ms\":1000"),
                new TestVector("long", [1, 0], In(("x", 0.4)) + ",\"coherence_time_ms\":2000"),
                new TestVector("none", [0, 1]),
            ],
            place);

        await AssertAsync(("short", 0.5, true), ("long", 0.4, true), ("none", 0, false));
        time.Advance(TimeSpan.FromMilliseconds(999));
        await AssertAsync(("short", 0.5, true), ("long", 0.4, true), ("none", 0, false));
        time.Advance(TimeSpan.FromMilliseconds(1));
        await AssertAsync(("long", 0.4, true), ("short", 0, false), ("none", 0, false));
        time.Advance(TimeSpan.FromMilliseconds(1000));
        await AssertAsync(("long", 1, false), ("short", 1, false), ("none", 0, false));

        async Task AssertAsync(params (string, double, bool)[] expected)
        {
            var hits = (await client.QueryAsync("[1, 0]", "\"context\":\"x\"")).Hits();
            Assert.Equal(expected, hits.Select(hit => (hit.Id, Math.Round(hit.Score, 6), hit.IsEnhanced)));
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task EqualMatchesComeInTheOrderOfTheirIds(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [.. new[] { "b", "ä", "B", "a", "aa", "😀", "10", "9" }.Select(id => new TestVector(id, [1, 2, 3])), new TestVector("better", [3, 2, 1])], place);

        foreach (var mode in new[] { "precise", "balanced" })
        {
            Assert.Equal(["better", "10", "9", "B", "a", "aa", "b", "ä", "😀"], VectorClient.Ids(await client.QueryAsync("[3, 2, 1]", $"\"mode\":\"{mode}\"")));
        }
    }

    [Theory]
    [MemberData(nameof(MetricsAndPlaces))]
    public async Task NumbersAtTheEdgesAreComparedRightly(string metric, Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        // The squares of the largest still fit single precision; those of the smallest do not.
        List<TestVector> vectors =
        [
            new("zero", [0, 0]), new("largest", [1e15f, 1e15f]), new("-largest", [-1e15f, -1e15f]), new("large", [1e15f, 0]), new("one", [1, 0]), new("small", [1e-20f, 1e-21f]),
            new("smaller", [1e-30f, -1e-30f]), new("smallest", [0, 1.2e-38f]),
        ];
        await app.PlaceAsync(client, vectors, place, metric);

        foreach (var query in vectors)
        {
            var hits = (await client.QueryAsync(VectorClient.Json(query.Values), $"\"mode\":\"precise\",{Nothing}")).Hits();

            AssertBest(vectors, metric, query.Values, hits, vectors.Count);
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task WhatIsWrittenAndDeletedIsFoundSoAtOnce(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [.. Enumerable.Range(0, 20).Select(index => new TestVector($"v{index}", [1, index]))], place);

        (await client.WriteAsync("new", "[1, 0]")).Expect(HttpStatusCode.Created);
        Assert.Equal(["new", "v0", "v1"], await FoundAsync());
        (await client.RemoveAsync("v0")).Expect(HttpStatusCode.OK);
        Assert.Equal(["new", "v1", "v2"], await FoundAsync());
        (await client.ChangeAsync("v1", """{"vector":[-1,0]}""")).Expect(HttpStatusCode.OK);
        Assert.Equal(["new", "v2", "v3"], await FoundAsync());
        (await client.WriteAsync("new", "[0, 1]")).Expect(HttpStatusCode.OK);
        Assert.Equal(["v2", "v3", "v4"], await FoundAsync());
        await app.BuildSegmentAsync(client);
        Assert.Equal(["v2", "v3", "v4"], await FoundAsync());

        async Task<List<string>> FoundAsync() => VectorClient.Ids(await client.QueryAsync("[1, 0]", "\"top_k\":3"));
    }

    [Fact]
    public async Task ManySegmentsAnswerAsOne()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var random = new Random(19);
        var vectors = new Dictionary<string, TestVector>();
        foreach (var count in new[] { 400, 90, 20, 4 })
        {
            // Each of them also replaces and deletes some of those before it, and is small enough to stay beside them.
            var some = Enumerable.Range(0, count).Select(index => new TestVector($"{count} {index}", TestNumbers(random, 8, index)))
                .Concat(vectors.Keys.Take(count / 10).Select((id, index) => new TestVector(id, TestNumbers(random, 8, index)))).ToList();
            (await client.BatchAsync(some.Select(vector => vector.Json))).Expect(HttpStatusCode.Created);
            some.ForEach(vector => vectors[vector.Id] = vector);
            foreach (var id in vectors.Keys.Where(id => !id.StartsWith($"{count} ", StringComparison.Ordinal)).Skip(20).Take(3).ToList())
            {
                (await client.RemoveAsync(id)).Expect(HttpStatusCode.OK);
                vectors.Remove(id);
            }

            await app.BuildSegmentAsync(client);
            var query = TestNumbers(random, 8, 1);
            var hits = (await client.QueryAsync(VectorClient.Json(query), $"\"top_k\":25,\"mode\":\"precise\",{Nothing}")).Hits();
            AssertBest([.. vectors.Values], "cosine", query, hits, 25);
        }

        Assert.Equal(vectors.Count, (await client.GetAsync(VectorClient.Root)).Json.GetProperty("pagination").GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task AmongManyVectorsAsManyComeBackAsWereAskedFor()
    {
        await using var app = await TestApp.StartAsync(settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        var random = new Random(23);

        // Lonely ones around the query, each a cluster of its own perhaps, and most far away from it.
        var vectors = Enumerable.Range(0, 6000).Select(index => index % 100 == 0
            ? new TestVector($"v{index}", [index / 100f, index % 7, random.NextSingle()], $"\"metadata\":{{\"n\":{index}}}")
            : new TestVector($"v{index}", [10_000 + random.NextSingle(), random.NextSingle(), random.NextSingle()], $"\"metadata\":{{\"n\":{index}}}")).ToList();
        (await client.WriteAsync("first", "[0, 0, 0]", "\"metric\":\"euclidean\"")).Expect(HttpStatusCode.Created);
        foreach (var batch in vectors.Chunk(1000))
        {
            (await client.BatchAsync(batch.Select(vector => vector.Json))).Expect(HttpStatusCode.Created);
            await app.BuildSegmentAsync(client);
        }

        (await client.RemoveAsync("first")).Expect(HttpStatusCode.OK);
        await app.BuildSegmentAsync(client);
        foreach (var mode in new[] { "precise", "balanced", "exploratory" })
        {
            foreach (var more in new[] { "", ",\"enable_tunneling\":true", ",\"filters\":{\"metadata.n\":{\"$gte\":1000}}" })
            {
                foreach (var top in new[] { 1, 10, 100, 1000 })
                {
                    var hits = (await client.QueryAsync("[30, 3, 0]", $"\"mode\":\"{mode}\",\"top_k\":{top},{Nothing}{more}")).Hits();
                    Assert.True(hits.Select(hit => hit.Id).Distinct().Count() == top && hits.Count == top, $"{mode}{more}: {hits.Count} of {top}");
                    Assert.All(hits, hit => Assert.Equal(
                        Similarity("euclidean", [30, 3, 0], vectors[int.Parse(hit.Id.AsSpan(1), CultureInfo.InvariantCulture)].Values), hit.Score, 1e-6));
                }
            }
        }
    }

    private static TheoryData<string, Place> Cross(params string[] words)
    {
        var all = new TheoryData<string, Place>();
        foreach (var word in words)
        {
            foreach (var place in Enum.GetValues<Place>())
            {
                all.Add(word, place);
            }
        }

        return all;
    }

    private static string In(params (string Name, double Weight)[] contexts) =>
        $"\"contexts\":{JsonSerializer.Serialize(contexts.Select(context => new { name = context.Name, weight = context.Weight }))}";

    // Every tenth vector is the same as others, and one is all zeros.
    private static float[] TestNumbers(Random random, int dimension, int index) =>
        [.. Enumerable.Range(0, dimension).Select(axis => index % 10 == 9 ? index == 99 ? 0 : axis - 3 : (random.NextSingle() * 2) - 1)];

    private static void AssertBest(IReadOnlyList<TestVector> vectors, string metric, float[] query, List<Hit> hits, int top)
    {
        var expected = Best(vectors, metric, query).Take(top).ToList();
        Assert.Equal(expected.Count, hits.Select(hit => hit.Id).Distinct().Count());
        Assert.Equal(expected.Count, hits.Count);
        foreach (var (best, hit) in expected.Zip(hits))
        {
            // Equal ones may change places.
            Assert.Equal(best.Score, hit.Score, Slack(best.Score));
            Assert.Equal(Similarity(metric, query, vectors.Single(vector => vector.Id == hit.Id).Values), hit.Score, Slack(hit.Score));
            Assert.False(hit.IsEnhanced);
        }
    }

    private static IEnumerable<(string Id, double Score)> Best(IReadOnlyList<TestVector> vectors, string metric, float[] query) =>
        vectors.Select(vector => (vector.Id, Score: Similarity(metric, query, vector.Values))).OrderByDescending(found => found.Score);

    // What the documents say, in double precision.
    private static double Similarity(string metric, float[] a, float[] b)
    {
        var dot = a.Zip(b, (x, y) => (double)x * y).Sum();
        var lengths = Math.Sqrt(a.Sum(x => (double)x * x)) * Math.Sqrt(b.Sum(x => (double)x * x));
        return metric switch
        {
            "dot" => dot,
            "euclidean" => 1 / (1 + Math.Sqrt(a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum())),
            _ => lengths == 0 ? 0 : dot / lengths,
        };
    }

    private static double Slack(double score) => 2e-6 * Math.Max(1, Math.Abs(score));
}
