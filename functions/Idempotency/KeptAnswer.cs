using System.Text.Json;
using QuantumFlux.Api;

namespace QuantumFlux.Idempotency;

/// <summary>An answer as it is kept.</summary>
/// <param name="Status">Its status.</param>
/// <param name="Headers">The headers that belong to it; not those that every answer has of its own, such as <c>X-Request-Id</c>.</param>
/// <param name="Body">Its body, to the byte.</param>
public sealed record KeptAnswer(int Status, IReadOnlyDictionary<string, string[]> Headers, byte[] Body) : IResult
{
    /// <summary>The largest body that is kept. With its encoding it fills most of a table row, which takes 1 MiB.</summary>
    public const int BodyBytesMax = 512 * 1024;

    /// <summary>Runs what answers a request, and takes its answer from the response, which is then as it was before.</summary>
    public static async Task<KeptAnswer> TakeAsync(HttpContext context, Func<Task> answer)
    {
        var response = context.Response;
        var (body, status, before) = (response.Body, response.StatusCode, response.Headers.ToDictionary(StringComparer.OrdinalIgnoreCase));
        using var buffer = new MemoryStream();
        response.Body = buffer;
        try
        {
            await answer();
            var added = response.Headers
                .Where(header => !before.TryGetValue(header.Key, out var value) || value != header.Value)
                .ToDictionary(header => header.Key, header => header.Value.Select(value => value ?? "").ToArray(), StringComparer.OrdinalIgnoreCase);
            return new KeptAnswer(response.StatusCode, added, buffer.ToArray());
        }
        finally
        {
            response.Body = body;
            response.StatusCode = status;
            response.Headers.Clear();
            foreach (var (name, value) in before)
            {
                response.Headers[name] = value;
            }
        }
    }

    /// <summary>The answer that an object of ours will give.</summary>
    public static async Task<KeptAnswer> TakeAsync(JsonAnswer answer)
    {
        var context = new DefaultHttpContext();
        return await TakeAsync(context, () => answer.ExecuteAsync(context));
    }

    public Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = Status;
        foreach (var (name, values) in Headers)
        {
            response.Headers[name] = values;
        }

        return Body.Length == 0 ? Task.CompletedTask : response.Body.WriteAsync(Body, httpContext.RequestAborted).AsTask();
    }
}

/// <summary>What is sealed in a claim while its request runs, and has had a part of its effect.</summary>
/// <param name="Done">What was done, as the handler wrote it down.</param>
/// <param name="Request">The request that did it.</param>
public sealed record KeptProgress(byte[] Done, Fingerprint Request)
{
    public byte[] Seal(Claim claim, OperationKey key) => key.Seal(JsonSerializer.SerializeToUtf8Bytes(this), claim.Identity);

    /// <summary>What is sealed in a claim that has progress.</summary>
    /// <exception cref="Storage.StorageException">Storage has changed it.</exception>
    public static KeptProgress Open(Claim claim, OperationKey key) =>
        JsonSerializer.Deserialize<KeptProgress>(key.Open(claim.Progress, claim.Identity))!;
}

/// <summary>What is sealed in a claim.</summary>
/// <param name="Answer">The answer.</param>
/// <param name="Request">The request that it answers.</param>
/// <param name="RequestId">That request's id.</param>
public sealed record KeptRecord(KeptAnswer Answer, Fingerprint Request, string RequestId)
{
    public byte[] Seal(Claim claim, OperationKey key) => key.Seal(JsonSerializer.SerializeToUtf8Bytes(this), claim.Identity);

    /// <summary>The record of a claim that has an answer.</summary>
    /// <exception cref="Storage.StorageException">Storage has changed it.</exception>
    public static KeptRecord Open(Claim claim, OperationKey key) =>
        JsonSerializer.Deserialize<KeptRecord>(key.Open(claim.Answer, claim.Identity))!;
}
