using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests;

/// <summary>Storage in memory that apps can share, with dimensions 2 and 5 in accounts of their own, and faults on request.</summary>
public sealed class MemoryWorld
{
    private readonly string _opener = ApiKey.NewSecret(KeyEnvironment.Live);
    private readonly TimeProvider? _time;
    private int _requests;
    private int _untilInterrupt;
    private Func<Task>? _interrupt;

    /// <param name="time">The clock of the apps; null means the real one.</param>
    public MemoryWorld(TimeProvider? time = null)
    {
        _time = time;
        var main = new StorageAccount(
            new MemoryTables(time ?? TimeProvider.System, (operation, moment) => PassAsync(moment, () => MainFault(operation, moment))),
            new MemoryBlobs(time ?? TimeProvider.System, (_, moment) => PassAsync(moment, () => Fault(1))));
        Storage = new StorageAccounts(main, new Dictionary<int, StorageAccount> { [2] = Open(2), [5] = Open(5) });
    }

    public StorageAccounts Storage { get; }

    /// <summary>The dimensions that do not answer; of dimension 1, which lies in the main account, only the blobs.</summary>
    public HashSet<int> Down { get; } = [];

    public bool IsWriteDown { get; set; }

    /// <summary>How many more table writes the main account takes; null means any number.</summary>
    public int? WritesLeft { get; set; }

    /// <summary>Starts an app.</summary>
    public Task<TestApp> StartAsync() => TestApp.StartAsync(_time, Storage, adminKey: _opener);

    /// <summary>Fires a timer of an app.</summary>
    public static async Task FireAsync(TestApp app, string timer) =>
        (await app.Http.PostAsync($"/admin/functions/{timer}", null)).EnsureSuccessStatusCode();

    /// <summary>How many requests found a dimension down.</summary>
    public int Failures { get; set; }

    /// <summary>Whether the last <see cref="InterruptAt"/> has come to pass.</summary>
    public bool WasInterrupted => _interrupt is null;

    /// <summary>Has something happen just before a storage request.</summary>
    /// <param name="request">The request, the next one being 1.</param>
    /// <param name="interrupt">What happens, once.</param>
    public void InterruptAt(int request, Func<Task> interrupt) => (_untilInterrupt, _interrupt) = (request, interrupt);

    /// <summary>How many storage requests something takes.</summary>
    public async Task<int> RequestsAsync(Func<Task> action)
    {
        var before = _requests;
        await action();
        return _requests - before;
    }

    /// <summary>The keys of a tenant's rows that start with a text, over all accounts.</summary>
    public async Task<List<string>> KeysAsync(string tenant, string prefix)
    {
        var keys = new List<string>();
        foreach (var account in Storage.All)
        {
            var rows = await account.Tables.FirstAsync(ObjectRows.Table, new TableQuery(tenant, prefix, prefix + '~'), CancellationToken.None);
            keys.AddRange(rows.Select(row => row.Key));
        }

        return keys;
    }

    /// <summary>The names of a tenant's blobs in all dimensions, and of its uploads.</summary>
    public async Task<List<string>> BlobsAsync(string tenant)
    {
        var names = new List<string>();
        var containers = Enumerable.Range(1, StorageAccounts.DimensionMax)
            .Select(dimension => (Storage.ForDimension(dimension).Blobs, Dimensions.Container(dimension)))
            .Append((Storage.Main.Blobs, "uploads"));
        foreach (var (blobs, container) in containers)
        {
            names.AddRange((await blobs.ListAsync(container, $"{tenant}/", 5000, null, CancellationToken.None)).Blobs.Select(blob => blob.Name));
        }

        return names;
    }

    private StorageAccount Open(int dimension) => new(
        new MemoryTables(_time ?? TimeProvider.System, (_, moment) => PassAsync(moment, () => Fault(dimension))),
        new MemoryBlobs(_time ?? TimeProvider.System, (_, moment) => PassAsync(moment, () => Fault(dimension))));

    private MemoryFault Fault(int dimension)
    {
        if (!Down.Contains(dimension))
        {
            return MemoryFault.None;
        }

        Failures++;
        return MemoryFault.GiveUp;
    }

    private MemoryFault MainFault(string operation, MemoryMoment moment)
    {
        if (operation != "Tables.Write" || moment != MemoryMoment.Before)
        {
            return MemoryFault.None;
        }

        return IsWriteDown || (WritesLeft is not null && --WritesLeft < 0) ? MemoryFault.GiveUp : MemoryFault.None;
    }

    private async ValueTask<MemoryFault> PassAsync(MemoryMoment moment, Func<MemoryFault> fault)
    {
        if (moment == MemoryMoment.Before)
        {
            Interlocked.Increment(ref _requests);
            if (_interrupt is not null && Interlocked.Decrement(ref _untilInterrupt) == 0)
            {
                var interrupt = _interrupt;
                _interrupt = null;
                await interrupt();
            }
        }

        return fault();
    }
}
