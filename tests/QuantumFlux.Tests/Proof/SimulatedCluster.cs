using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Metering;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Proof;

/// <summary>
/// Several instances of the application over one storage in memory, in which requests and answers get lost, storage gives up and instances end in the
/// middle of what they do, at any storage call.
/// </summary>
public sealed class SimulatedCluster
{
    /// <summary>The dimension that has an account of its own.</summary>
    public const int OwnAccountDimension = 7;

    private static readonly AsyncLocal<SimulatedInstance?> _serving = new();

    // Found once: finding the functions among all types takes longer than many a simulation.
    private static readonly ServiceCollection _services = FindServices();

    private readonly Random _random;
    private readonly double _faultRatio;
    private readonly double _crashRatio;
    private readonly int _pageRowsMax;
    private readonly int _pauseMax;
    private readonly List<SimulatedInstance> _instances = [];
    private readonly List<(SimulatedInstance Instance, DateTimeOffset Since)> _underWay = [];

    /// <param name="random">All that is left to chance.</param>
    /// <param name="faultRatio">The part of requests and answers that get lost, half of them for good.</param>
    /// <param name="crashRatio">The part of requests at which the instance ends.</param>
    /// <param name="pageRowsMax">The most rows of a page of a query; fewer, and more can happen between two pages.</param>
    /// <param name="pauseMax">For how many turns of others at most a client waits before it sends again what got lost.</param>
    public SimulatedCluster(Random random, double faultRatio, double crashRatio, int pageRowsMax = ITables.PageRowsMax, int pauseMax = 0)
    {
        _random = random;
        _faultRatio = faultRatio;
        _crashRatio = crashRatio;
        _pageRowsMax = pageRowsMax;
        _pauseMax = pauseMax;
        Storage = new StorageAccounts(OpenAccount(), new Dictionary<int, StorageAccount> { [OwnAccountDimension] = OpenAccount() });
    }

    public SimulatedTime Time { get; } = new();

    /// <summary>The limits of every instance.</summary>
    public RateLimitOptions Limits { get; } = new();

    public StorageAccounts Storage { get; }

    /// <summary>What every instance has beside the application's own services, or in their place.</summary>
    public IServiceCollection Extra { get; } = new ServiceCollection();

    /// <summary>Called when a request has been carried out, before anybody hears of it; null means that nobody waits for one.</summary>
    public Action<string>? Done { get; set; }

    /// <summary>How many requests reached storage or left it: the order of all that happens.</summary>
    public int Now { get; private set; }

    /// <summary>Whether anything goes wrong at all.</summary>
    public bool IsTroubled { get; set; }

    /// <summary>For how long the request that takes longest has been on its way to storage or back; null when none is.</summary>
    public TimeSpan? LongestUnderWay
    {
        get
        {
            _underWay.RemoveAll(request => request.Instance.Crashed.IsCompleted);
            return _underWay.Count == 0 ? null : Time.GetUtcNow() - _underWay.Min(request => request.Since);
        }
    }

    public SimulatedInstance this[int index] => _instances[index];

    /// <summary>Starts instances, in the place of those that there were.</summary>
    public void Start(int count)
    {
        _instances.ForEach(instance => instance.Crash());
        _instances.Clear();
        _instances.AddRange(Enumerable.Range(0, count).Select(_ => Open()));
    }

    /// <summary>An instance whose clock may be a little off.</summary>
    public SimulatedInstance Open()
    {
        var time = Time.Skewed(TimeSpan.FromMilliseconds(_random.Next(2) * _random.Next(-2000, 2000)));
        IServiceCollection services = new ServiceCollection();
        services.Add(_services);
        services.AddSingleton(Storage).AddSingleton<TimeProvider>(time).AddSingleton(Options.Create(Limits)).Add(Extra);
        return new SimulatedInstance(services.BuildServiceProvider(), time);
    }

    /// <summary>A client that sends one request after another to whichever instance. One that ends is replaced.</summary>
    public async Task ClientAsync(int operations, Func<SimulatedInstance, Task> act)
    {
        for (var operation = 0; operation < operations; operation++)
        {
            var index = _random.Next(_instances.Count);
            var instance = _instances[index];
            var request = ServeAsync(instance, act);
            if (await Task.WhenAny(request, instance.Crashed) == request)
            {
                await request;
            }
            else if (_instances[index] == instance)
            {
                _instances[index] = Open();
            }
        }
    }

    /// <summary>Has an instance do something. What a client would see as an answer is fine; anything else is a bug and ends the simulation.</summary>
    public static async Task ServeAsync(SimulatedInstance instance, Func<SimulatedInstance, Task> act)
    {
        _serving.Value = instance;
        try
        {
            await act(instance);
        }
        catch (Exception exception) when (UnexpectedFailures.IsExpected(exception))
        {
            // The client tries something else.
        }
    }

    /// <summary>Looks at storage in the middle of what an instance does, unnoticed: nothing goes wrong, and nothing else happens meanwhile.</summary>
    public static T Aside<T>(Func<Task<T>> look)
    {
        var serving = _serving.Value;
        _serving.Value = null;
        try
        {
            var looking = look();
            return looking.IsCompleted ? looking.GetAwaiter().GetResult() : throw new InvalidOperationException("Storage in memory answers at once.");
        }
        finally
        {
            _serving.Value = serving;
        }
    }

    /// <summary>All rows of a partition in the main account.</summary>
    public Task<List<TableRow>> RowsAsync(string table, string partition) => RowsAsync(Storage.Main, table, partition);

    /// <summary>All rows of a partition.</summary>
    public static async Task<List<TableRow>> RowsAsync(StorageAccount account, string table, string partition)
    {
        var rows = new List<TableRow>();
        string? continuation = null;
        do
        {
            var page = await account.Tables.QueryAsync(table, new TableQuery(partition, "", null, Continuation: continuation), CancellationToken.None);
            rows.AddRange(page.Rows);
            continuation = page.Continuation;
        }
        while (continuation is not null);

        return rows;
    }

    private static ServiceCollection FindServices()
    {
        var configuration = new ConfigurationBuilder().Build();
        var services = new ServiceCollection();
        services
            .AddLogging(logging => logging.AddProvider(new UnexpectedFailures()))
            .AddSingleton<IConfiguration>(configuration)
            .AddQuantumFlux(configuration)
            .RemoveAll<TimeProvider>();
        return services;
    }

    private StorageAccount OpenAccount() => new(
        new MemoryTables(Time, NetworkAsync) { PageRows = query => _serving.Value is null ? query.Limit : Math.Min(query.Limit, _pageRowsMax) },
        new MemoryBlobs(Time, NetworkAsync));

    private async ValueTask<MemoryFault> NetworkAsync(string operation, MemoryMoment moment)
    {
        if (_serving.Value is not { } instance)
        {
            return MemoryFault.None;
        }

        if (moment == MemoryMoment.After)
        {
            Done?.Invoke(operation);
        }

        var request = (instance, Time.GetUtcNow());
        _underWay.Add(request);
        try
        {
            return await PassAsync(instance);
        }
        finally
        {
            _underWay.Remove(request);
        }
    }

    private async Task<MemoryFault> PassAsync(SimulatedInstance instance)
    {
        await instance.LiveAsync();
        await Task.Yield();
        await instance.LiveAsync();
        Now++;
        if (!IsTroubled)
        {
            return MemoryFault.None;
        }

        // Sometimes the clock stands still between two requests.
        Time.Advance(TimeSpan.FromMicroseconds(_random.Next(4) == 0 ? 0 : _random.Next(400)));
        var luck = _random.NextDouble();
        if (luck < _crashRatio)
        {
            instance.Crash();
            await instance.LiveAsync();
        }

        luck = _random.NextDouble();
        var fault = luck < _faultRatio / 2 ? MemoryFault.GiveUp : luck < _faultRatio ? MemoryFault.Lost : MemoryFault.None;
        for (var turns = fault == MemoryFault.Lost && _pauseMax > 0 ? _random.Next(_pauseMax) : 0; turns > 0; turns--)
        {
            await Task.Yield();
        }

        return fault;
    }

    /// <summary>Timers log what fails and go on. A failure that no fault of storage explains is a bug, and ends the simulation.</summary>
    private sealed class UnexpectedFailures : ILoggerProvider, ILogger
    {
        public static bool IsExpected(Exception exception) => exception is
            StorageException { InnerException: not InvalidDataException } or ApiException { Status: 409 or 429 or 503 } or OperationCanceledException;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not null && !IsExpected(exception))
            {
                throw new InvalidOperationException($"{formatter(state, exception)} {exception}", exception);
            }
        }

        public void Dispose()
        {
        }
    }
}

/// <summary>One instance of the application.</summary>
public sealed class SimulatedInstance(IServiceProvider services, SkewedTime time)
{
    private readonly TaskCompletionSource _crashed = new();

    public SkewedTime Time { get; } = time;

    public Task Crashed => _crashed.Task;

    public T Get<T>()
        where T : notnull => services.GetRequiredService<T>();

    public void Crash() => _crashed.TrySetResult();

    /// <summary>Never returns once the instance has ended, so that whatever it was doing stops there.</summary>
    public Task LiveAsync() => _crashed.Task.IsCompleted ? new TaskCompletionSource().Task : Task.CompletedTask;
}
