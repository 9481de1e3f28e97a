using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;

namespace QuantumFlux.Local;

/// <summary>Fires the timer functions on their schedules, and by hand. A timer never overlaps with itself; one that fails goes on at its next moment.</summary>
public sealed partial class TimerLoop : BackgroundService
{
    // A tick that is later than this was missed: the machine slept, or the run before it took long.
    private static readonly TimeSpan _pastDueAfter = TimeSpan.FromSeconds(1);

    // Below the longest delay that a timer of the runtime takes (49 days).
    private static readonly TimeSpan _waitMax = TimeSpan.FromDays(24);

    private readonly IReadOnlyList<Timer> _timers;
    private readonly IServiceProvider _services;
    private readonly TimeProvider _time;
    private readonly CancellationToken _stopping;
    private readonly ILogger _logger;

    /// <summary>Reads the schedules of all timers.</summary>
    /// <exception cref="LocalHostException">A schedule cannot be read or its setting is missing.</exception>
    public TimerLoop(
        FunctionRoutes functions,
        IServiceProvider services,
        IConfiguration configuration,
        TimeProvider time,
        IHostApplicationLifetime lifetime,
        ILogger<TimerLoop> logger)
    {
        _timers = [.. functions.Timers.Select(function => new Timer(function, ParseSchedule(function, configuration)))];
        _services = services;
        _time = time;
        _stopping = lifetime.ApplicationStopping;
        _logger = logger;
    }

    /// <summary>Runs a timer function now, after a run of it that is under way. A failure is logged and is not the caller's.</summary>
    /// <returns>False when there is no such timer.</returns>
    public async Task<bool> FireAsync(string name)
    {
        if (_timers.FirstOrDefault(timer => string.Equals(timer.Function.Name, name, StringComparison.OrdinalIgnoreCase)) is not { } timer)
        {
            return false;
        }

        await RunAsync(timer, new TimerInfo());
        return true;
    }

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(_timers.Select(timer => FollowAsync(timer, stoppingToken)));

    private async Task FollowAsync(Timer timer, CancellationToken cancellationToken)
    {
        try
        {
            while (timer.Schedule.Next(_time.GetUtcNow()) is { } due)
            {
                while (due - _time.GetUtcNow() is var wait && wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait < _waitMax ? wait : _waitMax, _time, cancellationToken);
                }

                await RunAsync(timer, new TimerInfo { IsPastDue = _time.GetUtcNow() - due > _pastDueAfter });
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The host stops, or never started.
        }
    }

    private async Task RunAsync(Timer timer, TimerInfo tick)
    {
        try
        {
            await timer.Turn.WaitAsync(_stopping);
            try
            {
                await using var scope = _services.CreateAsyncScope();
                await timer.Function.InvokeAsync(scope.ServiceProvider, tick, _stopping);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !_stopping.IsCancellationRequested)
            {
                LogFailed(exception, timer.Function.Name);
            }
            finally
            {
                timer.Turn.Release();
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // The host stops; what is due stays due.
        }
    }

    private static Ncrontab ParseSchedule(FunctionTimer function, IConfiguration configuration)
    {
        var schedule = function.Schedule.Trim();
        if (schedule.Length > 2 && schedule[0] == '%' && schedule[^1] == '%')
        {
            var setting = schedule[1..^1];
            schedule = configuration[setting] ?? throw new LocalHostException($"The timer {function.Name} takes its schedule from the setting {setting}, which is not set.");
        }

        try
        {
            return Ncrontab.Parse(schedule);
        }
        catch (FormatException exception)
        {
            throw new LocalHostException($"The timer {function.Name}: {exception.Message}", exception);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The timer {Name} failed.")]
    private partial void LogFailed(Exception exception, string name);

    /// <summary>A timer function, when it is due, and the turn that keeps its runs apart.</summary>
    private sealed record Timer(FunctionTimer Function, Ncrontab Schedule)
    {
        public SemaphoreSlim Turn { get; } = new(1);
    }
}
