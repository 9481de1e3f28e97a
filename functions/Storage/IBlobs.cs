namespace QuantumFlux.Storage;

/// <summary>
/// The block blobs of one storage account, as much of the service as this application needs. Three implementations hold to one conformance
/// suite: the Azure SDK (<c>azure/</c>), REST over Azure.Core (<c>local/</c>) and memory (tests).
/// </summary>
/// <remarks>
/// A container that does not exist reads as empty and is created by the first write. Names are up to 1,024 characters of any kind but control
/// characters. A call that storage committed but whose answer was lost still succeeds: a retry recognises the effect of its own earlier attempt.
/// Every method throws <see cref="StorageException"/> when storage refuses or cannot be reached.
/// </remarks>
public interface IBlobs
{
    /// <summary>The largest block that <see cref="StageBlockAsync"/> is given, in bytes. The service takes far larger ones; this bounds memory.</summary>
    const int BlockBytesMax = 8 * 1024 * 1024;

    /// <summary>The most blocks of one blob; a limit of the service.</summary>
    const int BlocksMax = 50_000;

    /// <summary>Writes a blob in one request.</summary>
    /// <returns>The new blob's properties, or null when the condition did not hold.</returns>
    Task<BlobProperties?> PutAsync(string container, string name, ReadOnlyMemory<byte> content, BlobOptions options, CancellationToken cancellationToken);

    /// <summary>Uploads one block of a blob to come. The block is invisible until <see cref="CommitBlocksAsync"/> names it; storage drops it after a week.</summary>
    /// <param name="container">The container's name.</param>
    /// <param name="name">The blob's name.</param>
    /// <param name="blockId">The block's id: up to 64 bytes of text, the same length for every block of a blob. Implementations encode it as Base64.</param>
    /// <param name="content">Up to <see cref="BlockBytesMax"/> bytes, at least one.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    Task StageBlockAsync(string container, string name, string blockId, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>Makes staged blocks the content of a blob, in the given order. The blob appears, or is replaced, at once and whole.</summary>
    /// <param name="container">The container's name.</param>
    /// <param name="name">The blob's name.</param>
    /// <param name="blockIds">The ids as given to <see cref="StageBlockAsync"/>, up to <see cref="BlocksMax"/>. Empty makes an empty blob.</param>
    /// <param name="options">Type, metadata, condition.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The new blob's properties, or null when the condition did not hold.</returns>
    /// <exception cref="ArgumentOutOfRangeException">More than <see cref="BlocksMax"/> ids. Nothing was sent.</exception>
    /// <exception cref="StorageException">Status 400 when a block is not known.</exception>
    Task<BlobProperties?> CommitBlocksAsync(string container, string name, IReadOnlyList<string> blockIds, BlobOptions options, CancellationToken cancellationToken);

    /// <summary>The blocks that were staged and not committed, in the order of their ids (ordinal). Empty when there are none.</summary>
    /// <remarks>
    /// A block whose id is not text in UTF-8 (a client with the upload URL can choose any bytes) appears under its Base64 form with <c>base64:</c> before it, and can be committed so.
    /// There may be more than can be committed: the service keeps up to 100,000 staged blocks of a blob ("Put Block", its documentation), and takes <see cref="BlocksMax"/> of them in
    /// a commit. Whoever commits all that is listed compares the count first, since a client with the upload URL decides it.
    /// </remarks>
    Task<IReadOnlyList<StagedBlock>> ListStagedBlocksAsync(string container, string name, CancellationToken cancellationToken);

    /// <summary>Opens a blob for reading. One storage request; the content streams as it is read.</summary>
    /// <param name="container">The container's name.</param>
    /// <param name="name">The blob's name.</param>
    /// <param name="offset">The first byte to read.</param>
    /// <param name="length">How many bytes at most; null means to the end.</param>
    /// <param name="etag">The ETag that the blob must still have; null means any.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>
    /// The content, to be disposed; null when there is no blob. A range that starts at or past the end gives empty content.
    /// The stream throws <see cref="StorageException"/>, and nothing else but <see cref="OperationCanceledException"/> when its reader cancelled, if
    /// storage fails part of the way: with status 0 when the content broke off and could not be resumed.
    /// </returns>
    /// <exception cref="StorageException">Status 412 when the blob has another ETag.</exception>
    Task<BlobContent?> GetAsync(string container, string name, long offset, long? length, string? etag, CancellationToken cancellationToken);

    /// <summary>A blob's properties, or null when there is none. Staged blocks alone are not a blob.</summary>
    Task<BlobProperties?> GetPropertiesAsync(string container, string name, CancellationToken cancellationToken);

    /// <summary>One page of the blobs whose names start with a prefix, in the order of their names.</summary>
    /// <param name="container">The container's name.</param>
    /// <param name="prefix">The prefix; empty means all.</param>
    /// <param name="limit">The most blobs to return, 1 to 5,000.</param>
    /// <param name="continuation">Where the page before ended; null means the start.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    Task<BlobPage> ListAsync(string container, string prefix, int limit, string? continuation, CancellationToken cancellationToken);

    /// <summary>Deletes a blob.</summary>
    /// <returns>True when it is gone now, also when it was gone before; false when it has another ETag than the one given.</returns>
    Task<bool> DeleteAsync(string container, string name, string? etag, CancellationToken cancellationToken);

    /// <summary>A URL with which anyone may upload this one blob (whole or in blocks) until a moment, and do nothing else. Creates the container.</summary>
    Task<Uri> GetUploadUrlAsync(string container, string name, DateTimeOffset expiresAt, CancellationToken cancellationToken);
}

/// <summary>What a blob is written with.</summary>
/// <param name="ContentType">Its media type.</param>
/// <param name="Metadata">Names (letters, digits, underscore; start with a letter) and ASCII values; null means none. The name <c>operation</c> is reserved.</param>
/// <param name="Condition">When to write.</param>
/// <param name="ETag">The ETag that the blob must have, with <see cref="BlobCondition.Unchanged"/>.</param>
public sealed record BlobOptions(
    string ContentType = "application/octet-stream",
    IReadOnlyDictionary<string, string>? Metadata = null,
    BlobCondition Condition = BlobCondition.None,
    string? ETag = null);

/// <summary>When a blob may be written.</summary>
public enum BlobCondition
{
    /// <summary>Always.</summary>
    None,

    /// <summary>Only when there is no such blob.</summary>
    New,

    /// <summary>Only when the blob has a given ETag.</summary>
    Unchanged,
}

/// <summary>A block that waits to be committed.</summary>
public sealed record StagedBlock(string Id, long Length);

/// <summary>The facts about a blob.</summary>
/// <param name="Name">Its name in the container.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="ETag">Its version.</param>
/// <param name="ContentType">Its media type.</param>
/// <param name="LastModified">When it was written, by storage's clock, to the second.</param>
/// <param name="Metadata">Its metadata without the reserved name; empty in lists.</param>
public sealed record BlobProperties(
    string Name,
    long Length,
    string ETag,
    string ContentType,
    DateTimeOffset LastModified,
    IReadOnlyDictionary<string, string> Metadata);

/// <summary>An open blob.</summary>
/// <param name="Properties">The facts about the whole blob, whatever the range.</param>
/// <param name="Stream">The bytes of the range.</param>
public sealed record BlobContent(BlobProperties Properties, Stream Stream) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}

/// <summary>One page of a list of blobs.</summary>
/// <param name="Blobs">The blobs, in the order of their names.</param>
/// <param name="Continuation">An opaque text that continues the list; null at the end.</param>
public sealed record BlobPage(IReadOnlyList<BlobProperties> Blobs, string? Continuation);
