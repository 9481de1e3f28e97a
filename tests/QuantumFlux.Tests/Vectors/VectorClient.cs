using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using QuantumFlux.Api;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>Where the vectors of a test lie, which must not matter to anybody.</summary>
public enum Place
{
    /// <summary>In the log alone.</summary>
    Tail,

    /// <summary>In a segment alone.</summary>
    Segment,

    /// <summary>In a segment, many of whose rows the log has replaced or deleted.</summary>
    Both,
}

/// <summary>A vector as a test writes it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Values">Its coordinates.</param>
/// <param name="More">Further members as JSON, such as <c>"metadata":{}</c>; empty for none.</param>
public sealed record TestVector(string Id, float[] Values, string More = "")
{
    public string Json => $"{{\"id\":{JsonSerializer.Serialize(Id)},\"vector\":{VectorClient.Json(Values)}{(More.Length > 0 ? "," + More : "")}}}";
}

/// <summary>What a query found.</summary>
public sealed record Hit(string Id, double Score, bool IsEnhanced, string? Context);

/// <summary>The calls of Q-Store's vectors.</summary>
public static class VectorClient
{
    public const string Root = "/api/v2/vectors";
    public const string QueryPath = "/api/v2/query";

    private const int BuildAttemptsMax = 1000;

    public static TheoryData<Place> Places { get; } = [Place.Tail, Place.Segment, Place.Both];

    public static string Json(IEnumerable<float> values) => $"[{string.Join(',', values.Select(value => value.ToString(CultureInfo.InvariantCulture)))}]";

    public static string PathOf(string id) => $"{Root}/{Uri.EscapeDataString(id)}";

    /// <summary>Writes a vector.</summary>
    /// <param name="client">The client.</param>
    /// <param name="id">Its id.</param>
    /// <param name="values">Its coordinates, as JSON.</param>
    /// <param name="more">Further members, as JSON; empty for none.</param>
    /// <param name="headers">Headers.</param>
    public static Task<Answer> WriteAsync(
        this TestClient client, string id, string values, string more = "", params (string Name, string Value)[] headers) =>
        client.PostRawAsync(Root, $"{{\"id\":{JsonSerializer.Serialize(id)},\"vector\":{values}{(more.Length > 0 ? "," + more : "")}}}", headers);

    public static Task<Answer> ChangeAsync(this TestClient client, string id, string body, params (string Name, string Value)[] headers) =>
        client.SendAsync(HttpMethod.Put, PathOf(id), new StringContent(body, Encoding.UTF8, "application/json"), headers);

    public static Task<Answer> ReadAsync(this TestClient client, string id) => client.GetAsync(PathOf(id));

    public static Task<Answer> RemoveAsync(this TestClient client, string id, params (string Name, string Value)[] headers) =>
        client.DeleteAsync(PathOf(id), headers);

    public static Task<Answer> BatchAsync(
        this TestClient client, IEnumerable<string> vectors, bool? isTransaction = null, params (string Name, string Value)[] headers) =>
        client.PostRawAsync(
            Root + "/batch",
            $"{{\"vectors\":[{string.Join(',', vectors)}]{(isTransaction is { } flag ? $",\"transaction\":{(flag ? "true" : "false")}" : "")}}}",
            headers);

    /// <summary>Searches; the members of the body are JSON.</summary>
    public static Task<Answer> QueryAsync(this TestClient client, string values, string more = "", params (string Name, string Value)[] headers) =>
        client.PostRawAsync(QueryPath, $"{{\"vector\":{values}{(more.Length > 0 ? "," + more : "")}}}", headers);

    /// <summary>What a query found, when it went well.</summary>
    public static List<Hit> Hits(this Answer answer) => [.. answer.Expect(HttpStatusCode.OK).Json.GetProperty("results").EnumerateArray().Select(hit => new Hit(
        hit.GetProperty("id").GetString()!,
        hit.GetProperty("score").GetDouble(),
        hit.GetProperty("quantum_enhanced").GetBoolean(),
        hit.GetProperty("context_collapsed").GetString()))];

    /// <summary>The ids of a list or of what a query found, in order.</summary>
    public static List<string> Ids(this Answer answer) =>
        [.. answer.Expect(HttpStatusCode.OK).Json.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("id").GetString()!)];

    public static bool IsHit(this Answer answer) => answer.Expect(HttpStatusCode.OK).Json.GetProperty("cache_hit").GetBoolean();

    /// <summary>Writes a tenant's first vectors so that they lie in a place.</summary>
    public static async Task PlaceAsync(
        this TestApp app, TestClient client, IReadOnlyList<TestVector> vectors, Place place = Place.Tail, string metric = "cosine")
    {
        (await client.WriteAsync("first", Json(vectors[0].Values), $"\"metric\":\"{metric}\"")).Expect(HttpStatusCode.Created);
        if (place == Place.Both)
        {
            // Half of what the segment gets is something else, which the log then takes away.
            await WriteAllAsync(client, [.. vectors.Select((vector, index) => index % 2 == 0 ? vector with { Values = Other(vector.Values), More = "" } : vector)]);
            await app.BuildSegmentAsync(client);
            await WriteAllAsync(client, [.. vectors.Where((_, index) => index % 2 == 0)]);
        }
        else
        {
            await WriteAllAsync(client, vectors);
        }

        (await client.RemoveAsync("first")).Expect(HttpStatusCode.OK);
        if (place == Place.Segment)
        {
            await app.BuildSegmentAsync(client);
        }
    }

    /// <summary>Has metering lease what a hundred requests and more need, for tests that count storage requests. The app must be <see cref="TestApp.Unlimited"/>.</summary>
    public static async Task WarmVectorsAsync(this TestClient client)
    {
        for (var request = 0; request < 150; request++)
        {
            (await client.QueryAsync("[]")).Expect(HttpStatusCode.BadRequest);
        }
    }

    /// <summary>Makes a segment of what is in a tenant's log.</summary>
    public static async Task BuildSegmentAsync(this TestApp app, TestClient client)
    {
        var vectors = app.Services.GetRequiredService<VectorStore>().Of(client.Tenant());
        var run = new TimerRun(
            "vectors", app.Services.GetRequiredService<Telemetry>(), app.Services.GetRequiredService<TimeProvider>(), NullLogger.Instance);
        for (var attempt = 0; attempt < BuildAttemptsMax; attempt++)
        {
            // The timers of other tests' apps look after all tenants, and one of them may be at it.
            await app.Services.GetRequiredService<VectorUpkeep>().RunAsync(vectors, tailRowsMin: 1, run, CancellationToken.None);
            using var held = await vectors.HoldAsync(isStrong: true, CancellationToken.None);
            if (held.State is { Segments.Count: > 0, TailCount: 0 })
            {
                return;
            }

            await vectors.AdoptAsync(CancellationToken.None);
        }

        Assert.Fail("The log has not become a segment.");
    }

    private static async Task WriteAllAsync(TestClient client, IReadOnlyList<TestVector> vectors) =>
        (await client.BatchAsync(vectors.Select(vector => vector.Json))).Expect(HttpStatusCode.Created);

    private static float[] Other(float[] values) => [.. values.Select((value, index) => index == 0 ? value + 1 : -value)];
}
