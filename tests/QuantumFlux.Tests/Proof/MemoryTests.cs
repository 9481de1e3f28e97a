using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Tests.Cache;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Proof;

/// <summary>Content far larger than the memory that the host may take.</summary>
[Collection(HeavyTests.Name)]
public sealed class MemoryTests(ITestOutputHelper output)
{
    private const long ResidentBytesMax = 250_000_000;
    private const long UploadBytes = 1L << 30;
    private const int BlockBytes = 8 << 20;
    private const long ChunkedBytes = 90_000_000;

    [Fact]
    public async Task AGibibyteAndALongChunkedRequestPassThroughAHostOf250Megabytes()
    {
        await using var data = new HostData();
        await using var host = await data.StartAsync();
        var client = await host.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");
        var watch = Stopwatch.StartNew();

        Report("started");
        await PutInChunksAsync(client, "chunked");
        Report("90 MB written in chunks");
        Assert.Equal(await HashedStream.Sha256Async(ChunkedBytes), await ReadAsync(client, "chunked", ChunkedBytes));
        Report("and read");
        await UploadAsync(client, "uploaded");
        Report("1 GiB uploaded in blocks and committed");
        Assert.Equal(await HashedStream.Sha256Async(UploadBytes), await ReadAsync(client, "uploaded", UploadBytes));
        Report("and read");

        Assert.InRange(host.ResidentBytesMax, 0, ResidentBytesMax);

        void Report(string what) => output.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{watch.Elapsed.TotalSeconds,6:F1} s {host.ResidentBytesMax / 1_000_000,4} MB  {what}"));
    }

    [Fact]
    public async Task ACachedValueOf10MegabytesTakesLessThan64MegabytesOfMemory()
    {
        await using var data = new HostData();
        await using var host = await data.StartAsync();
        var client = await host.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");

        // Everything that a large value needs has run once, on a smaller one.
        var warm = CacheClient.Measurements(2_000_000);
        (await client.CacheAsync("warm", warm)).Expect(HttpStatusCode.Created);
        Assert.True((await client.CachedAsync("warm")).Value() == warm);
        var before = host.ResidentBytesMax;
        var value = CacheClient.Measurements(10_000_000);

        foreach (var options in new[] { null, """{"compression":"none","replication_factor":7}""" })
        {
            (await client.CacheAsync("k", value, options: options)).Expect(HttpStatusCode.Created);
            Assert.True((await client.CachedAsync("k")).Value() == value);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{before / 1e6:F1} MB before, {host.ResidentBytesMax / 1e6:F1} MB after {options ?? "the defaults"}"));
        }

        Assert.InRange(host.ResidentBytesMax - before, 0, 64_000_000);
    }

    private static async Task PutInChunksAsync(TestClient client, string id)
    {
        using var content = new StreamContent(new HashedStream(0, ChunkedBytes), BlockBytes);
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/api/v3/quantum/objects/{id}") { Content = content };
        request.Headers.Add("QFlux-Token", $"Bearer {client.Key}");
        request.Headers.TransferEncodingChunked = true;
        using var response = await client.Http.SendAsync(request);
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
    }

    private static async Task UploadAsync(TestClient client, string id)
    {
        var path = $"/api/v3/quantum/objects/{id}/uploads";
        var upload = (await client.SendAsync(HttpMethod.Post, path)).Expect(HttpStatusCode.Created).Json;
        var url = upload.GetProperty("upload_url").GetString();
        using var storage = new HttpClient();
        var blockIds = new List<string>();
        for (var start = 0L; start < UploadBytes; start += BlockBytes)
        {
            blockIds.Add(Convert.ToBase64String(Encoding.ASCII.GetBytes($"block-{blockIds.Count:D6}")));
            using var block = new StreamContent(new HashedStream(start, BlockBytes)) { Headers = { ContentLength = BlockBytes } };
            using var staged = await storage.PutAsync(new Uri($"{url}&comp=block&blockid={Uri.EscapeDataString(blockIds[^1])}"), block);
            Assert.Equal(HttpStatusCode.Created, staged.StatusCode);
        }

        var body = new { block_ids = blockIds, sha256 = await HashedStream.Sha256Async(UploadBytes), content_type = "application/x-endless" };
        var committed = await client.PostAsync($"{path}/{upload.GetProperty("upload_id").GetString()}/commit", body);
        Assert.Equal(UploadBytes, committed.Expect(HttpStatusCode.Created).Json.GetProperty("size_bytes").GetInt64());
    }

    private static async Task<string> ReadAsync(TestClient client, string id, long length)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v3/quantum/objects/{id}");
        request.Headers.Add("QFlux-Token", $"Bearer {client.Key}");
        using var response = await client.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(length, response.Content.Headers.ContentLength);
        await using var stream = await response.Content.ReadAsStreamAsync();
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(stream));
    }
}
