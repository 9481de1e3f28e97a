using System.Security.Cryptography;
using System.Text;
using QuantumFlux.Api;

namespace QuantumFlux.Idempotency;

/// <summary>What tells a repeated request from another one.</summary>
/// <param name="Mac">An HMAC over its verb, path, query, content type and body.</param>
/// <param name="BodyBytes">The length of its body.</param>
public sealed record Fingerprint(byte[] Mac, long BodyBytes);

/// <summary>A request's body on its way to the handler, hashed as it passes: it may be gigabytes, and is never held.</summary>
public sealed class RequestBodyStream : Stream
{
    /// <summary>The most that is read of a body that the handler did not want, to learn what the request was.</summary>
    public const int RestBytesMax = 1024 * 1024;

    private readonly Stream _body;
    private readonly IncrementalHash _hash;
    private long _count;
    private bool _isAtEnd;

    public RequestBodyStream(HttpRequest request, OperationKey key)
    {
        _body = request.Body;
        _hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key.Derive("fingerprint"));
        foreach (var part in new[] { request.Method, PathOf(request), request.QueryString.Value ?? "", request.ContentType ?? "" })
        {
            // With its length, so that no two requests read alike.
            var bytes = Encoding.UTF8.GetBytes(part);
            _hash.AppendData(BitConverter.GetBytes((long)bytes.Length));
            _hash.AppendData(bytes);
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await _body.ReadAsync(buffer, cancellationToken);
        _hash.AppendData(buffer.Span[..count]);
        _count += count;
        _isAtEnd |= count == 0 && buffer.Length > 0;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read asynchronously.");

    /// <summary>Reads what is left, and says what the request was.</summary>
    /// <param name="bytesMax">The longest body that is read to its end, beyond what has been read already.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The fingerprint, or null when the body is longer.</returns>
    public async Task<Fingerprint?> FinishAsync(long bytesMax, CancellationToken cancellationToken)
    {
        var limit = _count + bytesMax;
        var buffer = _isAtEnd ? [] : new byte[16 * 1024];
        while (!_isAtEnd && _count <= limit)
        {
            await ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        }

        if (!_isAtEnd)
        {
            return null;
        }

        // Parts of one request may ask at once.
        lock (_hash)
        {
            return new Fingerprint(_hash.GetCurrentHash(), _count);
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }

    // The short path is the same request.
    private static string PathOf(HttpRequest request)
    {
        const string Prefix = "/api/";
        var path = request.Path.Value ?? "";
        return path.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? path[(Prefix.Length - 1)..] : path;
    }
}
