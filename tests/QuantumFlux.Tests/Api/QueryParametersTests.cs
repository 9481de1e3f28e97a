using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class QueryParametersTests
{
    [Fact]
    public void EveryFaultIsToldAtOnce()
    {
        var query = Query("?limit=0&sort=up&at=now&wrong=1&status=a&status=b");
        query.Whole("limit", 1, 100);
        query.Choice("sort", "a", "b");
        query.Moment("at");
        query.Choice("status", "a", "b");

        var error = Assert.Throws<ApiException>(query.ThrowIfInvalid);

        Assert.Equal((400, "INVALID_PARAMETERS"), (error.Status, error.Code));
        Assert.Equal(["at", "limit", "sort", "status", "wrong"], error.Details.Keys.Order());
        Assert.Equal("must be a whole number from 1 to 100", error.Details["limit"]);
        Assert.Equal("must be one of: a, b", error.Details["sort"]);
        Assert.Equal(Moments.Expected, error.Details["at"]);
        Assert.Equal("must be given once", error.Details["status"]);
        Assert.Equal("is not a parameter of this request", error.Details["wrong"]);
    }

    [Fact]
    public void WhatIsAbsentIsNoFault()
    {
        var query = Query("");

        Assert.Null(query.Whole("limit", 1, 100));
        Assert.Null(query.Number("strength", 0, 1));
        Assert.Null(query.Moment("at"));
        Assert.Null(query.Choice("sort", "a"));
        Assert.True(query.Flag("graceful", absent: true));
        query.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("100", 100)]
    [InlineData("007", 7)]
    [InlineData("0", null)]
    [InlineData("101", null)]
    [InlineData("", null)]
    [InlineData("-1", null)]
    [InlineData("%2B1", null)]
    [InlineData("%201", null)]
    [InlineData("1.0", null)]
    [InlineData("1e1", null)]
    [InlineData("1,0", null)]
    [InlineData("0x1", null)]
    [InlineData("%EF%BC%91", null)]
    [InlineData("9223372036854775808", null)]
    [InlineData("1%00", null)]
    public void AWholeNumberIsPlainDigitsInItsRange(string text, int? expected)
    {
        var query = Query($"?limit={text}");

        Assert.Equal(expected, query.Whole("limit", 1, 100));
        Assert.Equal(expected is null, IsAtFault(query));
    }

    [Theory]
    [InlineData("0", 0.0)]
    [InlineData("1", 1.0)]
    [InlineData("0.47", 0.47)]
    [InlineData("47e-2", 0.47)]
    [InlineData(".5", 0.5)]
    [InlineData("1.0000001", null)]
    [InlineData("-0.1", null)]
    [InlineData("NaN", null)]
    [InlineData("Infinity", null)]
    [InlineData("1e999", null)]
    [InlineData("0,5", null)]
    [InlineData("", null)]
    [InlineData("%D9%A0", null)]
    public void ANumberLiesInItsRange(string text, double? expected)
    {
        var query = Query($"?min_strength={text}");

        Assert.Equal(expected, query.Number("min_strength", 0, 1));
        Assert.Equal(expected is null, IsAtFault(query));
    }

    [Theory]
    [InlineData("true", true, false)]
    [InlineData("false", false, false)]
    [InlineData("True", true, true)]
    [InlineData("1", true, true)]
    [InlineData("", true, true)]
    public void AFlagIsTrueOrFalseInThoseLetters(string text, bool expected, bool isAtFault)
    {
        var query = Query($"?graceful={text}");

        Assert.Equal(expected, query.Flag("graceful", absent: true));
        Assert.Equal(isAtFault, IsAtFault(query));
    }

    [Theory]
    [InlineData("?Limit=5")]
    [InlineData("?limit[]=5")]
    [InlineData("?=5")]
    [InlineData("?%00=5")]
    public void ANameThatIsAlmostRightIsUnknown(string text)
    {
        var query = Query(text);
        query.Whole("limit", 1, 100);

        Assert.True(IsAtFault(query), JsonSerializer.Serialize(text));
    }

    private static QueryParameters Query(string text) => new(new DefaultHttpContext { Request = { QueryString = new QueryString(text) } }.Request);

    private static bool IsAtFault(QueryParameters query) => Record.Exception(query.ThrowIfInvalid) is ApiException;
}
