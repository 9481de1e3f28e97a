using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Entanglements;

public sealed partial class EntanglementTests
{
    private const string Path = "/api/v3/quantum/entangle";

    [Theory]
    [InlineData("/api/v3")]
    [InlineData("/v3")]
    public async Task TheSpecificationsCreateRequestGetsItsDocumentedAnswer(string root)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("src_4a7b9c3d2e1f5g8h4j6k7m9n0p2q3r5s", "a");
        await client.PutObjectAsync("tgt_8d2f6a4c9e1b7g3h5j2k8m4n9p1q6r3s", "b");

        var answer = await client.PostAsync(
            root + "/quantum/entangle",
            new
            {
                source_id = "src_4a7b9c3d2e1f5g8h4j6k7m9n0p2q3r5s",
                target_id = "tgt_8d2f6a4c9e1b7g3h5j2k8m4n9p1q6r3s",
                entanglement_strength = 0.9847,
                dimensional_pathway = new[] { 1, 3, 7 },
                persistence = "eternal",
                options = new { bidirectional = true, quantum_verify = true, crystal_cache = true },
            },
            ("X-Dimensional-Routing", "enabled"));

        var created = answer.Expect(HttpStatusCode.OK).Json;
        Assert.Equal(
            ["entanglement_id", "status", "strength", "created_at", "latency_ns", "dimensional_route", "quantum_signature", "estimated_stability", "expires_at"],
            created.EnumerateObject().Select(member => member.Name));
        Assert.Matches("^ent_[0-9a-f]{32}$", created.GetProperty("entanglement_id").GetString());
        Assert.Equal("active", created.GetProperty("status").GetString());
        Assert.Equal(0.9847, created.GetProperty("strength").GetDouble());
        Assert.Matches(Moment(), created.GetProperty("created_at").GetString());
        Assert.True(created.GetProperty("latency_ns").GetInt64() > 0);
        Assert.Equal([1, 3, 7], created.GetProperty("dimensional_route").EnumerateArray().Select(item => item.GetInt32()));
        Assert.Matches("^qs_[0-9a-f]{32}$", created.GetProperty("quantum_signature").GetString());
        Assert.Equal("100.000%", created.GetProperty("estimated_stability").GetString());
        Assert.Equal(JsonValueKind.Null, created.GetProperty("expires_at").ValueKind);
        Assert.Equal($"{Path}/{created.GetProperty("entanglement_id")}", answer.Header("Location"));
    }

    [Fact]
    public async Task TheTargetTakesOverTheSourcesContent()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        await client.EntangledAsync("a", "b");

        Assert.Equal("content of a", (await client.GetObjectAsync("b")).Text);
    }

    [Fact]
    public async Task AWriteToEitherObjectIsAWriteToBoth()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.EntangledAsync("a", "b");

        var toSource = await client.PutObjectAsync("a", "first");
        var fromTarget = (await client.GetObjectAsync("b")).Text;
        var toTarget = await client.PutObjectAsync("b", "second");
        var fromSource = (await client.GetObjectAsync("a")).Text;

        Assert.Equal(("first", "second"), (fromTarget, fromSource));
        Assert.Equal("b", Assert.Single(toSource.Json.GetProperty("synced_to").EnumerateArray()).GetString());
        Assert.Equal("a", Assert.Single(toTarget.Json.GetProperty("synced_to").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task ChainsAndCyclesPropagateOnce()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.EntangledAsync("a", "b");
        await client.EntangledAsync("b", "c");
        (await client.EntangleAsync("c", "a")).Expect(HttpStatusCode.OK);
        var before = await VersionsAsync(client, "c");

        var written = await client.PutObjectAsync("a", "around");

        Assert.Equal(["b", "c"], written.Json.GetProperty("synced_to").EnumerateArray().Select(item => item.GetString()!).Order());
        Assert.Equal("around", (await client.GetObjectAsync("c")).Text);
        Assert.Equal(before + 1, await VersionsAsync(client, "c"));
    }

    [Fact]
    public async Task AOneWayPairCarriesWritesFromItsSourceAlone()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b", new { bidirectional = false });

        (await client.PutObjectAsync("a", "onward")).Expect(HttpStatusCode.OK);
        var refused = await client.PutObjectAsync("b", "back");

        Assert.Equal("onward", (await client.GetObjectAsync("b")).Text);
        refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        Assert.Equal(id, refused.Details.GetProperty("entanglement_id").GetString());
    }

    [Fact]
    public async Task AWriteThatReachesAOneWayTargetThroughAnotherPairIsRefused()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var oneWay = await client.EntangledAsync("a", "b", new { bidirectional = false });
        await client.PutObjectAsync("c", "other");
        (await client.EntangleAsync("b", "c")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        (await client.EntangleAsync("c", "b")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");

        (await client.DeleteAsync($"{Path}/{oneWay}")).Expect(HttpStatusCode.OK);

        (await client.EntangleAsync("c", "b")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task OneWayPairsInOppositeDirectionsAreTwo()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.EntangledAsync("a", "b", new { bidirectional = false });

        (await client.EntangleAsync("b", "a", new { bidirectional = false })).Expect(HttpStatusCode.OK);
        (await client.EntangleAsync("b", "a", new { bidirectional = false })).ExpectError(HttpStatusCode.Conflict, "ALREADY_ENTANGLED");
        (await client.PutObjectAsync("a", "x")).ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
    }

    [Fact]
    public async Task AnObjectHasALimitOfEntanglements()
    {
        await using var app = await TestApp.StartAsync(new ManualTime(), World(), TestApp.Unlimited);
        var client = await app.TenantAsync("test");
        for (var i = 0; i < 847; i++)
        {
            (await client.EntangleAsync("hub", $"s{i}", new { quantum_verify = false }, strength: 0.1)).Expect(HttpStatusCode.OK);
        }

        var refused = await client.EntangleAsync("more", "hub", new { quantum_verify = false }, strength: 0.1);

        Assert.Equal(847, refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT").Details.GetProperty("limit").GetInt32());

        static StorageAccounts World() => new(
            new StorageAccount(new MemoryTables(TimeProvider.System), new MemoryBlobs(TimeProvider.System)), new Dictionary<int, StorageAccount>());
    }

    [Fact]
    public async Task ATwoWayPairIsUnordered()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");

        var again = await client.EntangleAsync("b", "a");

        again.ExpectError(HttpStatusCode.Conflict, "ALREADY_ENTANGLED");
        Assert.Equal(id, again.Details.GetProperty("entanglement_id").GetString());
    }

    [Fact]
    public async Task OfThirtyTwoSimultaneousCreatesOneWins()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");

        var answers = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? client.EntangleAsync("a", "b") : client.EntangleAsync("b", "a")));

        Assert.Single(answers, answer => answer.Status == HttpStatusCode.OK);
        Assert.All(
            answers.Where(answer => answer.Status != HttpStatusCode.OK),
            answer => answer.ExpectError(HttpStatusCode.Conflict, "ALREADY_ENTANGLED"));
    }

    [Fact]
    public async Task EveryFaultOfARequestIsNamedAtOnce()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.PostAsync(Path, new
        {
            source_id = "../etc",
            entanglement_strength = 1.0001,
            dimensional_pathway = new[] { 1, 1 },
            persistence = "forever",
            options = new { bidirectional = "yes", backup = true },
            color = "blue",
        });

        answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        Assert.Equal(
            ["color", "dimensional_pathway", "entanglement_strength", "options.backup", "options.bidirectional", "persistence", "source_id", "target_id"],
            answer.Details.EnumerateObject().Select(member => member.Name).Order());
    }

    [Theory]
    [InlineData("""{"source_id":"a","target_id":"a","entanglement_strength":1}""", "target_id")]
    [InlineData("""{"source_id":"a","target_id":"b","entanglement_strength":"1"}""", "entanglement_strength")]
    [InlineData("""{"source_id":"a","target_id":"b","entanglement_strength":1,"dimensional_pathway":[]}""", "dimensional_pathway")]
    [InlineData("""{"source_id":"a","target_id":"b","entanglement_strength":1,"dimensional_pathway":[8]}""", "dimensional_pathway")]
    [InlineData("""{"source_id":"a","target_id":"b","entanglement_strength":1,"dimensional_pathway":[1.5]}""", "dimensional_pathway")]
    [InlineData("""{"source_id":"a","target_id":"b","entanglement_strength":1,"options":[]}""", "options")]
    [InlineData("""{"source_id":"\ud800","target_id":"b","entanglement_strength":1}""", "source_id")]
    [InlineData("""[1]""", "body")]
    [InlineData("""{"source_id":""", "body")]
    [InlineData("""{"source_id":"a","source_id":"b"}""", "body")]
    [InlineData("", "body")]
    public async Task ABadBodyNamesWhatIsWrong(string body, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.SendAsync(HttpMethod.Post, Path, new StringContent(body, System.Text.Encoding.UTF8, "application/json"));

        answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        Assert.True(answer.Details.TryGetProperty(parameter, out _), answer.Text);
    }

    [Fact]
    public async Task AnUnknownObjectIsNotFoundInProduction()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "1");

        var noTarget = await client.EntangleAsync("a", "nowhere");
        var noSource = await client.EntangleAsync("nowhere", "a");

        Assert.True(noTarget.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("target_id", out _));
        Assert.True(noSource.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND").Details.TryGetProperty("source_id", out _));
    }

    [Fact]
    public async Task TheSandboxCreatesTheObjectsOfAPairEmpty()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test");

        (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK);

        Assert.Empty((await client.GetObjectAsync("a")).Expect(HttpStatusCode.OK).Bytes);
        Assert.Empty((await client.GetObjectAsync("b")).Expect(HttpStatusCode.OK).Bytes);
        (await client.GetObjectAsync("c")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task ATooWeakPairIsRefusedWithBothCoherences()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test");

        var answer = await client.EntangleAsync("a", "b", strength: 0.42);

        answer.ExpectError(HttpStatusCode.ServiceUnavailable, "QUANTUM_COHERENCE_LOST");
        Assert.Equal("Quantum coherence dropped below minimum threshold of 0.47", answer.Json.GetProperty("error").GetProperty("message").GetString());
        Assert.Equal(0.42, answer.Details.GetProperty("current_coherence").GetDouble());
        Assert.Equal(0.47, answer.Details.GetProperty("minimum_required").GetDouble());
        Assert.Equal([1, 3, 7], answer.Details.GetProperty("dimensional_route").EnumerateArray().Select(item => item.GetInt32()));
        Assert.NotNull(answer.Header("Retry-After"));
    }

    [Fact]
    public async Task AnUnverifiedWeakPairStaysPendingAndCarriesNothing()
    {
        // The clock stands still, and with it the timer that would collapse it.
        await using var app = await TestApp.StartAsync(new ManualTime());
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");

        var created = await client.EntangleAsync("a", "b", new { quantum_verify = false }, strength: 0.1);
        await client.PutObjectAsync("a", "3");

        var id = created.Expect(HttpStatusCode.OK).Json.GetProperty("entanglement_id").GetString();
        Assert.Equal("pending", created.Json.GetProperty("status").GetString());
        Assert.Equal("2", (await client.GetObjectAsync("b")).Text);
        var details = (await client.GetAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK).Json;
        Assert.Equal("pending", details.GetProperty("status").GetString());
        Assert.Equal(1, details.GetProperty("source").GetProperty("size_bytes").GetInt64());
        Assert.Equal(0.1, details.GetProperty("dimensional_metrics").GetProperty("quantum_coherence").GetDouble());
    }

    [Fact]
    public async Task TheFreeTierMayUseOnlyTheDefaultPathway()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync("test", "free");

        (await client.EntangleAsync("a", "b", pathway: [1, 2])).ExpectError(HttpStatusCode.Forbidden, "DIMENSIONAL_ROUTING_DENIED");
        (await client.EntangleAsync("a", "b", pathway: [1, 3, 7])).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task DetailsTellWhatTheServiceKnows()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");
        await client.PutObjectAsync("a", "12345");

        var details = (await client.GetAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK).Json;

        foreach (var side in new[] { ("source", "a"), ("target", "b") })
        {
            var entangled = details.GetProperty(side.Item1);
            Assert.Equal(side.Item2, entangled.GetProperty("object_id").GetString());
            Assert.Equal("quantum_dataset", entangled.GetProperty("type").GetString());
            Assert.Equal(5, entangled.GetProperty("size_bytes").GetInt64());
            Assert.Matches(Moment(), entangled.GetProperty("last_modified").GetString());
        }

        var statistics = details.GetProperty("statistics");
        Assert.Equal(2, statistics.GetProperty("sync_count").GetInt64());
        Assert.Equal("content of a".Length + 5, statistics.GetProperty("data_transferred_bytes").GetInt64());
        Assert.True(statistics.GetProperty("average_latency_ns").GetDouble() > 0);
        Assert.Equal(0, statistics.GetProperty("error_rate").GetDouble());
        Assert.Equal(100, statistics.GetProperty("uptime_percentage").GetDouble());
        Assert.Equal(0.9847, details.GetProperty("dimensional_metrics").GetProperty("quantum_coherence").GetDouble());
        Assert.Equal(1, details.GetProperty("dimensional_metrics").GetProperty("stability_index").GetDouble());
        Assert.Equal(
            details.GetProperty("last_sync").GetString(), details.GetProperty("source").GetProperty("last_modified").GetString());
    }

    [Fact]
    public async Task AListIsFilteredSortedAndPaged()
    {
        // The clock moves too little for the timer that would collapse the weak one.
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync("test");
        double[] strengths = [0.5, 0.9, 0.7, 0.6, 0.8];
        foreach (var (strength, index) in strengths.Select((strength, index) => (strength, index)))
        {
            (await client.EntangleAsync($"a{index}", $"b{index}", strength: strength)).Expect(HttpStatusCode.OK);
            time.Advance(TimeSpan.FromMilliseconds(1));
        }

        (await client.EntangleAsync("weak", "weaker", new { quantum_verify = false }, strength: 0.2)).Expect(HttpStatusCode.OK);

        Assert.Equal(["weak", "a4", "a3", "a2", "a1", "a0"], await SourcesAsync(client, ""));
        Assert.Equal(["a0", "a1", "a2", "a3", "a4", "weak"], await SourcesAsync(client, "?sort=created_at"));
        Assert.Equal(["weak", "a0", "a3", "a2", "a4", "a1"], await SourcesAsync(client, "?sort=strength"));
        Assert.Equal(["a1", "a4", "a2"], await SourcesAsync(client, "?sort=-strength&per_page=3"));
        Assert.Equal(["a3", "a0", "weak"], await SourcesAsync(client, "?sort=-strength&per_page=3&page=2"));
        Assert.Empty(await SourcesAsync(client, "?page=3&per_page=3"));
        Assert.Equal(["a4", "a1"], await SourcesAsync(client, "?status=active&min_strength=0.75"));
        Assert.Equal(["weak"], await SourcesAsync(client, "?status=pending"));
        Assert.Empty(await SourcesAsync(client, "?status=collapsed"));
        var pagination = (await client.GetAsync($"{Path}?status=active&per_page=2&page=2")).Json.GetProperty("pagination");
        Assert.Equal("""{"page":2,"per_page":2,"total_pages":3,"total_count":5}""", pagination.GetRawText());
    }

    [Fact]
    public async Task AnEntryOfAListHasTheDocumentedFields()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.EntangledAsync("a", "b");

        var list = (await client.GetAsync($"{Path}?status=active&min_strength=0.95&per_page=47")).Expect(HttpStatusCode.OK).Json;

        Assert.Equal(
            ["entanglement_id", "source_id", "target_id", "status", "strength", "created_at", "last_sync", "sync_count"],
            list.GetProperty("entanglements")[0].EnumerateObject().Select(member => member.Name));
        Assert.Equal("""{"page":1,"per_page":47,"total_pages":1,"total_count":1}""", list.GetProperty("pagination").GetRawText());
    }

    [Theory]
    [InlineData("status=dissolved", "status")]
    [InlineData("min_strength=1.1", "min_strength")]
    [InlineData("min_strength=NaN", "min_strength")]
    [InlineData("page=0", "page")]
    [InlineData("page=1.0", "page")]
    [InlineData("per_page=101", "per_page")]
    [InlineData("sort=name", "sort")]
    [InlineData("sort=strength&sort=created_at", "sort")]
    [InlineData("colour=blue", "colour")]
    public async Task ABadQueryNamesItsParameter(string query, string parameter)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.GetAsync($"{Path}?{query}");

        Assert.Equal(parameter, Assert.Single(answer.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.EnumerateObject()).Name);
    }

    [Fact]
    public async Task ADissolvedPairLetsItsObjectsGo()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");
        await client.PutObjectAsync("a", "together");

        var dissolved = (await client.DeleteAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK).Json;
        await client.PutObjectAsync("a", "apart");

        Assert.Equal(
            ["entanglement_id", "status", "dissolved_at", "final_sync_count", "backup_id"],
            dissolved.EnumerateObject().Select(member => member.Name));
        Assert.Equal("dissolved", dissolved.GetProperty("status").GetString());
        Assert.Equal(2, dissolved.GetProperty("final_sync_count").GetInt64());
        Assert.Equal(JsonValueKind.Null, dissolved.GetProperty("backup_id").ValueKind);
        Assert.Equal("together", (await client.GetObjectAsync("b")).Text);
        Assert.Empty(await SourcesAsync(client, ""));
        Assert.Equal("dissolved", (await client.GetAsync($"{Path}/{id}")).Json.GetProperty("status").GetString());
        (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task DissolvingTwiceGivesTheSameAnswer()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");

        var first = await client.DeleteAsync($"{Path}/{id}?backup=true");
        var second = await client.DeleteAsync($"{Path}/{id}");

        Assert.Equal(first.Expect(HttpStatusCode.OK).Text, second.Expect(HttpStatusCode.OK).Text);
    }

    [Fact]
    public async Task ABackupCanBeReadBackAfterItsObjectsAreGone()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");
        await client.PutObjectAsync("a", "precious");

        var backup = (await client.DeleteAsync($"{Path}/{id}?graceful=true&backup=true")).Json.GetProperty("backup_id").GetString();
        (await client.DeleteAsync("/api/v3/quantum/objects/a")).Expect(HttpStatusCode.OK);

        Assert.Matches("^bak_[0-9a-f]{32}$", backup);
        var list = (await client.GetAsync($"/api/v3/quantum/backups/{backup}")).Expect(HttpStatusCode.OK).Json;
        Assert.Equal(["a", "b"], list.GetProperty("objects").EnumerateArray().Select(item => item.GetProperty("object_id").GetString()));
        Assert.Equal("precious", (await client.GetAsync($"/api/v3/quantum/backups/{backup}/a")).Text);
        Assert.Equal("cious", (await client.GetAsync($"/api/v3/quantum/backups/{backup}/b", ("Range", "bytes=3-"))).Text);
        (await client.GetAsync($"/api/v3/quantum/backups/{backup}/c")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AnEntangledObjectCannotBeDeleted()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");

        var refused = await client.DeleteAsync("/api/v3/quantum/objects/b");

        refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        Assert.Equal(id, refused.Details.GetProperty("entanglement_ids")[0].GetString());
    }

    [Fact]
    public async Task ATemporalPairEndsAfterADay()
    {
        var time = new ManualTime();
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var created = (await client.EntangleAsync("a", "b", persistence: "temporal")).Expect(HttpStatusCode.OK).Json;
        var id = created.GetProperty("entanglement_id").GetString();

        time.Advance(TimeSpan.FromHours(24) - TimeSpan.FromMilliseconds(1));
        await client.PutObjectAsync("a", "held");
        var held = (await client.GetObjectAsync("b")).Text;
        time.Advance(TimeSpan.FromMilliseconds(1));
        await client.PutObjectAsync("a", "free");

        Assert.Equal("2026-03-02T12:00:00.000Z", created.GetProperty("expires_at").GetString());
        Assert.Equal("held", held);
        Assert.Equal("held", (await client.GetObjectAsync("b")).Text);
        Assert.Equal("collapsed", (await client.GetAsync($"{Path}/{id}")).Json.GetProperty("status").GetString());
        Assert.Equal(["a"], await SourcesAsync(client, "?status=collapsed"));
        (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task ASignatureIsCheckedWhereOneIsSent()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("b", "2");
        var created = (await client.EntangleAsync("a", "b")).Json;
        var path = $"{Path}/{created.GetProperty("entanglement_id").GetString()}";
        var signature = created.GetProperty("quantum_signature").GetString()!;

        (await client.GetAsync(path, ("X-Quantum-Signature", signature))).Expect(HttpStatusCode.OK);
        (await client.GetAsync(path, ("X-Quantum-Signature", "qs_4d7a9c2e5f8b1a4d7a0c3f6d9e2b5a8c"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.DeleteAsync(path, ("X-Quantum-Signature", "qs_"))).ExpectError(HttpStatusCode.BadRequest, "INVALID_QUANTUM_SIGNATURE");
        (await client.DeleteAsync(path, ("X-Quantum-Signature", signature))).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task AnotherTenantsEntanglementAnswersLikeOneThatNeverWas()
    {
        var app = await TestApp.SharedAsync;
        var owner = await app.TenantAsync();
        var stranger = await app.TenantAsync();
        var id = await owner.EntangledAsync("a", "b");

        var foreign = await stranger.GetAsync($"{Path}/{id}");
        var unknown = await stranger.GetAsync($"{Path}/ent_00000000000000000000000000000000");

        foreign.ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        Assert.Equal(Anonymous(unknown), Anonymous(foreign));
        (await stranger.DeleteAsync($"{Path}/{id}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Theory]
    [InlineData("PUT", Path, "GET, POST")]
    [InlineData("PATCH", Path, "GET, POST")]
    [InlineData("POST", Path + "/ent_00000000000000000000000000000000", "GET, DELETE")]
    [InlineData("POST", "/v3/quantum/objects", "GET")]
    [InlineData("DELETE", "/api/v3/auth/revoke", "POST")]
    public async Task AWrongVerbLearnsTheRightOnes(string method, string path, string allow)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = await client.SendAsync(new HttpMethod(method), path);

        answer.ExpectError(HttpStatusCode.MethodNotAllowed, "METHOD_NOT_ALLOWED");
        Assert.Equal(allow, answer.Header("Allow"));
    }

    private static async Task<IEnumerable<string?>> SourcesAsync(TestClient client, string query) =>
        (await client.GetAsync(Path + query)).Expect(HttpStatusCode.OK).Json.GetProperty("entanglements")
            .EnumerateArray()
            .Select(entry => entry.GetProperty("source_id").GetString());

    private static async Task<int> VersionsAsync(TestClient client, string id) =>
        (await client.GetAsync($"/api/v3/quantum/objects/{id}/versions?limit=100")).Json.GetProperty("versions").GetArrayLength();

    private static string Anonymous(Answer answer) => Changing().Replace(answer.Text, "…");

    [GeneratedRegex("""(?<="(timestamp|request_id)":")[^"]*""")]
    private static partial Regex Changing();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    private static partial Regex Moment();
}
