using System.Net;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>What a query may know from before, and what it answers when time is short.</summary>
public sealed class QueryCacheTests
{
    private const string In = """
        "contexts":[{"name":"x","weight":0.5}]
        """;

    public static TheoryData<Place> Places => VectorClient.Places;

    [Theory]
    [MemberData(nameof(Places))]
    public async Task TheSameQueryIsAnsweredFromTheCacheUntilAnythingIsWritten(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        await app.PlaceAsync(client, [new TestVector("a", [1, 2]), new TestVector("b", [2, 1])], place);

        await AssertHitAfterMissAsync();
        (await client.WriteAsync("c", "[1, 2]")).Expect(HttpStatusCode.Created);
        await AssertHitAfterMissAsync();
        (await client.WriteAsync("c", "[1, 2]")).Expect(HttpStatusCode.OK);
        await AssertHitAfterMissAsync();
        (await client.ChangeAsync("a", """{"metadata":{"a":1}}""")).Expect(HttpStatusCode.OK);
        await AssertHitAfterMissAsync();
        (await client.BatchAsync(["""{"id":"d","vector":[1,2]}"""], isTransaction: false)).Expect(HttpStatusCode.Created);
        await AssertHitAfterMissAsync();
        (await client.RemoveAsync("d")).Expect(HttpStatusCode.OK);
        await AssertHitAfterMissAsync();

        // What writes nothing changes nothing.
        (await client.RemoveAsync("d")).Expect(HttpStatusCode.NotFound);
        (await client.WriteAsync("e", "[1]")).Expect(HttpStatusCode.BadRequest);
        Assert.True((await client.QueryAsync("[1, 2]")).IsHit());

        async Task AssertHitAfterMissAsync()
        {
            var first = await client.QueryAsync("[1, 2]");
            var second = await client.QueryAsync("[1, 2]");
            Assert.Equal((false, true), (first.IsHit(), second.IsHit()));
            Assert.Equal(first.Json.GetProperty("results").GetRawText(), second.Json.GetProperty("results").GetRawText());
            Assert.Equal(0, second.Json.GetProperty("quantum_time_ms").GetDouble());
        }
    }

    [Fact]
    public async Task AnotherQueryIsAnsweredAnew()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var other = await app.TenantAsync();
        foreach (var tenant in new[] { client, other })
        {
            (await tenant.WriteAsync("a", "[1, 2]", In)).Expect(HttpStatusCode.Created);
        }

        foreach (var more in new[] { "", "\"top_k\":1", "\"context\":\"x\"", "\"mode\":\"precise\"", "\"include_vectors\":false", "\"filters\":{\"metadata.a\":1}" })
        {
            Assert.False((await client.QueryAsync("[1, 2]", more)).IsHit());
            Assert.True((await client.QueryAsync("[1, 2]", more)).IsHit());
        }

        Assert.False((await other.QueryAsync("[1, 2]")).IsHit());
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task ACachedAnswerEndsWithASuperpositionInIt(Place place)
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await app.PlaceAsync(
            client, [new TestVector("a", [1, 0], In + ",\"coherence_time_ms\":1000"), new TestVector("b", [1, 0], In), new TestVector("c", [1, 0], In + ",\"coherence_time_ms\":3000")], place);

        Assert.Equal((false, 3), await FindAsync());
        time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal((true, 3), await FindAsync());
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal((false, 2), await FindAsync());
        Assert.Equal((true, 2), await FindAsync());
        time.Advance(TimeSpan.FromMilliseconds(1999));
        Assert.Equal((true, 2), await FindAsync());
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal((false, 1), await FindAsync());
        time.Advance(TimeSpan.FromDays(30));
        Assert.Equal((true, 1), await FindAsync());

        async Task<(bool IsHit, int Enhanced)> FindAsync()
        {
            var answer = await client.QueryAsync("[1, 0]", "\"context\":\"x\"");
            return (answer.IsHit(), answer.Hits().Count(hit => hit.IsEnhanced));
        }
    }

    [Fact]
    public async Task AQuerySeesWhatAnotherInstanceWroteUnlessItIsEventual()
    {
        var opener = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var one = await TestApp.StartAsync(adminKey: opener);
        await using var other = await TestApp.StartAsync(adminKey: opener);
        var here = await one.TenantAsync();
        var there = other.ClientWith(here.Key, here.Account);
        (await here.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);

        Assert.Equal(["a"], VectorClient.Ids(await there.QueryAsync("[1]")));
        (await here.WriteAsync("b", "[1]")).Expect(HttpStatusCode.Created);
        Assert.Equal(["a"], VectorClient.Ids(await there.QueryAsync("[1]", "\"consistency\":\"eventual\"")));
        Assert.Equal(["a", "b"], VectorClient.Ids(await there.QueryAsync("[1]")));
        Assert.Equal(["a", "b"], VectorClient.Ids(await there.QueryAsync("[1]", "\"consistency\":\"eventual\"")));

        // Also in what it lists, reads, changes and deletes.
        (await here.WriteAsync("c", "[1]")).Expect(HttpStatusCode.Created);
        (await there.ReadAsync("c")).Expect(HttpStatusCode.OK);
        (await here.WriteAsync("d", "[1]")).Expect(HttpStatusCode.Created);
        Assert.Equal(["a", "b", "c", "d"], VectorClient.Ids(await there.GetAsync(VectorClient.Root)));
        (await here.WriteAsync("e", "[1]")).Expect(HttpStatusCode.Created);
        (await there.ChangeAsync("e", """{"metadata":{}}""")).Expect(HttpStatusCode.OK);
        (await here.WriteAsync("f", "[1]")).Expect(HttpStatusCode.Created);
        (await there.RemoveAsync("f")).Expect(HttpStatusCode.OK);
        (await here.RemoveAsync("a")).Expect(HttpStatusCode.OK);
        (await there.RemoveAsync("a")).Expect(HttpStatusCode.NotFound);
        Assert.Equal(HttpStatusCode.OK, (await here.WriteAsync("e", "[1]")).Status);
    }

    [Fact]
    public async Task ASegmentOfAnotherInstanceIsTakenOver()
    {
        var opener = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var one = await TestApp.StartAsync(adminKey: opener);
        await using var other = await TestApp.StartAsync(adminKey: opener);
        var here = await one.TenantAsync();
        var there = other.ClientWith(here.Key, here.Account);
        await one.PlaceAsync(here, [.. Enumerable.Range(0, 50).Select(index => new TestVector($"v{index}", [1, index]))], Place.Both);

        // Cold, and then warm while the segments change.
        Assert.Equal(["v0", "v1"], VectorClient.Ids(await there.QueryAsync("[1, 0]", "\"top_k\":2")));
        (await here.RemoveAsync("v0")).Expect(HttpStatusCode.OK);
        await one.BuildSegmentAsync(here);
        Assert.Equal(["v1", "v2"], VectorClient.Ids(await there.QueryAsync("[1, 0]", "\"top_k\":2")));
        (await there.WriteAsync("v1", "[0, 1]")).Expect(HttpStatusCode.OK);
        Assert.Equal(["v2", "v3"], VectorClient.Ids(await here.QueryAsync("[1, 0]", "\"top_k\":2")));
        Assert.Equal(49, (await there.GetAsync(VectorClient.Root)).Json.GetProperty("pagination").GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task WhenStorageHangsAQueryAnswersInTimeWithWhatItHas()
    {
        var time = new ManualTime();
        var storage = new HangingStorage(time);
        await using var app = await TestApp.StartAsync(time, storage.Accounts);
        var client = await app.TenantAsync();
        (await client.WriteAsync("a", "[1]")).Expect(HttpStatusCode.Created);
        Assert.Equal(["a"], VectorClient.Ids(await client.QueryAsync("[1]")));

        storage.Hang();
        var nothing = await client.QueryAsync("[1]", "\"timeout_ms\":50");
        var eventual = await client.QueryAsync("[1]", "\"timeout_ms\":50,\"consistency\":\"eventual\"");
        storage.GoOn();
        var whole = await client.QueryAsync("[1]", "\"timeout_ms\":50000");

        Assert.Equal(["results", "query_time_ms", "quantum_time_ms", "cache_hit", "partial"], nothing.Expect(HttpStatusCode.OK).Json.EnumerateObject().Select(member => member.Name));
        Assert.True(nothing.Json.GetProperty("partial").GetBoolean());
        Assert.Empty(nothing.Hits());
        Assert.Equal(["a"], VectorClient.Ids(eventual));
        Assert.False(eventual.Json.TryGetProperty("partial", out _));
        Assert.Equal(["a"], VectorClient.Ids(whole));
        Assert.False(whole.Json.TryGetProperty("partial", out _));
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task WhenTimeIsUpAQueryAnswersWhatItHasFoundAndDoesNotKeepIt(Place place)
    {
        var time = new TickingTime();
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        var vectors = Enumerable.Range(0, 1000).Select(index => new TestVector($"v{index}", [1, index])).ToList();
        await app.PlaceAsync(client, vectors, place);
        var query = "\"top_k\":1000,\"mode\":\"precise\",\"include_vectors\":false";

        // Each look at the clock takes a millisecond.
        time.TakesPerLook = TimeSpan.FromMilliseconds(1);
        var isPartial = new List<bool>();
        foreach (var timeout in new[] { 1, 2, 4, 8, 16, 32, 60_000, 60_000 })
        {
            var answer = await client.QueryAsync("[1, 0]", $"\"timeout_ms\":{timeout},{query}");
            isPartial.Add(answer.Json.TryGetProperty("partial", out var partial) && partial.GetBoolean());
            var hits = answer.Hits();

            Assert.All(hits, hit => Assert.Equal(1 / Math.Sqrt(1 + (double.Parse(hit.Id.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) is var y ? y * y : 0)), hit.Score, 1e-6));
            Assert.Equal(hits.Select(hit => hit.Score).OrderDescending(), hits.Select(hit => hit.Score));
            Assert.Equal(!isPartial[^1], hits.Count == 1000);
            Assert.Equal(isPartial.Count == 8, answer.IsHit());
        }

        Assert.True(isPartial[0]);
        Assert.False(isPartial[^1]);
        Assert.Equal(isPartial.OrderDescending(), isPartial);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task WhenTimeIsUpAFilterLooksNoFurtherAndTheAnswerIsPartial(Place place)
    {
        var time = new TickingTime();
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited);
        var client = await app.TenantAsync();

        // Longer than an index keeps texts, so that each has to be looked at.
        var text = new string('t', 300);
        await app.PlaceAsync(client, [.. Enumerable.Range(0, 200).Select(index => new TestVector($"v{index}", [1, index], $"\"metadata\":{{\"t\":\"{text}\"}}"))], place);

        // Each look at the clock takes a millisecond.
        time.TakesPerLook = TimeSpan.FromMilliseconds(1);
        foreach (var (condition, expected) in new[] { ("$eq", 200), ("$ne", 0) })
        {
            var filter = $"\"top_k\":1000,\"filters\":{{\"metadata.t\":{{\"{condition}\":\"{text}\"}}}}";
            var stopped = await client.QueryAsync("[1, 0]", $"\"timeout_ms\":150,{filter}");
            var whole = await client.QueryAsync("[1, 0]", $"\"timeout_ms\":60000,{filter}");

            Assert.True(stopped.Json.GetProperty("partial").GetBoolean());
            Assert.InRange(stopped.Hits().Count, 0, expected / 2);
            Assert.InRange(stopped.Json.GetProperty("query_time_ms").GetDouble(), 0, 170);
            Assert.False(whole.Json.TryGetProperty("partial", out _));
            Assert.Equal(expected, whole.Hits().Count);
        }
    }

    [Fact]
    public void OnlyAnswersOfUpToALengthAreKeptAndInNoMoreMemoryThanThat()
    {
        using var cache = new QueryCache(TimeProvider.System);

        foreach (var length in new[] { 1, QueryCache.AnswerBytesMax / 2 + 1, QueryCache.AnswerBytesMax, QueryCache.AnswerBytesMax + 1 })
        {
            var (key, answer) = (QueryCache.Key("tenant", length, []), new JsonPages());
            answer.Append(new byte[length]);
            cache.Keep(key, answer, null);

            Assert.Equal(length <= QueryCache.AnswerBytesMax, cache.Find(key) is not null);
            if (cache.Find(key) is { } kept)
            {
                Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(kept, out var array));
                Assert.Equal((length, length), (array.Count, array.Array!.Length));
            }
        }
    }

    [Fact]
    public async Task ALongAnswerComesWholeAndIsNotKept()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var vectors = Enumerable.Range(0, 150).Select(index => new TestVector($"v{index}", [.. Enumerable.Range(0, 1000).Select(place => place == 0 ? 1 : (float)index * place / 7)])).ToList();
        await app.PlaceAsync(client, vectors);
        var one = $"[1{string.Concat(Enumerable.Repeat(",0", 999))}]";

        foreach (var headers in new (string, string)[][] { [], [], [("Idempotency-Key", "long")], [("Idempotency-Key", "long")] })
        {
            var answer = (await client.QueryAsync(one, "\"top_k\":1000", headers)).Expect(HttpStatusCode.OK);
            var results = answer.Json.GetProperty("results").EnumerateArray().ToList();
            var hits = results.Select(hit =>
            {
                var vector = vectors.Single(item => item.Id == hit.GetProperty("id").GetString());
                return $$"""{"id":"{{vector.Id}}","score":{{hit.GetProperty("score").GetRawText()}},"vector":{{VectorClient.Json(vector.Values)}},"metadata":{},"quantum_enhanced":false,"context_collapsed":null}""";
            });

            Assert.Equal(150, results.Count);
            Assert.Equal(
                $$"""{"results":[{{string.Join(',', hits)}}],"query_time_ms":{{answer.Json.GetProperty("query_time_ms").GetRawText()}},"quantum_time_ms":0,"cache_hit":false}""",
                answer.Text);
            Assert.Equal($"{answer.Bytes.Length}", answer.Header("Content-Length"));
        }
    }

    [Fact]
    public void ALongAnswerIsWrittenOnceAndNotCopied()
    {
        var random = new Random(1);
        var vectors = Enumerable.Range(0, 100).Select(index => new StoredVector(
            $"v{index}", [.. Enumerable.Range(0, VectorLimits.DimensionMax).Select(_ => random.NextSingle())], new VectorFacts([], null, TestVectors.Now, TestVectors.Now, default)));
        var hits = vectors.Select(vector => new VectorHit(new SegmentRow(null, 0, vector), 1, 1, false)).ToList();
        var query = new VectorQuery([1], null, QueryMode.Precise, false, 1000, TimeSpan.FromSeconds(1), null, true, true, true);
        _ = VectorJson.Hits(hits, query);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var answer = Json.Results(VectorJson.Hits(hits, query).Pages, new QueryView(1, 1, false, null));
        var taken = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.InRange(answer.BodyBytes, 4_000_000, 6_000_000);
        Assert.InRange(taken, answer.BodyBytes, answer.BodyBytes * 1.1);
    }

    [Fact]
    public async Task TheTimesOfAnAnswerAreMeasured()
    {
        var time = new TickingTime();
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        (await client.WriteAsync("a", "[1]", In)).Expect(HttpStatusCode.Created);
        time.TakesPerLook = TimeSpan.FromMilliseconds(2.5);

        // A strong query searches while it waits for storage, which looks at the clock too.
        var plain = await client.QueryAsync("[1]", "\"consistency\":\"eventual\"");
        var collapsed = await client.QueryAsync("[1]", "\"consistency\":\"eventual\",\"context\":\"x\"");

        Assert.True(Milliseconds(plain, "query_time_ms") >= 5, plain.Text);
        Assert.Equal(0, Milliseconds(plain, "quantum_time_ms"));
        Assert.Equal(2.5, Milliseconds(collapsed, "quantum_time_ms"));
        Assert.True(Milliseconds(collapsed, "query_time_ms") >= 10, collapsed.Text);

        static double Milliseconds(Answer answer, string name) => answer.Expect(HttpStatusCode.OK).Json.GetProperty(name).GetDouble();
    }

    /// <summary>Storage in memory whose table queries hang when told to.</summary>
    private sealed class HangingStorage
    {
        private volatile TaskCompletionSource? _hanging;

        public HangingStorage(TimeProvider time)
        {
            var tables = new MemoryTables(time, async (operation, _) =>
            {
                if (_hanging is { } hanging && operation == "Tables.Query")
                {
                    await hanging.Task;
                }

                return MemoryFault.None;
            });
            Accounts = new StorageAccounts(new StorageAccount(tables, new MemoryBlobs(time)), new Dictionary<int, StorageAccount>());
        }

        public StorageAccounts Accounts { get; }

        public void Hang() => _hanging = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void GoOn()
        {
            var hanging = _hanging!;
            _hanging = null;
            hanging.SetResult();
        }
    }

    /// <summary>A clock that goes on by every look at what it has measured.</summary>
    private sealed class TickingTime : TimeProvider
    {
        private long _ticks;

        public TimeSpan TakesPerLook { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

        public override long GetTimestamp() => Interlocked.Add(ref _ticks, TakesPerLook.Ticks);
    }
}
