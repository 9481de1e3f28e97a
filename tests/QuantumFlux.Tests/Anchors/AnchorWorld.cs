using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Anchors;

/// <summary>Apps over one storage in memory and one clock, so that no timer of another test ends what falls due here.</summary>
public sealed class AnchorWorld
{
    private readonly string _opener = ApiKey.NewSecret(KeyEnvironment.Live);
    private readonly StorageAccounts _storage;

    public AnchorWorld(DateTimeOffset? start = null)
    {
        Time = start is { } moment ? new ManualTime(moment) : new ManualTime();
        Tables = new MemoryTables(Time, async (operation, moment) => Hook is null ? MemoryFault.None : await Hook(operation, moment));
        _storage = new StorageAccounts(new StorageAccount(Tables, new MemoryBlobs(Time)), new Dictionary<int, StorageAccount>());
    }

    public ManualTime Time { get; }

    public MemoryTables Tables { get; }

    /// <summary>Makes faults in the tables; null means none.</summary>
    public MemoryHook? Hook { get; set; }

    public DateTimeOffset Now => Time.GetUtcNow();

    /// <summary>An id for a new anchor.</summary>
    public string NewId() => Ids.New(Anchor.Prefix, Now);

    public Task<TestApp> StartAsync() => TestApp.StartAsync(Time, _storage, adminKey: _opener);

    /// <summary>The application without a host: nothing runs in it but what a test runs.</summary>
    /// <param name="time">Its own clock; null means the world's.</param>
    public ServiceProvider Instance(TimeProvider? time = null)
    {
        var configuration = new ConfigurationBuilder().Build();
        var services = new ServiceCollection().AddLogging().AddSingleton<IConfiguration>(configuration).AddSingleton(_storage).AddQuantumFlux(configuration);
        services.Replace(ServiceDescriptor.Singleton(time ?? Time));
        return services.BuildServiceProvider();
    }

    /// <summary>All rows of a tenant whose keys start with a prefix.</summary>
    public async Task<IReadOnlyList<TableRow>> RowsAsync(string tenant, string prefix)
    {
        var rows = new List<TableRow>();
        var query = new TableQuery(tenant, prefix, prefix[..^1] + (char)(prefix[^1] + 1));
        do
        {
            var page = await Tables.QueryAsync(ObjectRows.Table, query, CancellationToken.None);
            rows.AddRange(page.Rows);
            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null);

        return rows;
    }

    /// <summary>Takes content away from dimension 1, where the content of objects lies that are not entangled.</summary>
    public async Task LoseHomeAsync(string tenant, string sha256)
    {
        var none = CancellationToken.None;
        if (await Tables.GetAsync(ObjectRows.Table, tenant, ObjectRows.ContentKey(sha256, 0), null, none) is { } large)
        {
            await _storage.Main.Blobs.DeleteAsync(Dimensions.Container(1), large.Text("Blob")!, null, none);
        }
        else
        {
            var removal = TableAction.Delete(tenant, ObjectRows.ContentKey(sha256, 1), "*");
            Assert.True((await Tables.WriteAsync(ObjectRows.Table, [removal], none)).IsDone);
        }
    }

    /// <summary>Runs the timer of an app now.</summary>
    public static Task RunTimerAsync(TestApp app) => RunTimerAsync(app.Services);

    /// <summary>Runs the timer of an instance now.</summary>
    public static Task RunTimerAsync(IServiceProvider services) => services.GetRequiredService<AnchorMaintenance>().RunAsync(CancellationToken.None);
}

/// <summary>What tests of anchors send.</summary>
public static class AnchorRequests
{
    public const string Path = "/api/v3/temporal/anchor";

    /// <summary>Asks for an anchor. Null members are left to their defaults.</summary>
    public static Task<Answer> AnchorAsync(
        this TestClient client,
        string dataset,
        DateTimeOffset moment,
        string type = "fixed",
        long? duration = null,
        object? options = null,
        long? period = null) =>
        client.PostAsync(Path, new { dataset_id = dataset, anchor_time = moment, anchor_type = type, duration_seconds = duration, options, period_seconds = period });

    /// <summary>Makes an anchor and gives its id.</summary>
    public static async Task<string> AnchoredAsync(
        this TestClient client,
        string dataset,
        DateTimeOffset moment,
        string type = "fixed",
        long? duration = null,
        object? options = null,
        long? period = null) =>
        (await client.AnchorAsync(dataset, moment, type, duration, options, period)).Expect(HttpStatusCode.Created).Json.GetProperty("anchor_id").GetString()!;

    /// <summary>All about an anchor that exists.</summary>
    public static async Task<JsonElement> AnchorOfAsync(this TestClient client, string id) =>
        (await client.GetAsync($"{Path}/{id}")).Expect(HttpStatusCode.OK).Json;

    /// <summary>Its status.</summary>
    public static async Task<string?> StatusOfAsync(this TestClient client, string id) =>
        (await client.AnchorOfAsync(id)).GetProperty("status").GetString();

    /// <summary>Its drift in milliseconds.</summary>
    public static async Task<double> DriftOfAsync(this TestClient client, string id) =>
        (await client.AnchorOfAsync(id)).GetProperty("drift_amount_ms").GetDouble();

    /// <summary>Reads an object by an anchor.</summary>
    public static Task<Answer> ReadByAsync(this TestClient client, string dataset, string anchorId) =>
        client.GetAsync($"/api/v3/quantum/objects/{dataset}?anchor={anchorId}");

    /// <summary>The ids that a list names, in its order.</summary>
    public static async Task<IReadOnlyList<string>> AnchorIdsAsync(this TestClient client, string query) =>
        [.. (await client.GetAsync(Path + query)).Expect(HttpStatusCode.OK).Json.GetProperty("anchors")
            .EnumerateArray()
            .Select(entry => entry.GetProperty("anchor_id").GetString()!)];
}
