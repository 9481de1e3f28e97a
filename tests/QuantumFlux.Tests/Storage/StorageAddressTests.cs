using Microsoft.Extensions.Configuration;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

public sealed class StorageAddressTests
{
    [Theory]
    [InlineData("UseDevelopmentStorage=true")]
    [InlineData(" usedevelopmentstorage=True ;")]
    public void TheEmulatorHasAWord(string connection) => Assert.Equal(StorageAddress.Emulator(), StorageAddress.Parse(connection));

    [Fact]
    public void AConnectionStringNamesAccountKeyAndEndpoints()
    {
        var address = StorageAddress.Parse("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5PT0=;EndpointSuffix=core.example");

        Assert.Equal(
            new StorageAddress("acc", new Uri("https://acc.table.core.example"), new Uri("https://acc.blob.core.example"), "a2V5PT0="), address);
    }

    [Fact]
    public void AConnectionStringComesBackAsItself()
    {
        var address = StorageAddress.Emulator(1234, 5678);

        Assert.Equal(address, StorageAddress.Parse(address.ToConnectionString()!));
        Assert.Equal(new Uri("http://127.0.0.1:1234/devstoreaccount1"), address.BlobEndpoint);
        Assert.Equal(new Uri("http://127.0.0.1:5678/devstoreaccount1"), address.TableEndpoint);
    }

    [Fact]
    public void ANameAloneMeansTheHostsIdentity()
    {
        var address = StorageAddress.Parse("acc");

        Assert.Equal(new StorageAddress("acc", new Uri("https://acc.table.core.windows.net"), new Uri("https://acc.blob.core.windows.net"), null), address);
        Assert.Null(address.ToConnectionString());
    }

    [Fact]
    public void AnEndpointLosesItsTrailingSlash() =>
        Assert.Equal(
            "http://127.0.0.1:1/a",
            StorageAddress.Parse("AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a/;TableEndpoint=http://127.0.0.1:2/a/").BlobEndpoint.AbsoluteUri);

    [Fact]
    public void NeitherALogNorAnErrorShowsTheKey()
    {
        Assert.DoesNotContain("c2VjcmV0", StorageAddress.Parse("AccountName=a;AccountKey=c2VjcmV0").ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(
            "c2VjcmV0", Assert.Throws<FormatException>(() => StorageAddress.Parse("AccountKey=c2VjcmV0")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SettingsGiveAConnectionStringAnAccountOrTwoAddresses()
    {
        Assert.Equal(StorageAddress.Emulator(), Read(("S", "UseDevelopmentStorage=true")));
        Assert.Equal(StorageAddress.Parse("acc"), Read(("S:accountName", "acc")));
        Assert.Equal(
            StorageAddress.Parse("acc"),
            Read(("S:tableServiceUri", "https://acc.table.core.windows.net/"), ("S:blobServiceUri", "https://acc.blob.core.windows.net/")));
        Assert.Null(Read(("T", "acc")));
        Assert.Throws<FormatException>(() => Read(("S:tableServiceUri", "https://acc.table.core.windows.net/")));
    }

    private static StorageAddress? Read(params (string Name, string Value)[] settings) => StorageAddress.FromConfiguration(
        new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(setting => setting.Name, setting => (string?)setting.Value)).Build(), "S");
}
