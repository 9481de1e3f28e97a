using System.IO.Compression;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>The vectors of a batch, and what is wrong with some of them.</summary>
/// <param name="vectors">By place in the batch: the vector, or null when it cannot be written.</param>
/// <param name="ids">By place in the batch: the id, as far as it can be read.</param>
/// <param name="errors">What is wrong, by place in the batch.</param>
public sealed class VectorBatch(IReadOnlyList<NewVector?> vectors, IReadOnlyList<string?> ids, IReadOnlyDictionary<int, ApiException> errors)
{
    /// <summary>Reads the vectors of a batch.</summary>
    /// <param name="items">Their JSON.</param>
    /// <exception cref="ApiException">400 when one of them holds a member twice.</exception>
    public static VectorBatch From(IReadOnlyList<ReadOnlyMemory<byte>> items)
    {
        var (vectors, ids, errors) = (new NewVector?[items.Count], new string?[items.Count], new Dictionary<int, ApiException>());
        for (var index = 0; index < items.Count; index++)
        {
            var path = FormattableString.Invariant($"vectors[{index}]");
            if (items[index].Length > VectorLimits.BodyBytesMax)
            {
                errors.Add(index, ApiException.InvalidParameter(path, $"must have no more than {VectorLimits.BodyBytesMax} bytes"));
                continue;
            }

            var item = JsonBody.ParseItem(items[index], path + ".");
            try
            {
                var vector = NewVector.From(item);
                ids[index] = vector.Id.Length > 0 ? vector.Id : null;
                item.ThrowIfInvalid();
                vectors[index] = vector;
            }
            catch (ApiException error)
            {
                errors.Add(index, error);
            }
        }

        return new VectorBatch(vectors, ids, errors);
    }

    /// <summary>The ids of all vectors that can be written.</summary>
    public IReadOnlyList<string> Ids => [.. vectors.OfType<NewVector>().Select(vector => vector.Id)];

    /// <summary>Ends the request when one of the vectors cannot be written, or they do not fit one transaction.</summary>
    /// <exception cref="ApiException">400 with the faults; 413.</exception>
    public void RequireAll()
    {
        ThrowIfAny(errors.Values);
        if (Parts().Count > 1)
        {
            throw new ApiException(
                StatusCodes.Status413PayloadTooLarge,
                "PAYLOAD_TOO_LARGE",
                $"The vectors take more than the {Log.AppendBytesMax} bytes of one transaction",
                new Dictionary<string, object?>
                {
                    ["vectors"] = "are too large for one transaction: send fewer, or transaction: false",
                    ["limit_bytes"] = Log.AppendBytesMax,
                });
        }
    }

    /// <summary>Writes all vectors.</summary>
    /// <returns>The answer.</returns>
    /// <exception cref="ApiException">400 when one of them does not fit the others or those that are there.</exception>
    public JsonAnswer WriteTo(VectorDraft draft, string transactionId, DateTimeOffset now)
    {
        var outcome = new VectorBatchPart(vectors, Enumerable.Range(0, vectors.Count).ToList()).TryWriteTo(draft, now);
        ThrowIfAny(outcome.Errors.Values);
        return Json.Result(
            new BatchView(vectors.Count, 0, transactionId, true, outcome.Replaced, []), StatusCodes.Status201Created);
    }

    /// <summary>The vectors that can be written, in as few parts as fit an append each; one at least, which may be empty.</summary>
    public IReadOnlyList<VectorBatchPart> Parts()
    {
        var parts = new List<List<int>> { new() };
        var bytes = 0;
        for (var index = 0; index < vectors.Count; index++)
        {
            if (vectors[index] is not { } vector)
            {
                continue;
            }

            var size = LogRecords.OverheadBytes + vector.RecordBytes;
            if (bytes + size > Log.AppendBytesMax)
            {
                parts.Add([]);
                bytes = 0;
            }

            parts[^1].Add(index);
            bytes += size;
        }

        return [.. parts.Select(part => new VectorBatchPart(vectors, part))];
    }

    /// <summary>The answer to a batch without a transaction.</summary>
    public JsonAnswer Answer(IReadOnlyList<VectorBatchOutcome> outcomes)
    {
        var failed = new SortedDictionary<int, ApiException>(errors.ToDictionary());
        foreach (var (index, error) in outcomes.SelectMany(outcome => outcome.Errors))
        {
            failed[index] = error;
        }

        var written = vectors.Count - failed.Count;
        return Json.Result(
            new BatchView(
                written,
                failed.Count,
                null,
                false,
                outcomes.Sum(outcome => outcome.Replaced),
                [.. failed.Select(item => new BatchErrorView(item.Key, ids[item.Key], item.Value.Code, item.Value.Message, item.Value.Details))]),
            written > 0 ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static void ThrowIfAny(IEnumerable<ApiException> errors)
    {
        var faults = errors.SelectMany(error => error.Details).Take(Faults.CountMax).ToDictionary(StringComparer.Ordinal);
        if (faults.Count > 0)
        {
            throw ApiException.InvalidParameters(faults);
        }
    }
}

/// <summary>Some vectors of a batch, written in one append.</summary>
/// <param name="Vectors">All vectors of the batch, by place.</param>
/// <param name="Places">The places of these.</param>
public sealed record VectorBatchPart(IReadOnlyList<NewVector?> Vectors, IReadOnlyList<int> Places)
{
    /// <summary>Their ids.</summary>
    public IReadOnlyList<string> Ids => [.. Places.Select(place => Vectors[place]!.Id)];

    /// <summary>Writes those that fit what is there; a later one may replace an earlier one.</summary>
    public VectorBatchOutcome TryWriteTo(VectorDraft draft, DateTimeOffset now)
    {
        var (errors, replaced) = (new Dictionary<int, ApiException>(), 0);
        foreach (var place in Places)
        {
            try
            {
                replaced += Vectors[place]!.WriteTo(draft, now, FormattableString.Invariant($"vectors[{place}].")) ? 1 : 0;
            }
            catch (ApiException error)
            {
                errors.Add(place, error);
            }
        }

        return new VectorBatchOutcome(replaced, errors);
    }
}

/// <summary>What became of some vectors of a batch.</summary>
/// <param name="Replaced">How many took the place of one.</param>
/// <param name="Errors">Why others were not written, by place in the batch.</param>
public sealed record VectorBatchOutcome(int Replaced, IReadOnlyDictionary<int, ApiException> Errors)
{
    /// <summary>Writes outcomes down. What does not fit fails in few ways, so even a thousand failures are few bytes.</summary>
    public static byte[] ToBytes(IReadOnlyList<VectorBatchOutcome> outcomes)
    {
        using var bytes = new MemoryStream();
        using (var compressed = new BrotliStream(bytes, CompressionLevel.Fastest))
        {
            JsonSerializer.Serialize(compressed, outcomes.Select(outcome => new Written(
                outcome.Replaced,
                outcome.Errors.ToDictionary(error => error.Key, error => error.Value.Details.ToDictionary(fault => fault.Key, fault => (string)fault.Value!)))));
        }

        return bytes.ToArray();
    }

    /// <summary>The outcomes that were written down; none of null.</summary>
    public static IReadOnlyList<VectorBatchOutcome> Parse(byte[]? bytes)
    {
        if (bytes is null)
        {
            return [];
        }

        using var expanded = new BrotliStream(new MemoryStream(bytes), CompressionMode.Decompress);
        return [.. JsonSerializer.Deserialize<List<Written>>(expanded)!.Select(written => new VectorBatchOutcome(
            written.Replaced,
            written.Faults.ToDictionary(error => error.Key, error => ApiException.InvalidParameters(error.Value.ToDictionary(fault => fault.Key, object? (fault) => fault.Value)))))];
    }

    private sealed record Written(int Replaced, Dictionary<int, Dictionary<string, string>> Faults);
}

/// <summary>How far a batch without a transaction is.</summary>
/// <param name="Outcomes">What became of its parts so far.</param>
/// <param name="Answer">The answer, when that was the last; null before.</param>
public sealed record VectorBatchStep(IReadOnlyList<VectorBatchOutcome> Outcomes, JsonAnswer? Answer);
