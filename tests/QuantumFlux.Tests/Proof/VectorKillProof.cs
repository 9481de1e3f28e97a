using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using QuantumFlux.Tests.Vectors;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

/// <summary>Vectors when hosts are killed, also while they make segments.</summary>
[Collection(HeavyTests.Name)]
public sealed class VectorKillProof(ITestOutputHelper output)
{
    private const int Kills = 50;
    private const int KillsMax = 200;
    private const int CutBuildsMin = 3;
    private const int SegmentsMin = 5;

    private const int Writers = 8;
    private const int IdsOfWriter = 100;
    private const int AnswersMax = 100;
    private const int PageSize = 100;

    // Until a host is seen making a segment. So many make several.
    private const int AimedAnswersMax = 2_000;

    [Fact]
    public async Task AHostThatIsKilledLosesNothingAcknowledgedAndLeavesNoHalves()
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
            var watch = Stopwatch.StartNew();
            var tenants = new List<Tenant>();
            var segments = new HashSet<string>(StringComparer.Ordinal);
            var (kills, cutBuilds) = (0, 0);
            var (isCut, hasSegments) = (true, false);
            while (kills < Kills || cutBuilds < CutBuildsMin || segments.Count < SegmentsMin)
            {
                Assert.True(kills < KillsMax, $"{cutBuilds} kills while a segment was made, {segments.Count} segments");
                if (isCut)
                {
                    // For ten minutes nobody makes segments of what the one before has.
                    tenants.Add(new Tenant(
                        await other.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}"),
                        [.. Enumerable.Range(0, Writers).Select(writer => new VectorWriter(writer, IdsOfWriter, IdsOfWriter, new Random(random.Next())))]));
                }

                var (tenant, current) = (tenants[^1], host);
                var client = current.As(tenant.Owner);

                // Now and then in the middle of a segment that is made beside others.
                var isAimed = hasSegments && kills % 3 == 0;
                var enough = tenant.Answered + (isAimed ? AimedAnswersMax : random.Next(1, AnswersMax));
                var isBuilding = false;
                await current.KillAmidAsync(
                    [
                        .. tenant.Writers.Select(writer => (Func<Task>)(() => writer.WriteAsync(client))),
                        .. isAimed ? [async () => isBuilding |= (await data.ManifestAsync(client)).Building is not null] : Array.Empty<Func<Task>>(),
                    ],
                    () => isBuilding || tenant.Answered >= enough);
                await current.DisposeAsync();
                kills++;
                var manifest = await data.ManifestAsync(client);
                segments.UnionWith(manifest.Segments.Select(segment => segment.Id));
                (isCut, hasSegments) = (manifest.Building is not null, manifest is { Building: null, Segments.Count: > 0 });
                cutBuilds += isCut ? 1 : 0;

                host = await data.StartAsync();
                await tenant.VerifyAsync(host.As(tenant.Owner), random);
            }

            foreach (var tenant in tenants)
            {
                await tenant.VerifyAsync(host.As(tenant.Owner), random);
                await tenant.VerifyAsync(other.As(tenant.Owner), random);
            }

            var writers = tenants.SelectMany(tenant => tenant.Writers).ToList();
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{kills} kills in {watch.Elapsed.TotalSeconds:F0} s, {cutBuilds} of them while a segment was made; {segments.Count} segments; {writers.Sum(writer => writer.Answered)} answers; {writers.Sum(writer => writer.CutOff)} requests cut off, of which {writers.Sum(writer => writer.CarriedOut)} had been carried out."));
        }
        finally
        {
            await host.DisposeAsync();
        }
    }

    /// <summary>Somebody's vectors, and those who write them.</summary>
    private sealed record Tenant(TestClient Owner, IReadOnlyList<VectorWriter> Writers)
    {
        public int Answered => Writers.Sum(writer => writer.Answered);

        /// <summary>Everything that was acknowledged must be there, and nothing else, by all ways to look.</summary>
        public async Task VerifyAsync(TestClient client, Random random)
        {
            var listed = new Dictionary<string, long>(StringComparer.Ordinal);
            JsonElement pagination;
            var page = 0;
            do
            {
                var answer = await client.GetAsync($"{VectorClient.Root}?size={PageSize}&page={++page}");
                foreach (var (id, mark) in answer.Marks())
                {
                    listed.Add(id, mark);
                }

                pagination = answer.Json.GetProperty("pagination");
            }
            while (page < pagination.GetProperty("pages").GetInt32());

            foreach (var writer in Writers)
            {
                writer.Settle(listed);
            }

            var known = Writers.SelectMany(writer => writer.Known).ToDictionary();
            MarkedVectors.AssertSame(known, listed, "the list");
            Assert.Equal(known.Count, pagination.GetProperty("total").GetInt32());
            Assert.Equal((known.Count + PageSize - 1) / PageSize, pagination.GetProperty("pages").GetInt32());
            MarkedVectors.AssertSame(known, (await client.QueryAsync("[0,0,1]", "\"top_k\":1000,\"mode\":\"precise\"")).Marks(), "a query");

            var some = $"w{random.Next(Writers.Count)}-{random.Next(IdsOfWriter)}";
            var read = await client.ReadAsync(some);
            Assert.Equal(known.TryGetValue(some, out var expected) ? expected : null, read.Status == HttpStatusCode.NotFound ? (long?)null : MarkedVectors.MarkOf(read.Expect(HttpStatusCode.OK).Json));
        }
    }
}
