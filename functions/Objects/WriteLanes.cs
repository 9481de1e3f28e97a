using Microsoft.Extensions.Caching.Memory;

namespace QuantumFlux.Objects;

/// <summary>
/// Lets writers of the same objects on this instance go one after the other, in the order of their arrival, instead of colliding in storage.
/// Correctness never depends on it: writers on other instances are held off by ETags alone.
/// </summary>
public sealed class WriteLanes : IDisposable
{
    private const int HintsMax = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Tenant, string Key), Lane> _lanes = [];
    private readonly MemoryCache _hints = new(new MemoryCacheOptions { SizeLimit = HintsMax });

    /// <summary>Waits until nobody else on this instance writes what hangs together with some objects.</summary>
    /// <returns>Leaves the lanes when disposed.</returns>
    public async Task<IDisposable> EnterAsync(string tenant, IEnumerable<string> objectIds, CancellationToken cancellationToken)
    {
        // Everybody enters lanes in the same order, so that no two wait for each other.
        var keys = objectIds
            .Select(id => _hints.TryGetValue((tenant, id), out string? key) ? key! : id)
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal);
        var entered = new Entered(this);
        try
        {
            foreach (var key in keys)
            {
                await entered.AddAsync((tenant, key), cancellationToken);
            }

            return entered;
        }
        catch
        {
            entered.Dispose();
            throw;
        }
    }

    /// <summary>Remembers that an object hangs together with others, whose writers then share its lane.</summary>
    public void Remember(string tenant, ObjectGraph graph)
    {
        if (graph.Steps.Count > 1)
        {
            var key = graph.LaneKey;
            foreach (var step in graph.Steps)
            {
                _hints.Set((tenant, step.ObjectId), key, new MemoryCacheEntryOptions { Size = 1 });
            }
        }
    }

    public void Dispose() => _hints.Dispose();

    private sealed class Lane
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);

        public int Users { get; set; }
    }

    private sealed class Entered(WriteLanes lanes) : IDisposable
    {
        private readonly List<((string Tenant, string Key) Key, Lane Lane)> _held = [];

        public async Task AddAsync((string Tenant, string Key) key, CancellationToken cancellationToken)
        {
            Lane? lane;
            lock (lanes._lock)
            {
                if (!lanes._lanes.TryGetValue(key, out lane))
                {
                    lanes._lanes[key] = lane = new Lane();
                }

                lane.Users++;
            }

            try
            {
                await lane.Turn.WaitAsync(cancellationToken);
            }
            catch
            {
                Leave(key, lane);
                throw;
            }

            _held.Add((key, lane));
        }

        public void Dispose()
        {
            foreach (var (key, lane) in _held)
            {
                lane.Turn.Release();
                Leave(key, lane);
            }

            _held.Clear();
        }

        private void Leave((string Tenant, string Key) key, Lane lane)
        {
            lock (lanes._lock)
            {
                if (--lane.Users == 0)
                {
                    lanes._lanes.Remove(key);
                }
            }
        }
    }
}
