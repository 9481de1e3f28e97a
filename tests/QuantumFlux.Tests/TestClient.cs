using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace QuantumFlux.Tests;

/// <summary>An answer, read whole.</summary>
public sealed record Answer(HttpStatusCode Status, byte[] Bytes, HttpResponseHeaders Headers, HttpContentHeaders ContentHeaders)
{
    public JsonElement Json => JsonDocument.Parse(Bytes).RootElement;

    public string Text => Encoding.UTF8.GetString(Bytes);

    public string? ErrorCode => Json.GetProperty("error").GetProperty("code").GetString();

    public JsonElement Details => Json.GetProperty("error").GetProperty("details");

    public string? Header(string name) =>
        Headers.TryGetValues(name, out var values) || ContentHeaders.TryGetValues(name, out values) ? string.Join(", ", values) : null;

    /// <summary>The answer, when it has a status; else the test fails and shows it.</summary>
    public Answer Expect(HttpStatusCode status)
    {
        Assert.True(Status == status, $"expected {(int)status}, was {(int)Status}: {Text}");
        return this;
    }

    public Answer ExpectError(HttpStatusCode status, string code)
    {
        Expect(status);
        Assert.Equal(code, ErrorCode);
        return this;
    }
}

/// <summary>Sends requests with an API key.</summary>
public sealed class TestClient(HttpClient http, string key, string account)
{
    public string Key { get; } = key;

    public string Account { get; } = account;

    public HttpClient Http { get; } = http;

    public string Tenant(string environment = "live") => $"{Account}-{environment}";

    /// <summary>A client with a new key of an account; needs the scope <c>admin</c>.</summary>
    public async Task<TestClient> NewKeyAsync(string account, string environment = "live", string tier = "enterprise", string[]? scopes = null)
    {
        var body = new { name = "test", environment, tier, account_id = account, scopes = scopes ?? ["read", "write", "keys"] };
        var created = (await PostAsync("/api/v3/auth/keys", body)).Expect(HttpStatusCode.Created);
        return new TestClient(Http, created.Json.GetProperty("key").GetString()!, account);
    }

    public async Task<Answer> SendAsync(HttpMethod method, string path, HttpContent? content = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        request.Headers.TryAddWithoutValidation("QFlux-Token", $"Bearer {Key}");
        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content!.Headers.Remove(name);
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        using var response = await Http.SendAsync(request);
        return new Answer(response.StatusCode, await response.Content.ReadAsByteArrayAsync(), response.Headers, response.Content.Headers);
    }

    public Task<Answer> GetAsync(string path, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Get, path, null, headers);

    public Task<Answer> PostAsync(string path, object body, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Post, path, JsonContent.Create(body), headers);

    public Task<Answer> DeleteAsync(string path, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Delete, path, null, headers);

    public Task<Answer> PutAsync(string path, string text, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Put, path, new StringContent(text, Encoding.UTF8, "text/plain"), headers);

    public Task<Answer> PutObjectAsync(string id, string text, params (string Name, string Value)[] headers) =>
        PutAsync($"/api/v3/quantum/objects/{id}", text, headers);

    public Task<Answer> PutObjectAsync(string id, byte[] content, params (string Name, string Value)[] headers) =>
        SendAsync(HttpMethod.Put, $"/api/v3/quantum/objects/{id}", new ByteArrayContent(content), headers);

    public Task<Answer> GetObjectAsync(string id, params (string Name, string Value)[] headers) => GetAsync($"/api/v3/quantum/objects/{id}", headers);

    /// <summary>
    /// Makes an instance as warm as use makes it, for tests that count storage requests: metering has leased what a hundred requests and more need (its own
    /// requests are counted by its tests), and the key's first entanglement, which reads how many it has, is over.
    /// </summary>
    public async Task WarmAsync()
    {
        var id = await EntangledAsync("warm", "warm-other");
        (await DeleteAsync($"/api/v3/quantum/entangle/{id}")).Expect(HttpStatusCode.OK);
        for (var request = 0; request < 150; request++)
        {
            (await PostAsync("/api/v3/quantum/entangle", new { })).Expect(HttpStatusCode.BadRequest);
        }
    }

    /// <summary>Entangles two objects and gives the answer.</summary>
    public Task<Answer> EntangleAsync(string source, string target, object? options = null, double strength = 0.9847, int[]? pathway = null, string? persistence = null)
    {
        var body = new Dictionary<string, object?>
        {
            ["source_id"] = source,
            ["target_id"] = target,
            ["entanglement_strength"] = strength,
        };
        if (options is not null)
        {
            body["options"] = options;
        }

        if (pathway is not null)
        {
            body["dimensional_pathway"] = pathway;
        }

        if (persistence is not null)
        {
            body["persistence"] = persistence;
        }

        return PostAsync("/api/v3/quantum/entangle", body);
    }

    /// <summary>Writes two objects, entangles them and gives the entanglement's id.</summary>
    public async Task<string> EntangledAsync(string source, string target, object? options = null, int[]? pathway = null)
    {
        await PutObjectAsync(source, $"content of {source}");
        await PutObjectAsync(target, $"content of {target}");
        var answer = (await EntangleAsync(source, target, options, pathway: pathway)).Expect(HttpStatusCode.OK);
        return answer.Json.GetProperty("entanglement_id").GetString()!;
    }
}
