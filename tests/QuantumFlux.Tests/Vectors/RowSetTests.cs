using System.Globalization;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class RowSetTests
{
    [Fact]
    public void ItAgreesWithAHashSetUnderAnyOperations()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        var random = new Random(seed);
        for (var round = 0; round < 300; round++)
        {
            var rows = random.Next(300);
            using var set = new RowSet(rows);
            var model = new HashSet<int>();
            for (var step = 0; step < 30; step++)
            {
                var operation = Change(random, set, model);

                Assert.True(
                    model.Order().SequenceEqual(Rows(set)) && set.Count == model.Count && Bits(set).SequenceEqual(model.Order()),
                    $"QUANTUMFLUX_SEED={seed}, round {round}, step {step}, {rows} rows: {operation}");
            }

            Assert.All(Enumerable.Range(-70, rows + 140), row => Assert.Equal(model.Contains(row), set.Contains(row)));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(200)]
    public void AMaskHoldsThe32RowsFromAnyRowAndZerosBehindTheEnd(int rows)
    {
        using var set = new RowSet(rows);
        var random = new Random(rows);
        for (var row = 0; row < rows; row++)
        {
            if (random.Next(2) == 0)
            {
                set.Add(row);
            }
        }

        for (var first = 0; first < rows + 100; first++)
        {
            var expected = Enumerable.Range(0, 32).Aggregate(0u, (mask, bit) => mask | (set.Contains(first + bit) ? 1u << bit : 0));

            Assert.Equal(expected, set.Mask32(first));
        }
    }

    [Fact]
    public void RowsThatDoNotExistAreRefused()
    {
        using var set = new RowSet(70);

        Assert.Throws<ArgumentOutOfRangeException>(() => set.Add(70));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Add(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Remove(70));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.AddRange(69, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.AddRange(71, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.AddRange(0, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.AddBits(2, new byte[8]));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Mask32(-1));
        Assert.Equal(0, set.Count);
    }

    [Fact]
    public void SetsOverOtherRowsAreRefused()
    {
        using var set = new RowSet(70);
        using var other = new RowSet(71);

        Assert.Throws<ArgumentException>(() => set.And(other));
        Assert.Throws<ArgumentException>(() => set.Or(other));
        Assert.Throws<ArgumentException>(() => set.AndNot(other));
    }

    [Fact]
    public void ASetMadeAfterAnotherWasDisposedOfIsEmptyAndTheOtherDoesNotReachIt()
    {
        var old = new RowSet(1000);
        old.Fill();
        old.Dispose();
        old.Dispose();

        using var set = new RowSet(1000);

        Assert.Equal(0, set.Count);
        Assert.ThrowsAny<Exception>(() => old.Add(1));
        Assert.ThrowsAny<Exception>(old.Fill);
        Assert.Equal(0, set.Count);
    }

    private static string Change(Random random, RowSet set, HashSet<int> model)
    {
        var operation = random.Next(10);
        var row = random.Next(Math.Max(1, set.Rows));
        switch (operation)
        {
            case 0 when set.Rows > 0:
                set.Add(row);
                model.Add(row);
                return $"add {row}";
            case 1 when set.Rows > 0:
                set.Remove(row);
                model.Remove(row);
                return $"remove {row}";
            case 2:
                var count = random.Next(set.Rows - Math.Min(row, set.Rows) + 1);
                set.AddRange(row, set.Rows == 0 ? 0 : count);
                model.UnionWith(Enumerable.Range(row, set.Rows == 0 ? 0 : count));
                return $"add {count} from {row}";
            case 3:
                set.Fill();
                model.UnionWith(Enumerable.Range(0, set.Rows));
                return "fill";
            case 4:
                set.Clear();
                model.Clear();
                return "clear";
            case 5:
                set.Complement();
                model.SymmetricExceptWith(Enumerable.Range(0, set.Rows));
                return "complement";
            case 6:
                var words = random.Next(set.Words.Length + 1);
                var from = random.Next(set.Words.Length - words + 1);
                var bits = new byte[words * 8];
                random.NextBytes(bits);
                set.AddBits(from, bits);
                model.UnionWith(Enumerable.Range(0, words * 64).Where(bit => (bits[bit / 8] >> bit % 8 & 1) != 0).Select(bit => from * 64 + bit).Where(set.Contains));
                return $"add {words} words from {from}";
            default:
                using (var other = new RowSet(set.Rows))
                {
                    var others = Enumerable.Range(0, set.Rows).Where(_ => random.Next(2) == 0).ToHashSet();
                    foreach (var one in others)
                    {
                        other.Add(one);
                    }

                    Combine(operation, set, model, other, others);
                    return $"combine {operation}";
                }
        }
    }

    private static void Combine(int operation, RowSet set, HashSet<int> model, RowSet other, HashSet<int> others)
    {
        switch (operation)
        {
            case 7:
                set.And(other);
                model.IntersectWith(others);
                break;
            case 8:
                set.Or(other);
                model.UnionWith(others);
                break;
            default:
                set.AndNot(other);
                model.ExceptWith(others);
                break;
        }
    }

    private static List<int> Rows(RowSet set)
    {
        var rows = new List<int>();
        foreach (var row in set)
        {
            rows.Add(row);
        }

        return rows;
    }

    private static IEnumerable<int> Bits(RowSet set)
    {
        var words = set.Words.ToArray();
        return Enumerable.Range(0, words.Length * 64).Where(bit => (words[bit / 64] >> bit % 64 & 1) != 0);
    }
}
