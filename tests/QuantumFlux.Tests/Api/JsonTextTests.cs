using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class JsonTextTests
{
    private const int BytesMax = 16 * 1024 * 1024;

    [Fact]
    public async Task WhatIsOnlyAnnouncedTakesNoMemory()
    {
        var pipe = new Pipe();
        var request = Request(pipe.Reader.AsStream(), BytesMax);
        var before = GC.GetAllocatedBytesForCurrentThread();

        var receiving = JsonText.ReceiveAsync(request, BytesMax, CancellationToken.None);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, BytesMax / 100);
        Assert.False(receiving.IsCompleted);
        pipe.Writer.Complete();
        Assert.Equal(0, (await receiving).Length);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(65_535, true)]
    [InlineData(65_536, true)]
    [InlineData(65_536, false)]
    [InlineData(65_537, true)]
    [InlineData(300_000, true)]
    [InlineData(1_000_000, true)]
    [InlineData(1_000_000, false)]
    public async Task WhatComesIsReceivedAsItCame(int bytes, bool hasLength)
    {
        var sent = new byte[bytes];
        new Random(bytes).NextBytes(sent);

        var received = await JsonText.ReceiveAsync(Request(new MemoryStream(sent), hasLength ? bytes : null), 1_000_000, CancellationToken.None);

        Assert.True(received.Span.SequenceEqual(sent));
    }

    private static HttpRequest Request(Stream body, long? length) => new DefaultHttpContext { Request = { Body = body, ContentLength = length } }.Request;
}
