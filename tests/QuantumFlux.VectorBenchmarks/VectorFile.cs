using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>
/// A table of numbers in a file: NumPy's <c>.npy</c> (versions 1 to 3, two axes, C order, little-endian; uint8, int8, int32, int64, float32 or float64), or
/// <c>.fvecs</c> and <c>.ivecs</c>, where each row is its length as an int32 and then that many float32 or int32.
/// </summary>
/// <remarks>The formats are described at numpy.lib.format in NumPy's manual, and with the TEXMEX corpus.</remarks>
public sealed partial class VectorFile : IDisposable
{
    // NumPy writes about a hundred bytes.
    private const int HeaderBytesMax = 64 * 1024;

    // More than any vector has, and less than the first bytes of a file of another kind come to.
    private const int ColumnsMax = 1 << 20;

    private readonly string _path;
    private readonly Stream _stream;
    private readonly string _type;
    private readonly int _rowPrefixBytes;
    private readonly byte[] _row;

    private VectorFile(string path, Stream stream, string type, long rows, long columns, int rowPrefixBytes)
    {
        (_path, _stream, _type, _rowPrefixBytes) = (path, stream, type, rowPrefixBytes);
        if (rows is < 1 or > int.MaxValue || columns is < 1 or > ColumnsMax)
        {
            throw Wrong(path, $"has {rows} rows of {columns} columns");
        }

        var expected = rows * (rowPrefixBytes + (columns * ElementBytes));
        if (stream.Length - stream.Position != expected)
        {
            throw Wrong(path, $"has {stream.Length - stream.Position} bytes of rows instead of {expected}");
        }

        (Rows, Columns) = ((int)rows, (int)columns);
        _row = new byte[columns * ElementBytes];
    }

    public int Rows { get; }

    public int Columns { get; }

    private int ElementBytes => _type[1] - '0';

    /// <summary>Opens a file and reads what it says about itself.</summary>
    /// <exception cref="InvalidDataException">It is no such file, or its length is not what it says.</exception>
    public static VectorFile Open(string path)
    {
        var stream = new BufferedStream(File.OpenRead(path), 1 << 20);
        try
        {
            return Path.GetExtension(path) switch
            {
                ".npy" => OpenNpy(path, stream),
                ".fvecs" => OpenVecs(path, stream, "f4"),
                ".ivecs" => OpenVecs(path, stream, "i4"),
                _ => throw Wrong(path, "is neither .npy, .fvecs nor .ivecs"),
            };
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>All rows as vectors.</summary>
    /// <exception cref="InvalidDataException">A value is not finite as a float32.</exception>
    public VectorRows ReadVectors()
    {
        var vectors = new VectorRows(Rows, Columns);
        for (var row = 0; row < Rows; row++)
        {
            ReadRow(row, vectors[row]);
            foreach (var value in vectors[row])
            {
                if (!float.IsFinite(value))
                {
                    throw Wrong(_path, $"has a value in row {row} that is not finite as a float32");
                }
            }
        }

        return vectors;
    }

    /// <summary>All rows as row numbers, one row after the other.</summary>
    /// <exception cref="InvalidDataException">They are not integers of 32 bits.</exception>
    public int[] ReadIds()
    {
        if (_type[0] == 'f')
        {
            throw Wrong(_path, "holds floating-point numbers where row numbers belong");
        }

        var ids = new int[(long)Rows * Columns];
        for (var row = 0; row < Rows; row++)
        {
            try
            {
                ReadRow(row, ids.AsSpan(row * Columns, Columns));
            }
            catch (OverflowException)
            {
                throw Wrong(_path, $"has a number in row {row} that is no row number");
            }
        }

        return ids;
    }

    public void Dispose() => _stream.Dispose();

    private static VectorFile OpenNpy(string path, Stream stream)
    {
        var start = Read(path, stream, 8);
        if (start[0] != 0x93 || !start.AsSpan(1, 5).SequenceEqual("NUMPY"u8) || start[6] is < 1 or > 3)
        {
            throw Wrong(path, "does not begin as a .npy file of version 1, 2 or 3 does");
        }

        long headerBytes = start[6] == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(Read(path, stream, 2)) : BinaryPrimitives.ReadUInt32LittleEndian(Read(path, stream, 4));
        if (headerBytes > HeaderBytesMax)
        {
            throw Wrong(path, $"has a header of {headerBytes} bytes, more than {HeaderBytesMax}");
        }

        var header = Encoding.UTF8.GetString(Read(path, stream, (int)headerBytes)).Trim();
        return (Descr().Match(header), FortranOrder().IsMatch(header), Shape().Match(header)) switch
        {
            ({ Success: true } descr, false, { Success: true } shape) =>
                new VectorFile(path, stream, descr.Groups["type"].Value, Number(shape.Groups["rows"]), Number(shape.Groups["columns"]), rowPrefixBytes: 0),
            ({ Success: false }, _, _) => throw Wrong(path, $"is not of uint8, int8, or little-endian int32, int64, float32 or float64: {header}"),
            (_, true, _) => throw Wrong(path, $"is in Fortran order; C order can be read: {header}"),
            _ => throw Wrong(path, $"does not have two axes: {header}"),
        };

        long Number(Group group) => long.TryParse(group.Value, CultureInfo.InvariantCulture, out var number) ? number : throw Wrong(path, $"is too large: {header}");
    }

    private static VectorFile OpenVecs(string path, Stream stream, string type)
    {
        var columns = BinaryPrimitives.ReadInt32LittleEndian(Read(path, stream, sizeof(int)));
        stream.Position = 0;
        return new VectorFile(path, stream, type, stream.Length / (sizeof(int) * (1 + Math.Max(0L, columns))), columns, rowPrefixBytes: sizeof(int));
    }

    private static byte[] Read(string path, Stream stream, int count)
    {
        var bytes = new byte[count];
        return stream.ReadAtLeast(bytes, count, throwOnEndOfStream: false) == count ? bytes : throw Wrong(path, "ends within its header");
    }

    private static InvalidDataException Wrong(string path, string what) => new($"{path} {what}.");

    private static void Convert<TFrom, TTo>(ReadOnlySpan<byte> bytes, Span<TTo> values)
        where TFrom : unmanaged, INumber<TFrom>
        where TTo : INumber<TTo>
    {
        var from = MemoryMarshal.Cast<byte, TFrom>(bytes);
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = TTo.CreateChecked(from[index]);
        }
    }

    // The rows are read in order.
    private void ReadRow<T>(int row, Span<T> values)
        where T : INumber<T>
    {
        Span<byte> prefix = stackalloc byte[_rowPrefixBytes];
        _stream.ReadExactly(prefix);
        if (_rowPrefixBytes > 0 && BinaryPrimitives.ReadInt32LittleEndian(prefix) is var length && length != Columns)
        {
            throw Wrong(_path, $"has a row {row} of {length} columns after rows of {Columns}");
        }

        _stream.ReadExactly(_row);
        switch (_type)
        {
            case "u1":
                Convert<byte, T>(_row, values);
                break;
            case "i1":
                Convert<sbyte, T>(_row, values);
                break;
            case "i4":
                Convert<int, T>(_row, values);
                break;
            case "i8":
                Convert<long, T>(_row, values);
                break;
            case "f4":
                Convert<float, T>(_row, values);
                break;
            default:
                Convert<double, T>(_row, values);
                break;
        }
    }

    [GeneratedRegex(@"'descr'\s*:\s*'(?:[|<](?<type>[ui]1)|<(?<type>i4|i8|f4|f8))'")]
    private static partial Regex Descr();

    [GeneratedRegex(@"'fortran_order'\s*:\s*True")]
    private static partial Regex FortranOrder();

    [GeneratedRegex(@"'shape'\s*:\s*\(\s*(?<rows>\d+)\s*,\s*(?<columns>\d+)\s*,?\s*\)")]
    private static partial Regex Shape();
}
