using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class PagingTests
{
    [Theory]
    [InlineData(0, 23, 0)]
    [InlineData(1, 23, 1)]
    [InlineData(23, 23, 1)]
    [InlineData(24, 23, 2)]
    [InlineData(46, 23, 2)]
    [InlineData(100, 1, 100)]
    [InlineData(1, 100, 1)]
    public void ThereAreAsManyPagesAsTheEntriesFill(int totalCount, int perPage, int totalPages)
    {
        Assert.Equal(new Pagination(1, perPage, totalPages, totalCount), Pagination.Of(1, perPage, totalCount));
    }

    [Theory]
    [InlineData("a", "a-")]
    [InlineData("a", "a0")]
    [InlineData("a", "a.b")]
    [InlineData("a", "a~")]
    [InlineData("a", "aa")]
    [InlineData("a", "b")]
    public void APageThatStartsAfterAKeyLeavesOutThatKeyAndNoLaterOne(string key, string later)
    {
        var start = Cursor.After(key);

        Assert.True(string.CompareOrdinal(key, start) < 0);
        Assert.True(string.CompareOrdinal(start, later) < 0);
    }
}
