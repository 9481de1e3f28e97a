using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class RotationTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(384)]
    [InlineData(784)]
    [InlineData(1000)]
    [InlineData(1536)]
    [InlineData(4096)]
    public void DistancesAndProductsStayAsTheyWere(int dimension)
    {
        var rotation = Rotation.Of(dimension);
        var random = new Random(dimension);
        for (var round = 0; round < 10; round++)
        {
            var (a, b) = (VectorMathTests.Vector(random, dimension), VectorMathTests.Vector(random, dimension));
            var (rotatedA, rotatedB) = (Rotate(rotation, a), Rotate(rotation, b));

            var size = Math.Sqrt(ScalarMath.Dot(a, a)) * Math.Sqrt(ScalarMath.Dot(b, b));
            Assert.Equal(ScalarMath.Dot(a, b), ScalarMath.Dot(rotatedA, rotatedB), 1e-5 * size);
            Assert.Equal(ScalarMath.Dot(a, a), ScalarMath.Dot(rotatedA, rotatedA), 1e-5 * ScalarMath.Dot(a, a));
        }
    }

    [Fact]
    public void NoCoordinateKeepsWhatASingleOneHad()
    {
        // Like a random rotation, it spreads every unit vector over all coordinates: none is left with more than ten times its share.
        var rotation = Rotation.Of(784);
        for (var coordinate = 0; coordinate < 784; coordinate++)
        {
            var unit = new float[784];
            unit[coordinate] = 1;

            Assert.InRange(Rotate(rotation, unit).Max(Math.Abs), 1 / Math.Sqrt(784), 10 / Math.Sqrt(784));
        }
    }

    [Fact]
    public void WhatIsStoredTodayIsReadTomorrow()
    {
        // Segments hold rotated vectors: another rotation could not read them.
        var rotated = Rotate(Rotation.Of(100), [.. Enumerable.Range(1, 100).Select(value => (float)value)]);

        Assert.Equal([-36.6797, -26.6719, 85.3516, 20.3125], rotated.Take(4).Select(value => (double)value), (expected, actual) => Math.Abs(expected - actual) < 1e-3);
    }

    [Theory]
    [InlineData(1, 64)]
    [InlineData(64, 64)]
    [InlineData(65, 80)]
    [InlineData(784, 784)]
    [InlineData(4096, 4096)]
    public void ARotatedVectorHasWholeSixteens(int dimension, int length) => Assert.Equal(length, Rotation.Of(dimension).Length);


    private static float[] Rotate(Rotation rotation, float[] vector)
    {
        var rotated = new float[rotation.Length];
        rotation.Rotate(vector, 1, rotated);
        return rotated;
    }
}
