using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Proof;

/// <summary>The specification's samples, as they stand in its text, against the local host as it starts on any machine.</summary>
public sealed partial class SampleTests : IAsyncLifetime
{
    private const string SpecifiedAddress = "https://api.quantumflux.example/v3";

    private readonly SampleHost _host = new();

    public Task InitializeAsync() => _host.InitializeAsync();

    public Task DisposeAsync() => _host.DisposeAsync();

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task ThePythonSampleRuns(string root)
    {
        var program = Specification.Sample("Python Example: Create Entanglement", "python");

        var first = await RunPythonAsync(program, root);
        var second = await RunPythonAsync(program, root);

        Assert.Matches(Created(), first);
        Assert.Matches(Refused(), second);
    }

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task TheEntanglementSamplesGetTheirDocumentedAnswers(string root)
    {
        var key = SampleHost.Header(Specification.Sample("API Key Authentication", "http"));
        var headers = Specification.Sample("Create Entangled Pair", "http").Replace("Bearer {api_key}", key.Value, StringComparison.Ordinal);

        var created = await _host.SendAsync(HttpMethod.Post, root + "/quantum/entangle", headers, Specification.Sample("Create Entangled Pair", "json", 0));
        Specification.Resembles(Specification.Sample("Create Entangled Pair", "json", 1), created.Expect(HttpStatusCode.OK).Json);

        var request = Specification.Sample("List Entanglements", "http").Split('\n', 2);
        var listed = await _host.SendAsync(HttpMethod.Get, request[0].Split(' ')[1].Replace("/api/v3", root, StringComparison.Ordinal), request[1], null);
        Specification.Resembles(Specification.Sample("List Entanglements", "json"), listed.Expect(HttpStatusCode.OK).Json);

        var path = $"{root}/quantum/entangle/{created.Json.GetProperty("entanglement_id").GetString()}";
        var found = await _host.SendAsync(HttpMethod.Get, path, headers, null);
        Specification.Resembles(
            Specification.Sample("Get Entanglement Details", "json"), found.Expect(HttpStatusCode.OK).Json, "expires_at", "quantum_signature", "crystal_cache");

        var dissolved = await _host.SendAsync(HttpMethod.Delete, path + "?backup=true", headers, null);
        Specification.Resembles(Specification.Sample("Dissolve Entanglement", "json"), dissolved.Expect(HttpStatusCode.OK).Json);
    }

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task TheAnchorSamplesGetTheirDocumentedAnswers(string root)
    {
        var headers = Specification.Sample("API Key Authentication", "http");
        var path = root + "/temporal/anchor";

        var created = await _host.SendAsync(HttpMethod.Post, path, headers, Specification.Sample("Create Anchor", "json", 0));
        Specification.Resembles(Specification.Sample("Create Anchor", "json", 1), created.Expect(HttpStatusCode.Created).Json);
        var (createdAt, expiresAt) = (created.Json.GetProperty("created_at").GetDateTimeOffset(), created.Json.GetProperty("expires_at").GetDateTimeOffset());
        Assert.Equal(TimeSpan.FromSeconds(847_000), expiresAt - createdAt);

        var listed = await _host.SendAsync(HttpMethod.Get, path, headers, null);
        Specification.Resembles(Specification.Sample("List Anchors", "json"), listed.Expect(HttpStatusCode.OK).Json);

        var found = await _host.SendAsync(HttpMethod.Get, $"{path}/{created.Json.GetProperty("anchor_id").GetString()}", headers, null);
        Assert.Equal("active", found.Expect(HttpStatusCode.OK).Json.GetProperty("status").GetString());

        var removed = await _host.SendAsync(HttpMethod.Delete, $"{path}/{created.Json.GetProperty("anchor_id").GetString()}", headers, null);
        Specification.Resembles(Specification.Sample("Remove Anchor", "json"), removed.Expect(HttpStatusCode.OK).Json);
    }

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task TheErrorSampleIsWhatAWeakEntanglementGets(string root)
    {
        var sample = Specification.Sample("Error Response Format", "json");
        var body = Specification.Sample("Create Entangled Pair", "json", 0).Replace("0.9847", "0.42", StringComparison.Ordinal);

        var answer = await _host.SendAsync(HttpMethod.Post, root + "/quantum/entangle", Specification.Sample("API Key Authentication", "http"), body);

        Specification.Resembles(sample, answer.Expect(HttpStatusCode.ServiceUnavailable).Json);
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(sample).RootElement.GetProperty("error").GetProperty("details"), answer.Details));
    }

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task TheCacheSamplesGetTheirDocumentedAnswers(string root)
    {
        var headers = Specification.Sample("API Key Authentication", "http");
        var stored = await _host.SendAsync(HttpMethod.Post, root + "/cache/crystal", headers, Specification.Sample("Store in Cache", "json", 0));
        Specification.Resembles(Specification.Sample("Store in Cache", "json", 1), stored.Expect(HttpStatusCode.Created).Json);

        var sample = Specification.Sample("Retrieve from Cache", "json");
        var path = $"{root}/cache/crystal/{stored.Json.GetProperty("key").GetString()}";
        var read = await _host.SendAsync(HttpMethod.Get, path, headers, null);
        Specification.Resembles(sample, read.Expect(HttpStatusCode.OK).Json);
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(sample).RootElement.GetProperty("value"), read.Json.GetProperty("value")));

        var deleted = await _host.SendAsync(HttpMethod.Delete, path, headers, null);
        Specification.Resembles(Specification.Sample("Delete from Cache", "json"), deleted.Expect(HttpStatusCode.OK).Json);
    }

    [Theory]
    [InlineData("/v3")]
    [InlineData("/api/v3")]
    public async Task TheCurlSampleRuns(string root)
    {
        var answers = await RunAsync("bash", "-s", Specification.Sample("cURL Example: Crystal Cache", "bash"), root);

        Assert.Matches(@"\A\{""key"":""experiment_results_847"",""cache_id"":""cch_[0-9a-f]{32}"",", answers);
        Assert.Contains(@"{""key"":""experiment_results_847"",""value"":{", answers, StringComparison.Ordinal);
        Assert.EndsWith("}}", answers, StringComparison.Ordinal);
    }

    // Python must have the package "requests": the sample needs it.
    private Task<string> RunPythonAsync(string program, string root) => RunAsync("python3", "-", program, root);

    // Only the address differs from the text.
    private Task<string> RunAsync(string interpreter, string argument, string program, string root)
    {
        Assert.Contains(SpecifiedAddress, program, StringComparison.Ordinal);
        return SampleHost.RunAsync(interpreter, argument, program.Replace(SpecifiedAddress, _host.AddressOf(root), StringComparison.Ordinal));
    }

    [GeneratedRegex(@"\AEntanglement created: ent_[0-9a-f]{32}\nQuantum signature: qs_[0-9a-f]{32}\nLatency: \d+ns\n\z")]
    private static partial Regex Created();

    [GeneratedRegex(@"\AError: ALREADY_ENTANGLED\nMessage: .+\n\z")]
    private static partial Regex Refused();
}
