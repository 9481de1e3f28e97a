using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Storage;
using Azure.Storage.Blobs;
using QuantumFlux.AzureHost;
using QuantumFlux.Local;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>Blobs through the Azure SDK against Azurite.</summary>
public sealed class AzureBlobsConformance(Azurite azurite) : BlobsConformance, IClassFixture<Azurite>
{
    protected override Task<IBlobs> OpenAsync() => Task.FromResult<IBlobs>(Open(null));

    protected override Task<IBlobs> OpenWithLostAnswerAsync(LostAnswer fault) =>
        Task.FromResult<IBlobs>(Open(new FaultyTransport(Faults.Transport(fault))));

    private AzureBlobs Open(HttpPipelineTransport? transport)
    {
        var options = new BlobClientOptions();
        options.Retry.Delay = TimeSpan.FromMilliseconds(1);

        // This version of the SDK sorts the headers that it signs in another order than the service when metadata names differ by an underscore
        // (azure-sdk-for-net, issue 41328). With an identity nothing is signed, and our one name cannot trip it; the suite's names do.
        options.AddPolicy(new BlobSharedKeyPolicy(azurite.Address.AccountName, azurite.Address.AccountKey!), HttpPipelinePosition.BeforeTransport);
        if (transport is not null)
        {
            options.Transport = transport;
        }

        var key = new StorageSharedKeyCredential(azurite.Address.AccountName, azurite.Address.AccountKey);

        return new AzureBlobs(new BlobServiceClient(azurite.Address.BlobEndpoint, key, options));
    }
}
