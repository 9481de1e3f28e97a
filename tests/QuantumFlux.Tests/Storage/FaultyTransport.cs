using System.Diagnostics.CodeAnalysis;
using Azure.Core;
using Azure.Core.Pipeline;

namespace QuantumFlux.Tests.Storage;

/// <summary>Sends requests through a real transport, and lets a test say what becomes of each.</summary>
/// <param name="fault">Given the number of the request (from 1) and the request, says what happens to it.</param>
/// <param name="meanwhile">What others do between a fault and the next try; null means nothing.</param>
public sealed class FaultyTransport(Func<int, Request, Fault> fault, Func<Task>? meanwhile = null) : HttpPipelineTransport
{
    private static readonly HttpClientTransport _inner = new();

    private int _requests;

    public int Requests => _requests;

    public override Request CreateRequest() => _inner.CreateRequest();

    public override void Process(HttpMessage message) => throw new NotSupportedException();

    public override async ValueTask ProcessAsync(HttpMessage message)
    {
        var verdict = fault(Interlocked.Increment(ref _requests), message.Request);
        if (verdict is not Fault.ResetBefore and not Fault.BusyBefore)
        {
            await _inner.ProcessAsync(message);
        }

        if (verdict is not Fault.None && meanwhile is not null)
        {
            await meanwhile();
        }

        if (verdict is Fault.ResetBefore)
        {
            throw new IOException("The connection was reset.");
        }

        if (verdict is Fault.BusyBefore)
        {
            message.Response = new BusyResponse(message.Request.ClientRequestId);
            return;
        }

        switch (verdict)
        {
            case Fault.ResetAfter:
                message.Response.Dispose();
                throw new IOException("The connection was reset.");
            case Fault.BusyAfter:
                message.Response.Dispose();
                message.Response = new BusyResponse(message.Request.ClientRequestId);
                break;
            case Fault.CutBody:
                message.Response.ContentStream = new CutStream(message.Response.ContentStream!, 100_000);
                break;
            case Fault.NoBody:
                message.Response.ContentStream = new CutStream(message.Response.ContentStream!, 0);
                break;
        }
    }

    private sealed class BusyResponse(string requestId) : Azure.Response
    {
        public override int Status => 503;

        public override string ReasonPhrase => "Server Busy";

        public override Stream? ContentStream { get; set; }

        public override string ClientRequestId { get; set; } = requestId;

        public override void Dispose()
        {
        }

        protected override bool ContainsHeader(string name) => false;

        protected override IEnumerable<HttpHeader> EnumerateHeaders() => [];

        protected override bool TryGetHeader(string name, [NotNullWhen(true)] out string? value)
        {
            value = null;
            return false;
        }

        protected override bool TryGetHeaderValues(string name, [NotNullWhen(true)] out IEnumerable<string>? values)
        {
            values = null;
            return false;
        }
    }

    /// <summary>Gives some bytes, then breaks.</summary>
    private sealed class CutStream(Stream inner, int bytes) : Stream
    {
        private int _left = bytes;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_left == 0)
            {
                throw new IOException("The connection was reset.");
            }

            var count = await inner.ReadAsync(buffer[..Math.Min(buffer.Length, _left)], cancellationToken);
            _left -= count;
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            base.Dispose(disposing);
        }
    }
}

/// <summary>What becomes of a request.</summary>
public enum Fault
{
    None,
    ResetBefore,
    BusyBefore,
    ResetAfter,
    BusyAfter,
    CutBody,
    NoBody,
}
