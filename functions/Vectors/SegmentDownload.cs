using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>The bytes of a segment on their way into reach: what is needed first, and in the end all of them.</summary>
/// <param name="bytes">Where they go, sparse.</param>
/// <param name="pieceBytes">The size of the pieces in which they come, so that the room they take on disk is taken piece by piece too; a power of two.</param>
/// <param name="fetch">Reads a range of the segment from storage into them; false when the segment is not there any more.</param>
public sealed class SegmentDownload(MappedBytes bytes, int pieceBytes, Func<long, int, CancellationToken, Task<bool>> fetch)
{
    /// <summary>The most that one request to storage reads.</summary>
    public const int RequestBytesMax = IBlobs.BlockBytesMax;

    private const int RequestsAtOnce = 16;

    // Of everything, fewer: they are large.
    private const int LargeRequestsAtOnce = 8;

    // Pieces that lie no further apart come with one request: the bytes between them cost less than a request.
    private const int GapPiecesMin = 4;

    // More requests take longer than what lies between.
    private const int RequestsMax = 128;

    private readonly Task?[] _pieces = new Task?[(int)((bytes.Length + pieceBytes - 1) / pieceBytes)];
    private readonly Lock _lock = new();
    private int _missing = (int)((bytes.Length + pieceBytes - 1) / pieceBytes);
    private volatile bool _isWhole;
    private volatile bool _isLost;

    /// <summary>Whether all bytes are there.</summary>
    public bool IsWhole => _isWhole;

    /// <summary>Whether the segment was not there any more when some of it was to be read.</summary>
    public bool IsLost => _isLost;

    /// <summary>Whether all bytes of a range are there.</summary>
    public bool Has(long offset, long length)
    {
        if (_isWhole || length == 0)
        {
            return true;
        }

        for (var piece = offset / pieceBytes; piece <= (offset + length - 1) / pieceBytes; piece++)
        {
            if (Volatile.Read(ref _pieces[piece]) is not { IsCompletedSuccessfully: true })
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Brings some ranges into reach: with storage requests for what is not there or under way, some at once.</summary>
    /// <exception cref="StorageException">Storage failed, or the segment is not there any more. What came is there.</exception>
    public Task NeedAsync(IEnumerable<(long Offset, long Length)> ranges)
    {
        if (_isWhole)
        {
            return Task.CompletedTask;
        }

        var waiting = new HashSet<Task>();
        var fetches = new List<(int First, int Count, TaskCompletionSource Done)>();
        lock (_lock)
        {
            foreach (var (first, count) in Runs(Missing(ranges, waiting)))
            {
                var done = new TaskCompletionSource();
                _pieces.AsSpan(first, count).Fill(done.Task);
                waiting.Add(done.Task);
                fetches.Add((first, count, done));
            }
        }

        if (fetches.Count > 0)
        {
            // Whoever else waits for one of them hears of it too.
            _ = AtOnce.ForEachAsync(fetches.Count, RequestsAtOnce, index => FetchAsync(fetches[index].First, fetches[index].Count, fetches[index].Done));
        }

        return waiting.Count == 0 ? Task.CompletedTask : Task.WhenAll(waiting);
    }

    /// <summary>Brings everything into reach, a few requests at a time.</summary>
    /// <exception cref="StorageException">Storage failed, or the segment is not there any more.</exception>
    public Task NeedAllAsync()
    {
        var piecesPerRequest = RequestBytesMax / pieceBytes;
        return _isWhole
            ? Task.CompletedTask
            : AtOnce.ForEachAsync(
                (_pieces.Length + piecesPerRequest - 1) / piecesPerRequest,
                LargeRequestsAtOnce,
                part => NeedAsync([((long)part * RequestBytesMax, Math.Min(RequestBytesMax, bytes.Length - ((long)part * RequestBytesMax)))]));
    }

    // The pieces of some ranges that nobody has asked for; those that are under way are added to what is waited for.
    private SortedSet<int> Missing(IEnumerable<(long Offset, long Length)> ranges, HashSet<Task> waiting)
    {
        var missing = new SortedSet<int>();
        foreach (var (offset, length) in ranges.Where(range => range.Length > 0))
        {
            for (var piece = (int)(offset / pieceBytes); piece <= (offset + length - 1) / pieceBytes; piece++)
            {
                switch (_pieces[piece])
                {
                    case null or { IsFaulted: true }:
                        missing.Add(piece);
                        break;
                    case { IsCompleted: false } known:
                        waiting.Add(known);
                        break;
                }
            }
        }

        return missing;
    }

    // The more there are, the further apart they may lie.
    private List<(int First, int Count)> Runs(SortedSet<int> missing)
    {
        var gap = GapPiecesMin;
        while (true)
        {
            var runs = Runs(missing, gap).ToList();
            if (runs.Count <= RequestsMax || gap >= _pieces.Length)
            {
                return runs;
            }

            gap *= 4;
        }
    }

    // Neighbouring pieces, as many as one request reads, and what lies between them if that is little and nobody else is at it.
    private IEnumerable<(int First, int Count)> Runs(SortedSet<int> missing, int gap)
    {
        var (first, last) = (-1, -1);
        foreach (var piece in missing)
        {
            var isNear = first >= 0
                && piece - last <= gap + 1
                && (piece - first + 1L) * pieceBytes <= RequestBytesMax
                && Enumerable.Range(last + 1, piece - last - 1).All(between => _pieces[between] is null);
            if (first >= 0 && !isNear)
            {
                yield return (first, last - first + 1);
            }

            first = isNear ? first : piece;
            last = piece;
        }

        if (first >= 0)
        {
            yield return (first, last - first + 1);
        }
    }

    private async Task FetchAsync(int first, int count, TaskCompletionSource done)
    {
        try
        {
            var offset = (long)first * pieceBytes;
            if (!await fetch(offset, (int)Math.Min((long)count * pieceBytes, bytes.Length - offset), CancellationToken.None))
            {
                _isLost = true;
                throw new StorageException("A segment was replaced while it was read.", 0, null);
            }

            if (Interlocked.Add(ref _missing, -count) == 0)
            {
                _isWhole = true;
            }

            done.SetResult();
        }
        catch (Exception exception)
        {
            done.SetException(exception);
        }
    }
}
