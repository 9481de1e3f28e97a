using QuantumFlux.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class SegmentDownloadTests : IDisposable
{
    private const int PieceBytes = 64;
    private const int Pieces = 20_000;

    private readonly MappedBytes _bytes = new((Pieces * PieceBytes) - 5, isSparse: true);
    private readonly List<(long Offset, int Length)> _requests = [];
    private readonly SegmentDownload _download;
    private Func<Task<bool>> _answer = () => Task.FromResult(true);

    public SegmentDownloadTests() => _download = new SegmentDownload(_bytes, PieceBytes, FetchAsync);

    public void Dispose() => _bytes.Dispose();

    [Fact]
    public async Task WhatWasAskedForIsThereAndHardlyAnythingElse()
    {
        await _download.NeedAsync([(100, 10), (1_000, 0), (70, 200), (64_000, 1)]);

        Assert.True(_download.Has(70, 200) && _download.Has(64_000, 1));
        Assert.False(_download.Has(0, 65) || _download.Has(70, 400) || _download.IsWhole);
        Assert.Equal([(64, 256), (64_000, 64)], _requests);
        await _download.NeedAsync([(64, 256)]);
        Assert.Equal(2, _requests.Count);
    }

    [Fact]
    public async Task PiecesAllOverComeWithFewRequestsAndSomeAtOnce()
    {
        var random = new Random(1);
        var ranges = Enumerable.Range(0, 5_000).Select(_ => ((long)random.Next(Pieces - 1) * PieceBytes, 8L)).ToList();
        var (underWay, most) = (0, 0);
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _answer = async () =>
        {
            most = Math.Max(most, Interlocked.Increment(ref underWay));
            await turn.Task;
            Interlocked.Decrement(ref underWay);
            return true;
        };

        var needing = _download.NeedAsync(ranges);
        turn.SetResult();
        await needing;

        Assert.All(ranges, range => Assert.True(_download.Has(range.Item1, range.Item2)));
        Assert.InRange(_requests.Count, 1, 128);
        Assert.InRange(most, 2, 16);
    }

    [Fact]
    public async Task AllOfItComesOnceHoweverManyAskForIt()
    {
        await _download.NeedAsync([(640, 64)]);

        await Task.WhenAll(_download.NeedAllAsync(), _download.NeedAllAsync(), _download.NeedAsync([(0, 6_400)]));

        Assert.True(_download.IsWhole && _download.Has(0, _bytes.Length));
        Assert.Equal(_bytes.Length, _requests.Sum(request => request.Length));
    }

    [Fact]
    public async Task WhatDidNotComeIsAskedForAgain()
    {
        _answer = () => Task.FromException<bool>(new StorageException("Storage did not answer.", 0, null));
        await Assert.ThrowsAsync<StorageException>(() => _download.NeedAsync([(0, 64)]));
        Assert.False(_download.Has(0, 64) || _download.IsLost);

        _answer = () => Task.FromResult(true);
        await _download.NeedAsync([(0, 64)]);
        Assert.True(_download.Has(0, 64));

        _answer = () => Task.FromResult(false);
        await Assert.ThrowsAsync<StorageException>(_download.NeedAllAsync);
        Assert.True(_download.IsLost && _download.Has(0, 64) && !_download.IsWhole);
    }

    private async Task<bool> FetchAsync(long offset, int length, CancellationToken cancellationToken)
    {
        lock (_requests)
        {
            _requests.Add((offset, length));
        }

        return await _answer();
    }
}
