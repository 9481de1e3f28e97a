using QuantumFlux.Storage;

namespace QuantumFlux.Cache;

/// <summary>
/// Counts reads in memory, and adds them to the entries' rows now and then, so that a read costs no write: an entry that is read all the time is written
/// once in ten seconds by each instance. An instance that ends in order writes what it has; one that is killed loses the last seconds.
/// </summary>
public sealed partial class CacheHits(StorageAccounts storage, TimeProvider time, ILogger<CacheHits> logger) : BackgroundService
{
    /// <summary>How long a read may be known only here.</summary>
    public static readonly TimeSpan KeptFor = TimeSpan.FromSeconds(10);

    /// <summary>The most entries with reads that are known only here; reads of further ones are not counted until some are written.</summary>
    private const int EntriesMax = 100_000;

    private const int WritesAtOnce = 4;

    private static readonly TimeSpan _period = TimeSpan.FromSeconds(2);

    private readonly ITables _tables = storage.Main.Tables;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string Tenant, string Key), Pending> _pending = [];

    /// <summary>Counts a read.</summary>
    /// <returns>The reads of this write of the entry that storage does not know yet, this one included.</returns>
    public Hits Add(string tenant, CacheEntry entry)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            var known = _pending.GetValueOrDefault((tenant, entry.Key));
            var hits = (known?.CacheId == entry.CacheId ? known.Hits : new Hits(0, null)).Plus(new Hits(1, now));
            if (known is not null || _pending.Count < EntriesMax)
            {
                _pending[(tenant, entry.Key)] = new Pending(entry.CacheId, hits, known?.CacheId == entry.CacheId ? known.Since : now);
            }

            return hits;
        }
    }

    /// <summary>The reads of this write of an entry that storage does not know yet.</summary>
    public Hits Peek(string tenant, CacheEntry entry)
    {
        lock (_lock)
        {
            return _pending.TryGetValue((tenant, entry.Key), out var known) && known.CacheId == entry.CacheId ? known.Hits : new Hits(0, null);
        }
    }

    /// <summary>Writes the reads that have been known only here for long enough. Two storage requests for each entry.</summary>
    /// <param name="age">How long is long enough; zero writes all.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public Task FlushAsync(TimeSpan age, CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - age;
        List<((string Tenant, string Key), Pending)> due = [];
        lock (_lock)
        {
            foreach (var (name, pending) in _pending.Where(entry => entry.Value.Since <= before).ToList())
            {
                _pending.Remove(name);
                due.Add((name, pending));
            }
        }

        return Parallel.ForEachAsync(
            due,
            new ParallelOptions { MaxDegreeOfParallelism = WritesAtOnce, CancellationToken = cancellationToken },
            async (item, token) => await WriteAsync(item.Item1.Tenant, item.Item1.Key, item.Item2, token));
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync(TimeSpan.Zero, cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(_period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                // Not cancelled half way: what was taken out to be written would be lost.
                await FlushAsync(KeptFor, CancellationToken.None);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    private async Task WriteAsync(string tenant, string key, Pending pending, CancellationToken cancellationToken)
    {
        try
        {
            var row = await _tables.GetAsync(CacheRows.Table, tenant, CacheRows.EntryKey(key), null, cancellationToken);
            if (row is null || CacheRows.CacheId(row) != pending.CacheId)
            {
                return;
            }

            var hits = CacheRows.Hits(row).Plus(pending.Hits);
            row.Set(CacheRows.HitCountColumn, hits.Count).Set(CacheRows.LastAccessedColumn, hits.Last?.UtcTicks);
            if ((await _tables.WriteAsync(CacheRows.Table, [TableAction.Replace(row, row.ETag!)], cancellationToken)).Outcome != TableOutcome.Changed)
            {
                return;
            }
        }
        catch (StorageException exception)
        {
            LogFailed(exception);
        }

        TakeBack(tenant, key, pending);
    }

    private void TakeBack(string tenant, string key, Pending pending)
    {
        lock (_lock)
        {
            var known = _pending.GetValueOrDefault((tenant, key));
            if (known is null || known.CacheId == pending.CacheId)
            {
                _pending[(tenant, key)] = pending with { Hits = pending.Hits.Plus(known?.Hits ?? new Hits(0, null)) };
            }
        }
    }

    private sealed record Pending(string CacheId, Hits Hits, DateTimeOffset Since);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The reads of a cache entry could not be written; it is tried again.")]
    private partial void LogFailed(Exception exception);
}
