using System.Globalization;
using System.Net;

namespace QuantumFlux.Tests.Api;

/// <summary>Byte ranges of content: RFC 9110, section 14.</summary>
public sealed class RangeTests
{
    private const string Content = "0123456789";

    [Theory]
    [InlineData("bytes=0-0", 0, 0)]
    [InlineData("bytes=2-5", 2, 5)]
    [InlineData("bytes=9-9", 9, 9)]
    [InlineData("bytes=0-9", 0, 9)]
    [InlineData("bytes=5-", 5, 9)]
    [InlineData("bytes=-3", 7, 9)]
    [InlineData("bytes=-10", 0, 9)]
    [InlineData("bytes=-100", 0, 9)]
    [InlineData("bytes=8-100", 8, 9)]
    [InlineData("bytes=8-9223372036854775807", 8, 9)]
    [InlineData("BYTES=2-5", 2, 5)]
    public async Task ARangeIsAnsweredAlone(string range, int first, int last)
    {
        var answer = await GetAsync(Content, ("Range", range));

        answer.Expect(HttpStatusCode.PartialContent);
        Assert.Equal(Content[first..(last + 1)], answer.Text);
        Assert.Equal($"bytes {first}-{last}/10", answer.Header("Content-Range"));
        Assert.Equal((last - first + 1).ToString(CultureInfo.InvariantCulture), answer.Header("Content-Length"));
    }

    [Theory]
    [InlineData("bytes=0-1,3-4")]
    [InlineData("bytes=5-2")]
    [InlineData("bytes=-")]
    [InlineData("bytes=a-b")]
    [InlineData("bytes=0-99999999999999999999999")]
    [InlineData("items=0-1")]
    [InlineData("0-1")]
    public async Task WhatIsNoSingleRangeIsIgnored(string range)
    {
        var answer = await GetAsync(Content, ("Range", range));

        answer.Expect(HttpStatusCode.OK);
        Assert.Equal(Content, answer.Text);
        Assert.Null(answer.Header("Content-Range"));
    }

    [Theory]
    [InlineData(Content, "bytes=10-")]
    [InlineData(Content, "bytes=10-20")]
    [InlineData(Content, "bytes=-0")]
    [InlineData(Content, "bytes=9223372036854775807-")]
    [InlineData("", "bytes=0-")]
    [InlineData("", "bytes=0-0")]
    [InlineData("", "bytes=-1")]
    public async Task ARangeOutsideTheContentIsRefused(string content, string range)
    {
        var answer = await GetAsync(content, ("Range", range));

        answer.ExpectError(HttpStatusCode.RequestedRangeNotSatisfiable, "RANGE_NOT_SATISFIABLE");
        Assert.Equal(content.Length, answer.Details.GetProperty("size_bytes").GetInt32());
        Assert.Equal($"bytes */{content.Length}", answer.Header("Content-Range"));
    }

    [Theory]
    [InlineData("{etag}", true)]
    [InlineData("{date}", true)]
    [InlineData("\"other\"", false)]
    [InlineData("W/{etag}", false)]
    [InlineData("Wed, 21 Oct 2015 07:28:00 GMT", false)]
    [InlineData("Fri, 21 Oct 2095 07:28:00 GMT", false)]
    [InlineData("neither", false)]
    [InlineData("{etag}, {etag}", false)]
    public async Task IfRangeSendsTheRangeOnlyOfTheSameContent(string condition, bool isHeld)
    {
        var client = await ClientAsync(Content);
        var current = await client.GetObjectAsync("a");
        var value = condition
            .Replace("{etag}", current.Header("ETag"), StringComparison.Ordinal)
            .Replace("{date}", current.Header("Last-Modified"), StringComparison.Ordinal);

        var answer = await client.GetObjectAsync("a", ("Range", "bytes=2-5"), ("If-Range", value));

        answer.Expect(isHeld ? HttpStatusCode.PartialContent : HttpStatusCode.OK);
        Assert.Equal(isHeld ? "2345" : Content, answer.Text);
    }

    [Fact]
    public async Task HeadIgnoresARange()
    {
        var client = await ClientAsync(Content);

        var answer = await client.SendAsync(HttpMethod.Head, "/v3/quantum/objects/a", null, ("Range", "bytes=2-5"));

        answer.Expect(HttpStatusCode.OK);
        Assert.Equal("10", answer.Header("Content-Length"));
    }

    private static async Task<Answer> GetAsync(string content, params (string Name, string Value)[] headers) =>
        await (await ClientAsync(content)).GetObjectAsync("a", headers);

    private static async Task<TestClient> ClientAsync(string content)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await client.PutObjectAsync("a", content);
        return client;
    }
}
