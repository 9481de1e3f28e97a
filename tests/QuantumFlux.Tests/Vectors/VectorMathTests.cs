using System.Runtime.Intrinsics.X86;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>What is computed in wide registers is what is computed one number after the other.</summary>
public sealed class VectorMathTests
{
    // Relative to what is added up: sums of single precision in another order.
    private const double Slack = 2e-6;

    public static TheoryData<int> Lengths => [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 384, 784, 1000, 4096];

    [Theory]
    [MemberData(nameof(Lengths))]
    public void ProductsAndDistancesAreThoseOfTheScalarTwin(int length)
    {
        var random = new Random(length);
        for (var round = 0; round < 20; round++)
        {
            var (a, b) = (Vector(random, length), Vector(random, length));
            var bytes = new sbyte[length];
            var step = SignedBytes.Round(b, bytes);
            var size = a.Sum(value => Math.Abs((double)value)) + b.Sum(value => Math.Abs((double)value)) + 1;

            Near(ScalarMath.Dot(a, b), VectorMath.Dot(a, b), size);
            Near(ScalarMath.SquaredDistance(a, b), VectorMath.SquaredDistance(a, b), size);
            Near(ScalarMath.Dot(a, bytes), VectorMath.Dot(a, bytes), 128 * size);
            Near(ScalarMath.SquaredDistance(a, bytes, step), VectorMath.SquaredDistance(a, bytes, step), size);

            var sum = (float[])b.Clone();
            VectorMath.Add(a, 0.5f, sum);
            Assert.Equal(b.Zip(a, (before, value) => MathF.FusedMultiplyAdd(value, 0.5f, before)), sum);
        }
    }

    [Fact]
    public void AVectorOfAnotherLengthIsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorMath.Dot([1, 2], new float[] { 1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorMath.SquaredDistance([1], new float[] { 1, 2 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorMath.Dot([1, 2], new sbyte[] { 1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorMath.SquaredDistance([1, 2], new sbyte[] { 1 }, 1));
    }

    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    [InlineData(112)]
    [InlineData(784)]
    [InlineData(4096)]
    public void EveryWidthOfRegisterAddsUpTheSameCodes(int length)
    {
        var random = new Random(length);
        var block = new byte[BitCodes.BlockBytes(length)];
        random.NextBytes(block);
        var table = new BitCodes.QueryTable(Vector(random, length));
        var (expected, found) = (ScalarMath.Sum(table, block), new ushort[32]);

        table.SumBy16(block, found);
        Assert.Equal(expected, found);
        table.Sum(block, found);
        Assert.Equal(expected, found);
        if (Avx2.IsSupported)
        {
            table.SumBy32(block, found);
            Assert.Equal(expected, found);
        }

        if (Avx512BW.IsSupported)
        {
            table.SumBy64(block, found);
            Assert.Equal(expected, found);
        }
    }

    [Theory]
    [InlineData(16, 0.01)]
    [InlineData(784, 0.01)]
    [InlineData(4096, 0.02)]
    public void SumsOfCodesAreTheProductsWithThem(int length, double tolerance)
    {
        var random = new Random(7);
        var (query, block) = (Vector(random, length), new byte[BitCodes.BlockBytes(length)]);
        var vectors = Enumerable.Range(0, 32).Select(_ => Vector(random, length)).ToArray();
        for (var place = 0; place < vectors.Length; place++)
        {
            BitCodes.Write(vectors[place], place, block);
        }

        var (table, sums) = (new BitCodes.QueryTable(query), new ushort[32]);
        table.Sum(block, sums);

        for (var place = 0; place < vectors.Length; place++)
        {
            var product = vectors[place].Zip(query, (value, other) => value > 0 ? (double)other : -other).Sum();
            Assert.Equal(product, (table.Scale * sums[place]) + table.Offset, tolerance * query.Sum(value => Math.Abs(value)));
        }
    }

    [Fact]
    public void AQueryOfZerosMakesNoSums()
    {
        var (table, sums) = (new BitCodes.QueryTable(new float[64]), new ushort[32]);
        var block = new byte[BitCodes.BlockBytes(64)];
        Array.Fill(block, (byte)0xa5);

        table.Sum(block, sums);

        Assert.All(sums, sum => Assert.Equal(0, (table.Scale * sum) + table.Offset));
    }

    [Fact]
    public void RoundingToBytesMissesAtMostHalfAStep()
    {
        var vector = Vector(new Random(3), 1000);
        var bytes = new sbyte[vector.Length];

        var step = SignedBytes.Round(vector, bytes);

        Assert.Equal(vector.Max(Math.Abs) / 127, step);
        Assert.All(vector.Zip(bytes), pair => Assert.True(Math.Abs(pair.First - (pair.Second * step)) <= (step / 2) * 1.0001));
        Assert.Equal(0, SignedBytes.Round(new float[3], new sbyte[3]));
    }

    internal static float[] Vector(Random random, int length)
    {
        var vector = new float[length];
        for (var index = 0; index < length; index++)
        {
            vector[index] = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-2, 2)));
        }

        return vector;
    }

    private static void Near(float expected, float actual, double size) =>
        Assert.True(Math.Abs((double)expected - actual) <= Slack * size * size, $"{actual} is not {expected}");
}
