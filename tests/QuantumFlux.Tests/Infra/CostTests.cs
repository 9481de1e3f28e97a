using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Azure.Core.Pipeline;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QuantumFlux.Api;
using QuantumFlux.Local;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests.Infra;

/// <summary>What the README says of costs: its counts are measured here, and its sums are computed from its own prices.</summary>
public sealed partial class CostTests
{
    private const double Gigabytes = 0.5;
    private const int Concurrency = 16;

    private static readonly string _readme = File.ReadAllText(Path.Combine(Parser.Root, "README.md"));

    [Fact]
    public async Task TheCountsOfTheCostTableAreMeasured()
    {
        var tables = new Counts();
        var blobs = new Counts();
        var time = new ManualTime();
        var address = await AzuriteFixture.Address;
        await using var app = await TestApp.StartAsync(time, settings: TestApp.Unlimited, configure: services => services.Replace(ServiceDescriptor.Singleton(new StorageAccounts(
            new StorageAccount(new RestTables(address, null, new CountingByVerb(tables)), new RestBlobs(address, null, new CountingByVerb(blobs))),
            new Dictionary<int, StorageAccount>()))));
        var client = await app.TenantAsync();
        await client.WarmAsync();
        await client.PutObjectAsync("warm-large", new string('w', 1_000_000));
        await client.WarmVectorsAsync();
        await client.WriteAsync("warm", VectorClient.Json(new float[784]));
        var measured = new Dictionary<string, (int Tables, int BlobReads, int BlobWrites)>
        {
            ["A refused request (401)"] = await DuringAsync(() => app.Http.GetAsync("/api/v3/quantum/objects")),
            ["Object write, 1 KB"] = await DuringAsync(() => client.PutObjectAsync("a", new string('a', 1000))),
            ["Object read, 1 KB"] = await DuringAsync(() => client.GetObjectAsync("a")),
            ["Object list, a page"] = await DuringAsync(() => client.GetAsync("/api/v3/quantum/objects")),
            ["Object write, 1 MB"] = await DuringAsync(() => client.PutObjectAsync("large", new string('l', 1_000_000))),
            ["Object read, 1 MB"] = await DuringAsync(() => client.GetObjectAsync("large")),
        };
        await client.PutObjectAsync("b", "other");
        measured["Entangle two objects"] = await DuringAsync(async () => (await client.EntangleAsync("a", "b")).Expect(HttpStatusCode.OK));
        measured["Object write with one partner, 1 KB"] = await DuringAsync(() => client.PutObjectAsync("a", new string('p', 1000)));

        var vectors = Enumerable.Range(0, 101).Select(index => VectorClient.Json(Enumerable.Range(0, 784).Select(axis => (float)(axis % (index + 2))))).ToList();
        measured["Vector insert, 784 numbers"] = await DuringAsync(async () => (await client.WriteAsync("v100", vectors[100])).Expect(HttpStatusCode.Created));
        measured["Batch of 100 such vectors"] = await DuringAsync(async () => (await client.BatchAsync(
            vectors.Take(100).Select((values, index) => $"{{\"id\":\"v{index}\",\"vector\":{values}}}"))).Expect(HttpStatusCode.Created));
        measured["Vector query"] = await DuringAsync(async () => (await client.QueryAsync(vectors[0])).Expect(HttpStatusCode.OK));

        var told = Rows().ToDictionary(row => row.Call, row => (row.Tables, row.BlobReads, row.BlobWrites));

        Assert.True(measured.ToHashSet().SetEquals(told), $"measured (table requests, blob reads, blob writes): {string.Join(", ", measured)}");

        async Task<(int, int, int)> DuringAsync(Func<Task> call)
        {
            var (t, r, w) = (tables.Reads + tables.Writes, blobs.Reads, blobs.Writes);
            await call();
            return (tables.Reads + tables.Writes - t, blobs.Reads - r, blobs.Writes - w);
        }
    }

    [Fact]
    public void TheSumsOfTheCostTableFollowFromItsPrices()
    {
        var prices = Price().Matches(_readme).ToDictionary(match => match.Groups[1].Value, match => Number(match.Groups[2].Value));
        var rows = Rows().ToList();

        Assert.NotEmpty(rows);
        foreach (var row in rows)
        {
            var requests = prices["executions"] + (row.Tables * prices["table requests"]) + (row.BlobReads * prices["blob reads"]) + (row.BlobWrites * prices["blob writes"]);
            var busy = requests + (row.Milliseconds / 1000 * Gigabytes / Concurrency * prices["GB-seconds"]);
            var single = requests + (Math.Max(1, row.Milliseconds / 1000) * Gigabytes * prices["GB-seconds"]);

            Assert.Equal((Math.Round(busy, 2), Math.Round(single, 2)), (row.Busy, row.Single));
        }
    }

    [Fact]
    public async Task TheTimersOfAnIdleDeploymentFitTheFreeGrant()
    {
        var app = await TestApp.SharedAsync;
        var start = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var end = start.AddDays(31);

        var runs = app.Services.GetRequiredService<FunctionRoutes>().Timers.Sum(timer =>
        {
            var schedule = Ncrontab.Parse(timer.Schedule);
            var count = 0;
            for (var next = schedule.Next(start); next < end; next = schedule.Next(next.Value))
            {
                count++;
            }

            return count;
        });

        // Flex Consumption: 250,000 executions and 100,000 GB-seconds a month are free, and each run is billed for a second at least.
        Assert.InRange(runs, 1, 250_000);
        Assert.True(runs * Gigabytes <= 100_000, $"{runs} runs a month of a second each take {runs * Gigabytes} GB-seconds, more than the free 100,000");
    }

    private static IEnumerable<Row> Rows() => Line().Matches(_readme).Select(match => new Row(
        match.Groups[1].Value,
        (int)Number(match.Groups[2].Value),
        (int)Number(match.Groups[3].Value),
        (int)Number(match.Groups[4].Value),
        Number(match.Groups[5].Value),
        Number(match.Groups[6].Value),
        Number(match.Groups[7].Value)));

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    // | call | table requests | blob reads | blob writes | milliseconds | $busy | $single |
    [GeneratedRegex(@"^\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| \$(\d+\.\d\d) \| \$(\d+\.\d\d) \|$", RegexOptions.Multiline)]
    private static partial Regex Line();

    // | million executions | $0.40 | …
    [GeneratedRegex(@"^\| million ([^|]+) \| \$(\d+(?:\.\d+)?) \|", RegexOptions.Multiline)]
    private static partial Regex Price();

    private sealed record Row(string Call, int Tables, int BlobReads, int BlobWrites, double Milliseconds, double Busy, double Single);

    private sealed class Counts
    {
        public int Reads;
        public int Writes;
    }

    private sealed class CountingByVerb(Counts counts) : HttpPipelineTransport
    {
        private readonly HttpPipelineTransport _inner = HttpClientTransport.Shared;

        public override Azure.Core.Request CreateRequest() => _inner.CreateRequest();

        public override void Process(Azure.Core.HttpMessage message)
        {
            Count(message);
            _inner.Process(message);
        }

        public override ValueTask ProcessAsync(Azure.Core.HttpMessage message)
        {
            Count(message);
            return _inner.ProcessAsync(message);
        }

        private void Count(Azure.Core.HttpMessage message) =>
            Interlocked.Increment(ref message.Request.Method.Method is "GET" or "HEAD" ? ref counts.Reads : ref counts.Writes);
    }
}
