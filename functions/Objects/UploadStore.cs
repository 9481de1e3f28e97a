using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>An upload of large content past the application, straight into storage.</summary>
/// <param name="Id">Its id, <c>up_</c> and 32 hex digits.</param>
/// <param name="ObjectId">The object whose next version the content becomes.</param>
/// <param name="ExpiresAt">Until when content can be uploaded and committed.</param>
/// <param name="CommittedVersion">The version that it became; null while it has not.</param>
/// <param name="RowETag">The state of its row in storage; null when it is not stored yet.</param>
public sealed record Upload(string Id, string ObjectId, DateTimeOffset ExpiresAt, long? CommittedVersion, string? RowETag)
{
    /// <summary>How long the URL of an upload works.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    public const string Prefix = "up_";
}

/// <summary>Another request has made the upload a version already.</summary>
/// <param name="version">That version.</param>
public sealed class UploadCommittedException(long version) : Exception("The upload has been committed already.")
{
    public long Version { get; } = version;
}

/// <summary>Keeps uploads, and the blobs into which they go.</summary>
/// <remarks>
/// The URL stays valid until it expires, also after the commit, so what it points to is never the object's content: the commit reads it once, which
/// it must to know its hash, and writes it where no client can reach.
/// </remarks>
public sealed class UploadStore(StorageAccounts storage, CleanUpStore cleanUps)
{
    private const string Container = "uploads";
    private const string BlocksMetadata = "blocks";

    private readonly ITables _tables = storage.Main.Tables;
    private readonly IBlobs _blobs = storage.Main.Blobs;

    /// <summary>The URL for the content of an upload.</summary>
    public Task<Uri> UrlAsync(string tenant, Upload upload, CancellationToken cancellationToken) =>
        _blobs.GetUploadUrlAsync(Container, BlobName(tenant, upload.Id), upload.ExpiresAt, cancellationToken);

    /// <summary>Stores a new upload, and further rows in the same transaction.</summary>
    /// <returns>False when those refused it: another upload's id is never the same.</returns>
    public async Task<bool> AddAsync(string tenant, Upload upload, IReadOnlyList<TableAction> also, CancellationToken cancellationToken)
    {
        var removedAt = upload.ExpiresAt + CleanUpStore.Grace;
        await cleanUps.AnnounceAsync(tenant, removedAt, cancellationToken);
        return (await _tables.WriteAsync(
            ObjectRows.Table,
            [TableAction.Insert(ToRow(tenant, upload)), CleanUpStore.Remove(tenant, upload, removedAt), .. also],
            cancellationToken)).IsDone;
    }

    /// <summary>The upload, or null when there is none.</summary>
    public async Task<Upload?> FindAsync(string tenant, string uploadId, CancellationToken cancellationToken) =>
        await _tables.GetAsync(ObjectRows.Table, tenant, Key(uploadId), null, cancellationToken) is { } row
            ? new Upload(
                uploadId,
                row.Text("Object")!,
                new DateTimeOffset(row.Whole("ExpiresAt")!.Value, TimeSpan.Zero),
                row.Whole("CommittedVersion"),
                row.ETag)
            : null;

    /// <summary>The row that says that an upload has become a version; for the version's own transaction.</summary>
    public static TableAction Committed(string tenant, Upload upload, long version) =>
        TableAction.Replace(ToRow(tenant, upload with { CommittedVersion = version }), upload.RowETag!);

    /// <summary>Puts the uploaded blocks together and opens the content.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="upload">The upload.</param>
    /// <param name="blockIds">The blocks in order, as the client named them: in Base64, as in the upload URL, or plain. Null means all, in the order of their ids.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The content, to be disposed; null when nothing was uploaded.</returns>
    /// <exception cref="ApiException">400 when a block is not there.</exception>
    public async Task<BlobContent?> OpenAsync(string tenant, Upload upload, IReadOnlyList<string>? blockIds, CancellationToken cancellationToken)
    {
        var name = BlobName(tenant, upload.Id);
        var staged = await _blobs.ListStagedBlocksAsync(Container, name, cancellationToken);
        var isPutTogether = blockIds is not null
            && (await _blobs.GetPropertiesAsync(Container, name, cancellationToken))?.Metadata.GetValueOrDefault(BlocksMetadata) == HashOf(blockIds);
        if (!isPutTogether && (staged.Count > 0 || blockIds is not null))
        {
            var chosen = Choose(staged, blockIds);
            if (chosen.Count > IBlobs.BlocksMax)
            {
                throw ApiException.InvalidParameter("block_ids", $"must hold at most {IBlobs.BlocksMax} blocks: more than that were uploaded");
            }

            if (chosen.Sum(block => block.Length) > ObjectLimits.ContentBytesMax)
            {
                throw ApiException.PayloadTooLarge(ObjectLimits.ContentBytesMax);
            }

            // Once put together the blocks have no names any more: a commit that is repeated recognises its own list.
            var options = blockIds is null
                ? new BlobOptions()
                : new BlobOptions(Metadata: new Dictionary<string, string> { [BlocksMetadata] = HashOf(blockIds) });
            await _blobs.CommitBlocksAsync(Container, name, [.. chosen.Select(block => block.Id)], options, cancellationToken);
        }

        // The ETag holds the content still while it is read: the client still has the URL.
        return await _blobs.GetPropertiesAsync(Container, name, cancellationToken) is { } properties
            ? await _blobs.GetAsync(Container, name, 0, null, properties.ETag, cancellationToken)
            : null;
    }

    /// <summary>Removes what was uploaded.</summary>
    public Task DiscardAsync(string tenant, Upload upload, CancellationToken cancellationToken) =>
        _blobs.DeleteAsync(Container, BlobName(tenant, upload.Id), null, cancellationToken);

    /// <summary>Removes an upload that is over, and what was uploaded. Blocks that were never put together storage drops itself.</summary>
    public async Task RemoveAsync(string tenant, CleanUpItem item, CancellationToken cancellationToken)
    {
        await _blobs.DeleteAsync(Container, BlobName(tenant, item.Subject), null, cancellationToken);

        // Both rows came in one transaction and go in one: when it is refused, another instance was first.
        await _tables.WriteAsync(
            ObjectRows.Table,
            [TableAction.Delete(tenant, Key(item.Subject), "*"), TableAction.Delete(tenant, item.Key, item.RowETag!)],
            cancellationToken);
    }

    private static IReadOnlyList<StagedBlock> Choose(IReadOnlyList<StagedBlock> staged, IReadOnlyList<string>? wanted)
    {
        if (wanted is null)
        {
            return staged;
        }

        var byName = new Dictionary<string, StagedBlock>(StringComparer.Ordinal);
        foreach (var block in staged)
        {
            byName[Convert.ToBase64String(Encoding.UTF8.GetBytes(block.Id))] = block;
            byName[block.Id.StartsWith("base64:", StringComparison.Ordinal) ? block.Id["base64:".Length..] : block.Id] = block;
        }

        return wanted.FirstOrDefault(id => !byName.ContainsKey(id)) is { } unknown
            ? throw ApiException.InvalidParameter("block_ids", $"names the block {unknown}, which was not uploaded")
            : [.. wanted.Select(id => byName[id])];
    }

    private static string HashOf(IReadOnlyList<string> blockIds) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(' ', blockIds))));

    private static string BlobName(string tenant, string uploadId) => $"{tenant}/{uploadId}";

    private static string Key(string uploadId) => "u:" + TableKey.Escape(uploadId);

    private static TableRow ToRow(string tenant, Upload upload) => new TableRow(tenant, Key(upload.Id))
        .Set("Object", upload.ObjectId)
        .Set("ExpiresAt", upload.ExpiresAt.UtcTicks)
        .Set("CommittedVersion", upload.CommittedVersion);
}
