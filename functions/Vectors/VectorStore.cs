using System.Collections.Concurrent;
using System.Threading.Channels;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>The tenants' vectors on this instance: those that were asked for last stay within reach, as many as there is room for.</summary>
public sealed class VectorStore(StorageAccounts storage, SegmentStore segments, DueTenants due, VectorThresholds thresholds, TimeProvider time)
{
    /// <summary>The most bytes of segments that are kept within reach.</summary>
    public static readonly long BytesMax = RoomForSegments();

    private const int TenantsMax = 10_000;
    private const int AttentionMax = 10_000;

    // What the logs' tails take of the instance's memory.
    private static readonly long _tailBytesMax = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 8;

    private static readonly TimeSpan _roomPeriod = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, LinkedListNode<TenantVectors>> _tenants = new(StringComparer.Ordinal);
    private readonly LinkedList<TenantVectors> _byUse = new();
    private readonly Lock _lock = new();
    private long _roomMadeAt;
    private readonly ConcurrentDictionary<string, bool> _attended = new(StringComparer.Ordinal);
    private readonly Channel<string> _attention = Channel.CreateBounded<string>(AttentionMax);

    /// <summary>A tenant's vectors.</summary>
    public TenantVectors Of(string tenant)
    {
        lock (_lock)
        {
            if (_tenants.TryGetValue(tenant, out var node))
            {
                _byUse.Remove(node);
                _byUse.AddFirst(node);
            }
            else
            {
                node = _byUse.AddFirst(new TenantVectors(tenant, storage.Main.Tables, segments, due, thresholds, time, Attend));
                _tenants.Add(tenant, node);
            }

            if (time.GetElapsedTime(_roomMadeAt) >= _roomPeriod)
            {
                MakeRoom();
            }

            return node.Value;
        }
    }

    /// <summary>The tenants that want looking after, as they come.</summary>
    public async IAsyncEnumerable<TenantVectors> AttentionAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            // Unlike ReadAllAsync, which goes to other threads, this stays where its caller runs.
            var tenant = await _attention.Reader.ReadAsync(cancellationToken);
            _attended.TryRemove(tenant, out _);
            yield return Of(tenant);
        }
    }

    // Once in the queue is enough; when the queue is full, the next write or query says it again.
    private void Attend(string tenant)
    {
        if (_attended.TryAdd(tenant, true) && !_attention.Writer.TryWrite(tenant))
        {
            _attended.TryRemove(tenant, out _);
        }
    }

    // Those that were asked for last stay. Whoever is asked for again comes back.
    private void MakeRoom()
    {
        _roomMadeAt = time.GetTimestamp();
        while (_byUse.Count > TenantsMax)
        {
            var last = _byUse.Last!.Value;
            _byUse.RemoveLast();
            _tenants.Remove(last.Tenant);
            last.Forget();
        }

        var (bytes, tailBytes) = (0L, 0L);
        foreach (var vectors in _byUse)
        {
            bytes += vectors.Bytes;
            tailBytes += vectors.TailBytes;
            if (vectors != _byUse.First!.Value && (bytes > BytesMax || tailBytes > _tailBytesMax))
            {
                bytes -= vectors.Bytes;
                tailBytes -= vectors.TailBytes;
                vectors.Forget();
            }
        }
    }

    // Segments lie in temporary files. The rest of the room there is for segments that are being built, and for others.
    private static long RoomForSegments()
    {
        const long Least = 256L * 1024 * 1024;
        try
        {
            return Math.Max(Least, new DriveInfo(Path.GetTempPath()).AvailableFreeSpace / 2);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return Least;
        }
    }
}
