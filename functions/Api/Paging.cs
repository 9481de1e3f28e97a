namespace QuantumFlux.Api;

/// <summary>Where a numbered page stands in its list, as the specification prints it.</summary>
/// <param name="Page">The page's number, from 1.</param>
/// <param name="PerPage">How many entries a full page has.</param>
/// <param name="TotalPages">How many pages there are; 0 when the list is empty.</param>
/// <param name="TotalCount">How many entries there are.</param>
public sealed record Pagination(int Page, int PerPage, int TotalPages, int TotalCount)
{
    public static Pagination Of(int page, int perPage, int totalCount) =>
        new(page, perPage, (totalCount + perPage - 1) / perPage, totalCount);
}

/// <summary>Our own lists are walked with a cursor, the last id of the page before: no entry that stays is missed or repeated, and a page costs the same anywhere.</summary>
public static class Cursor
{
    /// <summary>The most entries of one page.</summary>
    public const int LimitMax = 100;

    /// <summary>The entries of a page when the request does not say.</summary>
    public const int LimitDefault = 23;

    /// <summary>Reads <c>limit</c>.</summary>
    public static int Limit(QueryParameters query) => (int)(query.Whole("limit", 1, LimitMax) ?? LimitDefault);

    /// <summary>Where a range starts that leaves out one key and all before it: keys hold nothing that sorts before a space.</summary>
    public static string After(string key) => key + ' ';
}
