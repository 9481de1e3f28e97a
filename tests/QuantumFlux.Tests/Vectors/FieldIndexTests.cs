using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class FieldIndexTests
{
    [Fact]
    public void ItFindsTheRowsThatMatchOneByOne()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        var random = new Random(seed);
        var (some, reads) = (0, 0);
        for (var round = 0; round < 100; round++)
        {
            var metadata = new RandomMetadata(random);
            var segment = new Segment(Enumerable.Range(0, random.Next(random.Next(10) == 0 ? 2000 : 200)).Select(_ => random.Next(20) == 0 ? null : metadata.Metadata()));
            for (var question = 0; question < 40; question++)
            {
                var json = metadata.Filter();
                var filter = Parse(json);

                var expected = segment.Matches(filter);
                var found = segment.Find(filter);

                Assert.True(
                    expected.SequenceEqual(found.Rows),
                    $"QUANTUMFLUX_SEED={seed}, round {round}, filter {question}: {json} finds {string.Join(' ', found.Rows)} instead of {string.Join(' ', expected)}");
                some += expected.Count > 0 && expected.Count < segment.Rows ? 1 : 0;
                reads += found.Reads;
            }
        }

        // Else the filters would prove little.
        Assert.True(some > 500 && reads > 500, $"QUANTUMFLUX_SEED={seed}: {some} filters parted the rows, {reads} rows were read.");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(33)]
    [InlineData(1000)]
    public void EveryValueIsFoundAmongAnyNumberOfThem(int values)
    {
        var segment = new Segment(Enumerable.Range(0, values).Select(value => $$"""{"n":{{value - 5}},"t":"t{{value}}"}"""));

        for (var value = 0; value < values; value++)
        {
            Assert.Equal([value], segment.Find($$"""{"metadata.n":{{value - 5}} }""").Rows);
            Assert.Equal([value], segment.Find($$"""{"metadata.t":"t{{value}}"}""").Rows);
            Assert.Equal(Enumerable.Range(value, values - value), segment.Find($$"""{"metadata.n":{"$gt":{{value - 5.5:R}} } }""").Rows);
            Assert.Equal(Enumerable.Range(0, value), segment.Find($$"""{"metadata.n":{"$lt":{{value - 5}} } }""").Rows);
        }

        Assert.Empty(segment.Find("""{"metadata.t":"t"}""").Rows);
        Assert.Empty(segment.Find("""{"metadata.t":"u"}""").Rows);
    }

    // Gaps, bits and neighbours, at the edges of 64 rows.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(9)]
    [InlineData(100)]
    [InlineData(300)]
    public void RowsAreFoundHoweverCloseTheyLie(int distance)
    {
        var segment = new Segment(Enumerable.Range(0, 2000).Select(row => row % distance == 0 && row is > 62 and < 1900 ? """{"a":1}""" : row % 5 == 0 ? null : """{"a":2}"""));

        Assert.Equal(segment.Matches(Parse("""{"metadata.a":1}""")), segment.Find("""{"metadata.a":1}""").Rows);
        Assert.Equal(segment.Matches(Parse("""{"metadata.a":2}""")), segment.Find("""{"metadata.a":2}""").Rows);
        Assert.Equal(segment.Matches(Parse("""{"metadata.a":{"$exists":true}}""")), segment.Find("""{"metadata.a":{"$exists":true}}""").Rows);
    }

    [Fact]
    public void ValuesThatAreKeptWholeNeedNoLookAtTheRows()
    {
        var segment = new Segment(Enumerable.Range(0, 500).Select(row => $$"""{"n":{{row}},"t":"{{new string('t', 200)}}{{row % 100}}","d":"2025-{{row:0000}}"}"""));

        Assert.Equal(0, segment.Find("""{"metadata.n":{"$gte":10,"$lt":100},"metadata.d":{"$gt":"2025-0050"}}""").Reads);
        Assert.Equal(0, segment.Find($$"""{"metadata.t":{"$in":["{{new string('t', 200)}}7","x"]} }""").Reads);
        Assert.Equal(0, segment.Find($$"""{"metadata.t":{"$lte":"{{new string('t', 200)}}7"} }""").Reads);
    }

    [Fact]
    public void ALongTextOfOneRowNeedsALookAtThatRowAlone()
    {
        var segment = new Segment(Enumerable.Range(0, 500).Select(row => $$"""{"t":"{{row:000}}{{new string('t', 500)}}"}"""));

        Assert.Equal((1, 1), segment.Count($$"""{"metadata.t":"123{{new string('t', 500)}}"}"""));
        Assert.Equal((0, 1), segment.Count($$"""{"metadata.t":"123{{new string('t', 499)}}"}"""));
        Assert.Equal((0, 0), segment.Count($$"""{"metadata.t":"123{{new string('t', 50)}}"}"""));
        Assert.Equal((123, 1), segment.Count($$"""{"metadata.t":{"$lt":"123{{new string('t', 500)}}"} }"""));
        Assert.Equal((1, 1), segment.Count($$"""{"metadata.t":{"$gte":"123{{new string('t', 500)}}","$lte":"123{{new string('t', 501)}}"} }"""));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void ALongTextIsNeverTakenForItsOwnBeginning(int rowsOfText)
    {
        var text = new string('t', 300);
        var segment = new Segment(Enumerable.Repeat($$"""{"t":"{{text}}"}""", rowsOfText));

        for (var length = 0; length <= text.Length; length++)
        {
            foreach (var condition in new[] { "$eq", "$lte", "$lt", "$gte", "$gt" })
            {
                var filter = Parse($$"""{"metadata.t":{"{{condition}}":"{{text[..length]}}"} }""");

                Assert.Equal(segment.Matches(filter), segment.Find(filter).Rows);
            }
        }
    }

    [Fact]
    public void WhereOneConditionLeavesFewRowsTheOthersAreCheckedOnThose()
    {
        var segment = new Segment(Enumerable.Range(0, 20_000).Select(row => $$"""{"n":{{row}},"group":{{row / 3}} }"""));

        Assert.Equal((2, 3), segment.Count("""{"metadata.n":{"$gt":3000},"metadata.group":1000}"""));
        Assert.Equal((1, 3), segment.Count("""{"metadata.n":{"$not":{"$gt":3000}},"metadata.group":1000}"""));
        Assert.Equal((2999, 0), segment.Count("""{"metadata.n":{"$gt":3000},"metadata.group":{"$lt":2000}}"""));
    }

    [Fact]
    public void ATwoSidedRangeDoesNotJoinDifferentValuesOfAnArray()
    {
        var segment = new Segment(["""{"a":[1,9]}""", """{"a":5}""", """{"a":1}""", """{"a":[5,5]}"""]);

        // As MongoDB's manual, "Query an Array": one element above 3, and another, or the same, below 7.
        Assert.Equal([0, 1, 3], segment.Find("""{"metadata.a":{"$gt":3,"$lt":7}}""").Rows);
    }

    [Fact]
    public void ASegmentWithoutMetadataHasAnIndexToo()
    {
        var segment = new Segment([null, null, null]);

        Assert.Equal([0, 1, 2], segment.Find("{}").Rows);
        Assert.Equal([0, 1, 2], segment.Find("""{"metadata.a":null}""").Rows);
        Assert.Equal([0, 1, 2], segment.Find("""{"metadata.a":{"$ne":1}}""").Rows);
        Assert.Empty(segment.Find("""{"metadata.a":{"$gt":1}}""").Rows);
        Assert.Empty(new Segment([]).Find("{}").Rows);
    }

    [Fact]
    public void EveryRowMayHaveAPathOfItsOwn()
    {
        var segment = new Segment(Enumerable.Range(0, 3000).Select(row => $$"""{"{{row}}":{"a":{{row}} } }"""));

        Assert.Equal([2999], segment.Find("""{"metadata.2999.a":2999}""").Rows);
        Assert.Equal([17], segment.Find("""{"metadata.17":{"$exists":true}}""").Rows);
        Assert.Empty(segment.Find("""{"metadata.3000":{"$exists":true}}""").Rows);
    }

    [Fact]
    public void TheBytesAreThoseOfTheDocumentation()
    {
        var segment = new Segment(["""{"a":1}"""]);

        // Row lists 1 × 4 and row 0, of the path and of the number; their keys, the number's with the sign bit of 1.0 inverted; the trailer. Then the
        // path's key and its table's 28 bytes × 2; the trailer.
        Assert.Equal(
            "0400" + "0400" + "00010400" + "00090404BFF0000000000000" + "0400000010000000" + "00013861" + "1C00000004000000",
            Convert.ToHexString(segment.Index.Span));
    }

    // Texts that the index does not keep whole, and a condition that leaves few rows: both look at rows one by one.
    [Theory]
    [InlineData("""{"metadata.t":"TEXT"}""")]
    [InlineData("""{"metadata.t":{"$ne":"TEXT"}}""")]
    [InlineData("""{"$or":[{"metadata.t":"TEXT"},{"metadata.t":{"$gt":"TEXT"}}]}""")]
    [InlineData("""{"metadata.group":1,"metadata.n":{"$gt":0}}""")]
    public void NoMoreRowsAreReadOnceTimeIsUpAndNoneAreFound(string json)
    {
        var text = new string('t', 300);
        var segment = new Segment(Enumerable.Range(0, 20_000).Select(row => $$"""{"n":{{row}},"group":{{row / 15}},"t":"{{(row < 400 ? text : "")}}"}"""));
        var filter = Parse(json.Replace("TEXT", text, StringComparison.Ordinal));

        Assert.True(segment.Find(filter).Reads >= 15);
        for (var most = 0; most < 15; most += 3)
        {
            var looks = 0;
            var (rows, reads) = segment.Find(filter, () => ++looks > most);

            Assert.Null(rows);
            Assert.True(reads <= most, $"{reads} rows were read, and time was up after {most} looks at the clock.");
        }
    }

    [Fact]
    public void ALongListOfRowsIsNotReadToItsEndOnceTimeIsUp()
    {
        // The values of a range stand one behind the other; whoever stops has looked more than once.
        var segment = new Segment(Enumerable.Range(0, 40_000).Select(row => $$"""{"n":{{row}} }"""));
        var looks = 0;

        Assert.Equal(39_999, segment.Find(Parse("""{"metadata.n":{"$gt":0}}"""), () => ++looks < 0).Rows!.Count);
        Assert.True(looks > 2, $"{looks} looks at the clock.");
    }

    [Fact]
    public void RowsComeInOrder()
    {
        var writer = new FieldIndexWriter();
        writer.Add(3, MetadataFields.Empty);

        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Add(3, MetadataFields.Empty));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Add(2, MetadataFields.Empty));
        writer.Add(10, MetadataFields.Empty);
    }

    private static Filter Parse(string json)
    {
        var faults = new Faults();
        var filter = Filter.Parse(JsonDocument.Parse(json).RootElement, faults);
        faults.ThrowIfAny();
        return filter;
    }

    /// <summary>Rows of metadata, some without, and their index.</summary>
    private sealed class Segment
    {
        private readonly List<MetadataFields> _fields;

        public Segment(IEnumerable<string?> metadata)
        {
            _fields = [.. metadata.Select(json => json is null ? MetadataFields.Empty : MetadataFields.Parse(Encoding.UTF8.GetBytes(json)))];
            var writer = new FieldIndexWriter();
            for (var row = 0; row < _fields.Count; row++)
            {
                if (_fields[row].Count > 0)
                {
                    writer.Add(row, _fields[row]);
                }
            }

            var bytes = new ArrayBufferWriter<byte>();
            writer.Write(bytes);
            Index = bytes.WrittenMemory;
        }

        public ReadOnlyMemory<byte> Index { get; }

        public int Rows => _fields.Count;

        public List<int> Matches(Filter filter) => [.. Enumerable.Range(0, Rows).Where(row => filter.Matches(_fields[row]))];

        public (List<int> Rows, int Reads) Find(string filter) => Find(Parse(filter));

        public (List<int> Rows, int Reads) Find(Filter filter) =>
            Find(filter, () => false) is (var rows, var reads) ? (rows!, reads) : default;

        /// <summary>The rows that a filter finds, null when time was up, and how many were read for that.</summary>
        public (List<int>? Rows, int Reads) Find(Filter filter, Func<bool> isOver)
        {
            var reads = 0;
            using var set = FieldIndex.Evaluate(
                filter,
                Index.Span,
                Rows,
                row =>
                {
                    reads++;
                    return _fields[row];
                },
                isOver);
            if (set is null)
            {
                return (null, reads);
            }

            var rows = new List<int>();
            foreach (var row in set)
            {
                rows.Add(row);
            }

            return (rows, reads);
        }

        /// <summary>How many rows a filter finds and how many were read for that.</summary>
        public (int Rows, int Reads) Count(string filter)
        {
            var (rows, reads) = Find(filter);
            return (rows.Count, reads);
        }
    }
}
