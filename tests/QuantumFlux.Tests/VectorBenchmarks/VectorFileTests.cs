using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using QuantumFlux.VectorBenchmarks;

namespace QuantumFlux.Tests.VectorBenchmarks;

public sealed class VectorFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("|u1", 1)]
    [InlineData("|i1", 1)]
    [InlineData("<i4", 1)]
    [InlineData("<i8", 2)]
    [InlineData("<f4", 2)]
    [InlineData("<f8", 3)]
    public void EveryTypeAndVersionIsReadAsItsNumbers(string type, byte version)
    {
        byte[] rows = type switch
        {
            "|u1" => [0, 1, 2, 3, 4, 100],
            "|i1" => [.. MemoryMarshal.AsBytes<sbyte>([0, 1, 2, 3, 4, 100])],
            "<i4" => [.. MemoryMarshal.AsBytes<int>([0, 1, 2, 3, 4, 100])],
            "<i8" => [.. MemoryMarshal.AsBytes<long>([0, 1, 2, 3, 4, 100])],
            "<f4" => [.. MemoryMarshal.AsBytes<float>([0, 1, 2, 3, 4, 100])],
            _ => [.. MemoryMarshal.AsBytes<double>([0, 1, 2, 3, 4, 100])],
        };

        using var file = VectorFile.Open(Write("v.npy", Npy(type, "False", "(2, 3)", rows, version)));
        var vectors = file.ReadVectors();

        Assert.Equal((2, 3), (vectors.Count, vectors.Dimensions));
        Assert.Equal([3f, 4f, 100f], vectors[1].ToArray());
    }

    [Fact]
    public void SignedBytesKeepTheirSign()
    {
        using var file = VectorFile.Open(Write("v.npy", Npy("|i1", "False", "(1, 2)", [0xff, 0x80])));

        Assert.Equal([-1f, -128f], file.ReadVectors()[0].ToArray());
    }

    [Fact]
    public void RowsThatBeginWithTheirLengthAreRead()
    {
        var vectors = Write("v.fvecs", [.. MemoryMarshal.AsBytes<int>([2, 0x3f800000, 0x40000000, 2, 0x40400000, 0x40800000])]);
        var ids = Write("v.ivecs", [.. MemoryMarshal.AsBytes<int>([3, 7, 8, 9])]);

        using var vectorFile = VectorFile.Open(vectors);
        using var idFile = VectorFile.Open(ids);

        Assert.Equal([1f, 2f, 3f, 4f], vectorFile.ReadVectors().Values.ToArray());
        Assert.Equal([7, 8, 9], idFile.ReadIds());
    }

    [Fact]
    public void WhatTheWriterWroteIsRead()
    {
        var path = Path.Combine(_folder, "v.npy");
        using (var writer = new NpyWriter<int>(path, 2, 3))
        {
            writer.Write([1, 2, 3]);
            writer.Write([4, 5, int.MaxValue]);
        }

        using var file = VectorFile.Open(path);

        Assert.Equal([1, 2, 3, 4, 5, int.MaxValue], file.ReadIds());
    }

    [Fact]
    public void AFileThatIsThereIsNotReplaced()
    {
        var path = Write("v.npy", [1, 2, 3]);

        Assert.Throws<IOException>(() => new NpyWriter<int>(path, 1, 1));

        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
    }

    [Theory]
    [InlineData("<f4", "True", "(1, 2)", 8, "Fortran")]
    [InlineData(">f4", "False", "(1, 2)", 8, "little-endian")]
    [InlineData("<f2", "False", "(1, 2)", 4, "float32")]
    [InlineData("<f4", "False", "(2,)", 8, "two axes")]
    [InlineData("<f4", "False", "(1, 2, 1)", 8, "two axes")]
    [InlineData("<f4", "False", "(0, 2)", 0, "0 rows")]
    [InlineData("<f4", "False", "(1, 2)", 7, "7 bytes of rows instead of 8")]
    [InlineData("<f4", "False", "(1, 2)", 9, "9 bytes of rows instead of 8")]
    [InlineData("<f4", "False", "(1, 99999999999999999999)", 8, "too large")]
    public void ATableThatCannotBeReadIsRefusedWithTheReason(string type, string fortran, string shape, int bytes, string reason)
    {
        var path = Write("v.npy", Npy(type, fortran, shape, new byte[bytes]));

        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => VectorFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("v.npy", "504b0304000000000000", "does not begin")]
    [InlineData("v.npy", "934e554d50590400760000", "does not begin")]
    [InlineData("v.npy", "934e554d505901007600", "ends within")]
    [InlineData("v.npy", "93", "ends within")]
    [InlineData("v.fvecs", "0000", "ends within")]
    [InlineData("v.fvecs", "00000000", "0 columns")]
    [InlineData("v.fvecs", "ffffffff00000000", "-1 columns")]
    [InlineData("v.fvecs", "010000000000803f01", "9 bytes of rows instead of 8")]
    [InlineData("v.bin", "00", "neither")]
    public void AFileOfAnotherKindIsRefusedWithTheReason(string name, string hex, string reason)
    {
        var path = Write(name, Convert.FromHexString(hex));

        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => VectorFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RowsOfDifferentLengthsAreRefused()
    {
        using var file = VectorFile.Open(Write("v.fvecs", [.. MemoryMarshal.AsBytes<int>([1, 0, 2, 0])]));

        Assert.Contains("row 1", Assert.Throws<InvalidDataException>(() => file.ReadVectors()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.NegativeInfinity)]
    [InlineData(1e300)]
    public void AValueThatIsNotFiniteIsRefused(double value)
    {
        using var file = VectorFile.Open(Write("v.npy", Npy("<f8", "False", "(2, 1)", [.. MemoryMarshal.AsBytes<double>([1, value])])));

        Assert.Contains("row 1", Assert.Throws<InvalidDataException>(() => file.ReadVectors()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNoRowNumberIsRefused()
    {
        using var floats = VectorFile.Open(Write("f.npy", Npy("<f4", "False", "(1, 1)", new byte[4])));
        using var large = VectorFile.Open(Write("l.npy", Npy("<i8", "False", "(1, 1)", [.. MemoryMarshal.AsBytes([1L << 32])])));

        Assert.Throws<InvalidDataException>(() => floats.ReadIds());
        Assert.Throws<InvalidDataException>(() => large.ReadIds());
    }

    private static byte[] Npy(string type, string fortran, string shape, byte[] rows, byte version = 1)
    {
        var header = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{'descr': '{type}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"));
        var length = new byte[version == 1 ? 2 : 4];
        BinaryPrimitives.WriteUInt16LittleEndian(length, (ushort)header.Length);
        return [0x93, .. "NUMPY"u8, version, 0, .. length, .. header, .. rows];
    }

    private string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
