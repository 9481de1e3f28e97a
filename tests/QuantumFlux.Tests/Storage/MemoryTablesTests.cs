using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Tables in memory, held to the same behaviour as the real ones.</summary>
public sealed class MemoryTablesTests : TablesConformance
{
    // What the implementations of one test share is the storage, so the fault is armed on the one there is.
    private readonly MemoryTables _tables;
    private MemoryHook? _hook;

    public MemoryTablesTests() => _tables = new MemoryTables(TimeProvider.System, (operation, moment) => _hook?.Invoke(operation, moment) ?? default);

    [Fact]
    public async Task EveryTryIsARequest()
    {
        await _tables.GetAsync("table", "p", "k", null, CancellationToken.None);
        _hook = Faults.Hook(LostAnswer.Dropped);
        await _tables.WriteAsync("table", [TableAction.Insert(new TableRow("p", "k"))], CancellationToken.None);

        Assert.Equal(3, _tables.Requests);
    }

    [Fact]
    public async Task WhatAReaderOrWriterDoesWithItsRowStaysItsOwn()
    {
        var bytes = new byte[] { 1 };
        var row = new TableRow("p", "k").Set("Bytes", bytes);
        await _tables.WriteAsync("table", [TableAction.Insert(row)], CancellationToken.None);

        bytes[0] = 2;
        row.Set("Other", 1L);
        (await _tables.GetAsync("table", "p", "k", null, CancellationToken.None))!.Bytes("Bytes")![0] = 3;

        var found = await _tables.GetAsync("table", "p", "k", null, CancellationToken.None);
        Assert.Equal([1], found!.Bytes("Bytes")!);
        Assert.Null(found.Whole("Other"));
    }

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
