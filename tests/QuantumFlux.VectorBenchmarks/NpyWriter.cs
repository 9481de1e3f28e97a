using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Writes a table of float32 or int32 as a <c>.npy</c> file of version 1, row by row.</summary>
public sealed class NpyWriter<T> : IDisposable
    where T : unmanaged
{
    // The rows begin at a multiple of this, so that the file can be mapped.
    private const int AlignmentBytes = 64;

    private readonly FileStream _stream;
    private readonly int _columns;
    private int _rowsLeft;

    /// <summary>Begins a file. One that is there is never replaced: it may be what others measure with.</summary>
    /// <exception cref="IOException">It is there already.</exception>
    public NpyWriter(string path, int rows, int columns)
    {
        (_rowsLeft, _columns) = (rows, columns);
        var type = typeof(T) == typeof(float) ? "<f4" : typeof(T) == typeof(int) ? "<i4" : throw new NotSupportedException($"{typeof(T)} cannot be written.");
        var said = string.Create(CultureInfo.InvariantCulture, $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
        const int StartBytes = 10;
        var headerBytes = (StartBytes + said.Length + AlignmentBytes) / AlignmentBytes * AlignmentBytes;
        var header = Encoding.ASCII.GetBytes("?NUMPY\u0001\0??" + said.PadRight(headerBytes - StartBytes - 1) + '\n');
        header[0] = 0x93;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), (ushort)(headerBytes - StartBytes));
        _stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20);
        _stream.Write(header);
    }

    /// <summary>Writes the next row.</summary>
    public void Write(ReadOnlySpan<T> row)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(row.Length, _columns);
        ArgumentOutOfRangeException.ThrowIfZero(_rowsLeft);
        _rowsLeft--;
        _stream.Write(MemoryMarshal.AsBytes(row));
    }

    public void Dispose() => _stream.Dispose();
}
