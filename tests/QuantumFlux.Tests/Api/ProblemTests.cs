using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Primitives;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class ProblemTests
{
    private const string Type = "application/problem+json";
    private const int RequestsCount = 2_000;
    private const int RequestsAtOnce = 16;

    private static readonly string[] _sharedFacts = ["code", "retry_after", "window_reset", "documentation", "details"];

    [Theory]
    [InlineData(true, "application/problem+json")]
    [InlineData(true, "APPLICATION/Problem+JSON; charset=utf-8")]
    [InlineData(true, "application/problem+json, application/json")]
    [InlineData(true, "application/json;q=0.5, application/problem+json;q=0.5")]
    [InlineData(true, "text/html, application/problem+json;q=0.001")]
    [InlineData(true, "application/json;q=0, application/problem+json;q=0.1")]
    [InlineData(true, "application/json;q=0.9", "application/problem+json")]
    [InlineData(true, "nonsense,,;q=1, application/problem+json")]
    [InlineData(true, "application/problem+json;q=0.2, application/problem+json;q=0.8, application/json;q=0.5")]
    [InlineData(true, "application/json;q=x, application/problem+json;q=0.1")]
    [InlineData(true, "*/*;q=1, application/problem+json;q=0.1")]
    [InlineData(false)]
    [InlineData(false, "")]
    [InlineData(false, "*/*")]
    [InlineData(false, "application/*")]
    [InlineData(false, "application/json")]
    [InlineData(false, "application/problem+json;q=0")]
    [InlineData(false, "application/problem+json;q=0.000, */*")]
    [InlineData(false, "application/problem+json;q=0.4, application/json;q=0.5")]
    [InlineData(false, "application/problem+json;q=2")]
    [InlineData(false, "application/problem+json;q=")]
    [InlineData(false, "application/problem+json;q=-1")]
    [InlineData(false, "application/problem+json;q=x")]
    [InlineData(false, "application/problem+xml")]
    [InlineData(false, "application/problem+json\"")]
    [InlineData(false, "application/problem")]
    public void ProblemDetailsGoToWhoNamesThemNoLessWillinglyThanJson(bool isPreferred, params string[] accept) =>
        Assert.Equal(isPreferred, Problem.IsPreferred(new StringValues(accept)));

    [Fact]
    public void A429CarriesWhatTheSpecificationPrintsAndTheViolatedPolicies()
    {
        var reset = new DateTimeOffset(2024, 11, 19, 15, 47, 23, 470, TimeSpan.Zero);
        var error = ApiException.RateLimitExceeded("Rate limit of 500 requests per hour exceeded", ["hour"], TimeSpan.FromSeconds(2346.2), reset);

        var envelope = Render(error, "").GetProperty("error");
        var problem = Render(error, Type);

        Assert.Equal(2347, envelope.GetProperty("retry_after").GetInt64());
        Assert.Equal("2024-11-19T15:47:23.470Z", envelope.GetProperty("window_reset").GetString());
        Assert.Equal("https://docs.quantumflux.example/rate-limits", envelope.GetProperty("documentation").GetString());
        Assert.False(envelope.TryGetProperty("violated-policies", out _));
        Assert.Equal("https://iana.org/assignments/http-problem-types#quota-exceeded", problem.GetProperty("type").GetString());
        Assert.Equal("Rate limit exceeded", problem.GetProperty("title").GetString());
        Assert.Equal("""["hour"]""", problem.GetProperty("violated-policies").GetRawText());
        Assert.Null(DifferenceOf(envelope, problem));
    }

    [Fact]
    public void OnlyA429SaysInItsBodyWhenToTryAgain()
    {
        var error = ApiException.Unavailable();

        Assert.False(Render(error, "").GetProperty("error").TryGetProperty("retry_after", out _));
        Assert.False(Render(error, Type).TryGetProperty("retry_after", out _));
        Assert.False(Render(error, Type).TryGetProperty("window_reset", out _));
        Assert.False(Render(error, Type).TryGetProperty("violated-policies", out _));
    }

    [Theory]
    [InlineData("GET", "/api/v3/quantum/objects", false, 401, "AUTHENTICATION_REQUIRED")]
    [InlineData("GET", "/nothing", false, 404, "RESOURCE_NOT_FOUND")]
    [InlineData("GET", "/api/v3/quantum/objects/nothing", true, 404, "RESOURCE_NOT_FOUND")]
    [InlineData("PATCH", "/api/v3/quantum/entangle", true, 405, "METHOD_NOT_ALLOWED")]
    [InlineData("POST", "/api/v3/auth/keys", true, 413, "PAYLOAD_TOO_LARGE")]
    public async Task EveryKindOfRefusalComesAsProblemDetails(string method, string path, bool hasKey, int status, string code)
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.TryAddWithoutValidation("Accept", Type);
        if (hasKey)
        {
            request.Headers.TryAddWithoutValidation("QFlux-Token", $"Bearer {client.Key}");
        }

        if (method == "POST")
        {
            request.Content = new ByteArrayContent(new byte[JsonBody.BytesMaxDefault + 1]);
        }

        using var response = await client.Http.SendAsync(request);

        var problem = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync()).RootElement;
        Assert.Equal((status, code), ((int)response.StatusCode, problem.GetProperty("code").GetString()));
        Assert.Equal(Type, response.Content.Headers.ContentType?.ToString());
        Assert.Contains("Accept", response.Headers.Vary);
        Assert.Equal(
            ["type", "title", "status", "detail", "instance", "code", "timestamp", "request_id", "documentation", "details"],
            problem.EnumerateObject().Select(member => member.Name));
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.Equal(problem.GetProperty("documentation").GetString(), problem.GetProperty("type").GetString());
        Assert.Equal(
            problem.GetProperty("request_id").GetString()!["req_".Length..],
            problem.GetProperty("instance").GetString()!["urn:uuid:".Length..].Replace("-", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ASuccessIsTheSameWhateverErrorsAreWanted()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var answer = (await client.GetAsync("/api/v3/quantum/objects", ("Accept", Type))).Expect(HttpStatusCode.OK);

        Assert.Equal("application/json; charset=utf-8", answer.Header("Content-Type"));
        Assert.Null(answer.Header("Vary"));
    }

    [Fact]
    public async Task WhatTheServerItselfRefusesComesAsProblemDetailsWhenItHasReadTheWish()
    {
        var app = await TestApp.SharedAsync;

        var answer = await RawHttp.SendAsync(app.Address, $"GET / HTTP/1.1\r\nHost: a\r\nAccept: {Type}\r\nA B: c\r\n\r\n");

        Assert.Equal((400, Type, "Accept"), (answer.Status, answer.Header("content-type"), answer.Header("vary")));
        Assert.Equal("INVALID_PARAMETERS", JsonDocument.Parse(answer.Body).RootElement.GetProperty("code").GetString());
    }

    [Fact]
    public async Task BothRenderingsOfAnyErrorCarryTheSameFacts()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        await using var app = await TestApp.StartAsync(new ManualTime(), settings: TestApp.Unlimited); // Some facts are moments.
        var client = await app.TenantAsync();
        var requests = new MalformedRequests(client.Key, "a", await client.EntangledAsync("a", "b"));
        var suspects = new ConcurrentBag<int>();
        var failed = 0;

        await Parallel.ForAsync(0, RequestsCount, new ParallelOptions { MaxDegreeOfParallelism = RequestsAtOnce }, async (index, _) =>
        {
            if (await CompareAsync(index) is not null)
            {
                suspects.Add(index);
            }
        });

        // Others may have changed what the first rendering was about before the second was asked for: alone, there are no others.
        foreach (var index in suspects)
        {
            var difference = await CompareAsync(index);
            Assert.True(difference is null, $"QUANTUMFLUX_SEED={seed}, request {index}: {difference}");
        }

        Assert.True(failed > RequestsCount / 4, $"only {failed} requests failed");

        async Task<string?> CompareAsync(int index)
        {
            var request = Encoding.Latin1.GetString(requests.Unmutated(new Random(unchecked((seed * 7919) + index))));
            var isHead = request.StartsWith("HEAD ", StringComparison.Ordinal);
            var first = request.IndexOf("\r\n", StringComparison.Ordinal) + 2;
            var plain = await RawHttp.SendAsync(app.Address, request);
            var wished = await RawHttp.SendAsync(app.Address, request.Insert(first, $"Accept: {Type}\r\n"));

            // A repeated request with an Idempotency-Key gets the first answer to the byte, however it was rendered.
            if (plain.Status < 400 || wished.Status < 400 || wished.Header("idempotent-replayed") is not null)
            {
                return null;
            }

            Interlocked.Increment(ref failed);
            return (plain.Status, plain.Header("x-error-code")) != (wished.Status, wished.Header("x-error-code"))
                ? $"{plain.Status} {plain.Text} became {wished.Status} {wished.Text}"
                : isHead ? null : DifferenceOf(plain, wished) is { } difference ? $"{difference}\n{plain.Text}\n{wished.Text}" : null;
        }
    }

    private static string? DifferenceOf(RawAnswer plain, RawAnswer wished)
    {
        var problem = JsonDocument.Parse(wished.Body).RootElement;

        // Of a request line that is none, the server reads no headers, and so no wish.
        if (wished.Header("content-type") != Type)
        {
            return wished.Header("connection") == "close" ? null : "no problem details";
        }

        return wished.Header("x-error-code") != problem.GetProperty("code").GetString() ? "the header's code is another"
            : wished.Header("x-request-id") != problem.GetProperty("request_id").GetString() ? "the header's request id is another"
            : problem.GetProperty("status").GetInt32() != wished.Status ? "the status is another"
            : DifferenceOf(plain.Error, problem);
    }

    private static string? DifferenceOf(JsonElement envelope, JsonElement problem) =>
        envelope.GetProperty("message").GetString() != problem.GetProperty("detail").GetString() ? "detail is not the message"
        : _sharedFacts.FirstOrDefault(name => TextOf(envelope, name) != TextOf(problem, name)) is { } name ? $"{name} differs"
        : null;

    private static string? TextOf(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetRawText() : null;

    private static JsonElement Render(ApiException error, string accept)
    {
        var now = new DateTimeOffset(2024, 11, 19, 15, 0, 0, TimeSpan.Zero);
        var (body, _) = ErrorResult.Body(error, Ids.New("req_", now), now, accept);
        return JsonSerializer.SerializeToElement(body, QuantumFlux.Api.Json.Options);
    }
}
