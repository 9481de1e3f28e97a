using System.Globalization;
using Azure;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using Azure.Storage.Sas;
using QuantumFlux.Storage;
using BlobProperties = QuantumFlux.Storage.BlobProperties;

namespace QuantumFlux.AzureHost;

/// <summary>The block blobs of a storage account through the Azure SDK.</summary>
public sealed class AzureBlobs(BlobServiceClient service) : IBlobs
{
    public Task<BlobProperties?> PutAsync(
        string container, string name, ReadOnlyMemory<byte> content, BlobOptions options, CancellationToken cancellationToken) =>
        WriteAsync(container, name, options, async (blob, metadata) =>
        {
            var written = await blob.UploadAsync(
                Open(content),
                new BlobUploadOptions { HttpHeaders = Headers(options), Metadata = metadata, Conditions = Conditions(options) },
                cancellationToken);

            return (written.Value, content.Length);
        }, cancellationToken);

    public async Task StageBlockAsync(
        string container, string name, string blockId, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(content.Length, 1, nameof(content));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(content.Length, IBlobs.BlockBytesMax, nameof(content));

        try
        {
            await InContainerAsync(
                container,
                () => Blob(container, name).StageBlockAsync(BlobRules.BlockName(blockId), Open(content), cancellationToken: cancellationToken),
                cancellationToken);
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public Task<BlobProperties?> CommitBlocksAsync(
        string container, string name, IReadOnlyList<string> blockIds, BlobOptions options, CancellationToken cancellationToken) =>
        WriteAsync(container, name, options, async (blob, metadata) =>
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(blockIds.Count, IBlobs.BlocksMax, nameof(blockIds));
            var ids = blockIds.Select(BlobRules.BlockName).ToList();

            // The answer to a commit does not say how long the blob became, and afterwards another writer may have replaced it.
            var length = ids.Count == 0 ? 0 : await CountBytesAsync(blob, ids, cancellationToken);
            var written = await blob.CommitBlockListAsync(
                ids,
                new CommitBlockListOptions { HttpHeaders = Headers(options), Metadata = metadata, Conditions = Conditions(options) },
                cancellationToken);

            return (written.Value, length);
        }, cancellationToken);

    public async Task<IReadOnlyList<StagedBlock>> ListStagedBlocksAsync(string container, string name, CancellationToken cancellationToken)
    {
        try
        {
            var blocks = await ListBlocksAsync(Blob(container, name), BlockListTypes.Uncommitted, cancellationToken);

            return blocks is null
                ? []
                : [.. blocks.UncommittedBlocks
                    .Select(block => new StagedBlock(BlobRules.BlockId(block.Name), block.SizeLong))
                    .OrderBy(block => block.Id, StringComparer.Ordinal)];
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<BlobContent?> GetAsync(
        string container, string name, long offset, long? length, string? etag, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        var blob = Blob(container, name);
        var conditions = Unchanged(etag);

        // The last byte's number is a long too. Beyond that, a length means the same as none.
        var range = new HttpRange(offset, length > long.MaxValue - offset || length == 0 ? null : length);

        try
        {
            if (length == 0)
            {
                // A range of no bytes cannot be asked for.
                return await EmptyAsync(blob, conditions, cancellationToken);
            }

            try
            {
                var answer = await blob.DownloadStreamingAsync(
                    new BlobDownloadOptions { Range = range, Conditions = conditions }, cancellationToken);

                return new BlobContent(ToProperties(name, answer.Value.Details), new AzureBlobStream(answer.Value.Content));
            }
            catch (RequestFailedException past) when (past.Status == 416)
            {
                return await EmptyAsync(blob, conditions, cancellationToken);
            }
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return null;
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<BlobProperties?> GetPropertiesAsync(string container, string name, CancellationToken cancellationToken)
    {
        try
        {
            var found = await FindAsync(Blob(container, name), cancellationToken);

            return found is null ? null : ToProperties(name, found);
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<BlobPage> ListAsync(
        string container, string prefix, int limit, string? continuation, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, 5000);

        try
        {
            var pages = service.GetBlobContainerClient(container)
                .GetBlobsAsync(BlobTraits.None, BlobStates.None, prefix, cancellationToken)
                .AsPages(continuation, limit);
            await foreach (var page in pages)
            {
                // One page is one request, and what the caller asked for.
                return new BlobPage([.. page.Values.Select(ToProperties)], string.IsNullOrEmpty(page.ContinuationToken) ? null : page.ContinuationToken);
            }

            return new BlobPage([], null);
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return new BlobPage([], null);
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<bool> DeleteAsync(string container, string name, string? etag, CancellationToken cancellationToken)
    {
        var blob = Blob(container, name);

        try
        {
            try
            {
                await blob.DeleteAsync(conditions: Unchanged(etag), cancellationToken: cancellationToken);
                return true;
            }
            catch (RequestFailedException changed) when (changed.ErrorCode == BlobErrorCode.ConditionNotMet)
            {
                // A blob that is gone has no ETag to match either.
                return await FindAsync(blob, cancellationToken) is null;
            }
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return true;
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    public async Task<Uri> GetUploadUrlAsync(string container, string name, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        var blob = Blob(container, name);
        var signature = new BlobSasBuilder(BlobSasPermissions.Create | BlobSasPermissions.Write, expiresAt)
        {
            BlobContainerName = container,
            BlobName = name,
            Resource = "b",
            Protocol = blob.Uri.Scheme == Uri.UriSchemeHttps ? SasProtocol.Https : SasProtocol.HttpsAndHttp,
        };

        try
        {
            await service.GetBlobContainerClient(container).CreateIfNotExistsAsync(cancellationToken: cancellationToken);
            if (blob.CanGenerateSasUri)
            {
                return blob.GenerateSasUri(signature);
            }

            // Without an account key the identity signs, with a key that storage gives it for this long (a week at most).
            var key = await service.GetUserDelegationKeyAsync(null, expiresAt, cancellationToken);

            return new BlobUriBuilder(blob.Uri) { Sas = signature.ToSasQueryParameters(key.Value, service.AccountName) }.ToUri();
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    /// <summary>Writes a blob under a condition. Null when the condition did not hold.</summary>
    private async Task<BlobProperties?> WriteAsync(
        string container,
        string name,
        BlobOptions options,
        Func<BlockBlobClient, IDictionary<string, string>, Task<(BlobContentInfo Info, long Length)>> send,
        CancellationToken cancellationToken)
    {
        BlobRules.Check(options);
        var blob = Blob(container, name);
        var operation = Guid.NewGuid().ToString("N");
        var metadata = new Dictionary<string, string>(options.Metadata ?? new Dictionary<string, string>(), StringComparer.OrdinalIgnoreCase);

        try
        {
            try
            {
                var (info, length) = await InContainerAsync(
                    container,
                    () => send(blob, new Dictionary<string, string>(metadata) { [BlobRules.OperationMetadata] = operation }),
                    cancellationToken);

                return new BlobProperties(name, length, info.ETag.ToString("H"), options.ContentType, info.LastModified, metadata);
            }
            catch (RequestFailedException refusal) when (IsCondition(refusal, options))
            {
                // The SDK retries without saying so. A retry after a lost answer is refused because of its own effect, which carries our id.
                var current = await FindAsync(blob, cancellationToken);

                return current is not null && current.Metadata.TryGetValue(BlobRules.OperationMetadata, out var writer) && writer == operation
                    ? ToProperties(name, current)
                    : null;
            }
        }
        catch (Exception exception) when (AzureFault.From(exception, cancellationToken) is { } fault)
        {
            throw fault;
        }
    }

    /// <summary>Sends a write; when there is no container, creates it and sends the write again.</summary>
    private async Task<T> InContainerAsync<T>(string container, Func<Task<T>> send, CancellationToken cancellationToken)
    {
        try
        {
            return await send();
        }
        catch (RequestFailedException missing) when (missing.ErrorCode == BlobErrorCode.ContainerNotFound)
        {
            await service.GetBlobContainerClient(container).CreateIfNotExistsAsync(cancellationToken: cancellationToken);
            return await send();
        }
    }

    private static async Task<Azure.Storage.Blobs.Models.BlobProperties?> FindAsync(BlockBlobClient blob, CancellationToken cancellationToken)
    {
        try
        {
            return await blob.GetPropertiesAsync(cancellationToken: cancellationToken);
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return null;
        }
    }

    private static async Task<BlockList?> ListBlocksAsync(BlockBlobClient blob, BlockListTypes types, CancellationToken cancellationToken)
    {
        try
        {
            return await blob.GetBlockListAsync(types, cancellationToken: cancellationToken);
        }
        catch (RequestFailedException missing) when (missing.ErrorCode == BlobErrorCode.BlobNotFound || missing.ErrorCode == BlobErrorCode.ContainerNotFound)
        {
            return null;
        }
    }

    /// <summary>The length of the blob that a commit will make: for each id the staged block, or else the one of the present blob.</summary>
    private static async Task<long> CountBytesAsync(BlockBlobClient blob, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        if (await ListBlocksAsync(blob, BlockListTypes.All, cancellationToken) is not { } blocks)
        {
            return 0;
        }

        var lengths = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var block in blocks.CommittedBlocks.Concat(blocks.UncommittedBlocks))
        {
            lengths[block.Name] = block.SizeLong;
        }

        // An unknown id counts nothing: storage will refuse the commit.
        return ids.Sum(id => lengths.GetValueOrDefault(id));
    }

    private static async Task<BlobContent> EmptyAsync(BlockBlobClient blob, BlobRequestConditions? conditions, CancellationToken cancellationToken)
    {
        var properties = await blob.GetPropertiesAsync(conditions, cancellationToken);

        return new BlobContent(ToProperties(blob.Name, properties.Value), Stream.Null);
    }

    /// <summary>The client of one blob.</summary>
    /// <exception cref="StorageException">Status 400: the SDK cannot address this name.</exception>
    private BlockBlobClient Blob(string container, string name)
    {
        BlobRules.CheckName(name);
        var blob = service.GetBlobContainerClient(container).GetBlockBlobClient(name);

        // The SDK trims slashes at the ends, and an address with "." or ".." as a segment is shortened on its way: it would reach another blob,
        // even in another container.
        return blob.Name == name && blob.BlobContainerName == container
            ? blob
            : throw new StorageException("The blob's name starts or ends with a slash, or has a segment of dots.", 400, "InvalidResourceName");
    }

    private static Stream Open(ReadOnlyMemory<byte> content) => BinaryData.FromBytes(content).ToStream();

    private static BlobHttpHeaders Headers(BlobOptions options) => new() { ContentType = options.ContentType };

    private static BlobRequestConditions? Conditions(BlobOptions options) => options.Condition switch
    {
        BlobCondition.New => new BlobRequestConditions { IfNoneMatch = ETag.All },
        BlobCondition.Unchanged => Unchanged(options.ETag),
        _ => null,
    };

    private static BlobRequestConditions? Unchanged(string? etag) => etag is null ? null : new BlobRequestConditions { IfMatch = new ETag(etag) };

    /// <summary>Whether the blob's state is the reason, and not a lease, a policy or a snapshot, which share the status codes.</summary>
    private static bool IsCondition(RequestFailedException refusal, BlobOptions options) =>
        options.Condition != BlobCondition.None
        && (refusal.ErrorCode == BlobErrorCode.BlobAlreadyExists
            || refusal.ErrorCode == BlobErrorCode.ConditionNotMet
            || refusal.ErrorCode == BlobErrorCode.BlobNotFound);

    private static BlobProperties ToProperties(string name, Azure.Storage.Blobs.Models.BlobProperties properties) => new(
        name,
        properties.ContentLength,
        properties.ETag.ToString("H"),
        properties.ContentType,
        properties.LastModified,
        Visible(properties.Metadata));

    private static BlobProperties ToProperties(string name, BlobDownloadDetails details) => new(
        name,
        WholeLength(details),
        details.ETag.ToString("H"),
        details.ContentType,
        details.LastModified,
        Visible(details.Metadata));

    private static BlobProperties ToProperties(BlobItem item) => new(
        item.Name,
        item.Properties.ContentLength ?? 0,
        item.Properties.ETag?.ToString("H") ?? "",
        item.Properties.ContentType,
        item.Properties.LastModified ?? default,
        new Dictionary<string, string>());

    /// <summary>The blob's length: what follows the slash of <c>bytes 0-99/1000</c>, or the content's own when the answer is the whole blob.</summary>
    private static long WholeLength(BlobDownloadDetails details) =>
        details.ContentRange is { Length: > 0 } range
            ? long.Parse(range.AsSpan(range.IndexOf('/', StringComparison.Ordinal) + 1), CultureInfo.InvariantCulture)
            : details.ContentLength;

    private static Dictionary<string, string> Visible(IDictionary<string, string> metadata)
    {
        var visible = new Dictionary<string, string>(metadata, StringComparer.OrdinalIgnoreCase);
        visible.Remove(BlobRules.OperationMetadata);
        return visible;
    }
}
