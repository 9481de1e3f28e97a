using Microsoft.Extensions.Caching.Memory;

namespace QuantumFlux.Objects;

/// <summary>What happened to a pair since its row was last written.</summary>
/// <param name="LatencyTotal">The sum of measured durations.</param>
/// <param name="LatencyCount">How many were measured.</param>
/// <param name="FailureCount">Syncs that storage did not take.</param>
/// <param name="Downtime">From the first failure in a row to the sync that ended it.</param>
public sealed record SyncRecord(TimeSpan LatencyTotal, long LatencyCount, long FailureCount, TimeSpan Downtime)
{
    public static SyncRecord None { get; } = new(TimeSpan.Zero, 0, 0, TimeSpan.Zero);
}

/// <summary>
/// Remembers, on this instance, what a pair's row cannot hold yet: how long the transaction took that has just written it, and syncs that failed,
/// because then nothing could be written. The next sync of the pair stores it. What an instance has not stored when it ends is lost: at most one
/// measured duration a pair, and failures that no later sync followed.
/// </summary>
public sealed class SyncLedger(TimeProvider time) : IDisposable
{
    // Some megabytes. Beyond, the entries that were used least recently go.
    private const int EntriesMax = 50_000;

    private readonly Lock _lock = new();
    private readonly MemoryCache _entries = new(new MemoryCacheOptions { SizeLimit = EntriesMax });

    /// <summary>What has happened and is not stored; with the time that a failure has lasted so far.</summary>
    public SyncRecord Peek(string tenant, string pairId) =>
        _entries.TryGetValue((tenant, pairId), out Entry? entry) ? entry!.ToRecord(time) : SyncRecord.None;

    /// <summary>Notes a sync that took.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="pairId">The pair.</param>
    /// <param name="stored">What the sync has stored, as <see cref="Peek"/> had told.</param>
    /// <param name="latency">How long the transaction took.</param>
    public void Succeeded(string tenant, string pairId, SyncRecord stored, TimeSpan latency) => Change(tenant, pairId, entry =>
        entry.Without(stored) with
        {
            LatencyTotal = entry.LatencyTotal - stored.LatencyTotal + latency,
            LatencyCount = entry.LatencyCount - stored.LatencyCount + 1,
            FailingSince = null,
            IsNoted = false,
        });

    /// <summary>Notes a sync that storage did not take.</summary>
    public void Failed(string tenant, string pairId) => Change(tenant, pairId, entry => entry with
    {
        FailureCount = entry.FailureCount + 1,
        FailingSince = entry.FailingSince ?? time.GetTimestamp(),
    });

    /// <summary>Notes that a pair's loss of coherence is on record, and with it what <see cref="Peek"/> had told.</summary>
    public void Noted(string tenant, string pairId, SyncRecord stored) => Change(tenant, pairId, entry => entry.Without(stored) with
    {
        FailingSince = entry.FailingSince is null ? null : time.GetTimestamp(),
        IsNoted = true,
    });

    /// <summary>Whether this instance has put a pair's loss of coherence on record, and knows of no failure since.</summary>
    public bool IsNoted(string tenant, string pairId) =>
        _entries.TryGetValue((tenant, pairId), out Entry? entry) && entry is { IsNoted: true, FailureCount: 0 };

    /// <summary>Drops what is known of a pair that has ended.</summary>
    public void Forget(string tenant, string pairId) => _entries.Remove((tenant, pairId));

    public void Dispose() => _entries.Dispose();

    private void Change(string tenant, string pairId, Func<Entry, Entry> change)
    {
        lock (_lock)
        {
            var entry = _entries.TryGetValue((tenant, pairId), out Entry? found) ? found! : Entry.Empty;
            _entries.Set((tenant, pairId), change(entry), new MemoryCacheEntryOptions { Size = 1 });
        }
    }

    private sealed record Entry(TimeSpan LatencyTotal, long LatencyCount, long FailureCount, long? FailingSince, bool IsNoted)
    {
        public static Entry Empty { get; } = new(TimeSpan.Zero, 0, 0, null, false);

        public Entry Without(SyncRecord stored) => this with
        {
            LatencyTotal = LatencyTotal - stored.LatencyTotal,
            LatencyCount = LatencyCount - stored.LatencyCount,
            FailureCount = FailureCount - stored.FailureCount,
        };

        public SyncRecord ToRecord(TimeProvider time) => new(
            LatencyTotal,
            LatencyCount,
            FailureCount,
            FailingSince is { } since ? time.GetElapsedTime(since) : TimeSpan.Zero);
    }
}
