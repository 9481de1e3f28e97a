using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Api;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Local;

/// <summary>The host itself, with functions of these tests in place of the application's.</summary>
public sealed class LocalHostTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(30);

    private readonly Samples _samples = new();
    private readonly SteppedTime _time = new();
    private readonly HttpClient _client = new();
    private WebApplication? _app;

    public async Task InitializeAsync()
    {
        _app = Build("http://127.0.0.1:0");
        await LocalHost.StartAsync(_app);
        _client.BaseAddress = new Uri(_app.Urls.Single());
    }

    public async Task DisposeAsync() => await _app!.DisposeAsync();

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task AFunctionReceivesItsRouteValuesDecodedOnce() =>
        Assert.Equal("a/b%2Fc d", await _client.GetStringAsync("/echo/a/b%2Fc%20d"));

    [Fact]
    public async Task APathThatNothingMatchesIsAnEmpty404WithoutAServerHeader()
    {
        using var response = await _client.GetAsync("/elsewhere");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
        Assert.Empty(response.Headers.Server);
    }

    [Fact]
    public async Task AFunctionThatThrowsIsAnEmpty500()
    {
        using var response = await _client.GetAsync("/broken");

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData(60, HttpStatusCode.OK)]
    [InlineData(65, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    public async Task HeadersMayTake64KiB(int kibibytes, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/echo/x");
        request.Headers.Add("X-Large", new string('x', kibibytes * 1024));

        using var response = await _client.SendAsync(request);

        Assert.Equal(status, response.StatusCode);
    }

    [Theory]
    [InlineData(15, HttpStatusCode.OK)]
    [InlineData(17, HttpStatusCode.RequestUriTooLong)]
    public async Task TheRequestLineMayTake16KiB(int kibibytes, HttpStatusCode status)
    {
        using var response = await _client.GetAsync($"/echo/x?q={new string('x', kibibytes * 1024)}");

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task ABodyBeyondTheServersUsualLimitArrivesWhole()
    {
        using var response = await _client.PostAsync("/length", new ByteArrayContent(new byte[31_000_000]));

        Assert.Equal("31000000", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("")]
    public async Task ATimerFiredByHandHasRunWhenTheAnswerComes(string body)
    {
        using var response = await _client.PostAsync("/admin/functions/tick", new StringContent(body));

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
        Assert.True(_samples.Ticks.Reader.TryRead(out _));
    }

    [Theory]
    [InlineData("POST", "/admin/functions/nothing")]
    [InlineData("POST", "/admin/functions/")]
    [InlineData("POST", "/admin/functions/tick/more")]
    [InlineData("POST", "/admin/other")]
    [InlineData("GET", "/admin/functions/tick")]
    public async Task OtherPathsOfTheHostAreAnEmpty404(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);

        using var response = await _client.SendAsync(request);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.False(_samples.Ticks.Reader.TryRead(out _));
    }

    [Fact]
    public async Task ATimerFiresOnItsScheduleAndAFailureDoesNotEndIt()
    {
        for (var minute = 0; minute < 3; minute++)
        {
            // The loop has read the clock and sleeps until the next full minute.
            await _time.Waiting.Reader.ReadAsync().AsTask().WaitAsync(_patience);
            Assert.False(_samples.Ticks.Reader.TryRead(out _));

            _time.Advance(TimeSpan.FromMinutes(1));

            Assert.False(await _samples.Ticks.Reader.ReadAsync().AsTask().WaitAsync(_patience));
            _samples.Fails = true;
        }
    }

    [Fact]
    public async Task ATickThatComesLateSaysSo()
    {
        await _time.Waiting.Reader.ReadAsync().AsTask().WaitAsync(_patience);

        _time.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(30));

        Assert.True(await _samples.Ticks.Reader.ReadAsync().AsTask().WaitAsync(_patience));
    }

    [Fact]
    public async Task ATimerDoesNotOverlapWithItself()
    {
        await _time.Waiting.Reader.ReadAsync().AsTask().WaitAsync(_patience);
        var gate = new TaskCompletionSource();
        _samples.Gate = gate.Task;
        _time.Advance(TimeSpan.FromMinutes(1));
        await _samples.Ticks.Reader.ReadAsync().AsTask().WaitAsync(_patience);

        var byHand = _client.PostAsync("/admin/functions/tick", null);
        await _client.GetStringAsync("/echo/x");
        Assert.False(_samples.Ticks.Reader.TryRead(out _));
        gate.SetResult();
        using var response = await byHand;

        Assert.True(_samples.Ticks.Reader.TryRead(out _));
    }

    [Theory]
    [InlineData("--Test:Schedule=* * *", "fields")]
    [InlineData("--Test:Schedule=* * * * * 7", "\"7\"")]
    [InlineData("--Other=x", "Test:Schedule")]
    public void AScheduleThatCannotBeReadStopsTheStart(string argument, string complaint)
    {
        var exception = Assert.Throws<LocalHostException>(() => LocalHost.Build(
            LocalSettings.Read(["--ephemeral", argument]),
            StorageAddress.Emulator(),
            services => services.AddSingleton(new FunctionRoutes([typeof(Samples)]))));

        Assert.Contains(complaint, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ABusyPortIsExplained()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var app = Build($"http://{listener.LocalEndpoint}");

        var exception = await Assert.ThrowsAsync<LocalHostException>(() => LocalHost.StartAsync(app));

        Assert.Contains("--urls", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("http://127.0.0.1:99999")]
    [InlineData("http://192.0.2.1:7071")]
    [InlineData("https://127.0.0.1:0")]
    public async Task AnAddressThatCannotBeUsedIsExplained(string address)
    {
        await using var app = Build(address);

        var exception = await Assert.ThrowsAsync<LocalHostException>(() => LocalHost.StartAsync(app));

        Assert.Contains(address, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheDescriptionShowsTheAddressAndACallWithTheKey()
    {
        var text = LocalHost.Describe(_app!, "somewhere");

        Assert.Contains("somewhere", text, StringComparison.Ordinal);
        Assert.Contains(
            $"""curl -H "QFlux-Token: Bearer {LocalSettings.DevelopmentKey}" {_app!.Urls.Single()}/api/v3/quantum/entangle""",
            text,
            StringComparison.Ordinal);
    }

    private WebApplication Build(string address) => LocalHost.Build(
        LocalSettings.Read(["--ephemeral", "--urls", address, "--Test:Schedule", "0 * * * * *", "--Logging:LogLevel:Default", "None"]),
        StorageAddress.Emulator(),
        services => services
            .AddSingleton(_samples)
            .AddSingleton<TimeProvider>(_time)
            .AddSingleton(new FunctionRoutes([typeof(Samples)])));

    private sealed class Samples
    {
        public Channel<bool> Ticks { get; } = Channel.CreateUnbounded<bool>();

        public Task Gate { get; set; } = Task.CompletedTask;

        public bool Fails { get; set; }

        [Function("Echo")]
        public Task Echo([HttpTrigger(AuthorizationLevel.Anonymous, Route = "echo/{*rest}")] HttpRequest request, CancellationToken cancellationToken) =>
            request.HttpContext.Response.WriteAsync($"{request.RouteValues["rest"]}", cancellationToken);

        [Function("Length")]
        public async Task Length([HttpTrigger(AuthorizationLevel.Anonymous, Route = "length")] HttpRequest request)
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            await request.HttpContext.Response.WriteAsync($"{body.Length}");
        }

        [Function("Broken")]
        public Task Broken([HttpTrigger(AuthorizationLevel.Anonymous, Route = "broken")] HttpRequest request) =>
            throw new InvalidOperationException("as intended");

        [Function("Tick")]
        public async Task Tick([TimerTrigger("%Test:Schedule%")] TimerInfo timer)
        {
            Ticks.Writer.TryWrite(timer.IsPastDue);
            await Gate;
            if (Fails)
            {
                throw new InvalidOperationException("as intended");
            }
        }
    }

    /// <summary>A clock that stands still until it is advanced, and tells when somebody waits for it.</summary>
    private sealed class SteppedTime : TimeProvider
    {
        private readonly Lock _lock = new();
        private readonly List<(DateTimeOffset Due, TimerCallback Callback, object? State)> _timers = [];
        private DateTimeOffset _now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

        public Channel<bool> Waiting { get; } = Channel.CreateUnbounded<bool>();

        public override DateTimeOffset GetUtcNow()
        {
            lock (_lock)
            {
                return _now;
            }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            // The loop waits once at a time. What others do periodically has no part in this.
            if (period != Timeout.InfiniteTimeSpan)
            {
                return new NoTimer();
            }

            lock (_lock)
            {
                _timers.Add((_now + dueTime, callback, state));
            }

            Waiting.Writer.TryWrite(true);
            return new NoTimer();
        }

        public void Advance(TimeSpan by)
        {
            List<(DateTimeOffset Due, TimerCallback Callback, object? State)> due;
            lock (_lock)
            {
                _now += by;
                due = [.. _timers.Where(timer => timer.Due <= _now)];
                _timers.RemoveAll(timer => timer.Due <= _now);
            }

            foreach (var (_, callback, state) in due)
            {
                callback(state);
            }
        }

        private sealed class NoTimer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
