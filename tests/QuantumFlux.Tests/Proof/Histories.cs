using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;

namespace QuantumFlux.Tests.Proof;

/// <summary>Every write that a service has acknowledged, and whether it still has them.</summary>
public sealed class Histories
{
    private readonly ConcurrentQueue<(string ObjectId, long Version, string Sha256)> _acknowledged = new();
    private int _count;

    public int Count => _acknowledged.Count;

    /// <summary>Writes content that nobody else writes. What the service acknowledges is remembered, for the object and all that the answer says moved along.</summary>
    public async Task WriteAsync(TestClient client, string objectId)
    {
        var text = $"{objectId} {Interlocked.Increment(ref _count)}";
        var written = (await client.PutObjectAsync(objectId, text)).Expect(HttpStatusCode.OK).Json;
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        foreach (var id in written.GetProperty("synced_to").EnumerateArray().Select(id => id.GetString()!).Prepend(objectId))
        {
            _acknowledged.Enqueue((id, written.GetProperty("version").GetInt64(), sha256));
        }
    }

    /// <summary>Walks the histories: every acknowledged write must be there, in each object that it moved.</summary>
    public async Task VerifyAsync(TestClient client)
    {
        foreach (var expected in _acknowledged.GroupBy(write => write.ObjectId))
        {
            var history = await ReadAsync(client, expected.Key);
            foreach (var (id, version, sha256) in expected)
            {
                Assert.True(history.GetValueOrDefault(version) == sha256, $"version {version} of {id} was acknowledged and is not in its history");
            }
        }
    }

    private static async Task<Dictionary<long, string>> ReadAsync(TestClient client, string objectId)
    {
        var history = new Dictionary<long, string>();
        var after = "";
        bool hasMore;
        do
        {
            var page = (await client.GetAsync($"/api/v3/quantum/objects/{objectId}/versions?limit=100{after}")).Expect(HttpStatusCode.OK).Json;
            foreach (var version in page.GetProperty("versions").EnumerateArray())
            {
                history.Add(version.GetProperty("version").GetInt64(), version.GetProperty("sha256").GetString()!);
                after = $"&starting_after={version.GetProperty("version").GetInt64()}";
            }

            hasMore = page.GetProperty("has_more").GetBoolean();
        }
        while (hasMore);

        return history;
    }
}
