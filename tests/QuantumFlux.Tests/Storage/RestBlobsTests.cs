using Azure.Core;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Blobs over REST against Azurite.</summary>
public sealed class RestBlobsTests : BlobsConformance
{
    [Fact]
    public async Task AReadGoesOnWhereTheConnectionBroke()
    {
        var blobs = await OpenAsync();
        var content = new byte[1_000_000];
        new Random(1).NextBytes(content);
        await blobs.PutAsync(Container, "b", content, new BlobOptions(), CancellationToken.None);

        // Each of the first nine connections carries a hundred thousand bytes and breaks.
        var transport = new FaultyTransport((number, _) => number < 10 ? Fault.CutBody : Fault.None);
        var breaking = new RestBlobs(await AzuriteFixture.Address, transport: transport);
        await using var whole = await breaking.GetAsync(Container, "b", 0, null, null, CancellationToken.None);

        Assert.Equal(content, await ReadAsync(whole));
        Assert.Equal(10, transport.Requests);
    }

    [Fact]
    public async Task ABrokenReadNeverMixesTwoVersions()
    {
        var blobs = await OpenAsync();
        await blobs.PutAsync(Container, "b", new byte[200_000], new BlobOptions(), CancellationToken.None);
        var breaking = new RestBlobs(await AzuriteFixture.Address, transport: new FaultyTransport((number, _) => number == 1 ? Fault.CutBody : Fault.None));
        await using var old = await breaking.GetAsync(Container, "b", 0, null, null, CancellationToken.None);
        await blobs.PutAsync(Container, "b", new byte[200_000], new BlobOptions(), CancellationToken.None);

        var failure = await Assert.ThrowsAsync<StorageException>(() => ReadAsync(old));

        Assert.Equal(412, failure.Status);
    }

    [Fact]
    public async Task ContentThatChangedOnTheWayIsRefused()
    {
        var blobs = new RestBlobs(await AzuriteFixture.Address, transport: new FaultyTransport((_, request) =>
        {
            if (request.Content is not null)
            {
                request.Content = RequestContent.Create(new byte[] { 9, 9, 9 });
            }

            return Fault.None;
        }));

        var put = await Assert.ThrowsAsync<StorageException>(() =>
            blobs.PutAsync(Container, "b", new byte[] { 1, 2, 3 }, new BlobOptions(), CancellationToken.None));
        var block = await Assert.ThrowsAsync<StorageException>(() =>
            blobs.StageBlockAsync(Container, "b", "1", new byte[] { 1, 2, 3 }, CancellationToken.None));

        Assert.Equal((400, 400), (put.Status, block.Status));
        Assert.Null(await blobs.GetPropertiesAsync(Container, "b", CancellationToken.None));
    }

    [Fact]
    public void AnAccountWithoutKeyNeedsACredential() =>
        Assert.Throws<ArgumentException>(() => new RestBlobs(StorageAddress.Parse("account")));

    protected override async Task<IBlobs> OpenAsync() => new RestBlobs(await AzuriteFixture.Address);

    protected override async Task<IBlobs> OpenWithLostAnswerAsync(LostAnswer fault) =>
        new RestBlobs(await AzuriteFixture.Address, transport: new FaultyTransport(Faults.Transport(fault)));
}
