using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

public sealed class TableQueriesTests
{
    private const string Table = "table";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task ShortPagesGiveTheSameRowsAsLongOnes(int pageRows)
    {
        for (var limit = 1; limit <= 12; limit++)
        {
            var tables = await WithTenRowsAsync(_ => pageRows);

            var rows = await tables.FirstAsync(Table, new TableQuery("p", "1", "9", limit), CancellationToken.None);

            Assert.Equal(Enumerable.Range(1, 8).Take(limit).Select(number => $"{number}"), rows.Select(row => row.Key));
        }
    }

    [Fact]
    public async Task AnEmptyPageIsNotTheEnd()
    {
        var pages = 0;
        var tables = await WithTenRowsAsync(_ => pages++ % 2);

        var rows = await tables.FirstAsync(Table, new TableQuery("p", "8", null), CancellationToken.None);

        Assert.Equal(["8", "9"], rows.Select(row => row.Key));
    }

    [Fact]
    public async Task EveryPageHasTheRangeAndTheColumnsAndOnlyAsksForWhatIsMissing()
    {
        var asked = new List<TableQuery>();
        var query = new TableQuery("p", "1", "9", 3, ["One"]);
        var tables = await WithTenRowsAsync(page =>
        {
            asked.Add(page);
            return 1;
        });

        var rows = await tables.FirstAsync(Table, query, CancellationToken.None);

        Assert.Equal([3, 2, 1], asked.Select(page => page.Limit));
        Assert.All(asked, page => Assert.Equal(query, page with { Limit = query.Limit, Continuation = null }));
        Assert.All(rows, row => Assert.Equal(["One"], row.Values.Keys));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(100)]
    public async Task AFullPageAndTheLastOneCostOneRequest(int limit)
    {
        var tables = await WithTenRowsAsync(null);
        var before = tables.Requests;

        await tables.FirstAsync(Table, new TableQuery("p", "", null, limit), CancellationToken.None);

        Assert.Equal(before + 1, tables.Requests);
    }

    [Fact]
    public async Task AContinuedQueryGoesOnWhereItStood()
    {
        var tables = await WithTenRowsAsync(_ => 1);
        var page = await tables.QueryAsync(Table, new TableQuery("p", "", null), CancellationToken.None);

        var rows = await tables.FirstAsync(Table, new TableQuery("p", "", null, 2, Continuation: page.Continuation), CancellationToken.None);

        Assert.Equal(["1", "2"], rows.Select(row => row.Key));
    }

    private static async Task<MemoryTables> WithTenRowsAsync(Func<TableQuery, int>? pageRows)
    {
        var tables = new MemoryTables(TimeProvider.System) { PageRows = pageRows };
        var rows = Enumerable.Range(0, 10).Select(number => new TableRow("p", $"{number}").Set("One", 1L).Set("Two", 2L));
        await tables.WriteAsync(Table, [.. rows.Select(TableAction.Insert)], CancellationToken.None);
        return tables;
    }
}
