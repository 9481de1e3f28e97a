using System.Buffers.Binary;

namespace QuantumFlux.Vectors;

/// <summary>A value as the key of a field's table in an index: one byte for the type, which is <see cref="MetadataKind"/>, and what tells values apart.</summary>
/// <remarks>
/// Keys in the order of their bytes are in the order of type and value. Nothing follows the type of null, true and false. A number's 8 bytes are its
/// IEEE 754 bits, big-endian, with the sign bit inverted when it was 0 and all bits inverted when it was 1 (a common trick: the order of bytes then is
/// that of numbers), and -0 as 0. A text is its UTF-8.
/// </remarks>
internal static class ValueKey
{
    /// <summary>The key of all rows that have the field: a container equals no value, so its type is free for this.</summary>
    public const byte Present = (byte)MetadataKind.Container;

    /// <summary>The key of all rows that have several different values under the field's path. It comes after all types.</summary>
    public const byte Several = byte.MaxValue;

    /// <summary>How long the key of a text is that a filter compares with.</summary>
    public const int BytesMax = 1 + Filter.TextBytesMax;

    /// <summary>Writes the key of a value and returns its length.</summary>
    public static int Write(Span<byte> target, MetadataKind kind, double number, ReadOnlySpan<byte> text)
    {
        target[0] = (byte)kind;
        switch (kind)
        {
            case MetadataKind.Number:
                // Adding zero makes 0 of -0.
                var bits = BitConverter.DoubleToInt64Bits(number + 0.0);
                BinaryPrimitives.WriteInt64BigEndian(target[1..], bits < 0 ? ~bits : bits ^ long.MinValue);
                return 1 + sizeof(long);
            case MetadataKind.Text:
                text.CopyTo(target[1..]);
                return 1 + text.Length;
            default:
                return 1;
        }
    }
}
