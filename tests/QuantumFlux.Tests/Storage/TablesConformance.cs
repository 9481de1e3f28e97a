using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>What every implementation of <see cref="ITables"/> does, whichever it is. A subclass says how one is made.</summary>
public abstract class TablesConformance
{
    // Letters that an address, a filter, JSON or a multipart body could trip over; none that a key may not have. In the addresses of a transaction
    // Azurite misreads line separators and an apostrophe with a comma after it; TableKey escapes both.
    private const string UnpleasantKey = "it's \"a\" &=+;,@$()[]{}<>|~`^*-_. 100! ünï 漢字 \U0001f63a \u00a0 \ufeff";

    private static readonly string[] _one = ["One"];

    private string Table { get; } = $"t{Guid.NewGuid():N}";

    private static CancellationToken None => CancellationToken.None;

    /// <summary>An implementation whose rows nobody else touches, in tables whose names nobody else uses.</summary>
    protected abstract Task<ITables> OpenAsync();

    /// <summary>The same, where something goes wrong with the first request after the call.</summary>
    /// <param name="fault">What goes wrong.</param>
    /// <param name="meanwhile">What others do before the next try; null means nothing.</param>
    protected abstract Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault, Func<Task>? meanwhile = null);

    [Fact]
    public async Task EveryTypeComesBackAsItWas()
    {
        var tables = await OpenAsync();
        var row = new TableRow("p", "k")
            .Set("Text", "plain").Set("Empty", "").Set("Alphabets", UnpleasantKey + "\r\n\t\\ \u0001")
            .Set("Whole", 5L).Set("Least", long.MinValue).Set("Most", long.MaxValue)
            .Set("Half", 0.5).Set("WholeDouble", 3.0).Set("Zero", 0.0).Set("Tiny", 5e-324).Set("Huge", double.MaxValue).Set("Precise", 0.1 + 0.2).Set("Big", 1e17)
            .Set("Yes", true).Set("No", false)
            .Set("Bytes", [0, 255, 62, 63, 10]).Set("NoBytes", [])
            .Set("Absent", (string?)null);
        await DoneAsync(tables, TableAction.Insert(row));

        var found = await tables.GetAsync(Table, "p", "k", null, None);

        Assert.NotNull(found);
        Assert.Equal(("p", "k"), (found.Partition, found.Key));
        Assert.Equal(row.Values.OrderBy(pair => pair.Key), found.Values.OrderBy(pair => pair.Key));
    }

    [Fact]
    public async Task ARowOfAPageHasTheSameTypes()
    {
        var tables = await OpenAsync();
        var row = new TableRow("p", "k").Set("A", 2.0).Set("B", 7L).Set("C", [1, 2]).Set("D", "d").Set("E", true);
        var other = new TableRow("p", "l").Set("D", "x").Set("B", 8L).Set("F", 1L);
        await DoneAsync(tables, TableAction.Insert(row), TableAction.Insert(other));

        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), None);

        Assert.Equal([row.Values, other.Values], page.Rows.Select(found => found.Values));
        Assert.Null(page.Continuation);
    }

    [Theory]
    [InlineData("'")]
    [InlineData("''")]
    [InlineData("O'Neil's (PartitionKey='x')")]
    [InlineData("a b  c ")]
    [InlineData("+%2B%20%")]
    [InlineData("&=+;,@$")]
    [InlineData("{\"json\":1}")]
    [InlineData("..")]
    [InlineData("ünïcödé-漢字-\U0001f63a")]
    [InlineData("\ufeff\u00a0\u200d\ue000")]
    [InlineData(UnpleasantKey)]
    public async Task AnyPermittedKeyCanBeWrittenReadAndDeleted(string key)
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Insert(new TableRow(key, key).Set("One", 1L)));
        await DoneAsync(tables, TableAction.Insert(new TableRow(key, key + "z")), TableAction.Upsert(new TableRow(key, key + "y")));

        var found = await tables.GetAsync(Table, key, key, null, None);
        var page = await tables.QueryAsync(Table, new TableQuery(key, key, key + "z"), None);
        var replaced = await DoneAsync(tables, TableAction.Replace(new TableRow(key, key).Set("One", 2L), found!.ETag!));
        var deleted = await DoneAsync(
            tables, TableAction.Delete(key, key, replaced.ETags[0]!), TableAction.Delete(key, key + "y", "*"), TableAction.Delete(key, key + "z", "*"));

        Assert.Equal(key, found.Key);
        Assert.Equal([key, key + "y"], page.Rows.Select(row => row.Key));
        Assert.Equal([null, null, null], deleted.ETags);
        Assert.Empty((await tables.QueryAsync(Table, new TableQuery(key, "", null), None)).Rows);
    }

    [Fact]
    public async Task EscapedTextIsAlwaysAPermittedKey()
    {
        var tables = await OpenAsync();
        var texts = Enumerable.Range(0, 0x180).Concat([0x2028, 0x2029, 0xd800, 0xdfff, 0xe000, 0xfdd0, 0xfffd, 0xfffe, 0xffff])
            .Select(code => $"a{(char)code}b").ToList();

        foreach (var chunk in texts.Chunk(ITables.TransactionRowsMax))
        {
            await DoneAsync(tables, [.. chunk.Select(text => TableAction.Insert(new TableRow("p", TableKey.Escape(text)).Set("Code", (long)text[1])))]);
        }

        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), None);
        Assert.Equal(texts.Order(StringComparer.Ordinal), page.Rows.Select(row => TableKey.Unescape(row.Key)).Order(StringComparer.Ordinal));
        Assert.All(page.Rows, row => Assert.Equal(TableKey.Unescape(row.Key)[1], (char)row.Whole("Code")!));
    }

    [Theory]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("a#b")]
    [InlineData("a?b")]
    [InlineData("a\nb")]
    [InlineData("a\u0085b")]
    public async Task AForbiddenKeyIsRefused(string key)
    {
        var tables = await OpenAsync();

        foreach (var attempt in new Func<Task>[]
        {
            () => tables.WriteAsync(Table, [TableAction.Insert(new TableRow(key, "k"))], None),
            () => tables.WriteAsync(Table, [TableAction.Upsert(new TableRow("p", key))], None),
            () => tables.GetAsync(Table, "p", key, null, None),
        })
        {
            var refusal = await Assert.ThrowsAsync<StorageException>(attempt);
            Assert.Equal(400, refusal.Status);
            Assert.False(refusal.IsTransient);
        }
    }

    [Fact]
    public async Task AKeyOf512CharactersFitsAndALongerOneDoesNot()
    {
        var tables = await OpenAsync();
        var longest = new string('k', TableKey.CharactersMax);

        await DoneAsync(tables, TableAction.Insert(new TableRow(longest, longest)));

        Assert.NotNull(await tables.GetAsync(Table, longest, longest, null, None));
        await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", longest + "k"))], None));
    }

    [Fact]
    public async Task HalfASurrogatePairIsNoKey()
    {
        var tables = await OpenAsync();

        await Assert.ThrowsAsync<StorageException>(() => tables.GetAsync(Table, "p", "a\ud800b", null, None));
        await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", "\udc00"))], None));
    }

    [Fact]
    public async Task AnEmptyKeyIsAKey()
    {
        var tables = await OpenAsync();

        await DoneAsync(tables, TableAction.Insert(new TableRow("", "").Set("One", 1L)));

        Assert.Equal(1L, (await tables.GetAsync(Table, "", "", null, None))?.Whole("One"));
    }

    [Fact]
    public async Task ATableThatDoesNotExistReadsAsEmpty()
    {
        var tables = await OpenAsync();

        Assert.Null(await tables.GetAsync(Table, "p", "k", null, None));
        Assert.Equal([], (await tables.QueryAsync(Table, new TableQuery("p", "", null), None)).Rows);
        Assert.Equal(TableOutcome.Missing, (await tables.WriteAsync(Table, [TableAction.Delete("p", "k", "*")], None)).Outcome);
        Assert.Equal(TableOutcome.Missing, (await tables.WriteAsync(Table, [TableAction.Replace(new TableRow("p", "k"), "*")], None)).Outcome);
    }

    [Fact]
    public async Task ManyFirstWritersCreateTheTableOnce()
    {
        var tables = await OpenAsync();

        var results = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(number => tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", $"{number}"))], None)));

        Assert.All(results, result => Assert.True(result.IsDone));
        Assert.Equal(8, (await tables.QueryAsync(Table, new TableQuery("p", "", null), None)).Rows.Count);
    }

    [Fact]
    public async Task AnInsertedRowCannotBeInsertedAgain()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Insert(new TableRow("p", "k").Set("One", 1L)));

        var again = await tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", "k").Set("One", 2L))], None);

        Assert.Equal((TableOutcome.Exists, 0), (again.Outcome, again.Index));
        Assert.Equal([], again.ETags);
        Assert.Equal(1L, (await tables.GetAsync(Table, "p", "k", null, None))!.Whole("One"));
    }

    [Fact]
    public async Task AnUpsertReplacesAllColumns()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Upsert(new TableRow("p", "k").Set("One", 1L).Set("Two", 2L)));

        await DoneAsync(tables, TableAction.Upsert(new TableRow("p", "k").Set("Two", 3L)));

        var found = await tables.GetAsync(Table, "p", "k", null, None);
        Assert.Null(found!.Whole("One"));
        Assert.Equal(3L, found.Whole("Two"));
    }

    [Fact]
    public async Task AnETagLetsOneChangeThroughAndNoSecond()
    {
        var tables = await OpenAsync();
        var inserted = (await DoneAsync(tables, TableAction.Insert(new TableRow("p", "k").Set("One", 1L)))).ETags[0]!;

        Assert.Equal(inserted, (await tables.GetAsync(Table, "p", "k", null, None))!.ETag);
        Assert.Equal(inserted, (await tables.GetAsync(Table, "p", "k", _one, None))!.ETag);
        Assert.Equal(inserted, (await tables.QueryAsync(Table, new TableQuery("p", "", null, Columns: _one), None)).Rows[0].ETag);

        var replaced = (await DoneAsync(tables, TableAction.Replace(new TableRow("p", "k").Set("One", 2L), inserted))).ETags[0]!;
        Assert.NotEqual(inserted, replaced);

        var stale = await tables.WriteAsync(Table, [TableAction.Replace(new TableRow("p", "k").Set("One", 3L), inserted)], None);
        Assert.Equal((TableOutcome.Changed, 0), (stale.Outcome, stale.Index));
        var staleDelete = await tables.WriteAsync(Table, [TableAction.Delete("p", "k", inserted)], None);
        Assert.Equal(TableOutcome.Changed, staleDelete.Outcome);

        Assert.Equal(2L, (await tables.GetAsync(Table, "p", "k", null, None))!.Whole("One"));
        await DoneAsync(tables, TableAction.Delete("p", "k", replaced));
        Assert.Null(await tables.GetAsync(Table, "p", "k", null, None));
    }

    [Fact]
    public async Task AnyETagLetsEveryChangeThroughButNotWithoutARow()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Insert(new TableRow("p", "k")));

        await DoneAsync(tables, TableAction.Replace(new TableRow("p", "k").Set("One", 1L), "*"));
        await DoneAsync(tables, TableAction.Delete("p", "k", "*"));

        Assert.Equal(TableOutcome.Missing, (await tables.WriteAsync(Table, [TableAction.Delete("p", "k", "*")], None)).Outcome);
        Assert.Equal(TableOutcome.Missing, (await tables.WriteAsync(Table, [TableAction.Replace(new TableRow("p", "k"), "*")], None)).Outcome);
    }

    [Fact]
    public async Task TwoWritersCannotBothWin()
    {
        var tables = await OpenAsync();
        var etag = (await DoneAsync(tables, TableAction.Insert(new TableRow("p", "k")))).ETags[0]!;

        var results = await Task.WhenAll(Enumerable.Range(0, 10)
            .Select(writer => tables.WriteAsync(Table, [TableAction.Replace(new TableRow("p", "k").Set("Writer", (long)writer), etag)], None)));

        Assert.Single(results, result => result.IsDone);
        Assert.Equal(9, results.Count(result => result.Outcome == TableOutcome.Changed));
        Assert.Equal(Array.FindIndex(results, result => result.IsDone), (await tables.GetAsync(Table, "p", "k", null, None))!.Whole("Writer"));
    }

    [Fact]
    public async Task ATransactionTakes100RowsAndGivesTheirETags()
    {
        var tables = await OpenAsync();
        var rows = Enumerable.Range(0, 100).Select(number => new TableRow("p", $"{number:d3}").Set("Number", (long)number)).ToList();

        var inserted = await DoneAsync(tables, [.. rows.Select(TableAction.Insert)]);

        Assert.Equal(100, inserted.ETags.Count);
        var replaced = await DoneAsync(tables, [.. rows.Select((row, index) => TableAction.Replace(row.Set("Number", index * 2L), inserted.ETags[index]!))]);
        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), None);
        Assert.Equal(page.Rows.Select(row => row.ETag), replaced.ETags);
        Assert.Equal(Enumerable.Range(0, 100).Select(number => (long?)number * 2), page.Rows.Select(row => row.Whole("Number")));
    }

    [Fact]
    public async Task ATransactionMixesActions()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Insert(new TableRow("p", "a").Set("One", 1L)), TableAction.Insert(new TableRow("p", "b")), TableAction.Insert(new TableRow("p", "c")));

        var result = await DoneAsync(
            tables,
            TableAction.Delete("p", "b", "*"),
            TableAction.Insert(new TableRow("p", "d").Set("One", 4L)),
            TableAction.Upsert(new TableRow("p", "c").Set("One", 3L)),
            TableAction.Replace(new TableRow("p", "a").Set("One", 11L), "*"));

        Assert.Equal([true, false, false, false], result.ETags.Select(etag => etag is null));
        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), None);
        Assert.Equal([("a", 11L), ("c", 3L), ("d", 4L)], page.Rows.Select(row => (row.Key, row.Whole("One")!.Value)));
        await DoneAsync(tables, TableAction.Replace(new TableRow("p", "d"), result.ETags[1]!), TableAction.Delete("p", "a", result.ETags[3]!));
    }

    [Fact]
    public async Task ARefusedTransactionChangesNothingAndNamesTheAction()
    {
        var tables = await OpenAsync();
        var etags = (await DoneAsync(tables, TableAction.Insert(new TableRow("p", "a").Set("One", 1L)), TableAction.Insert(new TableRow("p", "b")))).ETags;

        var exists = await tables.WriteAsync(
            Table,
            [
                TableAction.Upsert(new TableRow("p", "a").Set("One", 2L)),
                TableAction.Insert(new TableRow("p", "c")),
                TableAction.Insert(new TableRow("p", "b")),
                TableAction.Insert(new TableRow("p", "d")),
            ],
            None);
        var missing = await tables.WriteAsync(
            Table, [TableAction.Delete("p", "b", etags[1]!), TableAction.Insert(new TableRow("p", "e")), TableAction.Delete("p", "zz", "*")], None);

        Assert.Equal((TableOutcome.Exists, 2), (exists.Outcome, exists.Index));
        Assert.Equal((TableOutcome.Missing, 2), (missing.Outcome, missing.Index));
        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), None);
        Assert.Equal(["a", "b"], page.Rows.Select(row => row.Key));
        Assert.Equal(etags, page.Rows.Select(row => row.ETag));
        Assert.Equal(1L, page.Rows[0].Whole("One"));
    }

    [Fact]
    public async Task ATransactionWithAnOldETagIsRefused()
    {
        var tables = await OpenAsync();
        var old = (await DoneAsync(tables, TableAction.Insert(new TableRow("p", "a")))).ETags[0]!;
        await DoneAsync(tables, TableAction.Upsert(new TableRow("p", "a").Set("One", 1L)));

        var result = await tables.WriteAsync(
            Table, [TableAction.Insert(new TableRow("p", "b")), TableAction.Replace(new TableRow("p", "a"), old)], None);

        Assert.Equal((TableOutcome.Changed, 1), (result.Outcome, result.Index));
        Assert.Null(await tables.GetAsync(Table, "p", "b", null, None));
    }

    [Fact]
    public async Task AnImpossibleWriteIsTheCallersFault()
    {
        var tables = await OpenAsync();
        var many = Enumerable.Range(0, 101).Select(number => TableAction.Insert(new TableRow("p", $"{number}"))).ToList();

        await Assert.ThrowsAsync<ArgumentException>(() => tables.WriteAsync(Table, [], None));
        await Assert.ThrowsAsync<ArgumentException>(() => tables.WriteAsync(Table, many, None));
        await Assert.ThrowsAsync<ArgumentException>(() => tables.WriteAsync(
            Table, [TableAction.Insert(new TableRow("p", "k")), TableAction.Delete("p", "k", "*")], None));
        await Assert.ThrowsAsync<ArgumentException>(() => tables.WriteAsync(
            Table, [TableAction.Insert(new TableRow("p", "k")), TableAction.Insert(new TableRow("q", "l"))], None));
        await Assert.ThrowsAsync<ArgumentException>(() => tables.WriteAsync(Table, [new TableAction(TableActionKind.Replace, new TableRow("p", "k"), null)], None));
        Assert.Null(await tables.GetAsync(Table, "p", "k", null, None));
    }

    [Fact]
    public async Task ALargeRowFitsAndOneOverTheLimitIsRefusedForGood()
    {
        var tables = await OpenAsync();

        // Azurite counts a replaced row's Base64, so it stops at three quarters of the service's limit.
        var large = new byte[700 * 1024];
        new Random(1).NextBytes(large);
        await DoneAsync(tables, TableAction.Upsert(new TableRow("p", "k").SetLarge("Data", large)));
        Assert.Equal(large, (await tables.GetAsync(Table, "p", "k", null, None))!.Large("Data"));

        var largest = new byte[(1024 * 1024) - 2048];
        await DoneAsync(tables, TableAction.Insert(new TableRow("p", "l").SetLarge("Data", largest)));
        Assert.Equal(largest, (await tables.GetAsync(Table, "p", "l", null, None))!.Large("Data"));

        var tooLarge = new TableRow("p", "m").SetLarge("Data", new byte[1024 * 1024]);
        foreach (var action in new[] { TableAction.Insert(tooLarge), TableAction.Upsert(tooLarge) })
        {
            var refusal = await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(Table, [action], None));
            Assert.Equal(400, refusal.Status);
            Assert.False(refusal.IsTransient);
        }
    }

    [Fact]
    public async Task AColumnOverItsLimitIsRefused()
    {
        var tables = await OpenAsync();
        var fits = new TableRow("p", "k").Set("Text", new string('x', TableRules.TextCharactersMax)).Set("Bytes", new byte[TableRow.ColumnBytesMax]);

        await DoneAsync(tables, TableAction.Insert(fits));

        Assert.Equal(fits.Values, (await tables.GetAsync(Table, "p", "k", null, None))!.Values);
        foreach (var row in new[]
        {
            new TableRow("p", "l").Set("Text", new string('x', TableRules.TextCharactersMax + 1)),
            new TableRow("p", "l").Set("Bytes", new byte[TableRow.ColumnBytesMax + 1]),
            new TableRow("p", "l").Set("no name", 1L),
            new TableRow("p", "l").Set(TableRow.OperationColumn, "mine"),
            new TableRow("p", "l").Set("Text", "half \ud83d"),
        })
        {
            Assert.Equal(400, (await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(Table, [TableAction.Insert(row)], None))).Status);
        }
    }

    [Fact]
    public async Task ATransactionOver4MebibytesIsRefusedWhole()
    {
        var tables = await OpenAsync();
        var data = new byte[600 * 1024];

        await DoneAsync(tables, [.. Enumerable.Range(0, 5).Select(number => TableAction.Insert(new TableRow("p", $"{number}").SetLarge("Data", data)))]);

        var refusal = await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(
            Table, [.. Enumerable.Range(0, 6).Select(number => TableAction.Insert(new TableRow("q", $"{number}").SetLarge("Data", data)))], None));
        Assert.Equal(413, refusal.Status);
        Assert.Empty((await tables.QueryAsync(Table, new TableQuery("q", "", null, Columns: []), None)).Rows);
    }

    [Fact]
    public async Task OnlyTheColumnsAskedForComeBack()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, TableAction.Insert(new TableRow("p", "k").Set("One", 1L).Set("Two", 2L)), TableAction.Insert(new TableRow("p", "l").Set("Two", 2L)));

        var row = await tables.GetAsync(Table, "p", "k", ["One", "Three"], None);
        var none = await tables.GetAsync(Table, "p", "k", [], None);
        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null, Columns: _one), None);

        Assert.Equal(new Dictionary<string, object> { ["One"] = 1L }, row!.Values);
        Assert.Empty(none!.Values);
        Assert.Equal([("k", 1), ("l", 0)], page.Rows.Select(found => (found.Key, found.Values.Count)));
        Assert.All(page.Rows, found => Assert.Equal("p", found.Partition));
    }

    [Fact]
    public async Task ARangeHasItsFirstKeyAndNotItsEnd()
    {
        var tables = await OpenAsync();
        var keys = new[] { "A", "Z", "a", "a!", "aa", "b", "z", "ä", "漢", "\U0001f63a", "\uff21" };
        await DoneAsync(tables, [.. keys.Select(key => TableAction.Insert(new TableRow("p", key)))]);
        await DoneAsync(tables, TableAction.Insert(new TableRow("o", "a")));
        await DoneAsync(tables, TableAction.Insert(new TableRow("q", "a")));

        Assert.Equal(keys.Order(StringComparer.Ordinal), await KeysAsync(new TableQuery("p", "", null)));
        Assert.Equal(["a", "a!", "aa"], await KeysAsync(new TableQuery("p", "a", "b")));
        Assert.Equal(["A", "Z"], await KeysAsync(new TableQuery("p", "", "a")));
        Assert.Equal(["\U0001f63a", "\uff21"], await KeysAsync(new TableQuery("p", "\ud83d\ude00", null)));
        Assert.Equal([], await KeysAsync(new TableQuery("p", "b", "b")));
        Assert.Equal([], await KeysAsync(new TableQuery("p", "c", "b")));
        Assert.Equal([], await KeysAsync(new TableQuery("none", "", null)));

        async Task<IEnumerable<string>> KeysAsync(TableQuery query) => (await tables.QueryAsync(Table, query, None)).Rows.Select(row => row.Key);
    }

    [Fact]
    public async Task PagesFollowOneAnotherWithoutGapsAndEnd()
    {
        var tables = await OpenAsync();
        var keys = Enumerable.Range(0, 250).Select(number => $"it's {number:d3} ü").ToList();
        foreach (var chunk in keys.Chunk(100))
        {
            await DoneAsync(tables, [.. chunk.Select(key => TableAction.Insert(new TableRow("p'", key)))]);
        }

        var found = new List<string>();
        var pages = 0;
        string? continuation = null;
        do
        {
            var page = await tables.QueryAsync(Table, new TableQuery("p'", keys[10], keys[240], 37, [], continuation), None);
            Assert.InRange(page.Rows.Count, 0, 37);
            found.AddRange(page.Rows.Select(row => row.Key));
            continuation = page.Continuation;
            pages++;
        }
        while (continuation is not null && pages < 100);

        Assert.Equal(keys[10..240], found);
        Assert.Equal(7, pages);
    }

    [Fact]
    public async Task APageThatEndsWithTheRangeIsTheLast()
    {
        var tables = await OpenAsync();
        await DoneAsync(tables, [.. Enumerable.Range(0, 6).Select(number => TableAction.Insert(new TableRow("p", $"{number}")))]);

        var first = await tables.QueryAsync(Table, new TableQuery("p", "", "4", 2), None);
        var second = await tables.QueryAsync(Table, new TableQuery("p", "", "4", 2, Continuation: first.Continuation), None);

        Assert.Equal(["2", "3"], second.Rows.Select(row => row.Key));
        Assert.Null(second.Continuation);
    }

    [Fact]
    public async Task ALimitOrContinuationThatNobodyGaveIsTheCallersFault()
    {
        var tables = await OpenAsync();

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => tables.QueryAsync(Table, new TableQuery("p", "", null, 0), None));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => tables.QueryAsync(Table, new TableQuery("p", "", null, 1001), None));
        await Assert.ThrowsAsync<ArgumentException>(() => tables.QueryAsync(Table, new TableQuery("p", "", null, Continuation: "nonsense"), None));
    }

    [Fact]
    public async Task ACancelledCallSaysSo()
    {
        var tables = await OpenAsync();
        var cancelled = new CancellationToken(canceled: true);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tables.GetAsync(Table, "p", "k", null, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tables.QueryAsync(Table, new TableQuery("p", "", null), cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", "k"))], cancelled));
    }

    [Theory]
    [InlineData(LostAnswer.Dropped)]
    [InlineData(LostAnswer.Busy)]
    public async Task AWriteWhoseAnswerWasLostSucceedsOnce(LostAnswer fault)
    {
        var plain = await OpenAsync();
        await DoneAsync(plain, TableAction.Insert(new TableRow("p", "base")));

        var insert = await WriteAsync(TableAction.Insert(new TableRow("p", "single").Set("One", 1L)));
        var etag = await ETagAsync("base");
        var replace = await WriteAsync(TableAction.Replace(new TableRow("p", "base").Set("One", 2L), etag));
        var upsert = await WriteAsync(TableAction.Upsert(new TableRow("p", "base").Set("One", 3L)));
        var transaction = await WriteAsync(
            TableAction.Delete("p", "single", "*"), TableAction.Insert(new TableRow("p", "a")), TableAction.Insert(new TableRow("p", "b")));
        var delete = await WriteAsync(TableAction.Delete("p", "a", await ETagAsync("a")));
        var deletes = await WriteAsync(TableAction.Delete("p", "b", await ETagAsync("b")), TableAction.Delete("p", "base", "*"));

        Assert.Equal(
            Enumerable.Repeat(TableOutcome.Done, 6),
            new[] { insert, replace, upsert, transaction, delete, deletes }.Select(result => result.Outcome));
        Assert.Empty((await plain.QueryAsync(Table, new TableQuery("p", "", null), None)).Rows);

        async Task<TableResult> WriteAsync(params TableAction[] actions) =>
            await (await OpenWithLostAnswerAsync(fault)).WriteAsync(Table, actions, None);

        async Task<string> ETagAsync(string key) => (await plain.GetAsync(Table, "p", key, null, None))!.ETag!;
    }

    [Fact]
    public async Task ALostAnswerIsNotMistakenForSomeoneElsesWrite()
    {
        var plain = await OpenAsync();
        var etag = (await DoneAsync(plain, TableAction.Insert(new TableRow("p", "k").Set("One", 1L)))).ETags[0]!;
        await DoneAsync(plain, TableAction.Upsert(new TableRow("p", "k").Set("One", 2L)));

        var insert = await (await OpenWithLostAnswerAsync(LostAnswer.Busy)).WriteAsync(Table, [TableAction.Insert(new TableRow("p", "k"))], None);
        var replace = await (await OpenWithLostAnswerAsync(LostAnswer.Busy)).WriteAsync(Table, [TableAction.Replace(new TableRow("p", "k"), etag)], None);
        var deletes = await (await OpenWithLostAnswerAsync(LostAnswer.NotApplied))
            .WriteAsync(Table, [TableAction.Delete("p", "none", "*"), TableAction.Delete("p", "k", "*")], None);

        Assert.Equal([TableOutcome.Exists, TableOutcome.Changed, TableOutcome.Missing], new[] { insert, replace, deletes }.Select(result => result.Outcome));
        Assert.Equal(2L, (await plain.GetAsync(Table, "p", "k", null, None))!.Whole("One"));
    }

    [Theory]
    [InlineData(LostAnswer.Dropped)]
    [InlineData(LostAnswer.Busy)]
    public async Task ATransactionWhoseAnswerWasLostSucceedsWhateverOthersDoToSomeOfItsRows(LostAnswer fault)
    {
        var plain = await OpenAsync();
        var etags = (await DoneAsync(
            plain, TableAction.Insert(new TableRow("p", "head")), TableAction.Insert(new TableRow("p", "other")), TableAction.Insert(new TableRow("p", "old")))).ETags;

        var replaced = await WriteAsync(
            "head", TableAction.Replace(new TableRow("p", "head"), etags[0]!), TableAction.Insert(new TableRow("p", "version")));
        var inserted = await WriteAsync(
            "new", TableAction.Insert(new TableRow("p", "new")), TableAction.Insert(new TableRow("p", "its version")));
        var refusedAtADelete = await WriteAsync(
            "new", TableAction.Delete("p", "old", etags[2]!), TableAction.Upsert(new TableRow("p", "new")), TableAction.Insert(new TableRow("p", "ended")));
        var withoutInsert = await WriteAsync(
            "new", TableAction.Upsert(new TableRow("p", "new")), TableAction.Replace(new TableRow("p", "other"), etags[1]!));

        Assert.Equal(
            Enumerable.Repeat(TableOutcome.Done, 4),
            new[] { replaced, inserted, refusedAtADelete, withoutInsert }.Select(result => result.Outcome));

        async Task<TableResult> WriteAsync(string changed, params TableAction[] actions)
        {
            var tables = await OpenWithLostAnswerAsync(fault, () => DoneAsync(plain, TableAction.Replace(new TableRow("p", changed).Set("Theirs", true), "*")));
            return await tables.WriteAsync(Table, actions, None);
        }
    }

    [Fact]
    public async Task AWriteIsNotRecognisedWhenOthersReplacedAllThatItWrote()
    {
        var plain = await OpenAsync();
        await DoneAsync(plain, TableAction.Insert(new TableRow("p", "base")));
        var tables = await OpenWithLostAnswerAsync(
            LostAnswer.Dropped, () => DoneAsync(plain, TableAction.Replace(new TableRow("p", "k").Set("Theirs", true), "*")));

        var result = await tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", "k"))], None);

        Assert.Equal(TableOutcome.Exists, result.Outcome);
        Assert.True((await plain.GetAsync(Table, "p", "k", null, None))!.Flag("Theirs"));
    }

    [Fact]
    public async Task ATransactionThatWasNotAppliedIsRefusedWhenOthersCameFirst()
    {
        var plain = await OpenAsync();
        var etag = (await DoneAsync(plain, TableAction.Insert(new TableRow("p", "head")))).ETags[0]!;
        var tables = await OpenWithLostAnswerAsync(
            LostAnswer.NotApplied, () => DoneAsync(plain, TableAction.Replace(new TableRow("p", "head").Set("Theirs", true), "*")));

        var result = await tables.WriteAsync(
            Table, [TableAction.Replace(new TableRow("p", "head"), etag), TableAction.Insert(new TableRow("p", "version"))], None);

        Assert.Equal((TableOutcome.Changed, 0), (result.Outcome, result.Index));
        Assert.Null(await plain.GetAsync(Table, "p", "version", null, None));
    }

    [Fact]
    public async Task WhenNoAnswerEverComesTheFailureIsTransient()
    {
        var tables = await OpenWithLostAnswerAsync(LostAnswer.Always);

        var failure = await Assert.ThrowsAsync<StorageException>(() => tables.WriteAsync(Table, [TableAction.Insert(new TableRow("p", "k"))], None));

        Assert.Equal(0, failure.Status);
        Assert.True(failure.IsTransient);
    }

    private async Task<TableResult> DoneAsync(ITables tables, params TableAction[] actions)
    {
        var result = await tables.WriteAsync(Table, actions, None);
        Assert.Equal((TableOutcome.Done, -1), (result.Outcome, result.Index));
        Assert.Equal(actions.Length, result.ETags.Count);
        return result;
    }
}
