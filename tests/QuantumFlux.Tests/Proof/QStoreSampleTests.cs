using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Proof;

/// <summary>The samples of Q-Store's specification, as they stand in its text but for address and key, against the local host as it starts on any machine.</summary>
public sealed partial class QStoreSampleTests(SampleHost host) : IClassFixture<SampleHost>
{
    private const string SpecifiedAddress = "https://api.q-store.io/v2";

    public static TheoryData<string> Roots { get; } = ["/v2", "/api/v2"];

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task TheInsertSampleGetsItsDocumentedAnswer(string root)
    {
        var client = await TenantAsync();

        var inserted = await SendAsync(client, root, "Insert Vector");

        Specification.Resembles(Answer("Insert Vector"), inserted.Expect(HttpStatusCode.Created).Json);
        var read = (await client.GetAsync($"{root}/vectors/doc_123")).Expect(HttpStatusCode.OK).Json;
        foreach (var member in JsonDocument.Parse(Request("Insert Vector")).RootElement.EnumerateObject())
        {
            Assert.True(JsonElement.DeepEquals(member.Value, read.GetProperty(member.Name)), $"{member.Name}: {read}");
        }
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task TheQuerySampleGetsItsDocumentedAnswer(string root)
    {
        var client = await TenantAsync();
        var hit = JsonDocument.Parse(Answer("Query Vectors")).RootElement.GetProperty("results")[0];
        (await client.PostAsync($"{root}/vectors", new
        {
            id = "doc_456",
            vector = hit.GetProperty("vector"),
            metadata = hit.GetProperty("metadata"),
            contexts = new[] { new { name = "technical", weight = 1 } },
        })).Expect(HttpStatusCode.Created);

        var found = await SendAsync(client, root, "Query Vectors");

        Specification.Resembles(Answer("Query Vectors"), found.Expect(HttpStatusCode.OK).Json);
        Assert.True(found.Json.GetProperty("results")[0].GetProperty("score").GetDouble() > 0.95, found.Text);
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task TheBatchSampleGetsItsDocumentedAnswer(string root)
    {
        var client = await TenantAsync();

        var inserted = await SendAsync(client, root, "Batch Insert");

        Specification.Resembles(Answer("Batch Insert"), inserted.Expect(HttpStatusCode.Created).Json, "replaced", "errors");
        Assert.Equal((2, 0), (inserted.Json.GetProperty("inserted").GetInt32(), inserted.Json.GetProperty("failed").GetInt32()));
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task TheUpdateAndDeleteSamplesGetTheirDocumentedAnswers(string root)
    {
        var client = await TenantAsync();
        (await SendAsync(client, root, "Insert Vector")).Expect(HttpStatusCode.Created);

        var updated = await SendAsync(client, root, "Update Vector");
        var read = await client.GetAsync($"{root}/vectors/doc_123");
        var deleted = await SendAsync(client, root, "Delete Vector");

        Specification.Resembles(Answer("Update Vector"), updated.Expect(HttpStatusCode.OK).Json);
        Assert.Equal("[0.2,0.3,0.4]", read.Json.GetProperty("vector").GetRawText());
        Assert.Equal("2025-12-13T11:00:00Z", read.Json.GetProperty("metadata").GetProperty("updated_at").GetString());
        Specification.Resembles(Answer("Delete Vector"), deleted.Expect(HttpStatusCode.OK).Json);
        (await client.GetAsync($"{root}/vectors/doc_123")).Expect(HttpStatusCode.NotFound);
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task ThePaginationSampleGetsItsDocumentedAnswer(string root)
    {
        var client = await TenantAsync();
        var vectors = Enumerable.Range(0, 60).Select(index => new { id = $"doc_{index}", vector = new[] { index } });
        (await client.PostAsync($"{root}/vectors/batch", new { vectors })).Expect(HttpStatusCode.Created);

        var listed = await SendAsync(client, root, "Pagination");

        Assert.Equal("""{"page":2,"size":50,"total":60,"pages":2}""", listed.Expect(HttpStatusCode.OK).Json.GetProperty("pagination").GetRawText());
        Specification.Resembles(
            JsonDocument.Parse(Complete(Specification.QStoreSample("Pagination", "json"))).RootElement.GetProperty("pagination").GetRawText(), listed.Json.GetProperty("pagination"));
        Assert.Equal(["results", "pagination"], listed.Json.EnumerateObject().Select(member => member.Name));
        Assert.Equal(Enumerable.Range(50, 10).Select(index => $"doc_{index}"), listed.Json.GetProperty("results").EnumerateArray().Select(vector => vector.GetProperty("id").GetString()));
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task TheFilteringSampleFindsWhatItAsksFor(string root)
    {
        var client = await TenantAsync();
        (await SendAsync(client, root, "Insert Vector")).Expect(HttpStatusCode.Created);
        (await client.PostAsync($"{root}/vectors", new { id = "older", vector = new[] { 0.1, 0.2, 0.3 }, metadata = new { source = "arxiv", date = "2024-12-31" } })).Expect(HttpStatusCode.Created);

        var found = await SendAsync(client, root, "Filtering");

        Assert.Equal(["doc_123"], found.Expect(HttpStatusCode.OK).Json.GetProperty("results").EnumerateArray().Select(hit => hit.GetProperty("id").GetString()));
    }

    [Theory]
    [MemberData(nameof(Roots))]
    public async Task ThePythonTypeScriptAndCurlSamplesRun(string root)
    {
        var client = await TenantAsync();

        var first = await RunAsync("python3", "-", Specification.QStoreSample("Python", "python"), client, root);
        var second = await RunAsync("python3", "-", Specification.QStoreSample("Python", "python"), client, root);
        var said = await RunAsync("node", "--input-type=module", Specification.QStoreSample("JavaScript/TypeScript", "typescript"), client, root);
        var found = await RunAsync("bash", "-s", Specification.QStoreSample("cURL", "bash"), client, root);
        var listed = await RunAsync("bash", "-s", Specification.QStoreSample("Authentication", "bash"), client, root);

        Assert.Matches(Inserted(), first);
        Assert.Matches(Replaced(), second);
        Assert.Matches(Found(), said);
        var hit = JsonDocument.Parse(found).RootElement.GetProperty("results").EnumerateArray().Single();
        Assert.Equal(("doc_123", "technical"), (hit.GetProperty("id").GetString(), hit.GetProperty("context_collapsed").GetString()));
        Assert.Equal(0.7, hit.GetProperty("score").GetDouble(), 1e-6);
        Assert.Equal("doc_123", JsonDocument.Parse(listed).RootElement.GetProperty("results")[0].GetProperty("id").GetString());
    }

    private Task<TestClient> TenantAsync() => host.Admin.NewKeyAsync($"acc_{Guid.NewGuid():N}");

    private static string Request(string heading) => Complete(Specification.QStoreSample(heading, "json", 0));

    private static string Answer(string heading) => Complete(Specification.QStoreSample(heading, "json", heading == "Delete Vector" ? 0 : 1));

    // What the text leaves out of vectors and contexts.
    private static string Complete(string sample) => sample
        .Replace("\"contexts\": [...]", "\"contexts\": [{\"name\": \"technical\", \"weight\": 0.7}]", StringComparison.Ordinal)
        .Replace("[...]", "[0.1, 0.2, 0.3]", StringComparison.Ordinal)
        .Replace(", ...]", "]", StringComparison.Ordinal);

    // Method, path and headers are the sample's, and so is the body: below the headers, or in a block of its own.
    private async Task<Answer> SendAsync(TestClient client, string root, string heading)
    {
        var (head, body) = Specification.QStoreSample(heading, "http").Split("\n\n", 2) is [var first, var rest] ? (first, Complete(rest)) : (Specification.QStoreSample(heading, "http"), null);
        var (line, headers) = head.Split('\n', 2) is [var one, var more] ? (one.Split(' '), more) : throw new FormatException(head);
        var (method, path) = (new HttpMethod(line[0]), line[1].Replace("/v2", root, StringComparison.Ordinal).Replace("{id}", "doc_123", StringComparison.Ordinal));
        if (method == HttpMethod.Post || method == HttpMethod.Put)
        {
            body ??= Request(heading);
        }

        return await host.SendAsync(method, path, $"{headers}\nAuthorization: Bearer {client.Key}", body);
    }

    private Task<string> RunAsync(string interpreter, string argument, string program, TestClient client, string root)
    {
        Assert.Contains(SpecifiedAddress, program, StringComparison.Ordinal);
        return SampleHost.RunAsync(interpreter, argument, program
            .Replace(SpecifiedAddress, host.AddressOf(root), StringComparison.Ordinal)
            .Replace("YOUR_API_KEY", client.Key, StringComparison.Ordinal)
            .Replace("your-api-key", client.Key, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"\A\{'id': 'doc_123', 'status': 'inserted', 'quantum_encoded': True, 'timestamp': '[^']+Z'\}\n\z")]
    private static partial Regex Inserted();

    [GeneratedRegex(@"\A\{'id': 'doc_123', 'status': 'replaced', 'quantum_encoded': True, 'timestamp': '[^']+Z'\}\n\z")]
    private static partial Regex Replaced();

    // As Node prints an object.
    [GeneratedRegex(
        @"\A\{\s+results: \[\s+\{\s+id: 'doc_123',\s+score: 0\.\d+,\s+vector: \[Array\],\s+metadata: \{\},\s+quantum_enhanced: true,\s+context_collapsed: 'technical'\s+\}\s+\],"
        + @"\s+query_time_ms: [\d.]+,\s+quantum_time_ms: [\d.]+,\s+cache_hit: false\s+\}\s+\z")]
    private static partial Regex Found();
}
