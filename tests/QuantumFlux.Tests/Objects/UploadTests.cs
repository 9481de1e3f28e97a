using System.Net;
using System.Security.Cryptography;

namespace QuantumFlux.Tests.Objects;

public sealed class UploadTests
{
    private const string Path = "/api/v3/quantum/objects/thing";

    [Fact]
    public async Task BlocksBecomeTheNextVersionOfAnObjectAndItsPartners()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.EntangledAsync("thing", "partner");
        var content = Random(1_500_000);
        var upload = (await client.PostAsync($"{Path}/uploads", new { })).Expect(HttpStatusCode.Created).Json;
        var url = upload.GetProperty("upload_url").GetString()!;
        await SendBlockAsync(client, url, "MDAwMg==", content.AsMemory(1_000_000));
        await SendBlockAsync(client, url, "MDAwMQ==", content.AsMemory(0, 1_000_000));

        var committed = await client.PostAsync(
            $"{Path}/uploads/{upload.GetProperty("upload_id").GetString()}/commit",
            new { sha256 = Convert.ToHexStringLower(SHA256.HashData(content)), content_type = "application/x-test" });

        Assert.Equal("partner", committed.Expect(HttpStatusCode.OK).Json.GetProperty("synced_to")[0].GetString());
        var read = (await client.GetObjectAsync("partner")).Expect(HttpStatusCode.OK);
        Assert.True(content.AsSpan().SequenceEqual(read.Bytes));
        Assert.Equal("application/x-test", read.Header("Content-Type"));
    }

    [Fact]
    public async Task TheBlocksCanBeNamedInTheirOrder()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var (id, url) = await StartAsync(client);
        await SendBlockAsync(client, url, "MDAwMQ==", "world"u8.ToArray());
        await SendBlockAsync(client, url, "MDAwMg==", "hello "u8.ToArray());
        await SendBlockAsync(client, url, "MDAwMw==", "unused"u8.ToArray());

        var unknown = await CommitAsync(client, id, new { block_ids = new[] { "MDAwOQ==" } });
        var committed = await CommitAsync(client, id, new { block_ids = new[] { "MDAwMg==", "0001" } });

        Assert.True(unknown.ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("block_ids", out _));
        committed.Expect(HttpStatusCode.Created);
        Assert.True((await CommitAsync(client, id, new { content_type = "text/plain; charset=\"é\"" }))
            .ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS").Details.TryGetProperty("content_type", out _));
        Assert.Equal("hello world", (await client.GetObjectAsync("thing")).Text);
    }

    [Fact]
    public async Task ACommitThatFailedHalfWayCanBeRepeatedWithItsBlocks()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var (id, url) = await StartAsync(client);
        await SendBlockAsync(client, url, "MDAwMQ==", "abc"u8.ToArray());
        string[] blocks = ["MDAwMQ=="];

        (await CommitAsync(client, id, new { block_ids = blocks, sha256 = new string('0', 64) })).ExpectError(HttpStatusCode.UnprocessableEntity, "CONTENT_MISMATCH");

        (await CommitAsync(client, id, new { block_ids = blocks })).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task ACommitCanBeRepeated()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var (id, url) = await StartAsync(client);
        await SendBlockAsync(client, url, "MDAwMQ==", Random(500_000));

        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => CommitAsync(client, id, new { })));
        var later = await CommitAsync(client, id, new { });

        Assert.Single(answers.Append(later).Select(answer => answer.Expect(HttpStatusCode.Created).Text).Distinct());
        Assert.Equal(1, (await client.GetAsync($"{Path}/versions")).Json.GetProperty("versions").GetArrayLength());
    }

    [Fact]
    public async Task TheUrlCannotChangeWhatWasCommitted()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var (id, url) = await StartAsync(client);
        var content = Random(500_000);
        await SendBlockAsync(client, url, "MDAwMQ==", content);
        (await CommitAsync(client, id, new { })).Expect(HttpStatusCode.Created);

        using var overwrite = new HttpRequestMessage(HttpMethod.Put, url) { Content = new ByteArrayContent(Random(10)) };
        overwrite.Headers.Add("x-ms-blob-type", "BlockBlob");
        (await client.Http.SendAsync(overwrite)).EnsureSuccessStatusCode();

        var read = await client.GetObjectAsync("thing");
        Assert.True(content.AsSpan().SequenceEqual(read.Bytes));
    }

    [Fact]
    public async Task ContentThatIsNotWhatItShouldBeIsRefused()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var (id, url) = await StartAsync(client);
        (await CommitAsync(client, id, new { })).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        await SendBlockAsync(client, url, "MDAwMQ==", "abc"u8.ToArray());

        var refused = await CommitAsync(client, id, new { sha256 = new string('0', 64) });

        refused.ExpectError(HttpStatusCode.UnprocessableEntity, "CONTENT_MISMATCH");
        (await client.GetObjectAsync("thing")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await CommitAsync(client, id, new { })).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task AnUploadEndsWithItsDay()
    {
        var time = new ManualTime(TimeProvider.System.GetUtcNow());
        await using var app = await TestApp.StartAsync(time);
        var client = await app.TenantAsync();
        var (id, url) = await StartAsync(client);
        await SendBlockAsync(client, url, "MDAwMQ==", "abc"u8.ToArray());

        time.Advance(TimeSpan.FromHours(24));

        (await CommitAsync(client, id, new { })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AnUploadBelongsToItsTenantAndItsObject()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var stranger = await app.TenantAsync();
        var (id, url) = await StartAsync(client);
        await SendBlockAsync(client, url, "MDAwMQ==", "abc"u8.ToArray());

        (await CommitAsync(stranger, id, new { })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.PostAsync($"/api/v3/quantum/objects/other/uploads/{id}/commit", new { })).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    private static async Task<(string Id, string Url)> StartAsync(TestClient client)
    {
        var upload = (await client.SendAsync(HttpMethod.Post, $"{Path}/uploads")).Expect(HttpStatusCode.Created).Json;
        Assert.Equal(["upload_id", "upload_url", "expires_at", "block_bytes_max"], upload.EnumerateObject().Select(member => member.Name));
        return (upload.GetProperty("upload_id").GetString()!, upload.GetProperty("upload_url").GetString()!);
    }

    private static Task<Answer> CommitAsync(TestClient client, string id, object body) => client.PostAsync($"{Path}/uploads/{id}/commit", body);

    private static async Task SendBlockAsync(TestClient client, string url, string blockId, ReadOnlyMemory<byte> content) =>
        (await client.Http.PutAsync($"{url}&comp=block&blockid={Uri.EscapeDataString(blockId)}", new ReadOnlyMemoryContent(content))).EnsureSuccessStatusCode();

    private static byte[] Random(int size)
    {
        var content = new byte[size];
        new Random(size).NextBytes(content);
        return content;
    }
}
