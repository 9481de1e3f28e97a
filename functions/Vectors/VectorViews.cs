using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>The answer to a vector written.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Status"><c>inserted</c>, or <c>replaced</c> when there was one.</param>
/// <param name="QuantumEncoded">Whether it is kept in a superposition of contexts.</param>
/// <param name="Timestamp">When it was written.</param>
public sealed record WrittenVectorView(string Id, string Status, bool QuantumEncoded, DateTimeOffset Timestamp);

/// <summary>The answer to a vector changed.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Status"><c>updated</c>.</param>
/// <param name="EntangledPartnersUpdated">How many others moved along.</param>
/// <param name="QuantumPropagation">Whether any did.</param>
public sealed record UpdatedVectorView(string Id, string Status, int EntangledPartnersUpdated, bool QuantumPropagation);

/// <summary>The answer to a vector deleted.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Status"><c>deleted</c>.</param>
/// <param name="EntanglementsRemoved">How many groups it left.</param>
public sealed record DeletedVectorView(string Id, string Status, int EntanglementsRemoved);

/// <summary>The answer to a batch.</summary>
/// <param name="Inserted">How many vectors were written.</param>
/// <param name="Failed">How many were not.</param>
/// <param name="TransactionId">The id of the transaction; null when they were not written in one.</param>
/// <param name="QuantumBatch">Whether they were written in one transaction: all or nothing, and seen at once.</param>
/// <param name="Replaced">How many of those written took the place of one.</param>
/// <param name="Errors">Why each of those that failed did.</param>
public sealed record BatchView(int Inserted, int Failed, string? TransactionId, bool QuantumBatch, int Replaced, IReadOnlyList<BatchErrorView> Errors);

/// <summary>Why a vector of a batch was not written.</summary>
/// <param name="Index">Its place in the batch, from 0.</param>
/// <param name="Id">Its id; null when it has none that can be read.</param>
/// <param name="Code">What a client branches on.</param>
/// <param name="Message">The same for people.</param>
/// <param name="Details">The faults by parameter.</param>
public sealed record BatchErrorView(int Index, string? Id, string Code, string Message, IReadOnlyDictionary<string, object?> Details);

/// <summary>Where a page stands in a list, as the Q-Store document prints it.</summary>
/// <param name="Page">The page's number, from 1.</param>
/// <param name="Size">How many entries a full page has.</param>
/// <param name="Total">How many entries there are.</param>
/// <param name="Pages">How many pages there are; 0 when there is nothing.</param>
public sealed record VectorPaginationView(int Page, int Size, int Total, int Pages);

/// <summary>What a page of vectors says beside them.</summary>
/// <param name="Pagination">Where it stands.</param>
public sealed record VectorListView(VectorPaginationView Pagination);

/// <summary>What the answer to a query says beside its hits.</summary>
/// <param name="QueryTimeMs">How long it took, from the request's arrival at its handler on, in milliseconds.</param>
/// <param name="QuantumTimeMs">How much of that went into contexts and tunneling.</param>
/// <param name="CacheHit">Whether the same query had been answered before, and no vector written since.</param>
/// <param name="Partial">True when time was up; else absent.</param>
public sealed record QueryView(
    double QueryTimeMs,
    double QuantumTimeMs,
    bool CacheHit,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Partial);

/// <summary>Writes vectors as JSON. By hand, since a page of them is some ten thousand numbers.</summary>
public static class VectorJson
{
    // A sign, nine digits, a point, and E-38; and the comma.
    private const int NumberBytesMax = 24;

    private const int WholeMax = 1_000_000;

    private static readonly JsonEncodedText _id = JsonEncodedText.Encode("id");
    private static readonly JsonEncodedText _score = JsonEncodedText.Encode("score");
    private static readonly JsonEncodedText _vector = JsonEncodedText.Encode("vector");
    private static readonly JsonEncodedText _metadata = JsonEncodedText.Encode("metadata");
    private static readonly JsonEncodedText _enhanced = JsonEncodedText.Encode("quantum_enhanced");
    private static readonly JsonEncodedText _collapsed = JsonEncodedText.Encode("context_collapsed");

    /// <summary>The hits of a query.</summary>
    public static JsonPages Hits(IReadOnlyList<VectorHit> hits, VectorQuery query) => Array(hits, (writer, hit) =>
    {
        writer.WriteString(_id, hit.Vector.IdBytes);
        writer.WriteNumber(_score, hit.Score);
        if (query.HasVectors)
        {
            WriteValues(writer, hit.Vector.Values);
        }

        if (query.HasMetadata)
        {
            WriteMetadata(writer, hit.Vector.Facts.Metadata.Span);
        }

        writer.WriteBoolean(_enhanced, hit.IsCollapsed);
        writer.WriteString(_collapsed, hit.IsCollapsed ? query.Context : null);
    });

    /// <summary>A page of vectors.</summary>
    public static JsonPages List(IReadOnlyList<SegmentRow> vectors, bool hasVectors, bool hasMetadata, DateTimeOffset now) =>
        Array(vectors, (writer, vector) => Write(writer, vector, hasVectors, hasMetadata, now));

    /// <summary>One vector.</summary>
    public static ReadOnlyMemory<byte> One(SegmentRow vector, DateTimeOffset now)
    {
        var output = new ArrayBufferWriter<byte>(1024 + (vector.Values.Length * 12));
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = Json.Options.Encoder, SkipValidation = true }))
        {
            writer.WriteStartObject();
            Write(writer, vector, hasVector: true, hasMetadata: true, now);
            writer.WriteEndObject();
        }

        return output.WrittenMemory;
    }

    private static void Write(Utf8JsonWriter writer, SegmentRow vector, bool hasVector, bool hasMetadata, DateTimeOffset now)
    {
        writer.WriteString(_id, vector.IdBytes);
        if (hasVector)
        {
            WriteValues(writer, vector.Values);
        }

        // A superposition that has ended is told of no more, whether it has been removed yet or not.
        var facts = vector.Facts;
        var isCoherent = facts.IsCoherent(now);
        writer.WriteStartArray("contexts");
        foreach (var context in isCoherent ? facts.Contexts : [])
        {
            writer.WriteStartObject();
            writer.WriteString("name", context.Name);
            writer.WriteNumber("weight", context.Weight);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (isCoherent && facts.Coherence is { } coherence)
        {
            writer.WriteNumber("coherence_time_ms", (long)coherence.TotalMilliseconds);
        }
        else
        {
            writer.WriteNull("coherence_time_ms");
        }

        if (hasMetadata)
        {
            WriteMetadata(writer, facts.Metadata.Span);
        }

        writer.WriteBoolean("quantum_encoded", isCoherent);
        writer.WriteString("timestamp", Json.Format(facts.WrittenAt));
    }

    // The shortest text that reads as the same number. Written past the writer, which takes twice as long for each.
    private static void WriteValues(Utf8JsonWriter writer, ReadOnlySpan<float> values)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(2 + (values.Length * NumberBytesMax));
        buffer[0] = (byte)'[';
        var length = 1;
        foreach (var value in values)
        {
            // −0 is no whole number here: it would lose its sign.
            var isWhole = Math.Abs(value) < WholeMax && (int)value == value && BitConverter.SingleToInt32Bits(value) != int.MinValue;
            var written = 0;
            _ = isWhole
                ? ((int)value).TryFormat(buffer.AsSpan(length), out written, default, CultureInfo.InvariantCulture)
                : value.TryFormat(buffer.AsSpan(length), out written, default, CultureInfo.InvariantCulture);
            length += written;
            buffer[length++] = (byte)',';
        }

        buffer[values.Length == 0 ? length++ : length - 1] = (byte)']';
        writer.WritePropertyName(_vector);
        writer.WriteRawValue(buffer.AsSpan(0, length), skipInputValidation: true);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static void WriteMetadata(Utf8JsonWriter writer, ReadOnlySpan<byte> metadata)
    {
        writer.WritePropertyName(_metadata);
        writer.WriteRawValue(metadata.IsEmpty ? "{}"u8 : metadata, skipInputValidation: true);
    }

    private static JsonPages Array<T>(IReadOnlyList<T> items, Action<Utf8JsonWriter, T> write)
    {
        var pages = new JsonPages();
        var output = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = Json.Options.Encoder, SkipValidation = true }))
        {
            writer.WriteStartArray();
            foreach (var item in items)
            {
                writer.WriteStartObject();
                write(writer, item);
                writer.WriteEndObject();
                Move();
            }

            writer.WriteEndArray();
            Move();

            // The writer's own memory has to hold one item only.
            void Move()
            {
                writer.Flush();
                pages.Append(output.WrittenSpan);
                output.ResetWrittenCount();
            }
        }

        return pages;
    }
}
