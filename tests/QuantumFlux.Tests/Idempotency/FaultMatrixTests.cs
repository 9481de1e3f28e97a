using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Api;
using QuantumFlux.Cache;
using QuantumFlux.Objects;
using QuantumFlux.Tests.Anchors;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Tests.Vectors;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Idempotency;

/// <summary>Every mutation, every request to storage that it makes, every way for that to go wrong; then the client sends it again with its key.</summary>
public sealed class FaultMatrixTests(ITestOutputHelper output)
{
    private const int RetriesMax = 6;
    private const string Objects = "/api/v3/quantum/objects";

    private static readonly string _large = new('x', 500_000);
    private static readonly string _largeMetadata = $"{{\"text\":\"{new string('x', 20_000)}\"}}";
    private static readonly string _manyFaults = string.Join(',', Enumerable.Range(0, 100).Select(index => $"\"{index}{new string('x', 2_000)}\":0"));
    private static readonly string _measurements = CacheClient.Measurements(1_500_000);

    public static TheoryData<string, Trouble> Cells()
    {
        var cells = new TheoryData<string, Trouble>();
        foreach (var name in _mutations.Keys)
        {
            foreach (var trouble in Enum.GetValues<Trouble>())
            {
                cells.Add(name, trouble);
            }
        }

        return cells;
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task WhicheverRequestToStorageFailsARetryEndsLikeACleanRun(string name, Trouble trouble)
    {
        var mutation = _mutations[name];
        var prepared = new MemoryWorld();
        TestClient caller;
        string subject;
        await using (var app = await prepared.StartAsync())
        {
            caller = await app.KeyAsync("acc_matrix", "live");
            subject = await mutation.PrepareAsync(caller, prepared);
        }

        var clean = await RunAsync(mutation, prepared.Copy(), caller, subject, trouble, 0);
        var struck = 0;
        var isOver = false;
        while (!isOver)
        {
            // Some at once, and those behind the last request for nothing.
            var runs = await Task.WhenAll(Enumerable.Range(struck + 1, Environment.ProcessorCount).Select(
                at => Task.Run(() => RunAsync(mutation, prepared.Copy(), caller, subject, trouble, at))));
            foreach (var run in runs.TakeWhile(run => run.WasStruck))
            {
                struck++;
                Assert.True(clean.State == run.State, $"{name}, {trouble} at {struck}:\n{run.State}\ninstead of\n{clean.State}");
                Assert.True(clean.Status == run.Status, $"{name}, {trouble} at {struck}: {run.Status} instead of {clean.Status}");
            }

            isOver = !runs[^1].WasStruck;
        }

        output.WriteLine($"{struck} requests to storage.");
        Assert.True(struck > 2, "a claim, an effect and what tells that it was made");
    }

    private static async Task<(string State, HttpStatusCode Status, bool WasStruck)> RunAsync(
        Mutation mutation, MemoryWorld world, TestClient caller, string subject, Trouble trouble, int at)
    {
        var app = await world.StartAsync();
        try
        {
            var client = app.ClientWith(caller.Key, caller.Account);

            // Authentication and metering have read what they need: what is struck is what the request itself asks of storage.
            (await client.GetAsync(Objects)).Expect(HttpStatusCode.OK);
            world.Strike(trouble, at);
            var answer = await SendAsync();
            var wasStruck = world.IsStruck;
            world.Heal();
            if (wasStruck && trouble == Trouble.Crash)
            {
                await app.DisposeAsync();
                app = await world.StartAsync();
                client = app.ClientWith(client.Key, client.Account);

                // It was killed: what it would have said, nobody heard.
                answer = await SendAsync();
            }

            for (var retry = 0; IsOpen(answer) && retry < RetriesMax; retry++)
            {
                if (answer.Status == HttpStatusCode.Conflict)
                {
                    Assert.Equal("1", answer.Header("Retry-After"));
                    world.Time.Advance(TimeSpan.FromSeconds(31));
                }

                answer = await SendAsync();
            }

            Assert.False(IsOpen(answer), answer.Text);
            var replay = await SendAsync();
            Assert.Equal("true", replay.Header("Idempotent-Replayed"));
            Assert.Equal(answer.Status, replay.Status);
            Assert.Equal(answer.Text, replay.Text);
            await app.Services.GetRequiredService<ObjectMaintenance>().RunAsync(CancellationToken.None);
            await app.Services.GetRequiredService<CacheMaintenance>().RunAsync(CancellationToken.None);
            if (answer.Json.TryGetProperty("key_id", out _) && answer.Json.TryGetProperty("key", out var key))
            {
                // The key that was handed out is the one that is listed, and it works.
                var listed = (await client.GetAsync("/api/v3/auth/keys")).Json.GetProperty("keys").EnumerateArray()
                    .Single(listed => listed.GetProperty("key_id").GetString() == answer.Json.GetProperty("key_id").GetString());
                Assert.EndsWith(key.GetString()![^4..], listed.GetProperty("key").GetString(), StringComparison.Ordinal);
                (await app.ClientWith(key.GetString()!, client.Account).GetAsync(Objects)).Expect(HttpStatusCode.OK);
            }

            // A batch tells how many it replaced: what a second run would find replaced by the first is not.
            var told = answer.Json.TryGetProperty("replaced", out var replaced) ? $"{replaced} replaced, {answer.Json.GetProperty("errors")}\n" : "";
            return (told + await StateAsync(client, world), answer.Status, wasStruck);

            Task<Answer> SendAsync() => mutation.SendAsync(client, subject, ("Idempotency-Key", "the key"));
        }
        finally
        {
            await app.DisposeAsync();
        }
    }

    private static bool IsOpen(Answer answer) =>
        (int)answer.Status >= 500 || (answer.Status == HttpStatusCode.Conflict && answer.ErrorCode == "IDEMPOTENCY_IN_PROGRESS");

    // What there is, without the ids and moments in which two runs differ.
    private static async Task<string> StateAsync(TestClient client, MemoryWorld world)
    {
        var state = new StringBuilder();

        // A run that was cut off may have planned a clean-up of its own, which finds what it left behind and takes itself off the record.
        foreach (var kind in (await world.RowsAsync("objects", client.Tenant()))
            .Where(row => !row.Key.StartsWith($"t:{CleanUpStore.DueKind}:", StringComparison.Ordinal))
            .CountBy(row => row.Key[..row.Key.IndexOf(':', StringComparison.Ordinal)]))
        {
            state.Append(CultureInfo.InvariantCulture, $"{kind.Key}: {kind.Value} rows\n");
        }

        foreach (var kind in (await world.RowsAsync("cache", client.Tenant()))
            .Where(row => row.Whole("Kind") != (long)CacheDueKind.Check)
            .CountBy(row => $"{row.Key[0]}{row.Whole("Kind")}")
            .OrderBy(kind => kind.Key, StringComparer.Ordinal))
        {
            state.Append(CultureInfo.InvariantCulture, $"{kind.Key}: {kind.Value} rows of the cache\n");
        }

        foreach (var item in (await client.GetAsync($"{CacheClient.Root}?limit=100")).Json.GetProperty("entries").EnumerateArray())
        {
            var key = item.GetProperty("key").GetString()!;
            state.Append(CultureInfo.InvariantCulture, $"{key}: {(await client.CachedAsync(key)).Value()}\n");
        }

        foreach (var anchor in (await client.GetAsync($"{AnchorRequests.Path}?limit=100")).Json.GetProperty("anchors").EnumerateArray())
        {
            state.Append(CultureInfo.InvariantCulture, $"anchored: {anchor.GetProperty("dataset_id")} {anchor.GetProperty("status")}\n");
        }

        foreach (var item in (await client.GetAsync(Objects)).Json.GetProperty("objects").EnumerateArray())
        {
            var id = item.GetProperty("object_id").GetString();
            var versions = (await client.GetAsync($"{Objects}/{id}/versions")).Json.GetProperty("versions").EnumerateArray();
            state.Append(CultureInfo.InvariantCulture, $"{id}: {string.Join(' ', versions.Select(version => version.GetProperty("sha256").GetString()))}\n");
        }

        // In the order in which they were last written.
        var vectors = (await client.GetAsync($"{VectorClient.Root}?size=100")).Expect(HttpStatusCode.OK).Json;
        state.Append(CultureInfo.InvariantCulture, $"{vectors.GetProperty("pagination").GetProperty("total")} vectors\n");
        foreach (var vector in vectors.GetProperty("results").EnumerateArray())
        {
            var metadata = vector.GetProperty("metadata").GetRawText();
            state.Append(
                CultureInfo.InvariantCulture,
                $"{vector.GetProperty("id")}: {vector.GetProperty("vector")} {vector.GetProperty("contexts")} {metadata[..Math.Min(metadata.Length, 20)]}\n");
        }

        // The order of pairs and keys is that of their ids, all of one moment.
        var pairs = (await client.GetAsync("/api/v3/quantum/entangle?per_page=100")).Json.GetProperty("entanglements").EnumerateArray()
            .Select(pair => $"{pair.GetProperty("source_id")} {pair.GetProperty("target_id")} {pair.GetProperty("status")} {pair.GetProperty("sync_count")}");
        var keys = (await client.GetAsync("/api/v3/auth/keys")).Json.GetProperty("keys").EnumerateArray()
            .Select(key => $"{key.GetProperty("name")}{(key.GetProperty("rotated_to").ValueKind == JsonValueKind.Null ? "" : " is rotated and")} {(key.GetProperty("revoked_at").ValueKind == JsonValueKind.Null ? "lives" : "is revoked")}");
        return state.AppendJoin('\n', pairs.Concat(keys).Order(StringComparer.Ordinal)).ToString();
    }

    private static async Task<string> VectorsAsync(TestClient client, MemoryWorld world)
    {
        (await client.BatchAsync([Vector("a", "[1,2]"), Vector("b", "[3,4]"), Vector("c", "[5,6]")])).Expect(HttpStatusCode.Created);
        return "a";
    }

    private static string Vector(string id, string values, string metadata = "{}") => $$"""{"id":"{{id}}","vector":{{values}},"metadata":{{metadata}}}""";

    private static async Task<string> UploadedAsync(TestClient client, MemoryWorld world, string content)
    {
        var upload = (await client.PostAsync($"{Objects}/a/uploads", new { })).Expect(HttpStatusCode.Created).Json;
        using var storage = new HttpClient(world.Blobs.Uploads);
        using var block = new StringContent(content);
        using var staged = await storage.PutAsync(new Uri($"{upload.GetProperty("upload_url").GetString()}&comp=block&blockid=MDAwMQ=="), block);
        Assert.Equal(HttpStatusCode.Created, staged.StatusCode);
        return upload.GetProperty("upload_id").GetString()!;
    }

    /// <summary>A request that changes something.</summary>
    /// <param name="PrepareAsync">Makes what it is about, and gives its id.</param>
    /// <param name="SendAsync">Sends it, about that id.</param>
    private sealed record Mutation(
        Func<TestClient, MemoryWorld, Task<string>> PrepareAsync,
        Func<TestClient, string, (string, string), Task<Answer>> SendAsync);

    private static readonly Dictionary<string, Mutation> _mutations = new()
    {
        ["an object is created"] = new(
            (_, _) => Task.FromResult("a"),
            (client, id, key) => client.PutObjectAsync(id, "content", key)),
        ["an object is written"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("a", "old");
                return "a";
            },
            (client, id, key) => client.PutObjectAsync(id, "content", key)),
        ["a large object is written"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("a", "old");
                return "a";
            },
            (client, id, key) => client.PutObjectAsync(id, _large, key)),
        ["an object with a partner is written"] = new(
            async (client, _) =>
            {
                await client.EntangledAsync("a", "b");
                return "b";
            },
            (client, id, key) => client.PutObjectAsync(id, "content", key)),
        ["an object with more partners than a transaction holds is written"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("hub", "old");
                for (var partner = 0; partner < 36; partner++)
                {
                    await client.PutObjectAsync($"p{partner}", "old");
                    (await client.EntangleAsync("hub", $"p{partner}")).Expect(HttpStatusCode.OK);
                }

                return "hub";
            },
            (client, id, key) => client.PutObjectAsync(id, "content", key)),
        ["an object with more versions than a transaction holds is deleted"] = new(
            async (client, _) =>
            {
                for (var version = 0; version < 120; version++)
                {
                    await client.PutObjectAsync("a", "content");
                }

                return "a";
            },
            (client, id, key) => client.DeleteAsync($"{Objects}/{id}", key)),
        ["an object is deleted"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("a", "old");
                await client.PutObjectAsync("a", "new");
                return "a";
            },
            (client, id, key) => client.DeleteAsync($"{Objects}/{id}", key)),
        ["a delete is refused"] = new(
            async (client, _) =>
            {
                await client.EntangledAsync("a", "b");
                return "a";
            },
            (client, id, key) => client.DeleteAsync($"{Objects}/{id}", key)),
        ["an upload is begun"] = new(
            (_, _) => Task.FromResult("a"),
            (client, id, key) => client.PostAsync($"{Objects}/{id}/uploads", new { }, key)),
        ["an upload is committed"] = new(
            (client, world) => UploadedAsync(client, world, "uploaded"),
            (client, id, key) => client.PostAsync($"{Objects}/a/uploads/{id}/commit", new { content_type = "text/plain" }, key)),
        ["a large upload is committed"] = new(
            (client, world) => UploadedAsync(client, world, _large),
            (client, id, key) => client.PostAsync($"{Objects}/a/uploads/{id}/commit", new { content_type = "text/plain" }, key)),
        ["two objects are entangled"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("a", "1");
                await client.PutObjectAsync("b", "2");
                return "";
            },
            (client, _, key) => client.PostAsync(
                "/api/v3/quantum/entangle", new { source_id = "a", target_id = "b", entanglement_strength = 0.9 }, key)),
        ["two objects are entangled too weakly"] = new(
            async (client, _) =>
            {
                await client.PutObjectAsync("a", "1");
                await client.PutObjectAsync("b", "2");
                return "";
            },
            (client, _, key) => client.PostAsync(
                "/api/v3/quantum/entangle",
                new { source_id = "a", target_id = "b", entanglement_strength = 0.1, options = new { quantum_verify = false } },
                key)),
        ["an entanglement is dissolved with a backup"] = new(
            (client, _) => client.EntangledAsync("a", "b"),
            (client, id, key) => client.DeleteAsync($"/api/v3/quantum/entangle/{id}?backup=true", key)),
        ["an API key is made"] = new(
            (_, _) => Task.FromResult(""),
            (client, _, key) => client.PostAsync("/api/v3/auth/keys", new { name = "made" }, key)),
        ["an API key is rotated"] = new(
            async (client, _) =>
                (await client.PostAsync("/api/v3/auth/keys", new { name = "old" })).Expect(HttpStatusCode.Created).Json.GetProperty("key_id").GetString()!,
            (client, id, key) => client.SendAsync(HttpMethod.Post, $"/api/v3/auth/keys/{id}/rotate", null, key)),
        ["an anchor is made"] = new(
            async (client, world) =>
            {
                await client.PutObjectAsync("a", "pinned");
                return Json.Format(world.Time.GetUtcNow());
            },
            (client, moment, key) => client.PostAsync(
                AnchorRequests.Path, new { dataset_id = "a", anchor_time = moment, anchor_type = "fixed", duration_seconds = 86_400 }, key)),
        ["an anchor is removed"] = new(
            async (client, world) =>
            {
                await client.PutObjectAsync("a", "pinned");
                return await client.AnchoredAsync("a", world.Time.GetUtcNow(), duration: 86_400);
            },
            (client, id, key) => client.DeleteAsync($"{AnchorRequests.Path}/{id}", key)),
        ["an anchor that has expired is removed"] = new(
            async (client, world) =>
            {
                await client.PutObjectAsync("a", "pinned");
                var id = await client.AnchoredAsync("a", world.Time.GetUtcNow(), duration: 60);
                world.Time.Advance(TimeSpan.FromSeconds(61));
                return id;
            },
            (client, id, key) => client.DeleteAsync($"{AnchorRequests.Path}/{id}", key)),
        ["a value is cached"] = new(
            (_, _) => Task.FromResult("k"),
            (client, id, key) => client.CacheAsync(id, "[1]", headers: key)),
        ["a value is cached unless there is one"] = new(
            (_, _) => Task.FromResult("k"),
            (client, id, key) => client.CacheAsync(id, "[1]", ttlSeconds: 3600, headers: [key, ("If-None-Match", "*")])),
        ["a cached value is replaced where it is as expected"] = new(
            async (client, _) => (await client.CacheAsync("k", "[1]")).Header("ETag")!,
            (client, etag, key) => client.CacheAsync("k", "[2]", headers: [key, ("If-Match", etag)])),
        ["a cached value is not replaced where it is not as expected"] = new(
            async (client, _) => (await client.CacheAsync("k", "[1]")).Header("ETag")!,
            (client, etag, key) => client.CacheAsync("k", "[2]", headers: [key, ("If-None-Match", etag)])),
        ["a large value is cached"] = new(
            (_, _) => Task.FromResult("k"),
            (client, id, key) => client.CacheAsync(id, _measurements, headers: [key, ("If-None-Match", "*")])),
        ["a cached value is deleted"] = new(
            async (client, _) => (await client.CacheAsync("k", "[1]")).Header("ETag")!,
            (client, etag, key) => client.UncacheAsync("k", key, ("If-Match", etag))),
        ["a cached value is deleted by its signature"] = new(
            async (client, _) => (await client.CacheAsync("k", "[1]")).Json.GetProperty("quantum_signature").GetString()!,
            (client, signature, key) => client.UncacheAsync("k", key, ("X-Quantum-Signature", signature))),
        ["a batch of cached values is written and deleted"] = new(
            async (client, _) =>
            {
                await client.CacheAsync("old", "[1]");
                return "";
            },
            (client, _, key) => client.PostAsync(
                $"{CacheClient.Root}/batch",
                new
                {
                    operations = new object[]
                    {
                        new { operation = "put", key = "k", value = 1 },
                        new { operation = "put", key = "k", value = 2 },
                        new { operation = "delete", key = "old" },
                        new { operation = "put", key = "other", value = 3 },
                        new { operation = "delete", key = "other" },
                    },
                },
                key)),
        ["a vector is inserted"] = new(
            (_, _) => Task.FromResult("v"),
            (client, id, key) => client.WriteAsync(id, "[1,2]", "\"metadata\":{\"n\":1}", key)),
        ["a vector is replaced"] = new(
            VectorsAsync,
            (client, id, key) => client.WriteAsync(id, "[7,8]", "\"contexts\":[{\"name\":\"x\",\"weight\":1}]", key)),
        ["a vector is refused"] = new(
            VectorsAsync,
            (client, id, key) => client.WriteAsync(id, "[7,8,9]", "", key)),
        ["a vector is changed"] = new(
            VectorsAsync,
            (client, id, key) => client.ChangeAsync(id, """{"vector":[7,8]}""", key)),
        ["a vector is deleted"] = new(
            VectorsAsync,
            (client, id, key) => client.RemoveAsync(id, key)),
        ["a vector that is not there is deleted"] = new(
            VectorsAsync,
            (client, _, key) => client.RemoveAsync("missing", key)),
        ["vectors are written in one transaction"] = new(
            VectorsAsync,
            (client, id, key) => client.BatchAsync([Vector(id, "[7,8]"), Vector("new", "[9,0]"), Vector(id, "[7,9]")], isTransaction: true, key)),
        ["a transaction is refused for one of its vectors"] = new(
            VectorsAsync,
            (client, id, key) => client.BatchAsync([Vector(id, "[7,8]"), Vector("new", "[9,0,0]")], isTransaction: true, key)),
        ["vectors are written without a transaction"] = new(
            VectorsAsync,
            (client, id, key) => client.BatchAsync([Vector(id, "[7,8]"), Vector("misfit", "[9,0,0]"), Vector("new", "[9,0]"), "{}"], isTransaction: false, key)),
        ["more vectors than an append holds are written without a transaction"] = new(
            VectorsAsync,
            (client, id, key) => client.BatchAsync(
                [
                    Vector(id, "[7,8]"),
                    .. Enumerable.Range(0, 180).Select(index => Vector($"large {index}", "[9,0]", _largeMetadata)),
                    Vector("misfit", "[9,0,0]"),
                    Vector("b", "[7,8]"),
                ],
                isTransaction: false,
                key)),
        ["vectors are written and the answer is too long to go along"] = new(
            VectorsAsync,
            (client, id, key) => client.BatchAsync([Vector(id, "[7,8]"), $"{{{_manyFaults}}}"], isTransaction: false, key)),
        ["an API key is revoked"] = new(
            async (client, _) =>
                (await client.PostAsync("/api/v3/auth/keys", new { name = "other" })).Expect(HttpStatusCode.Created).Json.GetProperty("key_id").GetString()!,
            (client, id, key) => client.PostAsync("/api/v3/auth/revoke", new { key_id = id }, key)),
    };
}
