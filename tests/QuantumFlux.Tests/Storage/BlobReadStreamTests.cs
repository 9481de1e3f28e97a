using Azure;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

public sealed class BlobReadStreamTests
{
    private int _reopenings;

    public static TheoryData<Exception> Drops =>
    [
        new IOException("The connection was reset."),
        new HttpRequestException("The answer ended early."),
        new TaskCanceledException("The read took too long."),
        new RequestFailedException("Nobody answered."),
    ];

    [Theory]
    [MemberData(nameof(Drops))]
    public async Task AReadThatBreaksEachTimeIsATransientStorageException(Exception drop)
    {
        await using var stream = Open(() => throw drop);

        var failure = await Assert.ThrowsAsync<StorageException>(() => ReadAsync(stream));

        Assert.Equal(0, failure.Status);
        Assert.True(failure.IsTransient);
        Assert.Same(drop, failure.InnerException);
        Assert.Equal(BlobReadStream.ReopeningsMax, _reopenings);
    }

    [Fact]
    public async Task AnAnswerThatIsTooShortEachTimeIsATransientStorageException()
    {
        await using var stream = Open(() => 0);

        Assert.Equal(0, (await Assert.ThrowsAsync<StorageException>(() => ReadAsync(stream))).Status);
    }

    [Theory]
    [MemberData(nameof(Drops))]
    public async Task AReaderWhoLeftIsNotAStorageFault(Exception drop)
    {
        using var leaving = new CancellationTokenSource();
        await using var stream = Open(() =>
        {
            leaving.Cancel();
            throw drop;
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ReadAsync(stream, leaving.Token));
        Assert.Equal(0, _reopenings);
    }

    [Fact]
    public async Task AReaderMayTryAgainAfterAFailure()
    {
        var isDown = true;
        await using var stream = Open(() => isDown ? throw new IOException("The connection was reset.") : 3);
        await Assert.ThrowsAsync<StorageException>(() => ReadAsync(stream));
        await Assert.ThrowsAsync<StorageException>(() => ReadAsync(stream));

        isDown = false;

        Assert.Equal(3, await ReadAsync(stream));
    }

    private static Task<int> ReadAsync(BlobReadStream stream, CancellationToken cancellationToken = default) =>
        stream.ReadAsync(new byte[10], cancellationToken).AsTask();

    private BlobReadStream Open(Func<int> read) => new(
        new ScriptedStream(read),
        0,
        10,
        (_, _, _) =>
        {
            _reopenings++;
            return Task.FromResult<Stream?>(new ScriptedStream(read));
        });

    /// <summary>Content whose reads end as a test says.</summary>
    private sealed class ScriptedStream(Func<int> read) : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            return read();
        }
    }
}
