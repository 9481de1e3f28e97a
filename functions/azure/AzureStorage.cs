using Azure.Core;
using Azure.Data.Tables;
using Azure.Storage;
using Azure.Storage.Blobs;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureHost;

/// <summary>Opens storage accounts with the Azure SDK.</summary>
public static class AzureStorage
{
    /// <summary>Opens an account; sends nothing yet.</summary>
    /// <param name="address">Where it is. With an account key the key is used, otherwise the identity.</param>
    /// <param name="identity">Who this application is to storage.</param>
    public static StorageAccount Open(StorageAddress address, TokenCredential identity) =>
        new(new AzureTables(OpenTables(address, identity)), new AzureBlobs(OpenBlobs(address, identity)));

    private static TableServiceClient OpenTables(StorageAddress address, TokenCredential identity)
    {
        var options = new TableClientOptions();
        Limit(options, TimeSpan.FromSeconds(15));
        options.AddPolicy(Attempts.Policy, HttpPipelinePosition.PerRetry);

        return address.AccountKey is { } key
            ? new TableServiceClient(address.TableEndpoint, new TableSharedKeyCredential(address.AccountName, key), options)
            : new TableServiceClient(address.TableEndpoint, identity, options);
    }

    private static BlobServiceClient OpenBlobs(StorageAddress address, TokenCredential identity)
    {
        var options = new BlobClientOptions();
        Limit(options, TimeSpan.FromSeconds(60));

        return address.AccountKey is { } key
            ? new BlobServiceClient(address.BlobEndpoint, new StorageSharedKeyCredential(address.AccountName, key), options)
            : new BlobServiceClient(address.BlobEndpoint, identity, options);
    }

    // Four retries after about 0.1, 0.2, 0.4 and 0.8 s: longer than a storage partition takes to move, shorter than a caller waits. The SDK's own
    // limits are for batch jobs: 100 s for one try.
    private static void Limit(ClientOptions options, TimeSpan tryTimeout)
    {
        options.Retry.MaxRetries = 4;
        options.Retry.Delay = TimeSpan.FromMilliseconds(100);
        options.Retry.MaxDelay = TimeSpan.FromSeconds(5);
        options.Retry.NetworkTimeout = tryTimeout;
    }
}
