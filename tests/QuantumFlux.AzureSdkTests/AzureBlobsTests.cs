using System.Net;
using Azure.Storage;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using QuantumFlux.AzureHost;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>What is peculiar to the Azure SDK. What every implementation of <see cref="IBlobs"/> does is in the conformance suite.</summary>
public sealed class AzureBlobsTests(Azurite azurite) : IClassFixture<Azurite>
{
    private static readonly CancellationToken _none = CancellationToken.None;

    private readonly ForgetfulTransport _transport = new();
    private readonly string _container = $"c{Guid.NewGuid():N}";

    [Fact]
    public async Task ANewBlobWhoseAnswerWasLostIsWritten()
    {
        var blobs = Open();
        await blobs.PutAsync(_container, "other", default, new BlobOptions(), _none);
        LoseFirst("PUT");

        var written = await blobs.PutAsync(_container, "new", "content"u8.ToArray(), new BlobOptions(Condition: BlobCondition.New), _none);

        Assert.NotNull(written);
        Assert.Equal(await blobs.GetPropertiesAsync(_container, "new", _none), written, SameFacts);
    }

    [Fact]
    public async Task AReplacedBlobWhoseAnswerWasLostIsReplaced()
    {
        var blobs = Open();
        var before = await blobs.PutAsync(_container, "blob", "before"u8.ToArray(), new BlobOptions(), _none);
        LoseFirst("PUT");

        var after = await blobs.PutAsync(
            _container, "blob", "after"u8.ToArray(), new BlobOptions(Condition: BlobCondition.Unchanged, ETag: before!.ETag), _none);

        Assert.Equal(await blobs.GetPropertiesAsync(_container, "blob", _none), after, SameFacts);
    }

    [Fact]
    public async Task ACommitWhoseAnswerWasLostIsCommitted()
    {
        var blobs = Open();
        await blobs.StageBlockAsync(_container, "blob", "b0", new byte[10], _none);
        LoseFirst("PUT");

        var written = await blobs.CommitBlocksAsync(_container, "blob", ["b0"], new BlobOptions(Condition: BlobCondition.New), _none);

        Assert.Equal(10, written!.Length);
        Assert.Equal(await blobs.GetPropertiesAsync(_container, "blob", _none), written, SameFacts);
    }

    [Fact]
    public async Task SomeoneElsesBlobIsNotOurs()
    {
        var blobs = Open();
        await blobs.PutAsync(_container, "blob", "theirs"u8.ToArray(), new BlobOptions(), _none);
        LoseFirst("PUT");

        Assert.Null(await blobs.PutAsync(_container, "blob", "ours"u8.ToArray(), new BlobOptions(Condition: BlobCondition.New), _none));
    }

    [Fact]
    public async Task AStorageThatNeverAnswersIsOneTransientException()
    {
        var blobs = Open();
        _transport.Loses = _ => true;

        var fault = await Assert.ThrowsAsync<StorageException>(() => blobs.GetPropertiesAsync(_container, "blob", _none));

        Assert.True(fault.IsTransient);
        Assert.IsType<IOException>(fault.InnerException);
        Assert.Equal(3, _transport.Sent);
    }

    [Fact]
    public async Task ACallerWhoLeavesIsNotAStorageFault()
    {
        using var leaving = new CancellationTokenSource();
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Open().PutAsync(_container, "blob", default, new BlobOptions(), leaving.Token));
    }

    [Fact]
    public async Task AnUploadUrlWritesItsBlobAndNothingElse()
    {
        var blobs = Open();
        using var http = new HttpClient();
        var url = await blobs.GetUploadUrlAsync(_container, "a b/ü", TimeProvider.System.GetUtcNow().AddMinutes(5), _none);

        using var upload = new HttpRequestMessage(HttpMethod.Put, url) { Content = new StringContent("direct") };
        upload.Headers.Add("x-ms-blob-type", "BlockBlob");
        using var uploaded = await http.SendAsync(upload);
        using var read = await http.GetAsync(url);
        using var deleted = await http.DeleteAsync(url);

        Assert.Equal(HttpStatusCode.Created, uploaded.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, read.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, deleted.StatusCode);
        await using var content = await blobs.GetAsync(_container, "a b/ü", 0, null, null, _none);
        using var text = new StreamReader(content!.Stream);
        Assert.Equal("direct", await text.ReadToEndAsync());
    }

    [Fact]
    public async Task ABlockIdThatIsNotTextCanBeCommitted()
    {
        var blobs = Open();
        using var http = new HttpClient();
        var url = await blobs.GetUploadUrlAsync(_container, "blob", TimeProvider.System.GetUtcNow().AddMinutes(5), _none);
        var id = Uri.EscapeDataString(Convert.ToBase64String([0xff, 0xfe]));
        using var staged = await http.PutAsync(new Uri($"{url}&comp=block&blockid={id}"), new StringContent("raw"));

        var block = Assert.Single(await blobs.ListStagedBlocksAsync(_container, "blob", _none));
        var written = await blobs.CommitBlocksAsync(_container, "blob", [block.Id], new BlobOptions(), _none);

        Assert.Equal("base64://4=", block.Id);
        Assert.Equal(3, written!.Length);
    }

    [Theory]
    [InlineData("../other/blob")]
    [InlineData("a/../blob")]
    [InlineData("a/./blob")]
    [InlineData("..")]
    [InlineData("/blob")]
    [InlineData("blob/")]
    public async Task ANameThatWouldReachAnotherBlobIsRefused(string name)
    {
        var fault = await Assert.ThrowsAsync<StorageException>(() => Open().PutAsync(_container, name, default, new BlobOptions(), _none));

        Assert.Equal(400, fault.Status);
        Assert.Equal(0, _transport.Sent);
    }

    [Theory]
    [InlineData("a//b")]
    [InlineData("a b+c%2F#?&'\"")]
    [InlineData("日本/😀.")]
    [InlineData("...")]
    public async Task AnyOtherNameIsTheBlobs(string name)
    {
        var blobs = Open();

        var written = await blobs.PutAsync(_container, name, "x"u8.ToArray(), new BlobOptions(), _none);

        Assert.Equal(written, Assert.Single((await blobs.ListAsync(_container, name, 10, null, _none)).Blobs), SameFacts);
    }

    [Fact]
    public async Task TheChecksumIsTheRealOne()
    {
        // Where System.IO.Hashing cannot be restored, this is what its stand-in is for.
        var checksum = "";
        _transport.Loses = message => message.Request.Headers.TryGetValue("x-ms-content-crc64", out checksum!);
        var options = new BlobClientOptions { Transport = _transport };
        options.Retry.MaxRetries = 0;
        var blob = new BlobServiceClient(azurite.Address.BlobEndpoint, Key(), options).GetBlobContainerClient(_container).GetBlockBlobClient("blob");
        var validation = new UploadTransferValidationOptions { ChecksumAlgorithm = StorageChecksumAlgorithm.StorageCrc64 };

        // Azurite refuses the header, so the answer does not matter.
        await Assert.ThrowsAsync<IOException>(
            () => blob.UploadAsync(new MemoryStream("123456789"u8.ToArray()), new BlobUploadOptions { TransferValidation = validation }));

        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms; least significant byte first.
        Assert.Equal(0xAE8B14860A799888, BitConverter.ToUInt64(Convert.FromBase64String(checksum)));
    }

    private AzureBlobs Open()
    {
        var options = new BlobClientOptions { Transport = _transport };
        options.Retry.MaxRetries = 2;
        options.Retry.Delay = TimeSpan.Zero;

        return new AzureBlobs(new BlobServiceClient(azurite.Address.BlobEndpoint, Key(), options));
    }

    private StorageSharedKeyCredential Key() => new(azurite.Address.AccountName, azurite.Address.AccountKey);

    private void LoseFirst(string method)
    {
        var lost = false;
        _transport.Loses = message => message.Request.Method.Method == method && !lost && (lost = true);
    }

    private static bool SameFacts(QuantumFlux.Storage.BlobProperties? one, QuantumFlux.Storage.BlobProperties? other) =>
        (one?.Name, one?.Length, one?.ETag, one?.LastModified) == (other?.Name, other?.Length, other?.ETag, other?.LastModified);
}
