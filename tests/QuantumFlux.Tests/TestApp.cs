using Azure.Core.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QuantumFlux.Keys;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests;

/// <summary>The local host in this process, on a free port, over the tests' Azurite or over any storage that a test brings.</summary>
public sealed class TestApp : IAsyncDisposable
{
    private static readonly Lazy<Task<TestApp>> _sharedApp = new(() => StartAsync());

    private readonly WebApplication _app;
    private readonly string _adminKey;

    private TestApp(WebApplication app, StorageRequests requests, string adminKey)
    {
        _app = app;
        _adminKey = adminKey;
        Requests = requests;
        Address = new Uri(app.Urls.First());
        Http = NewHttpClient();
    }

    /// <summary>The app that tests share which need neither a clock nor a storage of their own.</summary>
    public static Task<TestApp> SharedAsync => _sharedApp.Value;

    /// <summary>The setting with which a test sends as many requests as it likes.</summary>
    public static Dictionary<string, string?> Unlimited => new() { ["QuantumFlux:RateLimits:Enabled"] = "false" };

    public Uri Address { get; }

    /// <summary>A client without a key.</summary>
    public HttpClient Http { get; }

    /// <summary>Counts what the app asks of storage.</summary>
    public StorageRequests Requests { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Starts an app.</summary>
    /// <param name="time">Its clock; null means the real one.</param>
    /// <param name="storage">Its storage; null means the tests' Azurite.</param>
    /// <param name="settings">Further settings.</param>
    /// <param name="adminKey">The key that opens it; null makes one up.</param>
    /// <param name="configure">Changes the services last; null changes nothing.</param>
    public static async Task<TestApp> StartAsync(
        TimeProvider? time = null,
        StorageAccounts? storage = null,
        Dictionary<string, string?>? settings = null,
        string? adminKey = null,
        Action<IServiceCollection>? configure = null)
    {
        adminKey ??= ApiKey.NewSecret(KeyEnvironment.Live);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["urls"] = "http://127.0.0.1:0",
                [LocalSettings.BootstrapKeySetting] = adminKey,
                [LocalSettings.MasterKeySetting] = Convert.ToBase64String(new byte[32]),
                ["Logging:LogLevel:Default"] = "None",

                // All tests call from one address, and many of them without a key.
                ["QuantumFlux:RateLimits:FailedAuthenticationsPerMinute"] = "1000000",
            })
            .AddInMemoryCollection(settings ?? [])
            .Build();
        var address = storage is null ? await AzuriteFixture.Address : StorageAddress.Emulator();
        var requests = new StorageRequests();
        var app = LocalHost.Build(new LocalSettings(LocalFolders.Find(), configuration, IsEphemeral: true), address, services =>
        {
            services.Replace(ServiceDescriptor.Singleton(storage ?? StorageAccounts.Open(configuration, address, opened =>
                new StorageAccount(
                    new RestTables(opened, null, new CountingTransport(requests)),
                    new RestBlobs(opened, null, new CountingTransport(requests))))));
            if (time is not null)
            {
                services.Replace(ServiceDescriptor.Singleton(time));
            }

            configure?.Invoke(services);
        });
        await LocalHost.StartAsync(app);
        return new TestApp(app, requests, adminKey);
    }

    /// <summary>A client with a key of an account that nobody else has.</summary>
    public Task<TestClient> TenantAsync(string environment = "live", string tier = "enterprise", string[]? scopes = null) =>
        KeyAsync($"acc_{Guid.NewGuid():N}", environment, tier, scopes);

    /// <summary>A client with another key of an account.</summary>
    public async Task<TestClient> KeyAsync(string account, string environment, string tier = "enterprise", string[]? scopes = null) =>
        ClientWith((await Admin.NewKeyAsync(account, environment, tier, scopes)).Key, account);

    /// <summary>A client with the key that opens the app.</summary>
    public TestClient Admin => ClientWith(_adminKey, "admin");

    public TestClient ClientWith(string key, string account) => new(NewHttpClient(), key, account);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private HttpClient NewHttpClient() => new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        BaseAddress = Address,
        Timeout = TimeSpan.FromMinutes(2),
    };
}

/// <summary>Counts requests to storage.</summary>
public sealed class StorageRequests
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public void Add() => Interlocked.Increment(ref _count);

    /// <summary>How many requests something takes.</summary>
    public async Task<int> DuringAsync(Func<Task> action)
    {
        var before = Count;
        await action();
        return Count - before;
    }
}

/// <summary>
/// Counts the requests that go out, each once: the emulator closes idle connections, and what meets a closing one is sent again.
/// </summary>
public sealed class CountingTransport(StorageRequests requests) : HttpPipelineTransport
{
    private readonly HttpPipelineTransport _inner = HttpClientTransport.Shared;

    public override Azure.Core.Request CreateRequest() => _inner.CreateRequest();

    public override void Process(Azure.Core.HttpMessage message)
    {
        Count(message);
        _inner.Process(message);
    }

    public override ValueTask ProcessAsync(Azure.Core.HttpMessage message)
    {
        Count(message);
        return _inner.ProcessAsync(message);
    }

    private void Count(Azure.Core.HttpMessage message)
    {
        if (!StorageRest.WasRetried(message))
        {
            requests.Add();
        }
    }
}
