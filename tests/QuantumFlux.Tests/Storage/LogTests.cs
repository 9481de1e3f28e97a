using System.Runtime.InteropServices;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>The limits of a log, its costs and the layout of its rows.</summary>
public sealed class LogTests
{
    private readonly MemoryTables _tables = new(TimeProvider.System);
    private readonly Log _log;

    public LogTests() => _log = new Log(_tables, "table", "p", "log");

    private static CancellationToken None => CancellationToken.None;

    [Fact]
    public async Task AnAppendAndAShortTailCostOneRequestEach()
    {
        Assert.Equal(1, await CostAsync(() => _log.ReadAsync()));
        var head = LogHead.None;
        Assert.Equal(1, await CostAsync(async () => head = await _log.AppendAsync(head, "one")));
        Assert.Equal(1, await CostAsync(() => _log.AppendAsync(head, Enumerable.Repeat("two", 1_000))));
        Assert.Equal(1, await CostAsync(() => _log.TryAppendAsync(head, "stale")));
        Assert.Equal(1, await CostAsync(() => _log.ReadAsync()));
        Assert.Equal(1, await CostAsync(() => _log.ReadAsync(1_001)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    [InlineData(100, 2)]
    [InlineData(101, 3)]
    [InlineData(1_000, 11)]
    [InlineData(1_001, 13)]
    public async Task TruncationCostsWhatItRemoves(int old, int expected)
    {
        var head = LogHead.None;
        for (var number = 0; number < 1_100; number++)
        {
            head = await _log.AppendAsync(head, $"{number}");
        }

        Assert.Equal(expected, await CostAsync(() => _log.TruncateAsync(old)));
        Assert.Equal(old + 1, (await _log.ReadAsync()).FirstSequence);
    }

    [Fact]
    public async Task WhatIsTooLargeIsTheCallersFaultAndChangesNothing()
    {
        var head = await _log.AppendAsync(LogHead.None, "one");
        ReadOnlyMemory<byte> record = new byte[Log.RecordBytesMax - LogRecords.OverheadBytes];

        await RefusesAsync([]);
        await RefusesAsync([new byte[Log.RecordBytesMax + 1]]);
        await RefusesAsync([.. Enumerable.Repeat(record, Log.AppendBytesMax / Log.RecordBytesMax), default]);
        await RefusesAsync([.. Enumerable.Repeat<ReadOnlyMemory<byte>>(default, (Log.AppendBytesMax / LogRecords.OverheadBytes) + 1)]);
        await RefusesAsync([record], [.. Enumerable.Range(0, Log.AlongRowsMax + 1).Select(number => TableAction.Insert(new TableRow("p", $"{number}")))]);
        await RefusesAsync([record], TableAction.Insert(new TableRow("another partition", "k")));
        await RefusesAsync([record], TableAction.Upsert(new TableRow("p", "log:~")));

        Assert.Equal(head, (await _log.ReadAsync()).Head);

        Task RefusesAsync(ReadOnlyMemory<byte>[] records, params TableAction[] along) =>
            Assert.ThrowsAsync<ArgumentException>(() => _log.AppendAsync(head, records, LogTexts.Noon, along, None));
    }

    [Fact]
    public async Task WhatFitsIsTakenAndNotOneMore()
    {
        var random = new Random(1);
        for (var round = 0; round < 12; round++)
        {
            // Many small records, some at the limit, or any mixture; so many that they are too large together.
            var (sizeMax, largeShare) = (1 << random.Next(14, 19), random.NextDouble());
            var records = new List<ReadOnlyMemory<byte>>();
            for (var bytes = 0L; bytes < Log.AppendBytesMax; bytes += LogRecords.OverheadBytes + records[^1].Length)
            {
                records.Add(new byte[random.NextDouble() < largeShare ? Log.RecordBytesMax : Math.Min(random.Next(sizeMax), Log.RecordBytesMax)]);
            }

            var count = Log.CountFitting(records);

            var log = new Log(_tables, "table", "p", $"log{round}");
            Assert.InRange(count, 1, records.Count);
            await log.AppendAsync(LogHead.None, records[..count], LogTexts.Noon, [], None);
            Assert.Equal(records[..count].Select(record => record.Length), (await log.ReadAsync()).Records.Select(record => record.Data.Length));
            Assert.InRange((await _tables.QueryAsync("table", new TableQuery("p", $"log{round}:", $"log{round}:~"), None)).Rows.Count, 1, 4);
            if (count < records.Count)
            {
                await Assert.ThrowsAsync<ArgumentException>(() => log.AppendAsync(LogHead.None, records[..(count + 1)], LogTexts.Noon, [], None));
            }
        }
    }

    [Fact]
    public void NothingFitsBehindARecordThatIsTooLarge()
    {
        ReadOnlyMemory<byte> tooLarge = new byte[Log.RecordBytesMax + 1];

        Assert.Equal(0, Log.CountFitting([]));
        Assert.Equal(0, Log.CountFitting([tooLarge, default]));
        Assert.Equal(2, Log.CountFitting([default, default, tooLarge, default]));
    }

    [Fact]
    public async Task ASequenceIsAtLeast0AndHasANext()
    {
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => _log.ReadAsync(-1));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => _log.ReadAsync(long.MaxValue));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => _log.TruncateAsync(-1));
    }

    [Fact]
    public async Task TruncationDoesNotReadRecords()
    {
        var asked = new List<TableQuery>();
        var tables = new MemoryTables(TimeProvider.System)
        {
            PageRows = query =>
            {
                asked.Add(query);
                return 1;
            },
        };
        var log = new Log(tables, "table", "p", "log");
        await log.AppendAsync(await log.AppendAsync(LogHead.None, "one"), "two");

        Assert.Equal(2, await log.TruncateAsync(2));

        Assert.Equal(2, asked.Count);
        Assert.All(asked, query => Assert.Equal(["WrittenAt"], query.Columns!));
    }

    [Theory]
    [InlineData("log:0000000000000000002", 2L, new byte[] { 0, 0, 0 })]
    [InlineData("log:0000000000000000002", 2L, new byte[] { 2, 0, 0, 0, 1 })]
    [InlineData("log:0000000000000000002", 2L, new byte[] { 255, 255, 255, 255 })]
    [InlineData("log:0000000000000000002", 2L, new byte[] { 255, 255, 255, 127 })]
    [InlineData("log:0000000000000000002", 2L, new byte[] { 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData("log:0000000000000000002", 1L, new byte[] { 0, 0, 0, 0 })]
    [InlineData("log:0000000000000000002", 2L, null)]
    [InlineData("log:0000000000000000002", null, new byte[] { 0, 0, 0, 0 })]
    [InlineData("log:2", 2L, new byte[] { 0, 0, 0, 0 })]
    public async Task ARowThatNoLogWroteIsNoRecord(string key, long? first, byte[]? data)
    {
        await _log.AppendAsync(LogHead.None, "one");
        var row = new TableRow("p", key).Set("First", first).Set("WrittenAt", LogTexts.Noon.UtcTicks).Set("Data0", data);
        await _tables.WriteAsync("table", [TableAction.Insert(row), TableAction.Upsert(new TableRow("p", "log:~").Set("Last", 2L))], None);

        await Assert.ThrowsAsync<InvalidDataException>(() => _log.ReadAsync());
    }

    [Fact]
    public void ARecordIsASliceOfItsRow()
    {
        var (count, data) = Assert.Single(LogRecords.Pack(LogTexts.Bytes("one", "", "three")));

        var records = LogRecords.Unpack(data).ToList();

        Assert.Equal(3, count);
        Assert.Equal([4, 11, 15], records.Select(record => MemoryMarshal.TryGetArray(record, out var slice) && slice.Array == data ? slice.Offset : -1));
    }

    private async Task<int> CostAsync(Func<Task> call)
    {
        var before = _tables.Requests;
        await call();
        return _tables.Requests - before;
    }
}
