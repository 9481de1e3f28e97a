using System.Diagnostics;
using System.Globalization;
using System.Net;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

/// <summary>Entangled objects under load, on one host and on two, and when hosts are killed.</summary>
[Collection(HeavyTests.Name)]
public sealed class LockStepTests(ITestOutputHelper output)
{
    private const int Kills = 20;

    private static readonly TimeSpan _duration = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task AHostThatIsKilledLosesNothingAcknowledgedAndLeavesNoPartnerBehind()
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
            string[] pairs = ["p", "q", "r"];
            var entanglements = new List<string>();
            foreach (var pair in pairs)
            {
                entanglements.Add(await owner.EntangledAsync($"{pair}-a", $"{pair}-b"));
            }

            // A key each, so that no limit on requests is in the way.
            var clients = new List<TestClient>();
            for (var writer = 0; writer < 12; writer++)
            {
                clients.Add(await host.Admin.NewKeyAsync(account));
            }

            var histories = new Histories();
            for (var kill = 0; kill < Kills; kill++)
            {
                // After so many more acknowledgements, whatever the other writers are in the middle of.
                var enough = histories.Count + random.Next(1, 120);
                var current = host;
                await current.KillAmidAsync(
                    clients.Select((client, writer) => (Func<Task>)(() => histories.WriteAsync(current.As(client), $"{pairs[writer % 3]}-{(writer % 2 == 0 ? 'a' : 'b')}"))),
                    () => histories.Count >= enough);
                await host.DisposeAsync();

                host = await data.StartAsync();
                var reader = host.As(owner);
                await histories.VerifyAsync(reader);
                foreach (var (pair, entanglement) in pairs.Zip(entanglements))
                {
                    await HeadsAsync(reader, $"{pair}-");
                    Assert.Equal("active", (await reader.GetAsync($"/api/v3/quantum/entangle/{entanglement}")).Json.GetProperty("status").GetString());
                }
            }

            output.WriteLine($"{Kills} kills, {histories.Count / 2} acknowledged writes.");
        }
        finally
        {
            await host.DisposeAsync();
        }
    }

    [Fact]
    public async Task AReaderNeverSeesTwoPartnersApartWhile64WritersWriteToBoth()
    {
        var app = await TestApp.SharedAsync;
        var owner = await app.TenantAsync();
        await owner.EntangledAsync("pair-a", "pair-b");
        var histories = new Histories();
        using var over = new CancellationTokenSource(_duration);

        var writers = Enumerable.Range(0, 64).Select(async writer =>
        {
            // Here too a key each.
            var client = await app.KeyAsync(owner.Account, "live");
            for (var write = writer; !over.IsCancellationRequested; write++)
            {
                await histories.WriteAsync(client, write % 2 == 0 ? "pair-a" : "pair-b");
            }
        }).ToList();
        var readers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => app.KeyAsync(owner.Account, "live")));
        var reads = 0;
        var watch = Stopwatch.StartNew();
        while (!over.IsCancellationRequested)
        {
            await HeadsAsync(readers[reads++ % readers.Length], "pair-");
        }

        await Task.WhenAll(writers);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{histories.Count / 2 / watch.Elapsed.TotalSeconds:F0} writes/s to a pair, {reads / watch.Elapsed.TotalSeconds:F0} reads/s."));
        await HeadsAsync(owner, "pair-");
        await histories.VerifyAsync(owner);
    }

    [Fact]
    public async Task TwoHostsMakeOnePairOnceAndLoseNoWrite()
    {
        await using var data = new HostData();
        await using var first = await data.StartAsync();
        await using var second = await data.StartAsync();
        var owner = await first.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");
        TestClient[] clients = [owner, second.As(owner)];
        await owner.PutObjectAsync("pair-a", "a");
        await owner.PutObjectAsync("pair-b", "b");

        var creations = await Task.WhenAll(Enumerable.Range(0, 32).Select(number => number % 4 < 2
            ? clients[number % 2].EntangleAsync("pair-a", "pair-b")
            : clients[number % 2].EntangleAsync("pair-b", "pair-a")));
        var histories = new Histories();
        await Task.WhenAll(Enumerable.Range(0, 32).Select(async writer =>
        {
            for (var write = 0; write < 10; write++)
            {
                await histories.WriteAsync(clients[writer % 2], (writer + write) % 4 < 2 ? "pair-a" : "pair-b");
            }
        }));

        var created = Assert.Single(creations, creation => creation.Status == HttpStatusCode.OK);
        Assert.All(creations.Where(creation => creation != created), creation => creation.ExpectError(HttpStatusCode.Conflict, "ALREADY_ENTANGLED"));
        Assert.Equal(2 * 32 * 10, histories.Count);
        foreach (var client in clients)
        {
            await HeadsAsync(client, "pair-");
            await histories.VerifyAsync(client);
        }
    }

    // Both heads of a pair in one query: they must be one version.
    private static async Task HeadsAsync(TestClient client, string prefix)
    {
        var heads = (await client.GetAsync($"/api/v3/quantum/objects?prefix={prefix}")).Expect(HttpStatusCode.OK).Json.GetProperty("objects");
        Assert.Equal(2, heads.GetArrayLength());
        Assert.Equal(heads[0].GetProperty("version").GetInt64(), heads[1].GetProperty("version").GetInt64());
        Assert.Equal(heads[0].GetProperty("sha256").GetString(), heads[1].GetProperty("sha256").GetString());
    }
}
