using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Cache;
using QuantumFlux.Keys;
using QuantumFlux.Local;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Cache;

/// <summary>What the cache makes of storage that fails, lies or forgets. Dimensions 3 and 7 have accounts of their own in some of these tests.</summary>
public sealed class CacheDimensionTests
{
    private const int Small = 2_000;
    private const int Large = 1_300_000;
    private const int Huge = 11_000_000;

    [Theory]
    [InlineData(Small)]
    [InlineData(Large)]
    [InlineData(Huge)]
    public async Task EveryByteOfAStoredEntryCounts(int bytes)
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", CacheClient.Measurements(bytes), options: """{"replication_factor":1}""");
        var positions = (await world.StoredAsync(client)).SelectMany(Positions).ToList();

        // The wrapped key's form, nonce, hash, key and tag; the content's chunks, their beginnings, their ends and their tags.
        Assert.True(positions.Count > 40);
        foreach (var (what, change) in positions)
        {
            var undo = await world.ChangeAsync(client, what, change);
            await ExpectNothingAsync(client, bytes);
            await undo();
        }

        Assert.True((await client.CachedAsync("k")).Value() == CacheClient.Measurements(bytes));

        static IEnumerable<(string, Func<byte[], byte[]>)> Positions((string What, int Length) stored)
        {
            var chunk = ChunkCipher.PlainBytes + ChunkCipher.TagBytes;
            int[] offsets = [0, 1, 2, 12, 13, 20, 44, 45, 60, stored.Length - 17, stored.Length - 16, stored.Length - 8, stored.Length - 1, chunk - 17, chunk - 16, chunk - 1, chunk];
            foreach (var offset in offsets.Where(offset => offset >= 0 && offset < stored.Length).Distinct())
            {
                foreach (var bit in stored.Length > 100_000 ? [0x10] : new[] { 0x01, 0x80 })
                {
                    yield return (stored.What, content => Flip(content, offset, bit));
                }
            }

            yield return (stored.What, content => content[..^1]);
            yield return (stored.What, content => [.. content, 0]);
            yield return (stored.What, content => content[..1]);
            if (stored.Length > 2 * chunk)
            {
                // Whole chunks: the last one missing, two in each other's place.
                yield return (stored.What, content => content[..^(content.Length % chunk)]);
                yield return (stored.What, content => [.. content[chunk..(2 * chunk)], .. content[..chunk], .. content[(2 * chunk)..]]);
            }
        }

        static byte[] Flip(byte[] content, int offset, int bit)
        {
            byte[] changed = [.. content];
            changed[offset] ^= (byte)bit;
            return changed;
        }
    }

    [Theory]
    [InlineData("Key", "other")]
    [InlineData("StoredAt", 638000000000000000L)]
    [InlineData("ExpiresAt", 3155378975999999999L)]
    [InlineData("ExpiresAt", null)]
    [InlineData("Compression", 0L)]
    [InlineData("Compression", 9L)]
    [InlineData("Compression", "x")]
    [InlineData("Encryption", 0L)]
    [InlineData("Original", 1L)]
    [InlineData("Original", -1L)]
    [InlineData("Compressed", 1L)]
    [InlineData("Dimensions", "2")]
    [InlineData("Dimensions", "9,x")]
    [InlineData("IsBlob", true)]
    [InlineData("MasterKeyId", "0000000000000000")]
    [InlineData("Sealed", null)]
    [InlineData("Data0", null)]
    public async Task ARowThatWasChangedIsAnsweredFromACopyAndRepaired(string column, object? value)
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "[1,2,3]", ttlSeconds: 1000);
        await world.SetAsync(client, CacheRows.EntryKey("k"), column, value);

        Assert.Equal("[1,2,3]", (await client.CachedAsync("k")).Value());
        await RunMaintenanceAsync(app);
        await world.DropAsync(client, CacheRows.CopyKey("k", 3));
        await world.DropAsync(client, CacheRows.CopyKey("k", 7));

        Assert.Equal("[1,2,3]", (await client.CachedAsync("k")).Value());
    }

    [Fact]
    public async Task AnEntryInAnothersPlaceIsNotServed()
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var (client, other) = (await app.TenantAsync(), await app.TenantAsync());
        await client.CacheAsync("a", "1");
        await client.CacheAsync("b", "2");
        await other.CacheAsync("a", "3");
        var a = await world.RowAsync(client, CacheRows.EntryKey("a"));

        await world.CopyAsync(a, client.Tenant(), CacheRows.EntryKey("b"));
        await world.CopyAsync(a, other.Tenant(), CacheRows.EntryKey("a"));

        (await client.CachedAsync("b")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
        (await other.CachedAsync("a")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
    }

    [Theory]
    [InlineData(Small)]
    [InlineData(Large)]
    [InlineData(Huge)]
    public async Task AReadGoesOnToTheNextDimensionAndMaintenanceBringsTheLostCopyBack(int bytes)
    {
        var world = new World(3, 7);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var value = CacheClient.Measurements(bytes);
        world.Down.Add(7);
        (await client.CacheAsync("k", value, options: """{"replication_factor":3}""")).Expect(HttpStatusCode.Created);
        world.Down.Clear();

        // The first copy breaks; dimension 3 answers for it, and dimension 7 gets what it missed.
        await world.BreakAsync(client, 1);
        Assert.True((await client.CachedAsync("k")).Value() == value);
        await RunMaintenanceAsync(app);
        await world.BreakAsync(client, 1);
        world.Down.Add(3);
        Assert.True((await client.CachedAsync("k")).Value() == value);
        world.Down.Add(7);

        await ExpectNothingAsync(client, bytes);
    }

    [Fact]
    public async Task AWriteThatNoDimensionTakesLeavesTheOldValue()
    {
        var world = new World(1, 3, 7);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "1");
        world.Down.UnionWith([1, 3, 7]);

        (await client.CacheAsync("k", "2")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
        world.Down.Clear();

        Assert.Equal("1", (await client.CachedAsync("k")).Value());
    }

    [Theory]
    [InlineData(Small)]
    [InlineData(Large)]
    public async Task ContentOutsideOfTheTableGoesWhenNoEntryHasIt(int bytes)
    {
        var world = new World(3);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        for (var write = 0; write < 3; write++)
        {
            (await client.CacheAsync("k", CacheClient.Measurements(bytes, write), options: """{"replication_factor":3}""")).Expect(HttpStatusCode.Created);
        }

        (await client.CacheAsync("gone", CacheClient.Measurements(bytes), options: """{"replication_factor":3}""")).Expect(HttpStatusCode.Created);
        (await client.UncacheAsync("gone")).Expect(HttpStatusCode.OK);
        Assert.Equal(3, await world.OutsideAsync(client, 3));

        world.Time.Advance(TimeSpan.FromHours(1));
        await RunMaintenanceAsync(app);

        Assert.Equal(1, await world.OutsideAsync(client, 3));
        Assert.True((await client.CachedAsync("k")).Value() == CacheClient.Measurements(bytes, 2));

        // What stays is looked after again, and goes with its entry.
        await client.CacheAsync("k", "1", options: """{"replication_factor":1}""");
        world.Time.Advance(TimeSpan.FromHours(1));
        await RunMaintenanceAsync(app);
        Assert.Equal(0, await world.OutsideAsync(client, 3));
        Assert.Equal(0, await world.DueAsync(client));
    }

    [Theory]
    [InlineData(Small)]
    [InlineData(Large)]
    [InlineData(Huge)]
    public async Task AWriteThatBreaksOffAnywhereLeavesTheOldValueAndIsClearedUp(int bytes)
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "\"old\"");
        var isStored = false;
        for (var writes = 0; !isStored; writes++)
        {
            Assert.InRange(writes, 0, 10);
            world.WritesLeft = writes;
            var answer = await client.CacheAsync("k", CacheClient.Measurements(bytes), ttlSeconds: 100_000, options: """{"replication_factor":2}""");
            world.WritesLeft = null;

            isStored = answer.Status == HttpStatusCode.Created;
            if (!isStored)
            {
                answer.ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
                Assert.Equal("\"old\"", (await client.CachedAsync("k")).Value());
            }
        }

        world.Time.Advance(TimeSpan.FromHours(1));
        await RunMaintenanceAsync(app);

        Assert.True((await client.CachedAsync("k")).Value() == CacheClient.Measurements(bytes));
        Assert.Equal(bytes == Small ? 0 : 1, await world.OutsideAsync(client, 1));
        Assert.Equal(bytes == Small ? 0 : 1, await world.OutsideAsync(client, 3));
    }

    [Fact]
    public async Task WhatExpiredADayAgoIsRemovedWithAllItsRows()
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "1", ttlSeconds: 60, options: """{"replication_factor":7}""");
        await client.CacheAsync("k", "1", ttlSeconds: 60);
        await client.CacheAsync("large", CacheClient.Measurements(Large), ttlSeconds: 60);
        await client.CacheAsync("kept", "2", ttlSeconds: 60);
        await client.CacheAsync("kept", "3");

        using var counts = new MaintenanceCounts(app);
        world.Time.Advance(TimeSpan.FromSeconds(60) + CacheEntry.ExpiredFor - TimeSpan.FromTicks(1));
        await RunMaintenanceAsync(app);
        (await client.CachedAsync("k")).ExpectError(HttpStatusCode.Gone, "RESOURCE_EXPIRED");
        world.Time.Advance(TimeSpan.FromTicks(1));
        await RunMaintenanceAsync(app);

        Assert.Equal(0, await world.OutsideAsync(client, 1));
        Assert.Equal([CacheRows.CopyKey("kept", 3), CacheRows.CopyKey("kept", 7), CacheRows.EntryKey("kept")], await world.KeysAsync(client));
        Assert.Equal("3", (await client.CachedAsync("kept")).Value());

        // The large one's blobs were looked after in the first run; two writes were overwritten before they expired.
        Assert.Equal([("forgotten", 2), ("kept", 1), ("out_of_date", 2)], counts.ByOutcome);
    }

    [Fact]
    public async Task SevenCopiesOfTheLargestValueOfRowSizeFitOneTransaction()
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var key = string.Concat(Enumerable.Repeat("😀", 256));
        var chunks = CacheLimits.RowBytesMax / ChunkCipher.PlainBytes;
        var largest = CacheLimits.RowBytesMax - (chunks * ChunkCipher.TagBytes);

        foreach (var (bytes, blobs) in new[] { (largest, 0), (largest + 1, 1) })
        {
            var value = $"\"{new string('a', bytes - 2)}\"";
            (await client.CacheAsync(key, value, 60, """{"compression":"none","replication_factor":7}""")).Expect(HttpStatusCode.Created);
            Assert.True((await client.CachedAsync(key)).Value() == value);
            Assert.Equal(blobs, await world.OutsideAsync(client, 5));
        }
    }

    [Fact]
    public async Task TheTimerReadsOnlyWhatIsDue()
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        for (var index = 0; index < 50; index++)
        {
            await client.CacheAsync($"later{index}", "1", ttlSeconds: 100_000);
        }

        await client.CacheAsync("due", "1", ttlSeconds: 60);
        var idle = await world.RequestsDuringAsync(() => RunMaintenanceAsync(app));
        world.Time.Advance(TimeSpan.FromSeconds(60) + CacheEntry.ExpiredFor);
        var busy = await world.RequestsDuringAsync(() => RunMaintenanceAsync(app));

        // The due tenants; then the due rows (twice, until none is left), the entry, its copies, its removal and that of the row, and of the announcement.
        Assert.Equal(1, idle);
        Assert.InRange(busy, 5, 9);
    }

    [Fact]
    public async Task EntriesStayReadableWhenTheMasterKeyIsReplaced()
    {
        var (old, current, other) = (NewKey(1), NewKey(2), NewKey(3));
        var world = new World();
        string signature;
        TestClient client;
        await using (var before = await world.StartAsync(old))
        {
            client = await before.TenantAsync();
            signature = (await client.CacheAsync("small", "1")).Json.GetProperty("quantum_signature").GetString()!;
            await client.CacheAsync("large", CacheClient.Measurements(Large));
        }

        await using (var after = await world.StartAsync(current, old))
        {
            var same = after.ClientWith(client.Key, client.Account);
            Assert.Equal("1", (await same.CachedAsync("small", ("X-Quantum-Signature", signature))).Value());
            Assert.True((await same.CachedAsync("large")).Value() == CacheClient.Measurements(Large));
            await same.CacheAsync("new", "2");
            var row = await world.RowAsync(client, CacheRows.EntryKey("new"));
            Assert.NotEqual((await world.RowAsync(client, CacheRows.EntryKey("small"))).Text("MasterKeyId"), row.Text("MasterKeyId"));
        }

        await using var without = await world.StartAsync(current, other);
        var last = without.ClientWith(client.Key, client.Account);
        Assert.Equal("2", (await last.CachedAsync("new")).Value());
        (await last.CachedAsync("small")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");

        static string NewKey(byte value) => Convert.ToBase64String(Enumerable.Repeat(value, 32).ToArray());
    }

    [Fact]
    public async Task NothingOfAValueLiesInStorageInTheClear()
    {
        var world = new World();
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.CacheAsync("k", "\"a secret that is long enough to be found\"", options: """{"compression":"none"}""");

        foreach (var row in await world.RowsAsync(client))
        {
            foreach (var bytes in row.Values.Values.OfType<byte[]>())
            {
                Assert.Equal(-1, bytes.AsSpan().IndexOf("secret"u8));
            }
        }
    }

    [Fact]
    public async Task ReadsAreCountedAcrossInstancesAndRestarts()
    {
        var world = new World();
        await using var other = await world.StartAsync();
        TestClient client;
        await using (var first = await world.StartAsync())
        {
            client = await first.TenantAsync();
            await client.CacheAsync("k", "1");
            for (var read = 1; read <= 5; read++)
            {
                Assert.Equal(read, Hits(await client.CachedAsync("k")));
            }

            world.Time.Advance(CacheHits.KeptFor);
            await first.Services.GetRequiredService<CacheHits>().FlushAsync(CacheHits.KeptFor, CancellationToken.None);
            var elsewhere = other.ClientWith(client.Key, client.Account);
            Assert.Equal(6, Hits(await elsewhere.CachedAsync("k")));
            Assert.Equal(6, Hits(await client.CachedAsync("k")));

            // Both write theirs; the first one when it ends.
            await other.Services.GetRequiredService<CacheHits>().FlushAsync(TimeSpan.Zero, CancellationToken.None);
        }

        await using var second = await world.StartAsync();
        var again = second.ClientWith(client.Key, client.Account);
        var listed = (await again.GetAsync(CacheClient.Root)).Json.GetProperty("entries")[0];
        Assert.Equal(7, listed.GetProperty("hit_count").GetInt64());
        Assert.Equal("2026-03-01T12:00:10.000Z", listed.GetProperty("last_accessed").GetString());

        // A new write starts anew, and takes no reads of the old one.
        await again.CachedAsync("k");
        await again.CacheAsync("k", "2");
        await second.Services.GetRequiredService<CacheHits>().FlushAsync(TimeSpan.Zero, CancellationToken.None);
        Assert.Equal(1, Hits(await again.CachedAsync("k")));

        static long Hits(Answer answer) => answer.Expect(HttpStatusCode.OK).Json.GetProperty("cache_metadata").GetProperty("hit_count").GetInt64();
    }

    // The answer is an error; only that of a value that is given out while it is read may have begun, and then it breaks off.
    private static async Task ExpectNothingAsync(TestClient client, int bytes)
    {
        try
        {
            var lost = (await client.CachedAsync("k")).ExpectError(HttpStatusCode.ServiceUnavailable, "DIMENSIONAL_INSTABILITY");
            Assert.StartsWith("[1", lost.Details.GetProperty("dimensional_route").GetRawText(), StringComparison.Ordinal);
        }
        catch (HttpRequestException) when (bytes == Huge)
        {
        }
    }

    private static async Task RunMaintenanceAsync(TestApp app) =>
        (await app.Http.PostAsync("/admin/functions/CacheMaintenance", null)).EnsureSuccessStatusCode();

    /// <summary>What the cache's timer of one app says that it did.</summary>
    private sealed class MaintenanceCounts : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly Dictionary<string, long> _byOutcome = [];

        public MaintenanceCounts(TestApp app)
        {
            var meters = app.Services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "quantumflux.maintenance.items" && ReferenceEquals(instrument.Meter.Scope, meters))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
            {
                var facts = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value as string);
                if (facts["timer"] == "cache")
                {
                    _byOutcome[facts["outcome"]!] = _byOutcome.GetValueOrDefault(facts["outcome"]!) + count;
                }
            });
            _listener.Start();
        }

        public IEnumerable<(string Outcome, long Count)> ByOutcome =>
            _byOutcome.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value));

        public void Dispose() => _listener.Dispose();
    }

    private sealed class World
    {
        private readonly string _opener = ApiKey.NewSecret(KeyEnvironment.Live);
        private readonly Dictionary<int, StorageAccount> _own = [];
        private readonly MemoryTables _tables;
        private readonly MemoryBlobs _blobs;
        private readonly StorageAccounts _storage;

        /// <param name="own">The dimensions with an account of their own.</param>
        public World(params int[] own)
        {
            _tables = new MemoryTables(Time, (operation, moment) => ValueTask.FromResult(
                operation == "Tables.Write" && moment == MemoryMoment.Before && WritesLeft is not null && --WritesLeft < 0 ? MemoryFault.GiveUp : MemoryFault.None));
            _blobs = new MemoryBlobs(Time);
            foreach (var dimension in own)
            {
                _own.Add(dimension, new StorageAccount(new MemoryTables(Time, Hook), new MemoryBlobs(Time, Hook)));

                ValueTask<MemoryFault> Hook(string operation, MemoryMoment moment) =>
                    ValueTask.FromResult(Down.Contains(dimension) ? MemoryFault.GiveUp : MemoryFault.None);
            }

            _storage = new StorageAccounts(new StorageAccount(_tables, _blobs), _own);
        }

        public ManualTime Time { get; } = new();

        /// <summary>How many more table writes the main account takes; null means any number.</summary>
        public int? WritesLeft { get; set; }

        /// <summary>The dimensions with accounts of their own that do not answer.</summary>
        public HashSet<int> Down { get; } = [];

        public Task<TestApp> StartAsync(string? masterKey = null, string? previous = null)
        {
            var settings = new Dictionary<string, string?>();
            if (masterKey is not null)
            {
                settings[LocalSettings.MasterKeySetting] = masterKey;
            }

            if (previous is not null)
            {
                settings["QuantumFlux:PreviousMasterKeys:0"] = previous;
            }

            return TestApp.StartAsync(Time, _storage, settings, _opener);
        }

        public async Task<int> RequestsDuringAsync(Func<Task> action)
        {
            var before = _tables.Requests;
            await action();
            return _tables.Requests - before;
        }

        public async Task<TableRow> RowAsync(TestClient client, string key) =>
            (await _tables.GetAsync(CacheRows.Table, client.Tenant(), key, null, default))!;

        public async Task<IReadOnlyList<TableRow>> RowsAsync(TestClient client) =>
            (await _tables.QueryAsync(CacheRows.Table, new TableQuery(client.Tenant(), "", null), default)).Rows;

        /// <summary>The keys of a tenant's rows, those of what is due left out.</summary>
        public async Task<IReadOnlyList<string>> KeysAsync(TestClient client) =>
            [.. (await RowsAsync(client)).Select(row => row.Key).Where(key => !key.StartsWith(CacheRows.DueFrom, StringComparison.Ordinal))];

        public async Task<int> DueAsync(TestClient client) =>
            (await RowsAsync(client)).Count(row => row.Key.StartsWith(CacheRows.DueFrom, StringComparison.Ordinal));

        public async Task SetAsync(TestClient client, string key, string column, object? value)
        {
            var row = await RowAsync(client, key);
            _ = value switch
            {
                null => row.Set(column, (string?)null),
                string text => row.Set(column, text),
                long number => row.Set(column, number),
                bool flag => row.Set(column, flag),
                byte[] bytes => row.Set(column, bytes),
                _ => throw new NotSupportedException(),
            };
            Assert.True((await _tables.WriteAsync(CacheRows.Table, [TableAction.Replace(row, "*")], default)).IsDone);
        }

        public async Task DropAsync(TestClient client, string key) =>
            await _tables.WriteAsync(CacheRows.Table, [TableAction.Delete(client.Tenant(), key, "*")], default);

        public async Task CopyAsync(TableRow row, string tenant, string key)
        {
            var copy = new TableRow(tenant, key);
            foreach (var (name, value) in row.Values)
            {
                _ = value switch
                {
                    string text => copy.Set(name, text),
                    long number => copy.Set(name, number),
                    bool flag => copy.Set(name, flag),
                    byte[] bytes => copy.Set(name, bytes),
                    _ => throw new NotSupportedException(),
                };
            }

            await _tables.WriteAsync(CacheRows.Table, [TableAction.Upsert(copy)], default);
        }

        /// <summary>The stored parts of the entry k with one copy: columns of its row, and its blob.</summary>
        public async Task<IReadOnlyList<(string What, int Length)>> StoredAsync(TestClient client)
        {
            var row = await RowAsync(client, CacheRows.EntryKey("k"));
            var parts = row.Values.Where(column => column.Value is byte[]).Select(column => (column.Key, ((byte[])column.Value).Length)).ToList();
            foreach (var blob in (await _blobs.ListAsync("crystal-1", "", 10, null, default)).Blobs)
            {
                parts.Add((blob.Name, (int)blob.Length));
            }

            return parts;
        }

        /// <summary>Changes a stored part, and gives back what undoes that.</summary>
        public async Task<Func<Task>> ChangeAsync(TestClient client, string what, Func<byte[], byte[]> change)
        {
            if (what.Contains('/', StringComparison.Ordinal))
            {
                var content = await ReadAsync("crystal-1", what);
                await _blobs.PutAsync("crystal-1", what, change(content), new BlobOptions(), default);
                return () => _blobs.PutAsync("crystal-1", what, content, new BlobOptions(), default);
            }

            var key = CacheRows.EntryKey("k");
            var bytes = (await RowAsync(client, key)).Bytes(what)!;
            await SetAsync(client, key, what, change(bytes));
            return () => SetAsync(client, key, what, bytes);
        }

        /// <summary>Breaks the copy of the entry k in a dimension of the main account: the first one.</summary>
        public async Task BreakAsync(TestClient client, int dimension)
        {
            var container = string.Create(CultureInfo.InvariantCulture, $"crystal-{dimension}");
            var blobs = (await _blobs.ListAsync(container, "", 10, null, default)).Blobs;
            foreach (var blob in blobs)
            {
                var content = await ReadAsync(container, blob.Name);
                content[content.Length / 2] ^= 1;
                await _blobs.PutAsync(container, blob.Name, content, new BlobOptions(), default);
            }

            if (blobs.Count == 0)
            {
                var data = (await RowAsync(client, CacheRows.EntryKey("k"))).Bytes("Data0")!;
                data[data.Length / 2] ^= 1;
                await SetAsync(client, CacheRows.EntryKey("k"), "Data0", data);
            }
        }

        /// <summary>How many copies a dimension holds outside of the main table.</summary>
        public async Task<int> OutsideAsync(TestClient client, int dimension)
        {
            var account = _storage.ForDimension(dimension);
            var blobs = await account.Blobs.ListAsync(string.Create(CultureInfo.InvariantCulture, $"crystal-{dimension}"), "", 100, null, default);
            var rows = await account.Tables.QueryAsync(CacheRows.Table, new TableQuery(client.Tenant(), "o:", "o;"), default);
            return blobs.Blobs.Count + rows.Rows.Count;
        }

        private async Task<byte[]> ReadAsync(string container, string name)
        {
            await using var blob = await _blobs.GetAsync(container, name, 0, null, null, default);
            var content = new MemoryStream();
            await blob!.Stream.CopyToAsync(content);
            return content.ToArray();
        }
    }
}
