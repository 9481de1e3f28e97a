using System.Buffers;

namespace QuantumFlux.Vectors;

/// <summary>Whole numbers in one to five bytes, as LEB128 writes them: seven bits a byte, the lowest first, the top bit set on all bytes but the last.</summary>
internal static class Varint
{
    private const int BytesMax = 5;

    /// <summary>How many bytes a number takes.</summary>
    public static int Bytes(uint number) => number switch
    {
        < 1 << 7 => 1,
        < 1 << 14 => 2,
        < 1 << 21 => 3,
        < 1 << 28 => 4,
        _ => 5,
    };

    /// <summary>Writes a number and returns how many bytes it took.</summary>
    public static int Write(IBufferWriter<byte> target, uint number)
    {
        var bytes = target.GetSpan(BytesMax);
        var count = 0;
        for (; number >= 0x80; number >>= 7)
        {
            bytes[count++] = (byte)(number | 0x80);
        }

        bytes[count++] = (byte)number;
        target.Advance(count);
        return count;
    }

    /// <summary>Reads the number that stands at a position, and moves the position behind it.</summary>
    /// <exception cref="InvalidDataException">No number stands there.</exception>
    public static uint Read(ReadOnlySpan<byte> bytes, ref int position)
    {
        var number = 0u;
        for (var shift = 0; shift < 7 * BytesMax && position < bytes.Length; shift += 7)
        {
            var next = bytes[position++];
            number |= (uint)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return number;
            }
        }

        throw new InvalidDataException("A number in the index has no end.");
    }
}
