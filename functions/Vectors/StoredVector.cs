using System.Buffers;
using System.Text;

namespace QuantumFlux.Vectors;

/// <summary>How strongly a vector is in a context.</summary>
/// <param name="Name">The context.</param>
/// <param name="Weight">0 to 1. The weights of a vector add up to 1 at most.</param>
public sealed record VectorContext(string Name, double Weight);

/// <summary>A vector as it is kept.</summary>
/// <param name="Id">Its id, unique in the tenant: 1 to 256 characters.</param>
/// <param name="Values">Its coordinates, finite.</param>
/// <param name="Facts">What is known of it beside them.</param>
public sealed record StoredVector(string Id, float[] Values, VectorFacts Facts);

/// <summary>What is known of a vector beside its coordinates.</summary>
/// <param name="Contexts">The superposition: the contexts that it is in, while <see cref="CoherentUntil"/> has not come; empty when it is in none.</param>
/// <param name="Coherence">How long the superposition lives from <see cref="PreparedAt"/> on; null means for ever.</param>
/// <param name="PreparedAt">When the superposition was written.</param>
/// <param name="WrittenAt">When the vector was last written.</param>
/// <param name="Metadata">The JSON object that the client sent, byte for byte; empty when it sent none.</param>
public sealed record VectorFacts(
    IReadOnlyList<VectorContext> Contexts,
    TimeSpan? Coherence,
    DateTimeOffset PreparedAt,
    DateTimeOffset WrittenAt,
    ReadOnlyMemory<byte> Metadata)
{
    /// <summary>When the superposition is over; null when it never is, or when there is none.</summary>
    public DateTimeOffset? CoherentUntil => Contexts.Count > 0 && Coherence is { } lifetime ? PreparedAt + lifetime : null;

    /// <summary>Whether the vector is in a superposition of contexts at a moment.</summary>
    public bool IsCoherent(DateTimeOffset now) => Contexts.Count > 0 && !(CoherentUntil <= now);

    /// <summary>
    /// Writes the facts: the two moments in UTC ticks, the coherence in milliseconds and one more (0 for none), the number of contexts, name and weight of each, and to the
    /// end the metadata. Whole numbers are variable in length but for the moments.
    /// </summary>
    public void Write(IBufferWriter<byte> output)
    {
        output.WriteInt64(WrittenAt.UtcTicks);
        output.WriteInt64(PreparedAt.UtcTicks);
        output.WriteVarInt(Coherence is { } lifetime ? (ulong)lifetime.TotalMilliseconds + 1 : 0);
        output.WriteVarInt((ulong)Contexts.Count);
        foreach (var context in Contexts)
        {
            output.WriteText(context.Name);
            output.WriteInt64(BitConverter.DoubleToInt64Bits(context.Weight));
        }

        output.Write(Metadata.Span);
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static VectorFacts Read(ReadOnlySpan<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        var (writtenAt, preparedAt) = (reader.Int64(), reader.Int64());
        var coherence = reader.VarInt();
        var contexts = new VectorContext[(int)reader.VarInt()];
        for (var index = 0; index < contexts.Length; index++)
        {
            contexts[index] = new VectorContext(reader.Text(), BitConverter.Int64BitsToDouble(reader.Int64()));
        }

        return new VectorFacts(
            contexts,
            coherence == 0 ? null : TimeSpan.FromMilliseconds(coherence - 1),
            new DateTimeOffset(preparedAt, TimeSpan.Zero),
            new DateTimeOffset(writtenAt, TimeSpan.Zero),
            reader.Rest.ToArray());
    }
}

/// <summary>How numbers and text lie in the bytes of this slice: little-endian, or seven bits a byte with the eighth for "more follows" (LEB128).</summary>
public static class ByteWriting
{
    public static void WriteInt64(this IBufferWriter<byte> output, long value)
    {
        System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(sizeof(long)), value);
        output.Advance(sizeof(long));
    }

    public static void WriteVarInt(this IBufferWriter<byte> output, ulong value)
    {
        var span = output.GetSpan(10);
        var length = 0;
        while (value >= 0x80)
        {
            span[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        span[length++] = (byte)value;
        output.Advance(length);
    }

    /// <summary>Writes a text in UTF-8, its length in bytes before it.</summary>
    public static void WriteText(this IBufferWriter<byte> output, string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        output.WriteVarInt((ulong)length);
        Encoding.UTF8.GetBytes(text, output.GetSpan(length));
        output.Advance(length);
    }
}

/// <summary>Reads what <see cref="ByteWriting"/> wrote.</summary>
public ref struct ByteReader(ReadOnlySpan<byte> bytes)
{
    /// <summary>What has not been read.</summary>
    public ReadOnlySpan<byte> Rest { get; private set; } = bytes;

    public byte Byte() => Bytes(1)[0];

    public long Int64() => System.Buffers.Binary.BinaryPrimitives.ReadInt64LittleEndian(Bytes(sizeof(long)));

    public ulong VarInt()
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var part = Byte();
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
    }

    public string Text() => Encoding.UTF8.GetString(Bytes((int)VarInt()));

    public ReadOnlySpan<byte> Bytes(int count)
    {
        var bytes = Rest[..count];
        Rest = Rest[count..];
        return bytes;
    }
}
