using System.Net;
using System.Text;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>What every implementation of <see cref="IBlobs"/> does, whichever it is. A subclass says how one is made.</summary>
public abstract class BlobsConformance
{
    private static readonly byte[] _digits = "0123456789"u8.ToArray();

    protected string Container { get; } = $"c{Guid.NewGuid():N}";

    private static CancellationToken None => CancellationToken.None;

    /// <summary>An implementation whose blobs nobody else touches, in containers whose names nobody else uses.</summary>
    protected abstract Task<IBlobs> OpenAsync();

    /// <summary>The same, where something goes wrong with the requests after the call.</summary>
    protected abstract Task<IBlobs> OpenWithLostAnswerAsync(LostAnswer fault);

    /// <summary>A client that reaches upload URLs.</summary>
    protected virtual HttpClient CreateUploadClient() => new();

    [Fact]
    public async Task ABlobComesBackAsItWasPut()
    {
        var blobs = await OpenAsync();
        var options = new BlobOptions("text/plain; charset=utf-8", new Dictionary<string, string> { ["one"] = "1 <&> 2", ["a_b1"] = "x", ["ab1"] = "y", ["a1b"] = "z" });

        var put = await blobs.PutAsync(Container, "folder/b", _digits, options, None);
        await using var content = await blobs.GetAsync(Container, "folder/b", 0, null, null, None);
        var properties = await blobs.GetPropertiesAsync(Container, "folder/b", None);

        Assert.Equal(_digits, await ReadAsync(content));
        foreach (var found in new[] { put, content!.Properties, properties })
        {
            Assert.NotNull(found);
            Assert.Equal(("folder/b", 10L, "text/plain; charset=utf-8"), (found.Name, found.Length, found.ContentType));
            Assert.Equal(options.Metadata!.OrderBy(pair => pair.Key), found.Metadata.OrderBy(pair => pair.Key));
            Assert.Equal(put!.ETag, found.ETag);
            Assert.InRange(found.LastModified, TimeProvider.System.GetUtcNow().AddHours(-1), TimeProvider.System.GetUtcNow().AddHours(1));
        }
    }

    [Theory]
    [InlineData("a b")]
    [InlineData("100%")]
    [InlineData("a%2Fb%20c")]
    [InlineData("a+b&c=d;e,f@g$h")]
    [InlineData("x/y/z")]
    [InlineData("ünï/漢字/\U0001f63a")]
    [InlineData("it's (\"quoted\") [x] {y} <z> ~ ^ ` |")]
    [InlineData("a?b#c")]
    [InlineData("#")]
    [InlineData("?comp=list")]
    public async Task AnyNameCanBeWrittenReadListedAndDeleted(string name)
    {
        var blobs = await OpenAsync();

        var put = await blobs.PutAsync(Container, name, _digits, new BlobOptions(), None);
        await blobs.StageBlockAsync(Container, name + "2", "block", _digits, None);
        await blobs.CommitBlocksAsync(Container, name + "2", ["block"], new BlobOptions(), None);
        await using var content = await blobs.GetAsync(Container, name, 0, null, put!.ETag, None);
        var page = await blobs.ListAsync(Container, name, 10, null, None);

        Assert.Equal(_digits, await ReadAsync(content));
        Assert.Equal([name, name + "2"], page.Blobs.Select(blob => blob.Name));
        Assert.True(await blobs.DeleteAsync(Container, name, put.ETag, None));
        Assert.Null(await blobs.GetPropertiesAsync(Container, name, None));
    }

    [Fact]
    public async Task ANameThatCannotBeStoredIsRefused()
    {
        var blobs = await OpenAsync();

        foreach (var name in new[] { "", new string('x', 1025), "a\nb", "a\u0085b", "a\ud800" })
        {
            var refusal = await Assert.ThrowsAsync<StorageException>(() => blobs.PutAsync(Container, name, _digits, new BlobOptions(), None));
            Assert.Equal(400, refusal.Status);
        }
    }

    [Fact]
    public async Task OptionsThatCannotBeSentAreTheCallersFault()
    {
        var blobs = await OpenAsync();

        foreach (var options in new[]
        {
            new BlobOptions("text/plain\r\nx: y"),
            new BlobOptions(Metadata: new Dictionary<string, string> { ["operation"] = "mine" }),
            new BlobOptions(Metadata: new Dictionary<string, string> { ["a-b"] = "x" }),
            new BlobOptions(Metadata: new Dictionary<string, string> { ["a"] = "ü" }),
            new BlobOptions(Condition: BlobCondition.Unchanged),
        })
        {
            await Assert.ThrowsAsync<ArgumentException>(() => blobs.PutAsync(Container, "b", _digits, options, None));
        }
    }

    [Fact]
    public async Task AContainerThatDoesNotExistReadsAsEmpty()
    {
        var blobs = await OpenAsync();

        Assert.Null(await blobs.GetAsync(Container, "b", 0, null, null, None));
        Assert.Null(await blobs.GetAsync(Container, "b", 5, 0, null, None));
        Assert.Null(await blobs.GetPropertiesAsync(Container, "b", None));
        Assert.Empty(await blobs.ListStagedBlocksAsync(Container, "b", None));
        Assert.Equal([], (await blobs.ListAsync(Container, "", 10, null, None)).Blobs);
        Assert.True(await blobs.DeleteAsync(Container, "b", null, None));
        Assert.Null(await blobs.PutAsync(Container, "b", _digits, new BlobOptions(Condition: BlobCondition.Unchanged, ETag: "\"0x1\""), None));
    }

    [Theory]
    [InlineData(0, null, "0123456789")]
    [InlineData(0, 4L, "0123")]
    [InlineData(3, 4L, "3456")]
    [InlineData(3, null, "3456789")]
    [InlineData(9, 1L, "9")]
    [InlineData(7, 100L, "789")]
    [InlineData(7, long.MaxValue, "789")]
    [InlineData(3, 0L, "")]
    [InlineData(10, null, "")]
    [InlineData(10, 5L, "")]
    [InlineData(1000, 5L, "")]
    public async Task ARangeIsCutAtTheEnd(long offset, long? length, string expected)
    {
        var blobs = await OpenAsync();
        await blobs.PutAsync(Container, "b", _digits, new BlobOptions("text/plain"), None);

        await using var content = await blobs.GetAsync(Container, "b", offset, length, null, None);

        Assert.Equal(expected, Encoding.ASCII.GetString(await ReadAsync(content)));
        Assert.Equal((10L, "text/plain"), (content!.Properties.Length, content.Properties.ContentType));
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(0, 10L)]
    [InlineData(5, null)]
    public async Task AnEmptyBlobHasEmptyContent(long offset, long? length)
    {
        var blobs = await OpenAsync();
        await blobs.PutAsync(Container, "put", ReadOnlyMemory<byte>.Empty, new BlobOptions(), None);
        var committed = await blobs.CommitBlocksAsync(Container, "committed", [], new BlobOptions(), None);

        await using var put = await blobs.GetAsync(Container, "put", offset, length, null, None);
        await using var same = await blobs.GetAsync(Container, "committed", offset, length, null, None);

        Assert.Equal(0, committed!.Length);
        Assert.Empty(await ReadAsync(put));
        Assert.Empty(await ReadAsync(same));
    }

    [Fact]
    public async Task ANewBlobIsWrittenOnlyOnce()
    {
        var blobs = await OpenAsync();
        var isNew = new BlobOptions(Condition: BlobCondition.New);

        var results = await Task.WhenAll(Enumerable.Range(0, 6).Select(writer => blobs.PutAsync(Container, "b", new[] { (byte)writer }, isNew, None)));

        Assert.Single(results, result => result is not null);
        await blobs.StageBlockAsync(Container, "b", "1", _digits, None);
        Assert.Null(await blobs.CommitBlocksAsync(Container, "b", ["1"], isNew, None));
        await using var content = await blobs.GetAsync(Container, "b", 0, null, null, None);
        Assert.Equal([(byte)Array.FindIndex(results, result => result is not null)], await ReadAsync(content));
    }

    [Fact]
    public async Task AnETagLetsOneChangeThroughAndNoSecond()
    {
        var blobs = await OpenAsync();
        var first = await blobs.PutAsync(Container, "b", _digits, new BlobOptions(), None);
        var unchanged = new BlobOptions(Condition: BlobCondition.Unchanged, ETag: first!.ETag);

        var second = await blobs.PutAsync(Container, "b", new byte[] { 2 }, unchanged, None);
        Assert.NotNull(second);
        Assert.NotEqual(first.ETag, second.ETag);

        Assert.Null(await blobs.PutAsync(Container, "b", new byte[] { 3 }, unchanged, None));
        await blobs.StageBlockAsync(Container, "b", "1", _digits, None);
        Assert.Null(await blobs.CommitBlocksAsync(Container, "b", ["1"], unchanged, None));
        Assert.False(await blobs.DeleteAsync(Container, "b", first.ETag, None));
        Assert.Equal(412, (await Assert.ThrowsAsync<StorageException>(() => blobs.GetAsync(Container, "b", 0, null, first.ETag, None))).Status);
        Assert.Equal(412, (await Assert.ThrowsAsync<StorageException>(() => blobs.GetAsync(Container, "b", 5, 0, first.ETag, None))).Status);

        Assert.True(await blobs.DeleteAsync(Container, "b", second.ETag, None));
        Assert.True(await blobs.DeleteAsync(Container, "b", second.ETag, None));
        Assert.Null(await blobs.PutAsync(Container, "b", _digits, new BlobOptions(Condition: BlobCondition.Unchanged, ETag: second.ETag), None));
    }

    [Fact]
    public async Task StagedBlocksAreInvisibleUntilTheyAreCommitted()
    {
        var blobs = await OpenAsync();
        await blobs.StageBlockAsync(Container, "b", "0002", "world"u8.ToArray(), None);
        await blobs.StageBlockAsync(Container, "b", "0001", "hello "u8.ToArray(), None);
        await blobs.StageBlockAsync(Container, "b", "0003", "unused"u8.ToArray(), None);

        Assert.Null(await blobs.GetPropertiesAsync(Container, "b", None));
        Assert.Null(await blobs.GetAsync(Container, "b", 0, null, null, None));
        Assert.Empty((await blobs.ListAsync(Container, "", 10, null, None)).Blobs);
        Assert.Equal(
            [new StagedBlock("0001", 6), new StagedBlock("0002", 5), new StagedBlock("0003", 6)],
            await blobs.ListStagedBlocksAsync(Container, "b", None));

        var committed = await blobs.CommitBlocksAsync(
            Container, "b", ["0001", "0002", "0001"], new BlobOptions("text/plain", new Dictionary<string, string> { ["a"] = "b" }), None);

        Assert.Equal((17L, "text/plain", "b"), (committed!.Length, committed.ContentType, committed.Metadata["a"]));
        await using var content = await blobs.GetAsync(Container, "b", 0, null, committed.ETag, None);
        Assert.Equal("hello worldhello ", Encoding.ASCII.GetString(await ReadAsync(content)));
        Assert.Empty(await blobs.ListStagedBlocksAsync(Container, "b", None));
    }

    [Fact]
    public async Task ABlockThatNobodyStagedCannotBeCommitted()
    {
        var blobs = await OpenAsync();
        await blobs.StageBlockAsync(Container, "b", "1", _digits, None);

        var refusal = await Assert.ThrowsAsync<StorageException>(() => blobs.CommitBlocksAsync(Container, "b", ["1", "2"], new BlobOptions(), None));

        Assert.Equal(400, refusal.Status);
        Assert.Null(await blobs.GetPropertiesAsync(Container, "b", None));
    }

    [Fact]
    public async Task BlockIdsAreAnyText()
    {
        var blobs = await OpenAsync();
        var ids = new[] { "a+/=&b%20", "漢<&>xyz", "' \"?#[]~|", "\0\u0001......." };
        foreach (var id in ids)
        {
            await blobs.StageBlockAsync(Container, "b", id, Encoding.UTF8.GetBytes(id), None);
        }

        Assert.Equal(ids.Order(StringComparer.Ordinal), (await blobs.ListStagedBlocksAsync(Container, "b", None)).Select(block => block.Id));
        var committed = await blobs.CommitBlocksAsync(Container, "b", ids, new BlobOptions(), None);
        await using var content = await blobs.GetAsync(Container, "b", 0, null, null, None);
        Assert.Equal(Encoding.UTF8.GetBytes(string.Concat(ids)), await ReadAsync(content));
        Assert.Equal(36, committed!.Length);
    }

    [Fact]
    public async Task AnImpossibleBlockIsTheCallersFault()
    {
        var blobs = await OpenAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => blobs.StageBlockAsync(Container, "b", "", _digits, None));
        await Assert.ThrowsAsync<ArgumentException>(() => blobs.StageBlockAsync(Container, "b", new string('x', 65), _digits, None));
        await Assert.ThrowsAsync<ArgumentException>(() => blobs.StageBlockAsync(Container, "b", "base64:???", _digits, None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => blobs.StageBlockAsync(Container, "b", "1", ReadOnlyMemory<byte>.Empty, None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => blobs.StageBlockAsync(Container, "b", "1", new byte[IBlobs.BlockBytesMax + 1], None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() =>
            blobs.CommitBlocksAsync(Container, "b", [.. Enumerable.Repeat("1", IBlobs.BlocksMax + 1)], new BlobOptions(), None));
    }

    [Fact]
    public async Task AListHasTheBlobsOfAPrefixInOrderPageByPage()
    {
        var blobs = await OpenAsync();
        var names = Enumerable.Range(0, 23).Select(number => $"p/{number:d2} &<ü>").ToList();
        await Task.WhenAll(names.Append("o/1").Append("q").Append("p").Select(name => blobs.PutAsync(Container, name, _digits, new BlobOptions("text/plain"), None)));

        var found = new List<BlobProperties>();
        var pages = 0;
        string? continuation = null;
        do
        {
            var page = await blobs.ListAsync(Container, "p/", 5, continuation, None);
            Assert.InRange(page.Blobs.Count, 0, 5);
            found.AddRange(page.Blobs);
            continuation = page.Continuation;
            pages++;
        }
        while (continuation is not null && pages < 100);

        Assert.Equal(names, found.Select(blob => blob.Name));
        Assert.Equal(5, pages);
        Assert.All(found, blob => Assert.Equal((10L, "text/plain"), (blob.Length, blob.ContentType)));
        Assert.Equal((await blobs.GetPropertiesAsync(Container, names[0], None))!.ETag, found[0].ETag);
        Assert.Equal(26, (await blobs.ListAsync(Container, "", 5000, null, None)).Blobs.Count);
        Assert.Empty((await blobs.ListAsync(Container, "x", 10, null, None)).Blobs);
    }

    [Fact]
    public async Task AnUploadUrlTakesTheBlobWhole()
    {
        var blobs = await OpenAsync();
        using var client = CreateUploadClient();
        const string Name = "ünï c%de/a+b";
        var url = await blobs.GetUploadUrlAsync(Container, Name, TimeProvider.System.GetUtcNow().AddMinutes(5), None);

        var uploaded = await SendAsync(client, HttpMethod.Put, url, _digits);

        Assert.Equal(HttpStatusCode.Created, uploaded);
        await using var content = await blobs.GetAsync(Container, Name, 0, null, null, None);
        Assert.Equal(_digits, await ReadAsync(content));
    }

    [Fact]
    public async Task AnUploadUrlTakesBlocks()
    {
        var blobs = await OpenAsync();
        using var client = CreateUploadClient();
        var url = await blobs.GetUploadUrlAsync(Container, "b", TimeProvider.System.GetUtcNow().AddMinutes(5), None);

        Assert.Equal(HttpStatusCode.Created, await SendAsync(client, HttpMethod.Put, With(url, "comp=block&blockid=AAAA"), "one "u8.ToArray()));
        Assert.Equal(HttpStatusCode.Created, await SendAsync(client, HttpMethod.Put, With(url, "comp=block&blockid=//79"), "two"u8.ToArray()));
        var staged = await blobs.ListStagedBlocksAsync(Container, "b", None);
        await blobs.CommitBlocksAsync(Container, "b", [.. staged.Select(block => block.Id)], new BlobOptions("text/plain"), None);

        // The second id is no text: the bytes FF FE FD.
        Assert.Equal([new StagedBlock("\0\0\0", 4), new StagedBlock("base64://79", 3)], staged);
        await using var content = await blobs.GetAsync(Container, "b", 0, null, null, None);
        Assert.Equal("one two", Encoding.ASCII.GetString(await ReadAsync(content)));
    }

    [Fact]
    public async Task AnUploadUrlAllowsNothingElse()
    {
        var blobs = await OpenAsync();
        using var client = CreateUploadClient();
        await blobs.PutAsync(Container, "other", _digits, new BlobOptions(), None);
        var url = await blobs.GetUploadUrlAsync(Container, "b", TimeProvider.System.GetUtcNow().AddMinutes(5), None);
        var expired = await blobs.GetUploadUrlAsync(Container, "b", TimeProvider.System.GetUtcNow().AddMinutes(-5), None);
        var elsewhere = new Uri(url.AbsoluteUri.Replace($"{Container}/b?", $"{Container}/other?", StringComparison.Ordinal));

        var refused = new[]
        {
            await SendAsync(client, HttpMethod.Put, expired, _digits),
            await SendAsync(client, HttpMethod.Put, elsewhere, "x"u8.ToArray()),
            await SendAsync(client, HttpMethod.Get, url, null),
            await SendAsync(client, HttpMethod.Delete, url, null),
            await SendAsync(client, HttpMethod.Get, elsewhere, null),
        };

        Assert.All(refused, status => Assert.Equal(HttpStatusCode.Forbidden, status));
        Assert.Null(await blobs.GetPropertiesAsync(Container, "b", None));
    }

    [Fact]
    public async Task ACancelledCallSaysSo()
    {
        var blobs = await OpenAsync();
        var cancelled = new CancellationToken(canceled: true);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => blobs.PutAsync(Container, "b", _digits, new BlobOptions(), cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => blobs.GetAsync(Container, "b", 0, null, null, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => blobs.ListAsync(Container, "", 10, null, cancelled));
    }

    [Theory]
    [InlineData(LostAnswer.Dropped)]
    [InlineData(LostAnswer.Busy)]
    [InlineData(LostAnswer.NotApplied)]
    public async Task AWriteWhoseAnswerWasLostSucceedsOnce(LostAnswer fault)
    {
        var plain = await OpenAsync();
        await plain.StageBlockAsync(Container, "committed", "1", _digits, None);
        await plain.StageBlockAsync(Container, "plain", "1", _digits, None);
        var old = await plain.PutAsync(Container, "replaced", _digits, new BlobOptions(), None);

        var put = await (await OpenWithLostAnswerAsync(fault))
            .PutAsync(Container, "put", _digits, new BlobOptions(Condition: BlobCondition.New), None);
        var replaced = await (await OpenWithLostAnswerAsync(fault))
            .PutAsync(Container, "replaced", new byte[] { 1 }, new BlobOptions(Condition: BlobCondition.Unchanged, ETag: old!.ETag), None);
        var committed = await (await OpenWithLostAnswerAsync(fault))
            .CommitBlocksAsync(Container, "committed", ["1"], new BlobOptions(Condition: BlobCondition.New), None);
        var unconditional = await (await OpenWithLostAnswerAsync(fault)).CommitBlocksAsync(Container, "plain", ["1"], new BlobOptions(), None);
        var deleted = await (await OpenWithLostAnswerAsync(fault)).DeleteAsync(Container, "replaced", replaced!.ETag, None);

        Assert.Equal((await plain.GetPropertiesAsync(Container, "put", None))!.ETag, put!.ETag);
        Assert.Equal((await plain.GetPropertiesAsync(Container, "committed", None))!.ETag, committed!.ETag);
        Assert.Equal((1L, 10L, 10L), (replaced.Length, committed.Length, unconditional!.Length));
        Assert.True(deleted);
        Assert.Null(await plain.GetPropertiesAsync(Container, "replaced", None));
    }

    [Fact]
    public async Task ALostAnswerIsNotMistakenForSomeoneElsesWrite()
    {
        var plain = await OpenAsync();
        await plain.PutAsync(Container, "b", _digits, new BlobOptions(), None);

        var put = await (await OpenWithLostAnswerAsync(LostAnswer.Busy))
            .PutAsync(Container, "b", new byte[] { 1 }, new BlobOptions(Condition: BlobCondition.New), None);

        Assert.Null(put);
    }

    [Fact]
    public async Task WhenNoAnswerEverComesTheFailureIsTransient()
    {
        var blobs = await OpenWithLostAnswerAsync(LostAnswer.Always);

        var failure = await Assert.ThrowsAsync<StorageException>(() => blobs.GetPropertiesAsync(Container, "b", None));

        Assert.True(failure.IsTransient);
    }

    [Fact]
    public async Task WhenTheContentAlwaysBreaksOffTheFailureIsTransient()
    {
        var plain = await OpenAsync();
        await plain.PutAsync(Container, "b", _digits, new BlobOptions(), None);
        var blobs = await OpenWithLostAnswerAsync(LostAnswer.Content);

        var failure = await Assert.ThrowsAsync<StorageException>(async () =>
        {
            await using var content = await blobs.GetAsync(Container, "b", 0, null, null, None);
            await ReadAsync(content);
        });

        Assert.Equal(0, failure.Status);
        Assert.True(failure.IsTransient);
    }

    protected static async Task<byte[]> ReadAsync(BlobContent? content)
    {
        using var bytes = new MemoryStream();
        await content!.Stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private static Uri With(Uri url, string query) => new($"{url.AbsoluteUri}&{query}");

    private static async Task<HttpStatusCode> SendAsync(HttpClient client, HttpMethod method, Uri url, byte[]? content)
    {
        using var request = new HttpRequestMessage(method, url);
        if (content is not null)
        {
            request.Content = new ByteArrayContent(content);
            request.Headers.Add("x-ms-blob-type", "BlockBlob");
        }

        using var response = await client.SendAsync(request);
        return response.StatusCode;
    }
}
