using System.Security.Cryptography;
using Microsoft.Extensions.Caching.Memory;
using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>
/// Answers to queries on this instance, each of use as long as no vector is written and no superposition in it ends: hits of up to <see cref="AnswerBytesMax"/>,
/// and of <see cref="BytesMax"/> all together, those used last.
/// </summary>
public sealed class QueryCache(TimeProvider time) : IDisposable
{
    /// <summary>How many bytes it keeps, all together.</summary>
    public const long BytesMax = 32L * 1024 * 1024;

    /// <summary>The largest hits that it keeps, in bytes of JSON: a few large answers must not drive all others out.</summary>
    public const int AnswerBytesMax = 512 * 1024;
    private const int EntryOverheadBytes = 256;

    private readonly MemoryCache _answers = new(new MemoryCacheOptions { SizeLimit = BytesMax });

    /// <summary>What tells a query from others: the tenant, where its log stands, and the request's body, to the byte.</summary>
    public static (string Tenant, long Sequence, string Body) Key(string tenant, long sequence, ReadOnlySpan<byte> body) =>
        (tenant, sequence, Convert.ToBase64String(SHA256.HashData(body)));

    /// <summary>The hits of a query, as JSON; null when they are not known.</summary>
    public ReadOnlyMemory<byte>? Find((string Tenant, long Sequence, string Body) key) =>
        _answers.TryGetValue(key, out Answer? answer) && (answer!.ValidUntil is not { } end || time.GetUtcNow() < end)
            ? answer.Results
            : default(ReadOnlyMemory<byte>?);

    /// <summary>Keeps the hits of a query, unless they are larger than <see cref="AnswerBytesMax"/>; in memory of their own, which is as long as they are.</summary>
    public void Keep((string Tenant, long Sequence, string Body) key, JsonPages results, DateTimeOffset? validUntil)
    {
        if (results.Length <= AnswerBytesMax)
        {
            _answers.Set(key, new Answer(results.ToArray(), validUntil), new MemoryCacheEntryOptions { Size = results.Length + EntryOverheadBytes });
        }
    }

    public void Dispose() => _answers.Dispose();

    private sealed record Answer(ReadOnlyMemory<byte> Results, DateTimeOffset? ValidUntil);
}
