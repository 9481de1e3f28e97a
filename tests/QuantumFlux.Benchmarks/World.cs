using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using QuantumFlux.Cache;
using QuantumFlux.Keys;
using QuantumFlux.Local;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Benchmarks;

/// <summary>An object and an entanglement of the development key, and the requests that are compared: ours, and those to the same rows in storage.</summary>
public sealed class World : IDisposable
{
    private const string ObjectId = "bench-read";
    private const string WrittenId = "bench-write";
    private const string BareId = "bench-bare";

    private const string CachedKey = "bench-cached";

    // A kilobyte of JSON with its key and quotes.
    private static readonly double[] _cached = [.. Enumerable.Range(1, 58).Select(index => Math.Round(Math.Sqrt(index), 14))];

    private static readonly byte[] _content = [.. Enumerable.Range(0, 256).Select(index => (byte)index)];

    // Nagle's algorithm is off in this handler, and connections stay open.
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private readonly StorageClient _storage;
    private readonly string _origin;
    private readonly string _tenant;
    private string _pairId = "";
    private IReadOnlyList<TableAction> _cachedRows = [];
    private long _version;

    private World(HostProcess host)
    {
        _http.DefaultRequestHeaders.Add("QFlux-Token", $"Bearer {LocalSettings.DevelopmentKey}");
        _storage = new StorageClient(host.Storage);
        _origin = host.Address.AbsoluteUri + "api/v3/quantum/";
        _tenant = $"{ApiKey.BootstrapAccount(ApiKey.HashOf(LocalSettings.DevelopmentKey))}-live";
    }

    public static async Task<World> CreateAsync(HostProcess host)
    {
        var world = new World(host);
        foreach (var id in new[] { ObjectId, "bench-source", "bench-target", WrittenId })
        {
            await world.PutAsync(id);
        }

        using var answer = await world._http.PostAsJsonAsync(
            world._origin + "entangle", new { source_id = "bench-source", target_id = "bench-target", entanglement_strength = 0.9 });
        world._pairId = (await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>()).GetProperty("entanglement_id").GetString()!;
        await world.WriteRowsAsync();
        await world.WriteCachedAsync();
        world._cachedRows = await world.CopyCachedRowsAsync(host);
        return world;
    }

    /// <summary>A request that is refused for a parameter: authenticated and counted against the limits, and nothing is asked of storage.</summary>
    public Task RefusedAsync() => GetRefusedAsync("objects?limit=0");

    /// <summary>A request for a path that does not exist: the gate answers it without authentication and limits.</summary>
    public Task UnknownAsync() => GetRefusedAsync("nothing?limit=0");

    public Task ReadObjectAsync() => GetAsync($"objects/{ObjectId}");

    /// <summary>Reads a cached value of a kilobyte.</summary>
    public Task ReadCachedAsync() => GetAsync($"../cache/crystal/{CachedKey}");

    public Task GetCachedRowAsync() => _storage.GetAsync(CacheRows.Table, _tenant, CacheRows.EntryKey(CachedKey));

    /// <summary>Stores a value of a kilobyte, with three copies.</summary>
    public async Task WriteCachedAsync()
    {
        using var answer = await _http.PostAsJsonAsync(_origin + "../cache/crystal", new { key = CachedKey, value = _cached });
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>What a cache write comes to in storage: the rows that it wrote, in one transaction.</summary>
    public Task WriteCachedRowsAsync() => _storage.WriteAsync(CacheRows.Table, _cachedRows);

    public Task ReadEntanglementAsync() => GetAsync($"entangle/{_pairId}");

    public Task WriteObjectAsync() => PutAsync(WrittenId);

    public Task GetHeadRowAsync() => _storage.GetAsync(ObjectRows.Table, _tenant, ObjectRows.HeadKey(ObjectId));

    /// <summary>What an entanglement read comes to in storage: its row, and beside it the writes under way.</summary>
    public Task GetPairRowsAsync() => Task.WhenAll(
        _storage.GetAsync(ObjectRows.Table, _tenant, ObjectRows.PairKey(_pairId)),
        _storage.QueryAsync(ObjectRows.Table, new TableQuery(_tenant, ObjectRows.UnderWayFrom, ObjectRows.UnderWayBefore)));

    /// <summary>What an object write comes to in storage: the head is read, then head, version and content are written in one transaction.</summary>
    public async Task WriteRowsAsync()
    {
        var pointer = ContentStore.PointerTo(_content, Dimensions.Home);
        var version = new ObjectVersion(BareId, Math.Max(_version + 1, VersionNumber.At(TimeProvider.System.GetUtcNow())), pointer, "application/octet-stream");
        var isNew = _version == 0;
        _version = version.Version;
        var head = ObjectRows.HeadRow(_tenant, new ObjectHead(version, version.Version, [], null));
        var content = new TableRow(_tenant, ObjectRows.ContentKey(pointer.Sha256, Dimensions.Home[0])).SetLarge("Data", _content);

        if (!isNew)
        {
            await _storage.GetAsync(ObjectRows.Table, _tenant, ObjectRows.HeadKey(BareId));
        }

        await _storage.WriteAsync(
            ObjectRows.Table,
            [
                isNew ? TableAction.Insert(head) : TableAction.Replace(head, "*"),
                TableAction.Insert(ObjectRows.VersionRow(_tenant, version, version.Version)),
                TableAction.Upsert(content),
            ]);
    }

    public void Dispose()
    {
        _http.Dispose();
        _storage.Dispose();
    }

    private async Task<IReadOnlyList<TableAction>> CopyCachedRowsAsync(HostProcess host)
    {
        var tables = new RestTables(host.Storage);
        var actions = new List<TableAction>();
        foreach (var key in new[] { CacheRows.EntryKey(CachedKey), CacheRows.CopyKey(CachedKey, 3), CacheRows.CopyKey(CachedKey, 7) })
        {
            actions.Add(TableAction.Upsert((await tables.GetAsync(CacheRows.Table, _tenant, key, null, CancellationToken.None))!));
        }

        return actions;
    }

    private async Task GetRefusedAsync(string path)
    {
        using var answer = await _http.GetAsync(_origin + path);
        await answer.Content.ReadAsByteArrayAsync();
        if ((int)answer.StatusCode is not (400 or 404))
        {
            throw new InvalidOperationException($"{path} was answered with {(int)answer.StatusCode}.");
        }
    }

    private async Task GetAsync(string path)
    {
        using var answer = await _http.GetAsync(_origin + path);
        answer.EnsureSuccessStatusCode();
    }

    private async Task PutAsync(string id)
    {
        using var content = new ByteArrayContent(_content);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var answer = await _http.PutAsync(string.Create(CultureInfo.InvariantCulture, $"{_origin}objects/{id}"), content);
        answer.EnsureSuccessStatusCode();
    }
}
