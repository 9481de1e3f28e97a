using System.Globalization;
using System.Net;
using System.Xml.Linq;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Block blobs in memory, for simulations: the limits and outcomes of the real ones, a clock that can be moved, faults on request.</summary>
/// <param name="time">The clock of last writes and of the end of upload URLs.</param>
/// <param name="hook">Makes faults; null means none.</param>
public sealed class MemoryBlobs(TimeProvider time, MemoryHook? hook = null) : IBlobs
{
    private const string ContinuationPrefix = "m.";

    private readonly MemoryRequests _requests = new(hook);
    private readonly Dictionary<string, SortedList<string, Stored>> _containers = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Container, string Name), Dictionary<string, byte[]>> _staged = [];
    private readonly Dictionary<string, UploadRight> _uploads = new(StringComparer.Ordinal);
    private long _writes;

    /// <summary>How many requests were made, each try counted.</summary>
    public int Requests => _requests.Count;

    /// <summary>Answers to the URLs of <see cref="GetUploadUrlAsync"/> as the service would.</summary>
    public HttpMessageHandler Uploads => new UploadHandler(this);

    /// <summary>Takes over all blobs and staged blocks of others, which stay as they are. No request.</summary>
    public void CopyFrom(MemoryBlobs other)
    {
        _writes = other._writes;
        foreach (var (container, blobs) in other._containers)
        {
            _containers[container] = new SortedList<string, Stored>(blobs, StringComparer.Ordinal);
        }

        foreach (var (blob, blocks) in other._staged)
        {
            _staged[blob] = new Dictionary<string, byte[]>(blocks, StringComparer.Ordinal);
        }

        foreach (var (url, right) in other._uploads)
        {
            _uploads[url] = right;
        }
    }

    public Task<BlobProperties?> PutAsync(
        string container, string name, ReadOnlyMemory<byte> content, BlobOptions options, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        BlobRules.Check(options);
        var operation = Guid.NewGuid().ToString("N");
        return _requests.RunAsync(
            "Blobs.Put", wasRetried => Write(container, name, () => content.ToArray(), options, operation, wasRetried), cancellationToken);
    }

    public Task StageBlockAsync(string container, string name, string blockId, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(content.Length, 1, nameof(content));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(content.Length, IBlobs.BlockBytesMax, nameof(content));
        var block = BlobRules.BlockName(blockId);
        return _requests.RunAsync("Blobs.StageBlock", _ => Stage(container, name, block, content.ToArray()), cancellationToken);
    }

    public Task<BlobProperties?> CommitBlocksAsync(
        string container, string name, IReadOnlyList<string> blockIds, BlobOptions options, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        BlobRules.Check(options);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(blockIds.Count, IBlobs.BlocksMax, nameof(blockIds));
        var blocks = blockIds.Select(BlobRules.BlockName).ToList();
        var operation = Guid.NewGuid().ToString("N");
        return _requests.RunAsync(
            "Blobs.CommitBlocks", wasRetried => Write(container, name, () => Join(container, name, blocks), options, operation, wasRetried), cancellationToken);
    }

    public Task<IReadOnlyList<StagedBlock>> ListStagedBlocksAsync(string container, string name, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        return _requests.RunAsync<IReadOnlyList<StagedBlock>>(
            "Blobs.ListStagedBlocks",
            _ => _staged.TryGetValue((container, name), out var blocks)
                ? [.. blocks.Select(block => new StagedBlock(BlobRules.BlockId(block.Key), block.Value.Length)).OrderBy(block => block.Id, StringComparer.Ordinal)]
                : [],
            cancellationToken);
    }

    public Task<BlobContent?> GetAsync(string container, string name, long offset, long? length, string? etag, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        return _requests.RunAsync(
            "Blobs.Get",
            _ =>
            {
                if (Find(container, name) is not { } blob)
                {
                    return null;
                }

                if (etag is not null && etag != "*" && etag != blob.Properties.ETag)
                {
                    throw new StorageException("The blob has another ETag.", 412, "ConditionNotMet");
                }

                var start = (int)Math.Min(offset, blob.Content.Length);
                var count = (int)Math.Min(length ?? long.MaxValue, blob.Content.Length - start);
                return new BlobContent(blob.Properties, new MemoryStream(blob.Content, start, count, writable: false));
            },
            cancellationToken);
    }

    public Task<BlobProperties?> GetPropertiesAsync(string container, string name, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        return _requests.RunAsync("Blobs.GetProperties", _ => Find(container, name)?.Properties, cancellationToken);
    }

    public Task<BlobPage> ListAsync(string container, string prefix, int limit, string? continuation, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, 5000);
        return _requests.RunAsync("Blobs.List", _ => Page(container, prefix, limit, continuation?[ContinuationPrefix.Length..] ?? ""), cancellationToken);
    }

    public Task<bool> DeleteAsync(string container, string name, string? etag, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        return _requests.RunAsync(
            "Blobs.Delete",
            _ =>
            {
                if (Find(container, name) is { } blob)
                {
                    if (etag is not null && etag != "*" && etag != blob.Properties.ETag)
                    {
                        return false;
                    }

                    _containers[container].Remove(name);
                    _staged.Remove((container, name));
                }

                return true;
            },
            cancellationToken);
    }

    public Task<Uri> GetUploadUrlAsync(string container, string name, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        return _requests.RunAsync(
            "Blobs.GetUploadUrl",
            _ =>
            {
                var signature = Guid.NewGuid().ToString("N");
                _uploads.Add(signature, new UploadRight(container, name, expiresAt));
                return new Uri($"https://blobs.invalid/{container}/{Uri.EscapeDataString(name)}?sig={signature}");
            },
            cancellationToken);
    }

    private BlobPage Page(string container, string prefix, int limit, string from)
    {
        var found = new List<BlobProperties>();
        foreach (var (name, blob) in _containers.GetValueOrDefault(container) ?? [])
        {
            if (string.CompareOrdinal(name, from) >= 0 && name.StartsWith(prefix, StringComparison.Ordinal))
            {
                if (found.Count == limit)
                {
                    return new BlobPage(found, ContinuationPrefix + name);
                }

                found.Add(blob.Properties with { Metadata = new Dictionary<string, string>() });
            }
        }

        return new BlobPage(found, null);
    }

    private bool Stage(string container, string name, string block, byte[] content)
    {
        if (!_staged.TryGetValue((container, name), out var blocks))
        {
            _staged.Add((container, name), blocks = new Dictionary<string, byte[]>(StringComparer.Ordinal));
        }

        if (blocks.Keys.Any(other => other.Length != block.Length))
        {
            throw new StorageException("The block ids of a blob have the same length.", 400, "InvalidBlobOrBlock");
        }

        blocks[block] = content;
        return true;
    }

    private byte[] Join(string container, string name, IReadOnlyList<string> blocks)
    {
        var staged = _staged.GetValueOrDefault((container, name));
        return
        [
            .. blocks.SelectMany(block =>
                staged?.GetValueOrDefault(block) ?? throw new StorageException("A block is not known.", 400, "InvalidBlockList")),
        ];
    }

    private BlobProperties? Write(
        string container, string name, Func<byte[]> content, BlobOptions options, string operation, bool wasRetried)
    {
        var existing = Find(container, name);
        if (wasRetried && existing?.Operation == operation)
        {
            return existing.Properties;
        }

        var isRefused = options.Condition switch
        {
            BlobCondition.New => existing is not null,
            BlobCondition.Unchanged => existing is null || (options.ETag != "*" && options.ETag != existing.Properties.ETag),
            _ => false,
        };
        if (isRefused)
        {
            return null;
        }

        var bytes = content();
        var now = time.GetUtcNow();
        var properties = new BlobProperties(
            name,
            bytes.Length,
            string.Create(CultureInfo.InvariantCulture, $"\"0x{++_writes:X16}\""),
            options.ContentType,
            new DateTimeOffset(now.Ticks - (now.Ticks % TimeSpan.TicksPerSecond), now.Offset),
            new Dictionary<string, string>(options.Metadata ?? new Dictionary<string, string>(), StringComparer.OrdinalIgnoreCase));
        if (!_containers.TryGetValue(container, out var blobs))
        {
            _containers.Add(container, blobs = new SortedList<string, Stored>(StringComparer.Ordinal));
        }

        blobs[name] = new Stored(properties, bytes, operation);

        // Whatever was staged and not used is dropped by the service too.
        _staged.Remove((container, name));
        return properties;
    }

    private Stored? Find(string container, string name) => _containers.GetValueOrDefault(container)?.GetValueOrDefault(name);

    private sealed record Stored(BlobProperties Properties, byte[] Content, string Operation);

    private sealed record UploadRight(string Container, string Name, DateTimeOffset ExpiresAt);

    private sealed class UploadHandler(MemoryBlobs blobs) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var address = request.RequestUri!;
            var query = address.Query.TrimStart('?').Split('&').Select(pair => pair.Split('=', 2))
                .ToDictionary(pair => pair[0], pair => Uri.UnescapeDataString(pair[^1]), StringComparer.Ordinal);
            var path = address.AbsolutePath.TrimStart('/').Split('/', 2);
            var body = request.Content is null ? [] : await request.Content.ReadAsByteArrayAsync(cancellationToken);
            if (request.Method != HttpMethod.Put
                || !blobs._uploads.TryGetValue(query.GetValueOrDefault("sig", ""), out var right)
                || (right.Container, right.Name) != (path[0], Uri.UnescapeDataString(path[^1]))
                || right.ExpiresAt < blobs.Now)
            {
                return new HttpResponseMessage(HttpStatusCode.Forbidden);
            }

            switch (query.GetValueOrDefault("comp"))
            {
                case null:
                    await blobs.PutAsync(right.Container, right.Name, body, new BlobOptions(), cancellationToken);
                    break;
                case "block":
                    await blobs.StageBlockAsync(right.Container, right.Name, BlobRules.BlockId(query["blockid"]), body, cancellationToken);
                    break;
                default:
                    var ids = XDocument.Load(new MemoryStream(body)).Root!.Elements().Select(element => BlobRules.BlockId(element.Value));
                    await blobs.CommitBlocksAsync(right.Container, right.Name, [.. ids], new BlobOptions(), cancellationToken);
                    break;
            }

            return new HttpResponseMessage(HttpStatusCode.Created);
        }
    }

    private DateTimeOffset Now => time.GetUtcNow();
}
