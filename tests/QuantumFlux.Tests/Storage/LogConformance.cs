using System.Text;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>What a log does, whichever tables it lies in. A subclass says how they are opened.</summary>
public abstract class LogConformance
{
    private const string Partition = "acc_log-live";

    private string Table { get; } = $"t{Guid.NewGuid():N}";

    private static CancellationToken None => CancellationToken.None;

    /// <summary>Tables whose rows nobody else touches, where names that nobody else uses are concerned.</summary>
    protected abstract Task<ITables> OpenAsync();

    /// <summary>The same, where something goes wrong with the first request after the call.</summary>
    /// <param name="fault">What goes wrong.</param>
    /// <param name="meanwhile">What others do before the next try; null means nothing.</param>
    protected abstract Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault, Func<Task>? meanwhile = null);

    [Fact]
    public async Task ALogThatWasNeverWrittenIsEmpty()
    {
        var tail = await (await OpenLogAsync()).ReadAsync();

        Assert.Equal(LogHead.None, tail.Head);
        Assert.Empty(tail.Records);
        Assert.Empty(tail.Companions);
        Assert.True(tail.IsComplete);
    }

    [Fact]
    public async Task RecordsComeBackInOrderFromAnySequenceOn()
    {
        var log = await OpenLogAsync();
        var head = await log.AppendAsync(LogHead.None, "one");
        head = await log.AppendAsync(head, "two", "three", "four");
        head = await log.AppendAsync(head, "five");
        string[] all = ["one", "two", "three", "four", "five"];

        for (var after = 0; after <= all.Length; after++)
        {
            var tail = await log.ReadAsync(after);

            Assert.Equal(all[after..], tail.Texts());
            Assert.Equal(Enumerable.Range(after + 1, all.Length - after), tail.Records.Select(record => (int)record.Sequence));
            Assert.All(tail.Records, record => Assert.Equal(LogTexts.Noon, record.WrittenAt));
            Assert.Equal(head, tail.Head);
            Assert.True(tail.IsComplete);
        }
    }

    [Fact]
    public async Task APositionBehindTheEndIsNotOfThisLog()
    {
        var log = await OpenLogAsync();
        await log.AppendAsync(LogHead.None, "one");

        Assert.False((await log.ReadAsync(2)).IsComplete);
        Assert.False((await log.ReadAsync(long.MaxValue - 1)).IsComplete);
    }

    [Fact]
    public async Task ARecordMayBeEmptyOrAsLargeAsTheLimit()
    {
        var log = await OpenLogAsync();
        var largest = new byte[Log.RecordBytesMax];
        new Random(1).NextBytes(largest);

        var appended = await log.AppendAsync(LogHead.None, [default, largest, default], LogTexts.Noon, [], None);
        appended = await log.AppendAsync(appended.Head!, [default], LogTexts.Noon, [], None);

        var tail = await log.ReadAsync();
        Assert.Equal(4, appended.Head!.LastSequence);
        Assert.Equal([0, largest.Length, 0, 0], tail.Records.Select(record => record.Data.Length));
        Assert.Equal(largest, tail.Records[1].Data.ToArray());
    }

    [Fact]
    public async Task TheLargestAppendIsOneTransactionAndLeavesRoomForWhatGoesAlong()
    {
        // Under the longest keys, and escaped ones at that.
        var tables = await OpenAsync();
        var partition = new string('ü', TableKey.CharactersMax);
        var log = new Log(tables, Table, partition, new string('l', TableKey.CharactersMax - 20));
        var head = (await log.AppendAsync(LogHead.None, LogTexts.Bytes("one"), LogTexts.Noon, [], None)).Head!;
        var largest = new byte[Log.RecordBytesMax - LogRecords.OverheadBytes];
        new Random(1).NextBytes(largest);
        ReadOnlyMemory<byte>[] records = [.. Enumerable.Repeat<ReadOnlyMemory<byte>>(largest, Log.AppendBytesMax / Log.RecordBytesMax)];

        // As bytes of the request: Base64 makes four of three.
        var along = Enumerable.Range(0, Log.AlongRowsMax).Select(number => TableAction.Insert(new TableRow(partition, $"{number}"))).ToArray();
        along[0].Row.SetLarge("Data", new byte[(Log.AlongBytesMax - (Log.AlongRowsMax * 2048)) / 4 * 3]);
        var appended = await log.AppendAsync(head, records, LogTexts.Noon, along, None);

        Assert.Equal(LogOutcome.Appended, appended.Outcome);
        var tail = await log.ReadAsync(1);
        Assert.Equal(records.Length, tail.Records.Count);
        Assert.All(tail.Records, record => Assert.True(record.Data.Span.SequenceEqual(largest)));
        Assert.Equal(appended.Head, tail.Head);
    }

    [Fact]
    public async Task AnAppendOfManyRowsIsThereWholeOrNotAtAll()
    {
        var log = await OpenLogAsync();
        var head = await log.AppendAsync(LogHead.None, "one");
        var large = new string('x', 250 * 1024);
        await log.AppendAsync(head, "two");

        var stale = await log.TryAppendAsync(head, Enumerable.Range(0, 11).Select(number => $"{number} {large}"));

        Assert.Equal(LogOutcome.Moved, stale.Outcome);
        Assert.Null(stale.Head);
        var tail = await log.ReadAsync();
        Assert.Equal(["one", "two"], tail.Texts());
        await log.AppendAsync(tail.Head, Enumerable.Range(0, 11).Select(number => $"{number} {large}"));
        Assert.Equal(Enumerable.Range(0, 11).Select(number => $"{number} {large}"), (await log.ReadAsync(2)).Texts());
    }

    [Fact]
    public async Task OfTwoWritersAtTheSameEndOneFails()
    {
        var log = await OpenLogAsync();

        var first = await Task.WhenAll(log.TryAppendAsync(LogHead.None, "a"), log.TryAppendAsync(LogHead.None, "b"));
        var head = Assert.Single(first, appended => appended.Outcome == LogOutcome.Appended).Head!;
        var second = await Task.WhenAll(log.TryAppendAsync(head, "c", "d"), log.TryAppendAsync(head, "e"));

        Assert.Single(first, appended => appended.Outcome == LogOutcome.Moved);
        Assert.Single(second, appended => appended.Outcome == LogOutcome.Moved);
        var tail = await log.ReadAsync();
        Assert.Equal(second[0].Outcome == LogOutcome.Appended ? ["c", "d"] : ["e"], tail.Texts().Skip(1));
        Assert.Equal(Assert.Single(second, appended => appended.Outcome == LogOutcome.Appended).Head, tail.Head);
    }

    [Fact]
    public async Task AStaleWriterFailsAlsoWhenTheRowsInItsWayAreTruncated()
    {
        var log = await OpenLogAsync();
        var stale = await log.AppendAsync(LogHead.None, "one");
        var head = await log.AppendAsync(stale, "two");
        Assert.Equal(2, await log.TruncateAsync(2));

        Assert.Equal(LogOutcome.Moved, (await log.TryAppendAsync(stale, "not the second")).Outcome);
        Assert.Equal(LogOutcome.Moved, (await log.TryAppendAsync(stale, "not", "the", "second")).Outcome);
        Assert.Equal(LogOutcome.Moved, (await log.TryAppendAsync(LogHead.None, "not the first")).Outcome);

        Assert.Empty((await log.ReadAsync(2)).Records);
        await log.AppendAsync(head, "three");
        Assert.Equal(["three"], (await log.ReadAsync(2)).Texts());
    }

    [Fact]
    public async Task ManyWritersAtOnceLoseNothingAndKeepTheirOrder()
    {
        var tables = await OpenAsync();
        const int Writers = 6;
        const int Appends = 8;

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(async writer =>
        {
            var log = LogOf(tables);
            var head = LogHead.None;
            for (var number = 0; number < Appends; number++)
            {
                var texts = Enumerable.Range(0, (number % 3) + 1).Select(part => $"{writer}:{number}:{part}").ToList();
                LogAppended appended;
                while ((appended = await log.TryAppendAsync(head, texts)).Outcome != LogOutcome.Appended)
                {
                    Assert.Equal(LogOutcome.Moved, appended.Outcome);
                    head = (await log.ReadAsync(head.LastSequence)).Head;
                }

                head = appended.Head!;
            }
        }));

        var tail = await LogOf(tables).ReadAsync();
        Assert.True(tail.IsComplete);
        var all = tail.Texts().ToList();
        for (var writer = 0; writer < Writers; writer++)
        {
            var expected = Enumerable.Range(0, Appends).SelectMany(number => Enumerable.Range(0, (number % 3) + 1).Select(part => $"{writer}:{number}:{part}"));
            Assert.Equal(expected, all.Where(text => text.StartsWith($"{writer}:", StringComparison.Ordinal)));
        }

        // The records of one append stand together.
        Assert.All(
            all.Index().Where(entry => !entry.Item.EndsWith(":0", StringComparison.Ordinal)),
            entry => Assert.Equal(all[entry.Index - 1][..^1], entry.Item[..^1]));
        Assert.Equal(Writers * Appends, all.Count(text => text.EndsWith(":0", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task WhatGoesAlongIsDoneTogetherWithTheRecords()
    {
        var tables = await OpenAsync();
        var log = LogOf(tables);
        var claim = (await tables.WriteAsync(Table, [TableAction.Insert(new TableRow(Partition, "claim").Set("State", "running"))], None)).ETags[0]!;

        var appended = await log.AppendAsync(
            LogHead.None,
            LogTexts.Bytes("one"),
            LogTexts.Noon,
            [TableAction.Replace(new TableRow(Partition, "claim").Set("State", "done"), claim), TableAction.Insert(new TableRow(Partition, "count"))],
            None);

        Assert.Equal(LogOutcome.Appended, appended.Outcome);
        Assert.Equal(appended.Head, (await log.ReadAsync()).Head);
        Assert.Equal("done", (await tables.GetAsync(Table, Partition, "claim", null, None))!.Text("State"));
        Assert.NotNull(await tables.GetAsync(Table, Partition, "count", null, None));
    }

    [Fact]
    public async Task WhenOneOfThoseThatGoAlongIsRefusedNothingIsDoneAndItIsNamed()
    {
        var tables = await OpenAsync();
        var log = LogOf(tables);
        var claim = (await tables.WriteAsync(Table, [TableAction.Insert(new TableRow(Partition, "claim"))], None)).ETags[0]!;
        await tables.WriteAsync(Table, [TableAction.Replace(new TableRow(Partition, "claim").Set("State", "theirs"), claim)], None);
        var harmless = TableAction.Upsert(new TableRow(Partition, "harmless"));

        foreach (var (refused, outcome) in new[]
        {
            (TableAction.Replace(new TableRow(Partition, "claim"), claim), TableOutcome.Changed),
            (TableAction.Insert(new TableRow(Partition, "claim")), TableOutcome.Exists),
            (TableAction.Delete(Partition, "missing", "*"), TableOutcome.Missing),
        })
        {
            var head = (await log.ReadAsync()).Head;
            var first = await log.AppendAsync(head, LogTexts.Bytes("lost"), LogTexts.Noon, [refused, harmless], None);
            var second = await log.AppendAsync(head, LogTexts.Bytes("lost", "too"), LogTexts.Noon, [harmless, refused], None);

            Assert.Equal((LogOutcome.Refused, null, 0, outcome), (first.Outcome, first.Head, first.Index, first.Refusal));
            Assert.Equal((LogOutcome.Refused, null, 1, outcome), (second.Outcome, second.Head, second.Index, second.Refusal));
            Assert.Equal(head, (await log.ReadAsync()).Head);
            Assert.Null(await tables.GetAsync(Table, Partition, "harmless", null, None));

            await log.AppendAsync(head, "one of three");
        }

        Assert.Equal(3, (await log.ReadAsync()).Records.Count);
    }

    [Fact]
    public async Task CompanionsComeWithEveryTailAndOtherRowsDoNot()
    {
        var tables = await OpenAsync();
        var log = LogOf(tables);
        var neighbours = new[] { "lo", "log1", "log-", "log;", "log:~", "loh", "m" }.Select(prefix => new Log(tables, Table, Partition, prefix)).ToList();
        foreach (var neighbour in neighbours.Where((_, index) => index != 4))
        {
            await neighbour.AppendAsync(LogHead.None, "theirs");
            await tables.WriteAsync(Table, [TableAction.Insert(new TableRow(Partition, neighbour.CompanionKey("theirs")))], None);
        }

        await WriteAsync("manifest", 1);
        Assert.Equal([log.CompanionKey("manifest")], (await log.ReadAsync()).Companions.Select(row => row.Key));
        Assert.Equal(LogHead.None, (await log.ReadAsync()).Head);

        var head = await log.AppendAsync(LogHead.None, "one", "two");
        await WriteAsync("any name: ünï/#?", 2);
        await WriteAsync("manifest", 3);

        for (var after = 0; after <= 2; after++)
        {
            var tail = await log.ReadAsync(after);
            Assert.Equal(2 - after, tail.Records.Count);
            Assert.Equal(head, tail.Head);
            Assert.Equal([2L, 3L], tail.Companions.Select(row => row.Whole("Value")));
            Assert.All(tail.Companions, row => Assert.NotNull(row.ETag));
        }

        Task WriteAsync(string name, long value) =>
            tables.WriteAsync(Table, [TableAction.Upsert(new TableRow(Partition, log.CompanionKey(name)).Set("Value", value))], None);
    }

    [Fact]
    public async Task ATruncatedLogSaysWhatIsMissingAndGoesOn()
    {
        var log = await OpenLogAsync();
        var head = LogHead.None;
        for (var number = 1; number <= 5; number++)
        {
            head = await log.AppendAsync(head, $"{number}a", $"{number}b");
        }

        Assert.Equal(2, await log.TruncateAsync(5));

        foreach (var after in new[] { 0, 1, 3 })
        {
            var tail = await log.ReadAsync(after);
            Assert.False(tail.IsComplete);
            Assert.Equal(5, tail.FirstSequence);
            Assert.Equal(["3a", "3b", "4a", "4b", "5a", "5b"], tail.Texts());
        }

        Assert.True((await log.ReadAsync(4)).IsComplete);
        Assert.Equal(["3b", "4a", "4b", "5a", "5b"], (await log.ReadAsync(5)).Texts());

        Assert.Equal(3, await log.TruncateAsync(long.MaxValue));

        var nothing = await log.ReadAsync(9);
        Assert.Equal((false, 11L, head), (nothing.IsComplete, nothing.FirstSequence, nothing.Head));
        Assert.True((await log.ReadAsync(10)).IsComplete);
        Assert.Equal(0, await log.TruncateAsync(10));
        await log.AppendAsync(head, "6");
        Assert.Equal(["6"], (await log.ReadAsync(10)).Texts());
    }

    [Fact]
    public async Task TruncationStopsAtTheFirstYoungRow()
    {
        var log = await OpenLogAsync();
        var head = LogHead.None;
        foreach (var minute in new[] { 0, 5, 3, 9, 0 })
        {
            head = (await log.AppendAsync(head, LogTexts.Bytes($"{minute}"), LogTexts.Noon.AddMinutes(minute), [], None)).Head!;
        }

        Assert.Equal(0, await log.TruncateAsync(5, LogTexts.Noon, None));
        Assert.Equal(1, await log.TruncateAsync(5, LogTexts.Noon.AddMinutes(4), None));
        Assert.Equal(["5", "3", "9", "0"], (await log.ReadAsync()).Texts());
        Assert.True(await log.IsTruncatedAsync(1, None));
        Assert.False(await log.IsTruncatedAsync(2, None));
        Assert.Equal(2, await log.TruncateAsync(5, LogTexts.Noon.AddMinutes(9), None));
        Assert.Equal(["9", "0"], (await log.ReadAsync()).Texts());
        Assert.True(await log.IsTruncatedAsync(3, None));
        Assert.False(await log.IsTruncatedAsync(5, None));
    }

    [Fact]
    public async Task TruncationsAtOnceLeaveNoGap()
    {
        var tables = await OpenAsync();
        var log = LogOf(tables);
        var head = LogHead.None;
        for (var number = 1; number <= 130; number++)
        {
            head = await log.AppendAsync(head, $"{number}");
        }

        await Task.WhenAll(new[] { 120, 30, 125, 110 }.Select(through => LogOf(tables).TruncateAsync(through)));

        var tail = await log.ReadAsync();
        Assert.InRange(tail.FirstSequence, 31, 126);
        var rows = await tables.QueryAsync(Table, new TableQuery(Partition, "log:", "log:~", Columns: ["First"]), None);
        Assert.Equal(tail.Records.Select(record => (long?)record.Sequence), rows.Rows.Select(row => row.Whole("First")));

        await log.TruncateAsync(125);
        Assert.Equal(126, (await log.ReadAsync()).FirstSequence);
    }

    [Theory]
    [InlineData(LostAnswer.Dropped)]
    [InlineData(LostAnswer.Busy)]
    public async Task AnAppendWhoseAnswerWasLostIsAppendedOnceWhateverOthersDoMeanwhile(LostAnswer fault)
    {
        var plain = await OpenAsync();
        var others = LogOf(plain);
        await plain.WriteAsync(Table, [TableAction.Insert(new TableRow(Partition, "the table is there"))], None);

        // The first append of all, and one behind it.
        foreach (var expected in new[] { 1, 3 })
        {
            var head = (await others.ReadAsync()).Head;
            var log = LogOf(await OpenWithLostAnswerAsync(fault, async () =>
            {
                var theirs = await others.ReadAsync();
                Assert.Equal(expected, theirs.Head.LastSequence);
                await others.AppendAsync(theirs.Head, "theirs");
                await others.TruncateAsync(long.MaxValue, LogTexts.Noon + TimeSpan.FromMinutes(8) - Log.Grace, None);
            }));

            var appended = await log.TryAppendAsync(head, "ours");

            Assert.Equal(LogOutcome.Appended, appended.Outcome);
            Assert.Equal(expected, appended.Head!.LastSequence);
            Assert.True(appended.Head.MustBeRead);
            await Assert.ThrowsAsync<ArgumentException>(() => others.TryAppendAsync(appended.Head, "blind"));
        }

        Assert.Equal(["ours", "theirs", "ours", "theirs"], (await LogOf(await OpenAsync()).ReadAsync()).Texts());
    }

    [Fact]
    public async Task AnAppendThatDidNotArriveBeforeAnotherFails()
    {
        var plain = await OpenAsync();
        var others = LogOf(plain);
        var head = await others.AppendAsync(LogHead.None, "one");
        var log = LogOf(await OpenWithLostAnswerAsync(LostAnswer.NotApplied, () => others.AppendAsync(head, "theirs")));

        Assert.Equal(LogOutcome.Moved, (await log.TryAppendAsync(head, "ours")).Outcome);
        Assert.Equal(["one", "theirs"], (await LogOf(await OpenAsync()).ReadAsync()).Texts());
    }

    [Fact]
    public async Task RowsThatNoHeadVouchesForAreNotBelieved()
    {
        var tables = await OpenAsync();
        var log = LogOf(tables);
        var stray = new TableRow(Partition, "log:0000000000000000003").Set("First", 2L).Set("WrittenAt", LogTexts.Noon.UtcTicks).Set("Data0", new byte[8]);
        await tables.WriteAsync(Table, [TableAction.Insert(stray)], None);

        Assert.Empty((await log.ReadAsync()).Records);
        await log.AppendAsync(LogHead.None, "one");

        var tail = await log.ReadAsync();
        Assert.Equal(["one"], tail.Texts());
        Assert.True(tail.IsComplete);
    }

    private async Task<Log> OpenLogAsync() => LogOf(await OpenAsync());

    private Log LogOf(ITables tables) => new(tables, Table, Partition, "log");
}
