using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>A log in memory.</summary>
public sealed class LogMemoryTests : LogConformance
{
    private readonly MemoryTables _tables;
    private MemoryHook? _hook;

    public LogMemoryTests() => _tables = new MemoryTables(TimeProvider.System, (operation, moment) => _hook?.Invoke(operation, moment) ?? default);

    protected override Task<ITables> OpenAsync()
    {
        _hook = null;
        return Task.FromResult<ITables>(_tables);
    }

    protected override Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault, Func<Task>? meanwhile = null)
    {
        _hook = Faults.Hook(fault, meanwhile);
        return Task.FromResult<ITables>(_tables);
    }
}
