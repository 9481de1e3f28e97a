using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests.Api;

public sealed class MalformedRequestTests
{
    private const int RequestsCount = 10_000;
    private const int RequestsAtOnce = 24;

    // Far more than any answer takes; only a request that hangs meets it.
    private static readonly TimeSpan _answerMax = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task EveryMalformedRequestGetsItsErrorInTheEnvelope()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        await using var app = await TestApp.StartAsync(settings: TestApp.Unlimited, configure: Impatient);
        var client = await app.TenantAsync();
        var requests = new MalformedRequests(client.Key, "a", await client.EntangledAsync("a", "b"));
        (await client.WriteAsync("a", "[1,2]")).Expect(HttpStatusCode.Created);
        var failures = new ConcurrentDictionary<string, string>();

        await Parallel.ForAsync(0, RequestsCount, new ParallelOptions { MaxDegreeOfParallelism = RequestsAtOnce }, async (index, _) =>
        {
            var request = requests.Make(new Random(unchecked((seed * 7919) + index)));
            if (await FaultOfAsync(app, request) is { } fault)
            {
                // One example of each kind is enough to read.
                failures.TryAdd(fault[..Math.Min(fault.Length, 40)], $"request {index}: {fault}\n{Show(request)}");
            }
        });

        Assert.True(failures.IsEmpty, $"QUANTUMFLUX_SEED={seed}\n\n{string.Join("\n\n", failures.Values)}");
    }

    [Theory]
    [InlineData("half a request line", "GET /\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a request line without a version", "GET /v3\r\nHost: a\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a version that is none", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505, "HTTP_VERSION_NOT_SUPPORTED")]
    [InlineData("no host", "GET / HTTP/1.1\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a space in a header's name", "GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a path with a zero", "GET /v3/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a length that is none", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a coding that does not end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "INVALID_PARAMETERS")]
    [InlineData("a server-wide method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 405, "METHOD_NOT_ALLOWED")]
    public async Task WhatTheServerItselfRefusesGetsTheEnvelope(string what, string request, int status, string code)
    {
        var app = await TestApp.SharedAsync;

        var answer = await RawHttp.SendAsync(app.Address, request);

        Assert.True(status == answer.Status, what);
        Assert.Equal(code, answer.Header("x-error-code"));
        Assert.Null(EnvelopeFault(answer, isHead: false));
        Assert.Equal("close", answer.Header("connection"));
    }

    [Theory]
    [InlineData(20_000, 10, 414, "URI_TOO_LONG")]
    [InlineData(10, 90_000, 431, "REQUEST_HEADERS_TOO_LARGE")]
    public async Task ARequestLineOrHeadersBeyondTheLimitGetTheEnvelope(int pathLength, int headerLength, int status, string code)
    {
        var app = await TestApp.SharedAsync;

        var answer = await RawHttp.SendAsync(
            app.Address, $"GET /{new string('a', pathLength)} HTTP/1.1\r\nHost: a\r\nX: {new string('b', headerLength)}\r\n\r\n");

        Assert.Equal((status, code), (answer.Status, answer.Header("x-error-code")));
        Assert.Null(EnvelopeFault(answer, isHead: false));
    }

    [Fact]
    public async Task HeadersThatNeverEndGetTheEnvelope()
    {
        await using var app = await TestApp.StartAsync(settings: TestApp.Unlimited, configure: Impatient);

        var answer = await RawHttp.SendAsync(app.Address, "GET / HTTP/1.1\r\nHost: a\r\n");

        Assert.Equal((408, "REQUEST_TIMEOUT"), (answer.Status, answer.Header("x-error-code")));
        Assert.Null(EnvelopeFault(answer, isHead: false));
    }

    [Theory]
    [InlineData("Content-Length: 9", "{}", 408)]
    [InlineData("Transfer-Encoding: chunked", "nonsense\r\n", 400)]
    public async Task ABodyThatIsNotWhatItsHeadersSayGetsTheEnvelope(string header, string body, int status)
    {
        await using var app = await TestApp.StartAsync(settings: TestApp.Unlimited, configure: Impatient);
        var client = await app.TenantAsync();

        var answer = await RawHttp.SendAsync(
            app.Address, $"POST /v3/quantum/entangle HTTP/1.1\r\nHost: a\r\nQFlux-Token: Bearer {client.Key}\r\n{header}\r\n\r\n{body}");

        Assert.Equal(status, answer.Status);
        Assert.Null(EnvelopeFault(answer, isHead: false));
    }

    [Theory]
    [InlineData("/api/v3//quantum/objects")]
    [InlineData("//")]
    [InlineData("/v3/quantum/entangle//a")]
    public async Task APathWithAnEmptySegmentIsNotFoundInTheEnvelope(string path)
    {
        var app = await TestApp.SharedAsync;

        var answer = await RawHttp.SendAsync(app.Address, $"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");

        Assert.Equal((404, "RESOURCE_NOT_FOUND"), (answer.Status, answer.Header("x-error-code")));
        Assert.Null(EnvelopeFault(answer, isHead: false));
    }

    [Theory]
    [InlineData("Head")]
    [InlineData("get")]
    public async Task AMethodInTheWrongCaseIsAnotherMethod(string method)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        var answer = await RawHttp.SendAsync(
            app.Address, $"{method} /v3/quantum/objects/a HTTP/1.1\r\nHost: a\r\nQFlux-Token: Bearer {client.Key}\r\n\r\n");

        Assert.Equal((405, "METHOD_NOT_ALLOWED"), (answer.Status, answer.Header("x-error-code")));
        Assert.Null(EnvelopeFault(answer, isHead: false));
    }

    // A request whose length was damaged waits for bytes that never come; the usual half minute would be too long for thousands of them.
    private static void Impatient(IServiceCollection services) => services.PostConfigure<KestrelServerOptions>(server =>
    {
        server.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(1);
        server.Limits.MinRequestBodyDataRate = new MinDataRate(1_000_000, TimeSpan.FromSeconds(1.1));
    });

    private static async Task<string?> FaultOfAsync(TestApp app, byte[] request)
    {
        using var limit = new CancellationTokenSource(_answerMax);
        RawAnswer answer;
        try
        {
            answer = await RawHttp.SendAsync(app.Address, request, limit.Token);
        }
        catch (OperationCanceledException)
        {
            return "no answer";
        }

        return answer.Status switch
        {
            0 => $"the connection was closed without an answer, after {answer.Body.Length} bytes",
            >= 500 when !IsDocumented(answer) => $"{answer.Status} {answer.Text}",
            >= 400 => EnvelopeFault(answer, isHead: request.AsSpan().StartsWith("HEAD "u8)),
            _ => null,
        };
    }

    private static bool IsDocumented(RawAnswer answer) =>
        (answer.Status == 503 && answer.Header("x-error-code") == "QUANTUM_COHERENCE_LOST")
        || (answer.Status == 505 && answer.Header("x-error-code") == "HTTP_VERSION_NOT_SUPPORTED");

    private static string? EnvelopeFault(RawAnswer answer, bool isHead)
    {
        if (answer.Header("x-request-id") is not { } requestId || answer.Header("x-error-code") is not { } code)
        {
            return $"{answer.Status} without X-Request-Id or X-Error-Code: {string.Join("; ", answer.Headers)}";
        }

        if (isHead)
        {
            return null;
        }

        try
        {
            var error = answer.Error;
            return error.GetProperty("code").GetString() == code
                && error.GetProperty("request_id").GetString() == requestId
                && error.GetProperty("message").GetString()!.Length > 0
                && error.GetProperty("timestamp").GetDateTimeOffset() != default
                && error.GetProperty("documentation").GetString()!.StartsWith("https://", StringComparison.Ordinal)
                && error.GetProperty("details").ValueKind == JsonValueKind.Object
                ? null
                : $"{answer.Status} with an envelope that is not right: {answer.Text}";
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or FormatException or InvalidOperationException)
        {
            return $"{answer.Status} without an envelope ({exception.Message}): {answer.Text}";
        }
    }

    private static string Show(byte[] request)
    {
        var text = new StringBuilder();
        foreach (var item in request.Take(1_500))
        {
            text.Append(item is >= 0x20 and < 0x7F ? ((char)item).ToString() : item == '\n' ? "\\n\n" : $"\\x{item:X2}");
        }

        return request.Length > 1_500 ? text.Append(CultureInfo.InvariantCulture, $"… ({request.Length} bytes)").ToString() : text.ToString();
    }
}
