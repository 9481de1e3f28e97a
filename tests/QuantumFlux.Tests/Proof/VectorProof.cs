using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using QuantumFlux.Tests.Vectors;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

/// <summary>Vectors on two hosts at once: what one has acknowledged the other finds, and nobody sees half of a transaction.</summary>
[Collection(HeavyTests.Name)]
public sealed class VectorProof(ITestOutputHelper output)
{
    private const int Rounds = 1000;
    private const int RoundsMax = 20_000;

    private const int Together = 20;
    private const int WritersOnHost = 2;
    private const int GenerationsSeenMin = 100;
    private const int GenerationsMax = 40_000;

    [Fact]
    public async Task WhatOneHostHasAcknowledgedTheOtherFindsAtOnce()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"Seed {seed}.");
        await using var data = new HostData();
        await using var first = await data.StartAsync();
        await using var second = await data.StartAsync();
        var owner = await first.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");
        TestClient[] clients = [owner, second.As(owner)];
        var writer = new VectorWriter(0, ids: 60, batchMax: 20, new Random(seed));
        var watch = Stopwatch.StartNew();

        // Until they become a segment meanwhile.
        var rounds = 0;
        while (rounds < Rounds || (await data.ManifestAsync(owner)).Segments.Count == 0)
        {
            Assert.True(rounds < RoundsMax, "no segment was made");
            var (here, there) = (clients[rounds % 2], clients[(rounds + 1) % 2]);

            var written = await writer.WriteAsync(here);
            var near = written is null ? 0 : writer.Known[written];
            var found = await there.QueryAsync(
                MarkedVectors.Coordinates(near), "\"top_k\":1000,\"mode\":\"precise\",\"consistency\":\"strong\"");

            MarkedVectors.AssertSame(writer.Known, found.Marks(), $"round {rounds}");
            Assert.True(written is null || found.Ids()[0] == written, $"round {rounds}: {written} is not what is nearest to itself");
            rounds++;
        }

        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{rounds} writes, each found on the other host, {rounds / watch.Elapsed.TotalSeconds:F0} a second."));
    }

    [Fact]
    public async Task NobodySeesHalfOfATransaction()
    {
        await using var data = new HostData();
        await using var first = await data.StartAsync();
        await using var second = await data.StartAsync();
        var owner = await first.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");
        TestClient[] clients = [owner, second.As(owner)];
        var ids = Enumerable.Range(0, Together).Select(place => $"together-{place}").ToList();
        (await owner.BatchAsync(Generation(0), isTransaction: true)).Expect(HttpStatusCode.Created);

        // By host and by way to look.
        var seen = new ConcurrentDictionary<(int Host, string Way), ConcurrentDictionary<long, bool>>();
        var acknowledged = new long[2 * WritersOnHost];
        var (refused, looks) = (0, 0);
        using var over = new CancellationTokenSource();
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(
        [
            .. Enumerable.Range(0, acknowledged.Length).Select(WriteTogetherAsync),
            .. Enumerable.Range(0, 2).Select(WriteOtherAsync),
            .. Enumerable.Range(0, 4).Select(LookAsync),
        ]);

        foreach (var client in clients)
        {
            var last = (await client.QueryAsync("[0,0,1]", "\"top_k\":1000")).Marks().Where(vector => ids.Contains(vector.Key)).Select(vector => vector.Value).Distinct();
            Assert.Contains(Assert.Single(last), acknowledged);
        }

        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{acknowledged.Sum() / acknowledged.Length} transactions and {refused} refused in {watch.Elapsed.TotalSeconds:F1} s; {looks} looks saw ")
            + string.Join(", ", seen.OrderBy(way => way.Key).Select(way => $"{way.Value.Count} ({way.Key.Way} on {way.Key.Host})"))
            + $" of them; {(await data.ManifestAsync(owner)).Segments.Count} segments.");

        // A writer's generations are its own: every so manieth. Every fourth of them has a misfit among its vectors.
        async Task WriteTogetherAsync(int writer)
        {
            var generation = (long)writer;
            await UntilOverAsync(async () =>
            {
                generation += acknowledged.Length;
                Assert.True(generation < GenerationsMax * acknowledged.Length, "too few generations were seen");
                if (IsRefused(generation))
                {
                    List<string> faulty = [.. Generation(generation)];
                    faulty[(int)(generation % Together)] = MarkedVectors.Misfit(ids[(int)(generation % Together)]).Json;
                    (await clients[writer % 2].BatchAsync(faulty, isTransaction: true)).Expect(HttpStatusCode.BadRequest);
                    Interlocked.Increment(ref refused);
                }
                else
                {
                    (await clients[writer % 2].BatchAsync(Generation(generation), isTransaction: true)).Expect(HttpStatusCode.Created);
                    Volatile.Write(ref acknowledged[writer], generation);
                }
            });
        }

        // What goes into the same appends.
        async Task WriteOtherAsync(int host)
        {
            var writer = new VectorWriter(host, ids: 20, batchMax: 5, new Random(host));
            await UntilOverAsync(() => writer.WriteAsync(clients[host]));
        }

        async Task LookAsync(int reader)
        {
            var (host, client, look) = (reader % 2, clients[reader % 2], reader);
            await UntilOverAsync(async () =>
            {
                var before = acknowledged.Select((_, writer) => Volatile.Read(ref acknowledged[writer])).ToArray();
                Interlocked.Increment(ref looks);
                switch (look++ % 4)
                {
                    case 0:
                        See("strong", await client.QueryAsync("[0,0,1]", "\"top_k\":1000,\"mode\":\"precise\",\"consistency\":\"strong\""), before);
                        break;
                    case 1:
                        See("eventual", await client.QueryAsync("[0,0,1]", "\"top_k\":1000,\"mode\":\"precise\",\"consistency\":\"eventual\""), null);
                        break;
                    case 2:
                        See("listed", await client.GetAsync($"{VectorClient.Root}?size=100"), before);
                        break;
                    default:
                        Check(MarkedVectors.MarkOf((await client.ReadAsync(ids[look % Together])).Expect(HttpStatusCode.OK).Json), before);
                        break;
                }
            });

            void See(string way, Answer answer, long[]? before)
            {
                var together = answer.Marks().Where(vector => vector.Key.StartsWith("together-", StringComparison.Ordinal)).ToList();
                Assert.Equal(Together, together.Count);
                var generation = Assert.Single(together.Select(vector => vector.Value).Distinct());
                Check(generation, before);
                var generations = seen.GetOrAdd((host, way), _ => new ConcurrentDictionary<long, bool>());
                generations[generation] = true;
                if (seen.Count == 6 && seen.Values.All(generations => generations.Count >= GenerationsSeenMin))
                {
                    over.Cancel();
                }
            }
        }

        // None that was refused; and where all must be known that was written before, none that its writer had followed up.
        void Check(long generation, long[]? before)
        {
            Assert.False(IsRefused(generation), $"{generation} was refused, and is there");
            Assert.True(
                before is null || generation >= before[generation % acknowledged.Length],
                $"{generation} is there, and its writer had written {before?[generation % acknowledged.Length]}");
        }

        bool IsRefused(long generation) => generation / acknowledged.Length % 4 == 3;

        IEnumerable<string> Generation(long generation) => ids.Select(id => MarkedVectors.Of(id, generation).Json);

        async Task UntilOverAsync(Func<Task> stepAsync)
        {
            try
            {
                while (!over.IsCancellationRequested)
                {
                    await stepAsync();
                }
            }
            catch
            {
                await over.CancelAsync();
                throw;
            }
        }
    }
}
