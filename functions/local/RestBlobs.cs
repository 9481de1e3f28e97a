using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml;
using Azure;
using Azure.Core;
using Azure.Core.Pipeline;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>Block blobs over the storage REST protocol.</summary>
/// <param name="address">The account. With a key, requests are signed with it.</param>
/// <param name="credential">Gives the token for an account without a key.</param>
/// <param name="transport">Sends the requests; null means the process-wide connection pool.</param>
/// <exception cref="ArgumentException">The account has no key, and there is no credential.</exception>
public sealed class RestBlobs(StorageAddress address, TokenCredential? credential = null, HttpPipelineTransport? transport = null) : IBlobs
{
    // A container that was deleted while we wrote is created again, but not for ever.
    private const int ContainerCreationsMax = 2;

    private const string MetadataPrefix = "x-ms-meta-";
    private const string OperationHeader = MetadataPrefix + BlobRules.OperationMetadata;

    private readonly StorageRest _rest = StorageRest.ForBlobs(address, credential, transport);
    private readonly UploadUrls _uploadUrls = new(address, credential, transport);

    public async Task<BlobProperties?> PutAsync(
        string container, string name, ReadOnlyMemory<byte> content, BlobOptions options, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        BlobRules.Check(options);
        var operation = Guid.NewGuid().ToString("N");
        var hash = Md5(content.Span);

        return await WriteAsync(
            container,
            name,
            operation,
            () =>
            {
                var message = _rest.Message(RequestMethod.Put, Path(container, name));
                message.Request.Headers.Add("x-ms-blob-type", "BlockBlob");
                message.Request.Headers.Add("Content-Type", "application/octet-stream");
                message.Request.Headers.Add("Content-MD5", hash);
                message.Request.Content = RequestContent.Create(content);
                AddOptions(message.Request, options, operation);
                return message;
            },
            response => Task.FromResult(Written(response, name, content.Length, options)),
            cancellationToken);
    }

    public async Task StageBlockAsync(
        string container, string name, string blockId, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(content.Length, 1, nameof(content));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(content.Length, IBlobs.BlockBytesMax, nameof(content));
        var path = $"{Path(container, name)}?comp=block&blockid={Uri.EscapeDataString(BlobRules.BlockName(blockId))}";
        var hash = Md5(content.Span);

        using var message = await SendCreatingAsync(
            container,
            () =>
            {
                var message = _rest.Message(RequestMethod.Put, path);
                message.Request.Headers.Add("Content-Type", "application/octet-stream");
                message.Request.Headers.Add("Content-MD5", hash);
                message.Request.Content = RequestContent.Create(content);
                return message;
            },
            cancellationToken);
        if (message.Response.Status >= 300)
        {
            throw StorageRest.Error(message);
        }
    }

    public async Task<BlobProperties?> CommitBlocksAsync(
        string container, string name, IReadOnlyList<string> blockIds, BlobOptions options, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        BlobRules.Check(options);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(blockIds.Count, IBlobs.BlocksMax, nameof(blockIds));
        var operation = Guid.NewGuid().ToString("N");
        var body = BlockList(blockIds);
        var hash = Md5(body);

        return await WriteAsync(
            container,
            name,
            operation,
            () =>
            {
                var message = _rest.Message(RequestMethod.Put, $"{Path(container, name)}?comp=blocklist");
                message.Request.Headers.Add("Content-Type", "application/xml");
                message.Request.Headers.Add("Content-MD5", hash);
                message.Request.Content = RequestContent.Create(body);
                AddOptions(message.Request, options, operation);
                return message;
            },
            // The answer does not say how long the blob became.
            response => PropertiesAsync(container, name, response.Headers.ETag?.ToString("H"), cancellationToken),
            cancellationToken);
    }

    public async Task<IReadOnlyList<StagedBlock>> ListStagedBlocksAsync(string container, string name, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        using var message = _rest.Message(RequestMethod.Get, $"{Path(container, name)}?comp=blocklist&blocklisttype=uncommitted");
        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status != 200)
        {
            return response.Status == 404 ? [] : throw StorageRest.Error(message);
        }

        var blocks = new List<StagedBlock>();
        using var reader = XmlReader.Create(response.ContentStream!);
        while (reader.ReadToFollowing("Block"))
        {
            reader.ReadToFollowing("Name");
            var id = BlobRules.BlockId(reader.ReadElementContentAsString());
            if (reader.LocalName == "Size" || reader.ReadToNextSibling("Size"))
            {
                blocks.Add(new StagedBlock(id, reader.ReadElementContentAsLong()));
            }
        }

        return [.. blocks.OrderBy(block => block.Id, StringComparer.Ordinal)];
    }

    public async Task<BlobContent?> GetAsync(
        string container, string name, long offset, long? length, string? etag, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        var opened = length == 0 ? null : await OpenAsync(container, name, offset, length, etag, cancellationToken);
        switch (opened)
        {
            case { Properties: { } properties, Stream: { } stream }:
                return new BlobContent(properties, new BlobReadStream(
                    stream,
                    offset,
                    Math.Min(length ?? long.MaxValue, properties.Length - offset),
                    async (at, count, token) => (await OpenAsync(container, name, at, count, properties.ETag, token))?.Stream));
            case { Status: 404 }:
                return null;
            default:
                // Nothing to read: no byte is asked for, or the range starts past the end. The facts about the blob are asked for all the same.
                var facts = await PropertiesAsync(container, name, etag, cancellationToken);
                return facts is null ? null : new BlobContent(facts, Stream.Null);
        }
    }

    public Task<BlobProperties?> GetPropertiesAsync(string container, string name, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        return PropertiesAsync(container, name, null, cancellationToken);
    }

    public async Task<BlobPage> ListAsync(string container, string prefix, int limit, string? continuation, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, 5000);
        var path = string.Create(CultureInfo.InvariantCulture, $"/{container}?restype=container&comp=list&maxresults={limit}");
        if (prefix.Length > 0)
        {
            path += $"&prefix={Uri.EscapeDataString(prefix)}";
        }

        if (continuation is not null)
        {
            path += $"&marker={Uri.EscapeDataString(continuation)}";
        }

        using var message = _rest.Message(RequestMethod.Get, path);
        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 => ReadPage(response.ContentStream!),
            404 => new BlobPage([], null),
            _ => throw StorageRest.Error(message),
        };
    }

    public async Task<bool> DeleteAsync(string container, string name, string? etag, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        using var message = _rest.Message(RequestMethod.Delete, Path(container, name));
        if (etag is not null)
        {
            message.Request.Headers.Add("If-Match", etag);
        }

        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status != 412)
        {
            return response.Status is < 300 or 404 ? true : throw StorageRest.Error(message);
        }

        // Some versions of the service answer 412 to a condition on a blob that is not there.
        return await PropertiesAsync(container, name, null, cancellationToken) is null;
    }

    public async Task<Uri> GetUploadUrlAsync(string container, string name, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        BlobRules.CheckName(name);
        await CreateContainerAsync(container, cancellationToken);
        var query = await _uploadUrls.QueryAsync(container, name, expiresAt, cancellationToken);
        return _rest.Address($"{Path(container, name)}?{query}");
    }

    /// <summary>A write under a condition: null when the condition does not hold, unless what stands in the way is an earlier try of the same write.</summary>
    private async Task<BlobProperties?> WriteAsync(
        string container,
        string name,
        string operation,
        Func<HttpMessage> create,
        Func<Response, Task<BlobProperties?>> written,
        CancellationToken cancellationToken)
    {
        using var message = await SendCreatingAsync(container, create, cancellationToken);
        var response = message.Response;
        if (response.Status < 300)
        {
            // Null: replaced or deleted in the moment between the write and the look at it.
            return await written(response)
                ?? throw new StorageException("The blob was written and changed again before its properties could be read.", 412, "ConditionNotMet");
        }

        if (StorageRest.WasRetried(message)
            && await OperationAsync(container, name, cancellationToken) is ({ } properties, var found)
            && found == operation)
        {
            return properties;
        }

        return response.Status switch
        {
            412 => null,
            404 or 409 when StorageRest.ErrorCode(response) is "BlobNotFound" or "BlobAlreadyExists" => null,
            404 when message.Request.Headers.Contains("If-Match") => null,
            _ => throw StorageRest.Error(message),
        };
    }

    /// <summary>Sends a write, and once more after creating the container if that is what was missing.</summary>
    private async Task<HttpMessage> SendCreatingAsync(string container, Func<HttpMessage> create, CancellationToken cancellationToken)
    {
        for (var creations = 0; ; creations++)
        {
            var message = create();
            var isKept = false;
            try
            {
                var response = await _rest.SendAsync(message, cancellationToken);
                isKept = response.Status != 404
                    || StorageRest.ErrorCode(response) != "ContainerNotFound"
                    || message.Request.Headers.Contains("If-Match")
                    || creations == ContainerCreationsMax;
                if (isKept)
                {
                    return message;
                }
            }
            finally
            {
                if (!isKept)
                {
                    message.Dispose();
                }
            }

            await CreateContainerAsync(container, cancellationToken);
        }
    }

    private async Task CreateContainerAsync(string container, CancellationToken cancellationToken)
    {
        using var message = _rest.Message(RequestMethod.Put, $"/{container}?restype=container");
        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status >= 300 && StorageRest.ErrorCode(response) != "ContainerAlreadyExists")
        {
            throw StorageRest.Error(message);
        }
    }

    private async Task<(BlobProperties? Properties, Stream? Stream, int Status)?> OpenAsync(
        string container, string name, long offset, long? length, string? etag, CancellationToken cancellationToken)
    {
        using var message = _rest.Message(RequestMethod.Get, Path(container, name));
        message.BufferResponse = false;
        if (offset > 0 || length is not null)
        {
            // "To the end" is the end that a long can hold: the service cuts a range at the blob's end.
            var last = length is { } count && count <= long.MaxValue - offset ? offset + count - 1 : (long?)null;
            message.Request.Headers.Add("x-ms-range", string.Create(CultureInfo.InvariantCulture, $"bytes={offset}-{last}"));
        }

        if (etag is not null)
        {
            message.Request.Headers.Add("If-Match", etag);
        }

        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 or 206 => (Read(response, name), message.ExtractResponseContent() ?? Stream.Null, response.Status),
            404 or 416 => (null, null, response.Status),
            _ => throw StorageRest.Error(message),
        };
    }

    private async Task<BlobProperties?> PropertiesAsync(string container, string name, string? etag, CancellationToken cancellationToken)
    {
        using var message = _rest.Message(RequestMethod.Head, Path(container, name));
        if (etag is not null)
        {
            message.Request.Headers.Add("If-Match", etag);
        }

        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 => Read(response, name),
            404 => null,
            _ => throw StorageRest.Error(message),
        };
    }

    private async Task<(BlobProperties? Properties, string? Operation)> OperationAsync(string container, string name, CancellationToken cancellationToken)
    {
        using var message = _rest.Message(RequestMethod.Head, Path(container, name));
        var response = await _rest.SendAsync(message, cancellationToken);
        return response.Status switch
        {
            200 => (Read(response, name), response.Headers.TryGetValue(OperationHeader, out var operation) ? operation : null),
            404 => (null, null),
            _ => throw StorageRest.Error(message),
        };
    }

    private static void AddOptions(Request request, BlobOptions options, string operation)
    {
        request.Headers.Add("x-ms-blob-content-type", options.ContentType);
        request.Headers.Add(OperationHeader, operation);
        foreach (var (name, value) in options.Metadata ?? new Dictionary<string, string>())
        {
            request.Headers.Add(MetadataPrefix + name, value);
        }

        if (options.Condition == BlobCondition.New)
        {
            request.Headers.Add("If-None-Match", "*");
        }
        else if (options.Condition == BlobCondition.Unchanged)
        {
            request.Headers.Add("If-Match", options.ETag!);
        }
    }

    private static BlobProperties? Written(Response response, string name, long length, BlobOptions options) => new(
        name,
        length,
        response.Headers.ETag?.ToString("H") ?? "",
        options.ContentType,
        LastModified(response),
        options.Metadata ?? new Dictionary<string, string>());

    private static BlobProperties Read(Response response, string name)
    {
        // "bytes 0-9/100": what follows the slash is the whole blob's length.
        var length = response.Headers.TryGetValue("Content-Range", out var range) && range.LastIndexOf('/') is var slash and >= 0
            ? long.Parse(range.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture)
            : response.Headers.ContentLengthLong ?? 0;
        var metadata = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var header in response.Headers)
        {
            if (header.Name.StartsWith(MetadataPrefix, StringComparison.OrdinalIgnoreCase)
                && !header.Name.Equals(OperationHeader, StringComparison.OrdinalIgnoreCase))
            {
                metadata[header.Name[MetadataPrefix.Length..]] = header.Value;
            }
        }

        return new BlobProperties(
            name, length, response.Headers.ETag?.ToString("H") ?? "", response.Headers.ContentType ?? "application/octet-stream", LastModified(response), metadata);
    }

    private static DateTimeOffset LastModified(Response response) =>
        response.Headers.TryGetValue("Last-Modified", out var text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : default;

    private static BlobPage ReadPage(Stream xml)
    {
        var blobs = new List<BlobProperties>();
        string? marker = null;
        using var reader = XmlReader.Create(xml);
        reader.MoveToContent();
        while (reader.Read())
        {
            if (reader.NodeType != XmlNodeType.Element)
            {
                continue;
            }

            if (reader.LocalName == "Blob")
            {
                using var blob = reader.ReadSubtree();
                blobs.Add(ReadBlob(blob));
            }
            else if (reader.LocalName == "NextMarker" && reader.ReadString() is { Length: > 0 } next)
            {
                marker = next;
            }
        }

        return new BlobPage(blobs, marker);
    }

    private static BlobProperties ReadBlob(XmlReader reader)
    {
        var blob = new BlobProperties("", 0, "", "application/octet-stream", default, new Dictionary<string, string>());
        while (reader.Read())
        {
            if (reader.NodeType != XmlNodeType.Element)
            {
                continue;
            }

            blob = reader.LocalName switch
            {
                // Names that XML cannot hold come percent-encoded, with a mark that says so.
                "Name" when reader.GetAttribute("Encoded") == "true" => blob with { Name = Uri.UnescapeDataString(reader.ReadString()) },
                "Name" => blob with { Name = reader.ReadString() },
                "Content-Length" => blob with { Length = long.Parse(reader.ReadString(), CultureInfo.InvariantCulture) },
                // Lists give the ETag without the quotes that headers have.
                "Etag" => blob with { ETag = $"\"{reader.ReadString().Trim('"')}\"" },
                "Content-Type" when reader.ReadString() is { Length: > 0 } type => blob with { ContentType = type },
                "Last-Modified" => blob with
                {
                    LastModified = DateTimeOffset.Parse(reader.ReadString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal),
                },
                _ => blob,
            };
        }

        return blob;
    }

    private static byte[] BlockList(IReadOnlyList<string> blockIds)
    {
        using var body = new MemoryStream();
        using (var writer = XmlWriter.Create(body, new XmlWriterSettings { Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false) }))
        {
            writer.WriteStartElement("BlockList");
            foreach (var id in blockIds)
            {
                writer.WriteElementString("Uncommitted", BlobRules.BlockName(id));
            }

            writer.WriteEndElement();
        }

        return body.ToArray();
    }

    /// <summary>The path of a blob, percent-encoded. A slash in a name stays one: it is the service's own separator of virtual folders.</summary>
    private static string Path(string container, string name) =>
        $"/{container}/{Uri.EscapeDataString(name).Replace("%2F", "/", StringComparison.Ordinal)}";

    // The service compares it with what arrives, so it only has to catch accidents. MD5 is what every version of the service and Azurite check.
#pragma warning disable CA5351
    private static string Md5(ReadOnlySpan<byte> content)
    {
        Span<byte> hash = stackalloc byte[MD5.HashSizeInBytes];
        MD5.HashData(content, hash);
        return Convert.ToBase64String(hash);
    }
#pragma warning restore CA5351
}
