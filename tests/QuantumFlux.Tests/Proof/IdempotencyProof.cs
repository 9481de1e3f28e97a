using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

/// <summary>Requests with an <c>Idempotency-Key</c> on two hosts at once, and when hosts are killed.</summary>
[Collection(HeavyTests.Name)]
public sealed class IdempotencyProof(ITestOutputHelper output)
{
    private const int Sends = 1000;
    private const int Kills = 12;
    private const int Writers = 12;

    [Fact]
    public async Task OfAThousandSendsThroughTwoHostsOneHasAnEffectAndAllGetItsAnswer()
    {
        await using var data = new HostData();
        await using var first = await data.StartAsync();
        await using var second = await data.StartAsync();
        var account = $"acc_{Guid.NewGuid():N}";
        var owner = await first.Admin.NewKeyAsync(account);
        await owner.PutObjectAsync("a", "1");
        await owner.PutObjectAsync("b", "2");

        // A key each for some, so that no limit on requests is in the way: they are one tenant's all the same.
        var clients = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => first.Admin.NewKeyAsync(account)));
        var keysBefore = (await KeysAsync(owner)).Count;

        await SendAllAsync("/api/v3/auth/keys", new { name = "made once" }, HttpStatusCode.Created);
        await SendAllAsync(
            "/api/v3/quantum/entangle", new { source_id = "a", target_id = "b", entanglement_strength = 0.9 }, HttpStatusCode.OK);

        var keys = await KeysAsync(owner);
        Assert.Equal(keysBefore + 1, keys.Count);
        Assert.Single(keys, "made once");
        Assert.Equal(1, (await owner.GetAsync("/api/v3/quantum/entangle")).Json.GetProperty("pagination").GetProperty("total_count").GetInt32());
        Assert.Equal(2, (await owner.GetAsync("/api/v3/quantum/objects/b/versions")).Json.GetProperty("versions").GetArrayLength());

        async Task SendAllAsync(string path, object body, HttpStatusCode status)
        {
            var refusals = 0;
            var answers = await Task.WhenAll(Enumerable.Range(0, Sends).Select(async number =>
            {
                var client = clients[number % clients.Length];
                client = number % 2 == 0 ? client : second.As(client);
                while (true)
                {
                    var answer = await client.PostAsync(path, body, ("Idempotency-Key", "one for all"));
                    if (answer.Status != HttpStatusCode.Conflict)
                    {
                        return answer.Expect(status);
                    }

                    answer.ExpectError(HttpStatusCode.Conflict, "IDEMPOTENCY_IN_PROGRESS");
                    Interlocked.Increment(ref refusals);
                }
            }));

            output.WriteLine($"{path}: {Sends} answers after {refusals} times 409.");
            Assert.Single(answers.Select(answer => answer.Text).Distinct());
            Assert.Single(answers, answer => answer.Header("Idempotent-Replayed") is null);
        }
    }

    [Fact]
    public async Task WhateverAKilledHostWasInTheMiddleOfARetryMakesItOnce()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"Seed {seed}.");
        var random = new Random(seed);
        await using var data = new HostData();

        // As long as one host lives, so does the emulator.
        await using var other = await data.StartAsync();
        var host = await data.StartAsync();
        try
        {
            var account = $"acc_{Guid.NewGuid():N}";
            var owner = await host.Admin.NewKeyAsync(account);
            var clients = await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => host.Admin.NewKeyAsync(account)));
            var open = new ConcurrentDictionary<int, Send>();
            var made = 0;
            var acknowledged = 0;
            for (var kill = 0; kill < Kills; kill++)
            {
                var enough = acknowledged + random.Next(1, 80);
                var current = host;
                await current.KillAmidAsync(
                    clients.Select((client, writer) => (Func<Task>)(() => SendAsync(current.As(client), writer))), () => Volatile.Read(ref acknowledged) >= enough);
                await host.DisposeAsync();
                host = await data.StartAsync();
            }

            // Open until it is acknowledged, however it ends.
            async Task SendAsync(TestClient client, int writer)
            {
                var send = new Send(writer, Interlocked.Increment(ref made));
                open[send.Id] = send;
                (await send.OnceAsync(client)).Expect(HttpStatusCode.Created);
                open.TryRemove(send.Id, out _);
                Interlocked.Increment(ref acknowledged);
            }

            Assert.NotEmpty(open);
            var reader = host.As(owner);
            var replayed = new ConcurrentDictionary<int, bool>();
            await Task.WhenAll(open.Values.Select(async send =>
            {
                var client = host.As(clients[send.Writer]);
                Answer answer;
                while ((answer = await send.OnceAsync(client)).Status == HttpStatusCode.Conflict)
                {
                    // As the answer asks: the host that is gone has had its lease.
                    await Task.Delay(TimeSpan.FromSeconds(int.Parse(answer.Header("Retry-After")!, CultureInfo.InvariantCulture)));
                }

                replayed[send.Id] = answer.Expect(HttpStatusCode.Created).Header("Idempotent-Replayed") is not null;
            }));

            var names = (await KeysAsync(reader)).CountBy(name => name).ToDictionary();
            var faults = new List<string>();
            for (var id = 1; id <= made; id++)
            {
                var times = Send.IsKey(id) ? names.GetValueOrDefault($"made {id}") : await VersionsAsync(reader, $"made-{id}");
                if (times != 1)
                {
                    faults.Add($"{(Send.IsKey(id) ? "key" : "object")} {id} is there {times} times; its request was {FateOf(id)}");
                }
            }

            Assert.True(faults.Count == 0, string.Join('\n', faults));
            output.WriteLine($"{Kills} kills, {made} requests, {open.Count} cut off, of which {replayed.Values.Count(isReplay => isReplay)} had been made.");

            string FateOf(int id) => !replayed.TryGetValue(id, out var isReplay) ? "acknowledged at once"
                : isReplay ? "cut off, and its retry was given the answer that was kept"
                : "cut off, and its retry was run";
        }
        finally
        {
            await host.DisposeAsync();
        }
    }

    private static async Task<int> VersionsAsync(TestClient client, string id)
    {
        var answer = await client.GetAsync($"/api/v3/quantum/objects/{id}/versions");
        return answer.Status == HttpStatusCode.NotFound ? 0 : answer.Expect(HttpStatusCode.OK).Json.GetProperty("versions").GetArrayLength();
    }

    private static async Task<List<string>> KeysAsync(TestClient client)
    {
        var names = new List<string>();
        var after = "";
        while (true)
        {
            var page = (await client.GetAsync($"/api/v3/auth/keys?limit=100{after}")).Expect(HttpStatusCode.OK).Json;
            foreach (var key in page.GetProperty("keys").EnumerateArray())
            {
                names.Add(key.GetProperty("name").GetString()!);
                after = $"&starting_after={key.GetProperty("key_id").GetString()}";
            }

            if (!page.GetProperty("has_more").GetBoolean())
            {
                return names;
            }
        }
    }

    /// <summary>A request that a client sends until it is answered: every third makes an API key, the others write an object.</summary>
    private sealed record Send(int Writer, int Id)
    {
        public static bool IsKey(int id) => id % 3 == 0;

        public Task<Answer> OnceAsync(TestClient client) => IsKey(Id)
            ? client.PostAsync("/api/v3/auth/keys", new { name = $"made {Id}" }, ("Idempotency-Key", $"key {Id}"))
            : client.PutObjectAsync($"made-{Id}", $"content {Id}", ("Idempotency-Key", $"object {Id}"));
    }
}
