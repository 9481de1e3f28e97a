using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.Net.Http.Headers;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>Answers with an entry: its value inside the specification's JSON, or the stored bytes.</summary>
/// <param name="entry">The entry.</param>
/// <param name="metadata">What is told beside the value.</param>
/// <param name="isDecompressed">False hands over the value as it was compressed.</param>
/// <param name="value">The compressed value; null for HEAD.</param>
/// <param name="read">Is called when all of the value has been read, before the answer ends.</param>
public sealed class CacheResult(CacheEntry entry, CacheMetadataView metadata, bool isDecompressed, Stream? value, Func<Task> read) : IResult
{
    /// <summary>Answers up to this length are put together in memory, and sent at once.</summary>
    private const int WholeBytesMax = 256 * 1024;

    private const int CopyBytes = 64 * 1024;

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var (response, cancellationToken) = (httpContext.Response, httpContext.RequestAborted);
        if (!isDecompressed)
        {
            // Not as a Content-Encoding: clients undo that by themselves, and the stored bytes are what was asked for.
            response.ContentType = "application/octet-stream";
            response.ContentLength = entry.CompressedBytes;
            response.Headers["X-Crystal-Compression"] = CreateCacheEntry.Word(entry.Compression);
            response.Headers["X-Crystal-Original-Size"] = entry.OriginalBytes.ToString(CultureInfo.InvariantCulture);
            if (value is not null)
            {
                await value.CopyToAsync(response.Body, CopyBytes, cancellationToken);
                await read();
            }

            return;
        }

        var (before, after) = Frame(entry, metadata);
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = before.Length + entry.OriginalBytes + after.Length;
        if (value is null)
        {
            return;
        }

        if (response.ContentLength <= WholeBytesMax)
        {
            var bytes = await BytesAsync(entry, metadata, value, cancellationToken);
            await read();
            await response.Body.WriteAsync(bytes, cancellationToken);
            return;
        }

        await response.Body.WriteAsync(before, cancellationToken);
        await using var original = Decompress(value, entry.Compression);
        await original.CopyToAsync(response.Body, CopyBytes, cancellationToken);
        await read();
        await response.Body.WriteAsync(after, cancellationToken);
    }

    /// <summary>The whole answer in memory.</summary>
    public static async Task<byte[]> BytesAsync(CacheEntry entry, CacheMetadataView metadata, Stream value, CancellationToken cancellationToken)
    {
        var (before, after) = Frame(entry, metadata);
        var bytes = new byte[before.Length + entry.OriginalBytes + after.Length];
        before.CopyTo(bytes);
        after.CopyTo(bytes.AsMemory(bytes.Length - after.Length));
        var destination = bytes.AsMemory(before.Length, (int)entry.OriginalBytes);
        if (entry.Compression == CacheCompression.Brotli && value is MemoryStream memory && memory.TryGetBuffer(out var stored))
        {
            if (!BrotliDecoder.TryDecompress(stored, destination.Span, out var written) || written != destination.Length)
            {
                throw ApiException.DimensionalInstability(entry.Dimensions);
            }
        }
        else
        {
            await using var original = Decompress(value, entry.Compression);
            await original.ReadExactlyAsync(destination, cancellationToken);
        }

        return bytes;
    }

    /// <summary>Undoes an entry's compression.</summary>
    public static Stream Decompress(Stream value, CacheCompression compression) =>
        compression == CacheCompression.Brotli ? new BrotliStream(value, CompressionMode.Decompress, leaveOpen: true) : value;

    /// <summary>Writes the headers that tell of an entry's state.</summary>
    public static void WriteState(HttpResponse response, CacheEntry entry)
    {
        response.Headers.ETag = entry.ETag;
        response.Headers.LastModified = HeaderUtilities.FormatDate(entry.StoredAt);
        response.Headers.CacheControl = "private, no-cache";
    }

    // What comes before the value and after it.
    private static (ReadOnlyMemory<byte> Before, ReadOnlyMemory<byte> After) Frame(CacheEntry entry, CacheMetadataView metadata)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Json.Options.Encoder });
        writer.WriteStartObject();
        writer.WriteString("key", entry.Key);
        writer.WritePropertyName("value");
        writer.Flush();
        var split = buffer.WrittenCount;
        writer.WriteRawValue("0"u8, skipInputValidation: true);
        writer.WritePropertyName("cache_metadata");
        JsonSerializer.Serialize(writer, metadata, Json.Options);
        writer.WriteEndObject();
        writer.Flush();
        return (buffer.WrittenMemory[..split], buffer.WrittenMemory[(split + 1)..]);
    }
}
