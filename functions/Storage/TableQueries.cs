namespace QuantumFlux.Storage;

/// <summary>Reading for callers who need whole answers where <see cref="ITables.QueryAsync"/> gives pages, which may be short.</summary>
public static class TableQueries
{
    /// <summary>The first rows of a range: as many as the query asks for, or all there are.</summary>
    /// <param name="tables">The tables.</param>
    /// <param name="table">The table's name.</param>
    /// <param name="query">The range. Its limit is the most rows to return; to learn whether more follow, ask for one more than needed.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <remarks>
    /// One storage request, and one more for each page that the service ends early. It may end a page at any row, even before the first: after five
    /// seconds, at four mebibytes, and where the range crosses from one of its servers to another ("Query timeout and pagination").
    /// </remarks>
    public static async Task<IReadOnlyList<TableRow>> FirstAsync(
        this ITables tables, string table, TableQuery query, CancellationToken cancellationToken)
    {
        var page = await tables.QueryAsync(table, query, cancellationToken);
        if (page.Continuation is null || page.Rows.Count >= query.Limit)
        {
            return page.Rows;
        }

        var rows = new List<TableRow>(page.Rows);
        while (page.Continuation is { } continuation && rows.Count < query.Limit)
        {
            page = await tables.QueryAsync(
                table, query with { Limit = query.Limit - rows.Count, Continuation = continuation }, cancellationToken);
            rows.AddRange(page.Rows);
        }

        return rows;
    }
}
