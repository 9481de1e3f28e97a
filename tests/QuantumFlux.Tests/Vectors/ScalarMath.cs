using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>The same as <see cref="VectorMath"/> and <see cref="BitCodes.QueryTable"/>, one number after the other.</summary>
public static class ScalarMath
{
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += (double)a[index] * b[index];
        }

        return (float)sum;
    }

    public static float SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += ((double)a[index] - b[index]) * ((double)a[index] - b[index]);
        }

        return (float)sum;
    }

    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<sbyte> b)
    {
        double sum = 0;
        for (var index = 0; index < a.Length; index++)
        {
            sum += (double)a[index] * b[index];
        }

        return (float)sum;
    }

    public static float SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<sbyte> b, float step)
    {
        double sum = 0;
        for (var index = 0; index < a.Length; index++)
        {
            var difference = a[index] - ((double)b[index] * step);
            sum += difference * difference;
        }

        return (float)sum;
    }

    public static ushort[] Sum(BitCodes.QueryTable table, ReadOnlySpan<byte> block)
    {
        const int TableBytes = 128;
        const int SixteenBytes = 2 * BitCodes.BlockVectors;
        var sums = new ushort[BitCodes.BlockVectors];
        for (var index = 0; index < block.Length; index++)
        {
            var sixteen = table.Tables.Slice(index / SixteenBytes * TableBytes, TableBytes);
            var low = index % SixteenBytes / BitCodes.BlockVectors * (TableBytes / 4);
            var high = low + (TableBytes / 2);
            sums[index % BitCodes.BlockVectors] += (ushort)(sixteen[low + (block[index] & 15)] + sixteen[high + (block[index] >> 4)]);
        }

        return sums;
    }
}
