using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

public sealed class TableRowTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(65_536, 1)]
    [InlineData(65_537, 2)]
    [InlineData(131_072, 2)]
    [InlineData(700_000, 11)]
    public void LargeBytesAreSpreadOverColumnsAndJoinedAgain(int length, int columns)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);

        var row = new TableRow("p", "k").Set("Other", 1L).SetLarge("Data", bytes);

        Assert.Equal(columns, row.Values.Count - 1);
        Assert.All(row.Values.Values.OfType<byte[]>(), part => Assert.InRange(part.Length, 0, TableRow.ColumnBytesMax));
        Assert.Equal(bytes, row.Large("Data"));
    }

    [Fact]
    public void LargeBytesThatWereNeverSetAreNull() => Assert.Null(new TableRow("p", "k").Set("Data", [1]).Large("Data"));

    [Fact]
    public void ShorterBytesLeaveNothingOfLongerOnes()
    {
        var row = new TableRow("p", "k").SetLarge("Data", new byte[200_000]);

        row.SetLarge("Data", [1, 2]);

        Assert.Equal([1, 2], row.Large("Data")!);
        Assert.Single(row.Values);
    }

    [Fact]
    public void AColumnSetToNullIsGone()
    {
        var row = new TableRow("p", "k").Set("A", 1L).Set("A", (long?)null).Set("B", (string?)null);

        Assert.Empty(row.Values);
        Assert.Null(row.Whole("A"));
    }

    [Fact]
    public void AColumnHasOneType()
    {
        var row = new TableRow("p", "k").Set("Whole", 3L).Set("Number", 3.5).Set("Text", "3");

        Assert.Equal((3L, null, null), (row.Whole("Whole"), row.Whole("Number"), row.Whole("Text")));
        Assert.Equal((3.0, 3.5, null), (row.Number("Whole"), row.Number("Number"), row.Number("Text")));
        Assert.Null(row.Text("Whole"));
        Assert.Null(row.Flag("Text"));
        Assert.Null(row.Bytes("Text"));
    }

    [Fact]
    public void ARowIsMeasuredAsTheServiceMeasuresIt()
    {
        // "How to calculate the size of an entity": 4 + 2·keys, then 8 + 2·name + value for each column. 94 bytes are our operation id.
        var row = new TableRow("pp", "kkk").Set("Text", "abc").Set("Whole", 1L).Set("Flag", true).Set("Data", [1, 2]);

        Assert.Equal(4 + 10 + 94 + (8 + 8 + 10) + (8 + 10 + 8) + (8 + 8 + 1) + (8 + 8 + 6), TableRules.RowBytes(row));
    }
}
