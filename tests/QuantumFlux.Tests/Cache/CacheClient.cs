using System.Net;
using System.Text;
using System.Text.Json;

namespace QuantumFlux.Tests.Cache;

/// <summary>The cache's calls.</summary>
public static class CacheClient
{
    public const string Root = "/api/v3/cache/crystal";

    /// <summary>Stores a value that is written as JSON.</summary>
    public static Task<Answer> CacheAsync(
        this TestClient client, string key, string value, long? ttlSeconds = null, string? options = null, params (string Name, string Value)[] headers) =>
        client.PostRawAsync(
            Root,
            $"{{\"key\":{JsonSerializer.Serialize(key)},\"value\":{value}"
                + (ttlSeconds is { } ttl ? $",\"ttl_seconds\":{ttl}" : "")
                + (options is null ? "}" : $",\"options\":{options}}}"),
            headers);

    public static Task<Answer> PostRawAsync(this TestClient client, string path, string json, params (string Name, string Value)[] headers) =>
        client.SendAsync(HttpMethod.Post, path, new StringContent(json, Encoding.UTF8, "application/json"), headers);

    public static Task<Answer> CachedAsync(this TestClient client, string key, params (string Name, string Value)[] headers) =>
        client.GetAsync($"{Root}/{Uri.EscapeDataString(key)}", headers);

    public static Task<Answer> UncacheAsync(this TestClient client, string key, params (string Name, string Value)[] headers) =>
        client.DeleteAsync($"{Root}/{Uri.EscapeDataString(key)}", headers);

    /// <summary>The value in an answer, byte for byte.</summary>
    public static string Value(this Answer answer) => answer.Expect(HttpStatusCode.OK).Json.GetProperty("value").GetRawText();

    /// <summary>An array of this many bytes of JSON, which compresses as measurements do.</summary>
    public static string Measurements(int bytes, int seed = 1)
    {
        var random = new Random(seed);
        var text = new StringBuilder("[");
        while (text.Length < bytes - 20)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{random.NextDouble():F12},");
        }

        return text.Append('1', bytes - text.Length - 1).Append(']').ToString();
    }
}
