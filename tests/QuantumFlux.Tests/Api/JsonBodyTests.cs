using System.Text;
using Microsoft.AspNetCore.Http;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class JsonBodyTests
{
    [Fact]
    public async Task EveryFaultIsToldAtOnceByItsPath()
    {
        var body = await ReadAsync("""{"name":1,"strength":2,"flag":"yes","ids":[1,1],"inner":{"flag":0,"more":1},"more":1}""");
        body.RequiredText("name", _ => null);
        body.RequiredText("id", _ => null);
        body.RequiredNumber("strength", 0, 1);
        body.Flag("flag", false);
        body.Integers("ids", 1, 7, 7);
        body.Object("inner").Flag("flag", false);

        var error = Assert.Throws<ApiException>(body.ThrowIfInvalid);

        Assert.Equal(400, error.Status);
        Assert.Equal(["flag", "id", "ids", "inner.flag", "inner.more", "more", "name", "strength"], error.Details.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("is required", error.Details["id"]);
        Assert.Equal("must be a number from 0.0 to 1.0", error.Details["strength"]);
        Assert.Equal("is not a parameter of this request", error.Details["inner.more"]);
    }

    [Fact]
    public async Task NullCountsAsAbsent()
    {
        var body = await ReadAsync("""{"text":null,"flag":null,"ids":null,"texts":null,"inner":null}""");

        Assert.Null(body.OptionalText("text", _ => "is wrong"));
        Assert.True(body.Flag("flag", absent: true));
        Assert.Null(body.Integers("ids", 1, 7, 7));
        Assert.Null(body.Texts("texts", 7, _ => "is wrong"));
        Assert.Null(body.Object("inner").OptionalText("text", _ => null));
        body.ThrowIfInvalid();
    }

    [Theory]
    [InlineData("", "is required: a JSON object")]
    [InlineData("null", "must be a JSON object")]
    [InlineData("[]", "must be a JSON object")]
    [InlineData("1", "must be a JSON object")]
    [InlineData("\"{}\"", "must be a JSON object")]
    [InlineData("{", "is not valid JSON near line 1, byte 1")]
    [InlineData("{\"a\":1,}", "is not valid JSON near line 1, byte 7")]
    [InlineData("{}{}", "is not valid JSON near line 1, byte 2")]
    [InlineData("{\n\"a\":01}", "is not valid JSON near line 2, byte 5")]
    [InlineData("{\"a\":NaN}", "is not valid JSON near line 1, byte 5")]
    [InlineData("// {}", "is not valid JSON near line 1, byte 0")]
    [InlineData("\uFEFF{}", "is not valid JSON near line 1, byte 0")]
    [InlineData("{\"a\\ud800\":1}", "holds a member name that is not valid Unicode")]
    public async Task WhatIsNoJsonObjectIsSaidSo(string text, string reason)
    {
        var error = await Assert.ThrowsAsync<ApiException>(() => ReadAsync(text));

        Assert.Equal((400, "INVALID_PARAMETERS"), (error.Status, error.Code));
        Assert.Equal(reason, error.Details["body"]);
    }

    [Theory]
    [InlineData("""{"a":1,"a":2}""")]
    [InlineData("""{"a":1,"\u0061":2}""")]
    [InlineData("""{"inner":{"a":1,"a":1}}""")]
    public async Task AMemberGivenTwiceIsRefused(string text)
    {
        var error = await Assert.ThrowsAsync<ApiException>(() => ReadAsync(text));

        Assert.Equal(400, error.Status);
        Assert.Equal("holds a member twice", error.Details["body"]);
    }

    [Fact]
    public async Task BytesThatAreNotUtf8AreRefused()
    {
        byte[][] bodies = [[.. "{\"a\":\""u8, 0xFF, .. "\"}"u8], [.. "{\"a\":\""u8, 0xED, 0xA0, 0x80, .. "\"}"u8], [0xFF, 0xFE, .. Encoding.Unicode.GetBytes("{}")]];
        foreach (var body in bodies)
        {
            var error = await Assert.ThrowsAsync<ApiException>(() => ReadAsync(body));

            Assert.Equal("is not valid UTF-8", error.Details["body"]);
        }
    }

    [Fact]
    public async Task ALoneSurrogateIsNoText()
    {
        var body = await ReadAsync("""{"a":"\ud800","b":["\udc00"]}""");
        body.OptionalText("a", _ => null);
        body.Texts("b", 7, _ => null);

        Assert.Equal(["a", "b"], Assert.Throws<ApiException>(body.ThrowIfInvalid).Details.Keys);
    }

    [Theory]
    [InlineData(63, true)]
    [InlineData(64, false)]
    [InlineData(30_000, false)]
    public async Task NestingEndsAt64Levels(int arrays, bool isRead)
    {
        var text = $"{{\"a\":{new string('[', arrays)}{new string(']', arrays)}}}";

        Assert.Equal(isRead, await Record.ExceptionAsync(() => ReadAsync(text)) is null);
    }

    [Theory]
    [InlineData("0", 0.0)]
    [InlineData("1", 1.0)]
    [InlineData("-0", -0.0)]
    [InlineData("5e-1", 0.5)]
    [InlineData("1e-400", 0.0)]
    [InlineData("1.0000001", null)]
    [InlineData("-1e-9", null)]
    [InlineData("1e400", null)]
    [InlineData("99999999999999999999999999999999999999999", null)]
    [InlineData("\"0.5\"", null)]
    [InlineData("true", null)]
    [InlineData("[0.5]", null)]
    public async Task ANumberLiesInItsRange(string text, double? expected)
    {
        var body = await ReadAsync($"{{\"a\":{text}}}");

        Assert.Equal(expected ?? double.NaN, body.RequiredNumber("a", 0, 1));
        Assert.Equal(expected is null, Record.Exception(body.ThrowIfInvalid) is ApiException);
    }

    [Theory]
    [InlineData("[1,3,7]", true)]
    [InlineData("[7]", true)]
    [InlineData("[]", false)]
    [InlineData("[0]", false)]
    [InlineData("[8]", false)]
    [InlineData("[1,1]", false)]
    [InlineData("[1.0]", false)]
    [InlineData("[1e0]", false)]
    [InlineData("[\"1\"]", false)]
    [InlineData("[null]", false)]
    [InlineData("[99999999999]", false)]
    [InlineData("[1,2,3,4,5,6,7,1]", false)]
    [InlineData("1", false)]
    [InlineData("{}", false)]
    public async Task AListOfWholeNumbersHasNoRepeatsAndLiesInItsRange(string text, bool isValid)
    {
        var body = await ReadAsync($"{{\"a\":{text}}}");

        Assert.Equal(isValid, body.Integers("a", 1, 7, 7) is not null);
        Assert.Equal(!isValid, Record.Exception(body.ThrowIfInvalid) is ApiException);
    }

    [Theory]
    [InlineData("application/json", null)]
    [InlineData("APPLICATION/JSON", null)]
    [InlineData("application/json; charset=utf-8", null)]
    [InlineData("application/json; charset=\"UTF-8\"", null)]
    [InlineData("application/json; version=1", null)]
    [InlineData("application/vnd.quantumflux+json", null)]
    [InlineData(null, "must be application/json")]
    [InlineData("text/plain", "must be application/json")]
    [InlineData("application/jsonx", "must be application/json")]
    [InlineData("json", "must be application/json")]
    [InlineData("application/json, text/plain", "must be application/json")]
    [InlineData("application/json; charset=utf-16", "must have no charset but utf-8")]
    [InlineData("application/json; charset=iso-8859-1", "must have no charset but utf-8")]
    public async Task OnlyJsonInUtf8IsRead(string? contentType, string? reason)
    {
        var error = await Record.ExceptionAsync(() => ReadAsync("{}"u8.ToArray(), request => request.ContentType = contentType));

        Assert.Equal(reason, (error as ApiException)?.Details["Content-Type"]);
        Assert.Equal(reason is null ? null : 415, (error as ApiException)?.Status);
    }

    [Fact]
    public async Task AnEncodedBodyIsRefused()
    {
        var error = await Assert.ThrowsAsync<ApiException>(() => ReadAsync("{}"u8.ToArray(), request => request.Headers.ContentEncoding = "gzip"));

        Assert.Equal((415, "is not supported"), (error.Status, error.Details["Content-Encoding"]));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(1, false)]
    public async Task ABodyBeyondTheLimitIsRefusedWithAndWithoutALength(int more, bool hasLength)
    {
        var text = $"{{\"a\":\"{new string('a', JsonBody.BytesMaxDefault - 8 + more)}\"}}";

        var error = await Record.ExceptionAsync(() => ReadAsync(
            Encoding.UTF8.GetBytes(text), request => request.ContentLength = hasLength ? text.Length : null));

        Assert.Equal(more == 0 ? null : 413, (error as ApiException)?.Status);
    }

    [Fact]
    public async Task ABodyThatNeedNotBeThereReadsAsEmpty()
    {
        var body = await ReadAsync([], request => request.ContentType = null, isRequired: false);

        Assert.Equal("default", body.Choice("a", "default", "b"));
        body.ThrowIfInvalid();
    }

    [Fact]
    public async Task AParameterInTheQueryIsAFaultBesideTheBodys()
    {
        var body = await ReadAsync("{\"b\":1}"u8.ToArray(), request => request.QueryString = new QueryString("?a=1"));

        Assert.Equal(["a", "b"], Assert.Throws<ApiException>(body.ThrowIfInvalid).Details.Keys.Order());
    }

    private static Task<JsonBody> ReadAsync(string text) => ReadAsync(Encoding.UTF8.GetBytes(text));

    private static Task<JsonBody> ReadAsync(byte[] bytes, Action<HttpRequest>? configure = null, bool isRequired = true)
    {
        var request = new DefaultHttpContext().Request;
        request.ContentType = "application/json";
        request.ContentLength = bytes.Length;
        request.Body = new MemoryStream(bytes);
        configure?.Invoke(request);
        return JsonBody.ReadAsync(request, isRequired, CancellationToken.None);
    }
}
