using System.Runtime.InteropServices;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Vectors of one dimension, row after row in memory that starts on a cache line and does not move.</summary>
public sealed class VectorRows
{
    private const int CacheLineBytes = 64;

    private readonly float[] _values;
    private readonly int _start;

    /// <summary>Room for vectors; what they hold is not set.</summary>
    /// <exception cref="InvalidDataException">That many do not fit into an array.</exception>
    public VectorRows(int count, int dimensions)
    {
        if ((long)count * dimensions > Array.MaxLength - CacheLineBytes)
        {
            throw new InvalidDataException($"{count} vectors of {dimensions} dimensions are more than the {Array.MaxLength - CacheLineBytes} values that fit into an array.");
        }

        (Count, Dimensions) = (count, dimensions);
        _values = GC.AllocateUninitializedArray<float>((count * dimensions) + (CacheLineBytes / sizeof(float)), pinned: true);
        var beyondLine = (int)(Marshal.UnsafeAddrOfPinnedArrayElement(_values, 0) % CacheLineBytes);
        _start = (CacheLineBytes - beyondLine) % CacheLineBytes / sizeof(float);
    }

    public int Count { get; }

    public int Dimensions { get; }

    /// <summary>All values, row after row.</summary>
    public Span<float> Values => _values.AsSpan(_start, Count * Dimensions);

    public Span<float> this[int row] => Values.Slice(row * Dimensions, Dimensions);

    /// <summary>Scales every row to unit length. A row of zeros stays one.</summary>
    public void Normalize()
    {
        for (var row = 0; row < Count; row++)
        {
            var values = this[row];
            var squares = 0.0;
            foreach (var value in values)
            {
                squares += (double)value * value;
            }

            var scale = squares > 0 ? (float)(1 / Math.Sqrt(squares)) : 0;
            foreach (ref var value in values)
            {
                value *= scale;
            }
        }
    }
}
