using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QuantumFlux.Vectors;

/// <summary>
/// Turns vectors of one dimension about the origin, all in the same way and as if at random, so that no direction is special any more: what is left of a
/// vector in one bit a coordinate then tells as much about its neighbours as theory says. Lengths, distances and inner products stay as they are.
/// </summary>
/// <remarks>
/// A product of cheap rotations in the place of a dense one ("Fast Johnson–Lindenstrauss transform", Ailon and Chazelle, 2006): four rounds of random signs,
/// a Walsh–Hadamard transform of the largest power of two of coordinates (from the start, then from the end), and a turn by 45° that mixes the two halves.
/// About 10 × length operations a round. The signs follow from the length alone: they are a part of the format of stored segments.
/// </remarks>
public sealed class Rotation
{
    private const int Rounds = 4;

    // Codes are read sixteen coordinates at a time; fewer than 64 of one bit would say too little.
    private const int LengthStep = 16;
    private const int LengthMin = 64;

    private static readonly ConcurrentDictionary<int, Rotation> _byLength = new();

    private readonly float[] _signs;
    private readonly int _power;

    private Rotation(int length)
    {
        Length = length;
        _power = (int)BitOperations.RoundUpToPowerOf2((uint)length + 1) / 2;
        _signs = new float[Rounds * length];
        var state = (ulong)length;
        for (var index = 0; index < _signs.Length; index++)
        {
            _signs[index] = (SplitMix(ref state) >> 63) == 0 ? 1 : -1;
        }
    }

    /// <summary>How many coordinates a rotated vector has: the dimension, filled with zeros to a multiple of 16, 64 at least.</summary>
    public int Length { get; }

    /// <summary>The rotation for vectors of a dimension.</summary>
    public static Rotation Of(int dimension) =>
        _byLength.GetOrAdd(Math.Max(LengthMin, (dimension + LengthStep - 1) / LengthStep * LengthStep), length => new Rotation(length));

    /// <summary>Rotates a vector.</summary>
    /// <param name="vector">At most <see cref="Length"/> coordinates.</param>
    /// <param name="divisor">What the vector is divided by on the way.</param>
    /// <param name="rotated">Receives <see cref="Length"/> coordinates.</param>
    public void Rotate(ReadOnlySpan<float> vector, float divisor, Span<float> rotated)
    {
        rotated = rotated[..Length];
        for (var index = 0; index < vector.Length; index++)
        {
            rotated[index] = vector[index] / divisor;
        }

        rotated[vector.Length..].Clear();
        for (var round = 0; round < Rounds; round++)
        {
            Multiply(rotated, _signs.AsSpan(round * Length, Length));
            var part = rotated.Slice(round % 2 == 0 ? 0 : Length - _power, _power);
            WalshHadamard(part);
            Scale(part, 1 / MathF.Sqrt(_power));
            Mix(rotated[..(Length / 2)], rotated[(Length / 2)..]);
        }
    }

    private static void Multiply(Span<float> values, ReadOnlySpan<float> factors)
    {
        var wide = MemoryMarshal.Cast<float, Vector<float>>(values);
        var wideFactors = MemoryMarshal.Cast<float, Vector<float>>(factors);
        for (var index = 0; index < wide.Length; index++)
        {
            wide[index] *= wideFactors[index];
        }
    }

    private static void Scale(Span<float> values, float factor)
    {
        foreach (ref var value in MemoryMarshal.Cast<float, Vector<float>>(values))
        {
            value *= factor;
        }
    }

    // Both halves are whole vectors: a length is a multiple of sixteen.
    private static void Mix(Span<float> first, Span<float> second)
    {
        const float HalfRoot = 0.70710678f;
        var left = MemoryMarshal.Cast<float, Vector<float>>(first);
        var right = MemoryMarshal.Cast<float, Vector<float>>(second);
        for (var index = 0; index < left.Length; index++)
        {
            var (a, b) = (left[index], right[index]);
            left[index] = (a + b) * HalfRoot;
            right[index] = (a - b) * HalfRoot;
        }
    }

    private static void WalshHadamard(Span<float> values)
    {
        // The first two rounds within each four: what is exchanged with its neighbour, or its neighbour's neighbour, is added, or taken from it.
        foreach (ref var four in MemoryMarshal.Cast<float, Vector128<float>>(values))
        {
            var once = Vector128.FusedMultiplyAdd(four, Vector128.Create(1f, -1, 1, -1), Vector128.Shuffle(four, Vector128.Create(1, 0, 3, 2)));
            four = Vector128.FusedMultiplyAdd(once, Vector128.Create(1f, 1, -1, -1), Vector128.Shuffle(once, Vector128.Create(2, 3, 0, 1)));
        }

        var half = Vector128<float>.Count;
        for (; half < Vector<float>.Count; half *= 2)
        {
            Round(MemoryMarshal.Cast<float, Vector128<float>>(values), half / Vector128<float>.Count);
        }

        for (; half < values.Length; half *= 2)
        {
            Round(MemoryMarshal.Cast<float, Vector<float>>(values), half / Vector<float>.Count);
        }
    }

    private static void Round(Span<Vector128<float>> values, int half)
    {
        for (var start = 0; start < values.Length; start += 2 * half)
        {
            for (var index = start; index < start + half; index++)
            {
                (values[index], values[index + half]) = (values[index] + values[index + half], values[index] - values[index + half]);
            }
        }
    }

    private static void Round(Span<Vector<float>> values, int half)
    {
        for (var start = 0; start < values.Length; start += 2 * half)
        {
            var low = values.Slice(start, half);
            var high = values.Slice(start + half, half);
            for (var index = 0; index < low.Length; index++)
            {
                (low[index], high[index]) = (low[index] + high[index], low[index] - high[index]);
            }
        }
    }

    // SplitMix64 (Steele, Lea and Flood, 2014).
    private static ulong SplitMix(ref ulong state)
    {
        var z = state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
}
