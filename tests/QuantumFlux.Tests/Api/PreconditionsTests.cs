using System.Globalization;
using System.Net;

namespace QuantumFlux.Tests.Api;

/// <summary>Conditions on an object: RFC 9110, sections 13.1 and 13.2. If-Match compares strongly, If-None-Match weakly.</summary>
public sealed class PreconditionsTests
{
    private const string Id = "conditional";

    /// <summary>A condition, then the status of a read, a write and a deletion of an object that is there, and of a write of one that is not.</summary>
    private static readonly (string? Header, string Value, int Read, int Write, int Delete, int Create)[] _matrix =
    [
        (null, "", 200, 200, 200, 201),
        ("If-Match", "{etag}", 200, 200, 200, 412),
        ("If-Match", "\"other\"", 412, 412, 412, 412),
        ("If-Match", "*", 200, 200, 200, 412),
        ("If-Match", "W/{etag}", 412, 412, 412, 412),
        ("If-Match", "\"other\", {etag}", 200, 200, 200, 412),
        ("If-Match", "other", 400, 400, 400, 400),
        ("If-Match", "{etag}, other", 400, 400, 400, 400),
        ("If-Match", "\"unclosed", 400, 400, 400, 400),
        ("If-Match", "", 400, 400, 400, 400),
        ("If-None-Match", "{etag}", 304, 412, 412, 201),
        ("If-None-Match", "\"other\"", 200, 200, 200, 201),
        ("If-None-Match", "*", 304, 412, 412, 201),
        ("If-None-Match", "W/{etag}", 304, 412, 412, 201),
        ("If-None-Match", "\"other\", {etag}", 304, 412, 412, 201),
        ("If-None-Match", "other", 400, 400, 400, 400),
        ("If-None-Match", "\"other\", other", 400, 400, 400, 400),
        ("If-None-Match", "\"unclosed", 400, 400, 400, 400),
    ];

    public static TheoryData<string, bool, string?, string, int> Cases()
    {
        var cases = new TheoryData<string, bool, string?, string, int>();
        foreach (var (header, value, read, write, delete, create) in _matrix)
        {
            cases.Add("GET", true, header, value, read);
            cases.Add("HEAD", true, header, value, read);
            cases.Add("PUT", true, header, value, write);
            cases.Add("DELETE", true, header, value, delete);
            cases.Add("PUT", false, header, value, create);

            // Nothing is there to be conditional about.
            cases.Add("GET", false, header, value, 404);
            cases.Add("HEAD", false, header, value, 404);
            cases.Add("DELETE", false, header, value, 404);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task AConditionDecides(string method, bool exists, string? header, string value, int status)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var etag = "\"0123456789abcdef0123456789abcdef\"";
        if (exists)
        {
            etag = (await client.PutObjectAsync(Id, "old")).Header("ETag")!;
        }

        var answer = await client.SendAsync(
            new HttpMethod(method),
            $"/v3/quantum/objects/{Id}",
            method == "PUT" ? new StringContent("new") : null,
            header is null ? [] : [(header, value.Replace("{etag}", etag, StringComparison.Ordinal))]);

        answer.Expect((HttpStatusCode)status);
        if (status is 400 or 412)
        {
            Assert.Equal(status == 400 ? "INVALID_PARAMETERS" : "PRECONDITION_FAILED", answer.Header("X-Error-Code"));
            if (method != "HEAD")
            {
                Assert.Equal(header, Assert.Single(answer.Details.EnumerateObject()).Name);
            }
        }

        var isWritten = method == "PUT" && status is 200 or 201;
        var isGone = method == "DELETE" ? status is 200 or 404 : !exists && !isWritten;
        var after = await client.GetObjectAsync(Id);
        Assert.Equal((isGone, isWritten ? "new" : "old"), (after.Status == HttpStatusCode.NotFound, isGone ? "old" : after.Text));
    }

    [Theory]
    [InlineData("If-Modified-Since", 0, 304)]
    [InlineData("If-Modified-Since", 60, 304)]
    [InlineData("If-Modified-Since", -60, 200)]
    [InlineData("If-Unmodified-Since", 0, 200)]
    [InlineData("If-Unmodified-Since", 60, 200)]
    [InlineData("If-Unmodified-Since", -60, 412)]
    public async Task ADateIsComparedWithTheLastWrite(string header, int seconds, int status)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var written = DateTimeOffset.Parse((await GetWrittenAsync(client)).Header("Last-Modified")!, CultureInfo.InvariantCulture);

        var answer = await client.GetObjectAsync(Id, (header, written.AddSeconds(seconds).ToString("R", CultureInfo.InvariantCulture)));

        answer.Expect((HttpStatusCode)status);
    }

    [Theory]
    [InlineData("If-Modified-Since")]
    [InlineData("If-Unmodified-Since")]
    public async Task ADateThatIsNoneIsIgnored(string header)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        await GetWrittenAsync(client);

        (await client.GetObjectAsync(Id, (header, "yesterday"))).Expect(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("If-Match", "If-Unmodified-Since", -60, 200)]
    [InlineData("If-None-Match", "If-Modified-Since", -60, 304)]
    public async Task ATagCountsBeforeADate(string tagHeader, string dateHeader, int seconds, int status)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var current = await GetWrittenAsync(client);
        var date = DateTimeOffset.Parse(current.Header("Last-Modified")!, CultureInfo.InvariantCulture).AddSeconds(seconds);

        var answer = await client.GetObjectAsync(
            Id, (tagHeader, current.Header("ETag")!), (dateHeader, date.ToString("R", CultureInfo.InvariantCulture)));

        answer.Expect((HttpStatusCode)status);
    }

    private static async Task<Answer> GetWrittenAsync(TestClient client)
    {
        await client.PutObjectAsync(Id, "content");
        return (await client.GetObjectAsync(Id)).Expect(HttpStatusCode.OK);
    }
}
