using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Reading a log whose tail comes in several pages, while others append to it and truncate it.</summary>
public sealed class LogPagesTests
{
    private const int Before = 7;

    /// <summary>What others do between two pages.</summary>
    public enum Meanwhile
    {
        Append,
        AppendMany,
        TruncateSome,
        TruncateAll,
        TruncateAllAndAppend,
        AppendAndTruncateAll,
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(1000)]
    public async Task ShortPagesGiveTheSameTail(int pageRows)
    {
        var world = await World.FillAsync();
        world.PageRows = _ => pageRows;

        for (var after = 0; after <= Before; after++)
        {
            var tail = await world.Log.ReadAsync(after);

            Assert.Equal(Enumerable.Range(after + 1, Before - after).Select(number => $"{number}"), tail.Texts());
            Assert.Equal(Before, tail.Head.LastSequence);
            Assert.Equal(World.Companions, tail.Companions.Select(row => row.Key));
        }
    }

    [Fact]
    public async Task APageMayBeEmptyBeforeTheEnd()
    {
        var world = await World.FillAsync();
        world.PageRows = page => page % 2;

        Assert.Equal(Enumerable.Range(1, Before).Select(number => $"{number}"), (await world.Log.ReadAsync()).Texts());
        Assert.True((await world.Log.ReadAsync(Before)).IsComplete);
        Assert.Equal(2, await world.Log.TruncateAsync(2));
        Assert.Equal(3, (await world.Log.ReadAsync()).FirstSequence);
    }

    [Theory]
    [InlineData(Meanwhile.Append)]
    [InlineData(Meanwhile.AppendMany)]
    [InlineData(Meanwhile.TruncateSome)]
    [InlineData(Meanwhile.TruncateAll)]
    [InlineData(Meanwhile.TruncateAllAndAppend)]
    [InlineData(Meanwhile.AppendAndTruncateAll)]
    public async Task WhateverHappensBetweenWhichPagesTheTailHasNoGapAndOnlyLacksWhatWasTruncated(Meanwhile meanwhile)
    {
        var seen = new HashSet<long>();
        foreach (var pageRows in new[] { 1, 2, 3, 4, 7, 8 })
        {
            for (var page = 1; page <= 12; page++)
            {
                for (var after = 0; after <= Before; after++)
                {
                    var world = await World.FillAsync();
                    world.PageRows = _ => pageRows;
                    world.AfterPage = number => number == page ? world.HappenAsync(meanwhile) : Task.CompletedTask;

                    var tail = await world.Log.ReadAsync(after);

                    world.AfterPage = null;
                    var now = await world.Log.ReadAsync();
                    var where = $"page {page} of {pageRows} after {after}: {tail.FirstSequence} to {tail.Head}";
                    Assert.True(tail.Head == now.Head || tail.Head.LastSequence == Before, where);
                    Assert.True(tail.Records.Select(record => record.Sequence).SequenceEqual(World.Range(tail.FirstSequence, tail.Head.LastSequence)), where);
                    Assert.Equal(tail.Records.Select(record => $"{record.Sequence}"), tail.Texts());
                    Assert.True(tail.IsComplete || tail.FirstSequence == Math.Min(now.FirstSequence, tail.Head.LastSequence + 1), where);
                    Assert.Equal(World.Companions, tail.Companions.Select(row => row.Key));
                    seen.Add(tail.Head.LastSequence);
                }
            }
        }

        // Some of these came too late to be seen, and some did not.
        Assert.Contains(Before, seen);
        Assert.Equal(meanwhile is Meanwhile.TruncateSome or Meanwhile.TruncateAll ? 1 : 2, seen.Count);
    }

    [Fact]
    public async Task AnAppendRightBeforeThePageOfTheHeadCostsOneMoreQuery()
    {
        var world = await World.FillAsync();
        world.PageRows = page => page == 1 ? Before : ITables.PageRowsMax;
        world.AfterPage = page => page == 1 ? world.HappenAsync(Meanwhile.AppendMany) : Task.CompletedTask;

        var tail = await world.Log.ReadAsync();

        Assert.Equal(3, world.Pages);
        Assert.Equal(Before + 3, tail.Records.Count);
        Assert.True(tail.IsComplete);
    }

    [Fact]
    public async Task ALogThatGrowsBeforeThePageOfItsHeadEachTimeIsBusy()
    {
        var world = await World.FillAsync();
        world.PageRows = page => page == 1 ? Before : 1;
        world.AfterPage = page => page % 2 == 1 ? world.HappenAsync(Meanwhile.Append) : Task.CompletedTask;

        var busy = await Assert.ThrowsAsync<StorageException>(() => world.Log.ReadAsync());

        Assert.True(busy.IsTransient);
        world.AfterPage = null;
        Assert.True((await world.Log.ReadAsync()).IsComplete);
    }

    /// <summary>A log of seven records and two companions.</summary>
    private sealed class World
    {
        private readonly MemoryTables _tables;
        private bool _isInBetween;

        private World()
        {
            _tables = new MemoryTables(TimeProvider.System, HookAsync)
            {
                PageRows = query => _isInBetween ? query.Limit : Math.Min(PageRows(Pages + 1), query.Limit),
            };
            Log = new Log(_tables, "table", "p", "log");
        }

        public static IReadOnlyList<string> Companions { get; } = ["log:~~a", "log:~~b"];

        public Log Log { get; }

        /// <summary>How many rows the pages have, which count from 1; those that others read in between do not count.</summary>
        public Func<int, int> PageRows { get; set; } = _ => ITables.PageRowsMax;

        /// <summary>What happens after a page.</summary>
        public Func<int, Task>? AfterPage { get; set; }

        public int Pages { get; private set; }

        public static async Task<World> FillAsync()
        {
            var world = new World();
            var head = LogHead.None;
            for (var number = 1; number <= Before; number++)
            {
                head = await world.Log.AppendAsync(head, $"{number}");
            }

            var companions = Companions.Select(key => TableAction.Insert(new TableRow("p", key)));
            await world._tables.WriteAsync("table", [.. companions], CancellationToken.None);
            return world;
        }

        public static IEnumerable<long> Range(long first, long last) => Enumerable.Range(0, (int)(last - first + 1)).Select(index => first + index);

        public async Task HappenAsync(Meanwhile meanwhile)
        {
            _isInBetween = true;
            if (meanwhile is Meanwhile.TruncateSome or Meanwhile.TruncateAll or Meanwhile.TruncateAllAndAppend)
            {
                await Log.TruncateAsync(meanwhile == Meanwhile.TruncateSome ? 5 : long.MaxValue);
            }

            if (meanwhile is Meanwhile.Append or Meanwhile.AppendMany or Meanwhile.TruncateAllAndAppend or Meanwhile.AppendAndTruncateAll)
            {
                var head = (await Log.ReadAsync()).Head;
                var last = head.LastSequence + (meanwhile == Meanwhile.AppendMany ? 3 : 1);
                await Log.AppendAsync(head, Range(head.LastSequence + 1, last).Select(number => $"{number}"));
            }

            if (meanwhile is Meanwhile.AppendAndTruncateAll)
            {
                await Log.TruncateAsync(long.MaxValue);
            }

            _isInBetween = false;
        }

        private async ValueTask<MemoryFault> HookAsync(string operation, MemoryMoment moment)
        {
            if (operation == "Tables.Query" && moment == MemoryMoment.After && !_isInBetween)
            {
                Pages++;
                await (AfterPage?.Invoke(Pages) ?? Task.CompletedTask);
            }

            return MemoryFault.None;
        }
    }
}
