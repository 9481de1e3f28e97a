using QuantumFlux.Keys;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Idempotency;

/// <summary>Storage in memory that outlives the apps on it, a clock that stands still, and one request to storage that goes wrong when a test says so.</summary>
public sealed class MemoryWorld
{
    private readonly string _opener;
    private Trouble _trouble;
    private int _troubleAt;
    private int _calls;

    public MemoryWorld()
        : this(ApiKey.NewSecret(KeyEnvironment.Live))
    {
    }

    private MemoryWorld(string opener)
    {
        _opener = opener;
        Tables = new MemoryTables(Time, NetworkAsync);
        Blobs = new MemoryBlobs(Time, NetworkAsync);
        Storage = new StorageAccounts(new StorageAccount(Tables, Blobs), new Dictionary<int, StorageAccount>());
    }

    public ManualTime Time { get; } = new();

    public MemoryTables Tables { get; }

    public MemoryBlobs Blobs { get; }

    public StorageAccounts Storage { get; }

    /// <summary>Called when a request has been carried out; null means that nobody waits for one.</summary>
    public Action<string>? Done { get; set; }

    /// <summary>Whether the request that was to go wrong was made.</summary>
    public bool IsStruck => _troubleAt > 0 && _calls >= _troubleAt;

    /// <summary>Starts an app.</summary>
    /// <param name="settings">Its further settings; null means none.</param>
    public Task<TestApp> StartAsync(Dictionary<string, string?>? settings = null) => TestApp.StartAsync(Time, Storage, settings, _opener);

    /// <summary>Another world that begins as this one is, at the same moment.</summary>
    public MemoryWorld Copy()
    {
        var copy = new MemoryWorld(_opener);
        copy.Time.Advance(Time.GetUtcNow() - copy.Time.GetUtcNow());
        copy.Tables.CopyFrom(Tables);
        copy.Blobs.CopyFrom(Blobs);
        return copy;
    }

    /// <summary>From now on the n-th request, counted from 1, goes wrong.</summary>
    public void Strike(Trouble trouble, int at) => (_trouble, _troubleAt, _calls) = (trouble, at, 0);

    /// <summary>Nothing goes wrong any more.</summary>
    public void Heal() => _troubleAt = 0;

    /// <summary>All rows of a partition.</summary>
    public async Task<IReadOnlyList<TableRow>> RowsAsync(string table, string partition) =>
        await Tables.FirstAsync(table, new TableQuery(partition, "", null), CancellationToken.None);

    private ValueTask<MemoryFault> NetworkAsync(string operation, MemoryMoment moment)
    {
        if (moment == MemoryMoment.After)
        {
            Done?.Invoke(operation);
        }

        return ValueTask.FromResult(_troubleAt == 0 ? MemoryFault.None : FaultOf(moment));
    }

    private MemoryFault FaultOf(MemoryMoment moment)
    {
        var call = moment == MemoryMoment.Before ? Interlocked.Increment(ref _calls) : _calls;
        return (_trouble, moment) switch
        {
            (Trouble.RequestLost, MemoryMoment.Before) when call == _troubleAt => MemoryFault.GiveUp,
            (Trouble.AnswerLost, MemoryMoment.After) when call == _troubleAt => MemoryFault.GiveUp,
            (Trouble.Crash, MemoryMoment.After) when call >= _troubleAt => MemoryFault.GiveUp,
            (Trouble.Crash, MemoryMoment.Before) when call > _troubleAt => MemoryFault.GiveUp,
            _ => MemoryFault.None,
        };
    }
}

/// <summary>What happens to one request to storage.</summary>
public enum Trouble
{
    /// <summary>It does not arrive, and the client gives up.</summary>
    RequestLost,

    /// <summary>It is carried out, its answer does not arrive, and the client gives up.</summary>
    AnswerLost,

    /// <summary>It is carried out, and then the host is gone.</summary>
    Crash,
}
