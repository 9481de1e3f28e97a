using System.Collections.Concurrent;

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
public sealed class SyncLedger(TimeProvider time)
{
    // A pair that is never written again keeps its entry; this bounds them all to a few megabytes.
    private const int EntriesMax = 50_000;

    private readonly ConcurrentDictionary<(string Tenant, string PairId), Entry> _entries = new();

    /// <summary>What has happened and is not stored; with the time that a failure has lasted so far.</summary>
    public SyncRecord Peek(string tenant, string pairId) =>
        _entries.TryGetValue((tenant, pairId), out var entry) ? entry.ToRecord(time) : SyncRecord.None;

    /// <summary>Notes a sync that took.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="pairId">The pair.</param>
    /// <param name="stored">What the sync has stored, as <see cref="Peek"/> had told.</param>
    /// <param name="latency">How long the transaction took.</param>
    public void Succeeded(string tenant, string pairId, SyncRecord stored, TimeSpan latency) => Change(tenant, pairId, entry => new Entry(
        entry.LatencyTotal - stored.LatencyTotal + latency,
        entry.LatencyCount - stored.LatencyCount + 1,
        entry.FailureCount - stored.FailureCount,
        null));

    /// <summary>Notes a sync that storage did not take.</summary>
    public void Failed(string tenant, string pairId) => Change(tenant, pairId, entry => entry with
    {
        FailureCount = entry.FailureCount + 1,
        FailingSince = entry.FailingSince ?? time.GetTimestamp(),
    });

    private void Change(string tenant, string pairId, Func<Entry, Entry> change)
    {
        var key = (tenant, pairId);
        if (_entries.ContainsKey(key) || _entries.Count < EntriesMax)
        {
            _entries.AddOrUpdate(key, _ => change(Entry.Empty), (_, entry) => change(entry));
        }
    }

    private sealed record Entry(TimeSpan LatencyTotal, long LatencyCount, long FailureCount, long? FailingSince)
    {
        public static Entry Empty { get; } = new(TimeSpan.Zero, 0, 0, null);

        public SyncRecord ToRecord(TimeProvider time) => new(
            LatencyTotal,
            LatencyCount,
            FailureCount,
            FailingSince is { } since ? time.GetElapsedTime(since) : TimeSpan.Zero);
    }
}
