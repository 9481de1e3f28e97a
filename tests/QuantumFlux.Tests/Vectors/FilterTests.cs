using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class FilterTests
{
    // The sample of the Q-Store specification, section "Filtering".
    private const string Sample = """{"metadata.source":"arxiv","metadata.date":{"$gte":"2025-01-01"}}""";

    [Theory]
    [InlineData("""{"source":"arxiv","date":"2025-12-13"}""", true)]
    [InlineData("""{"source":"arxiv","date":"2025-01-01"}""", true)]
    [InlineData("""{"source":"arxiv","date":"2024-12-31"}""", false)]
    [InlineData("""{"source":"arXiv","date":"2025-12-13"}""", false)]
    [InlineData("""{"source":"arxiv"}""", false)]
    public void TheSampleOfTheSpecificationFilters(string metadata, bool expected) => Assert.Equal(expected, Matches(Sample, metadata));

    // MongoDB's manual, "Query an Array" and "Query on Embedded/Nested Documents": a condition on an array holds when one of its elements meets it,
    // and several conditions may be met by several.
    [Theory]
    [InlineData("""{"metadata.a":2}""", """{"a":[1,2]}""", true)]
    [InlineData("""{"metadata.a":3}""", """{"a":[1,2]}""", false)]
    [InlineData("""{"metadata.a":{"$gt":1}}""", """{"a":[1,2]}""", true)]
    [InlineData("""{"metadata.a":{"$gt":15,"$lt":20}}""", """{"a":[10,25]}""", true)]
    [InlineData("""{"metadata.a":{"$gt":15,"$lt":20}}""", """{"a":10}""", false)]
    [InlineData("""{"metadata.a":{"$ne":2}}""", """{"a":[1,2]}""", false)]
    [InlineData("""{"metadata.a.b":2}""", """{"a":{"b":2}}""", true)]
    [InlineData("""{"metadata.a.b":2}""", """{"a.b":2}""", true)]
    [InlineData("""{"metadata.a.b":2}""", """{"a":[{"b":1},{"b":2}]}""", true)]
    [InlineData("""{"metadata.a":2}""", """{"a":{"b":2}}""", false)]
    public void AConditionHoldsWhenAnyValueUnderThePathMeetsIt(string filter, string metadata, bool expected) =>
        Assert.Equal(expected, Matches(filter, metadata));

    // MongoDB's manual, "Comparison/Sort Order": numbers of all types are one type; other types are not compared with one another.
    [Theory]
    [InlineData("1", "1.0", true)]
    [InlineData("0", "-0.0", true)]
    [InlineData("9007199254740992", "9007199254740993", true)]
    [InlineData("1", "true", false)]
    [InlineData("0", "false", false)]
    [InlineData("0", "null", false)]
    [InlineData("\"1\"", "1", false)]
    [InlineData("\"true\"", "true", false)]
    [InlineData("\"\"", "null", false)]
    [InlineData("\"\\u00e4\"", "\"ä\"", true)]
    [InlineData("\"ä\"", "\"a\\u0308\"", false)]
    public void EqualityIsOfTypeAndValue(string one, string other, bool expected)
    {
        Assert.Equal(expected, Matches($$"""{"metadata.a":{{one}} }""", $$"""{"a":{{other}} }"""));
        Assert.Equal(expected, Matches($$"""{"metadata.a":{"$eq":{{other}} } }""", $$"""{"a":{{one}} }"""));
        Assert.Equal(expected, Matches($$"""{"metadata.a":{"$in":[99,{{one}}]} }""", $$"""{"a":{{other}} }"""));
        Assert.Equal(!expected, Matches($$"""{"metadata.a":{"$ne":{{one}} } }""", $$"""{"a":{{other}} }"""));
    }

    [Theory]
    [InlineData("2", "$gt 1", true)]
    [InlineData("2", "$gt 2", false)]
    [InlineData("2", "$gte 2", true)]
    [InlineData("2", "$lt 2", false)]
    [InlineData("2", "$lte 2", true)]
    [InlineData("2", "$lt 10", true)]
    [InlineData("\"2\"", "$lt \"10\"", false)]
    [InlineData("-0.0", "$lt 0", false)]
    [InlineData("-0.0", "$gte 0", true)]
    [InlineData("1e308", "$lt 1e999", true)]
    [InlineData("1e999", "$gte 1e999", true)]
    [InlineData("\"2025-03-01T10:00:00Z\"", "$gte \"2025-03-01\"", true)]
    [InlineData("\"2025-03-01\"", "$gt \"2025-03-01T10:00:00Z\"", false)]
    [InlineData("\"Z\"", "$lt \"a\"", true)]
    [InlineData("\"a\"", "$lt \"aa\"", true)]
    [InlineData("\"\"", "$lt \"a\"", true)]
    [InlineData("1", "$lt \"a\"", false)]
    [InlineData("\"a\"", "$gt 1", false)]
    [InlineData("true", "$gt 0", false)]
    [InlineData("null", "$lte 0", false)]
    public void RangesCompareValuesOfOneType(string value, string condition, bool expected)
    {
        var (name, bound) = (condition.Split(' ')[0], condition.Split(' ')[1]);

        Assert.Equal(expected, Matches($$"""{"metadata.a":{"{{name}}":{{bound}} } }""", $$"""{"a":{{value}} }"""));
    }

    // By UTF-8, U+FF5E comes before U+1F600; by UTF-16 it would come after, since that begins with a surrogate.
    [Fact]
    public void TextsAreInTheOrderOfTheirUtf8() => Assert.True(Matches("""{"metadata.a":{"$lt":"\ud83d\ude00"}}""", "{\"a\":\"\uff5e\"}"));

    // MongoDB's manual on $ne, $nin and $not: they also select documents that do not contain the field; "Query for Null or Missing Fields".
    [Theory]
    [InlineData("""{"metadata.a":{"$ne":1}}""", "{}", true)]
    [InlineData("""{"metadata.a":{"$nin":[1,2]}}""", "{}", true)]
    [InlineData("""{"metadata.a":{"$nin":[1,2]}}""", """{"a":2}""", false)]
    [InlineData("""{"metadata.a":{"$not":{"$gt":1}}}""", "{}", true)]
    [InlineData("""{"metadata.a":{"$not":{"$gt":1}}}""", """{"a":"x"}""", true)]
    [InlineData("""{"metadata.a":{"$not":{"$gt":1,"$lt":5}}}""", """{"a":7}""", true)]
    [InlineData("""{"metadata.a":{"$not":{"$gt":1,"$lt":5}}}""", """{"a":3}""", false)]
    [InlineData("""{"metadata.a":{"$not":{"$not":{"$eq":3}}}}""", """{"a":3}""", true)]
    [InlineData("""{"metadata.a":null}""", "{}", true)]
    [InlineData("""{"metadata.a":null}""", """{"a":null}""", true)]
    [InlineData("""{"metadata.a":null}""", """{"a":0}""", false)]
    [InlineData("""{"metadata.a":null}""", """{"a":[]}""", false)]
    [InlineData("""{"metadata.a":null}""", """{"a":{"b":1}}""", false)]
    [InlineData("""{"metadata.a":null}""", """{"a":[1,null]}""", true)]
    [InlineData("""{"metadata.a":{"$in":[1,null]}}""", "{}", true)]
    [InlineData("""{"metadata.a":{"$nin":[1,null]}}""", "{}", false)]
    [InlineData("""{"metadata.a":{"$ne":null}}""", "{}", false)]
    [InlineData("""{"metadata.a":{"$ne":null}}""", """{"a":[]}""", true)]
    [InlineData("""{"metadata.a":{"$in":[]}}""", """{"a":1}""", false)]
    [InlineData("""{"metadata.a":{"$nin":[]}}""", """{"a":1}""", true)]
    public void NegationsHoldForMissingFieldsAndNullIsMissing(string filter, string metadata, bool expected) =>
        Assert.Equal(expected, Matches(filter, metadata));

    [Theory]
    [InlineData("a", """{"a":null}""", true)]
    [InlineData("a", """{"a":[]}""", true)]
    [InlineData("a", """{"a":{}}""", true)]
    [InlineData("a", """{"a":{"b":1}}""", true)]
    [InlineData("a.b", """{"a":[{"b":[]}]}""", true)]
    [InlineData("a", """{"a.b":1}""", false)]
    [InlineData("a.b", """{"a":{"c":1}}""", false)]
    [InlineData("", """{"":1}""", true)]
    [InlineData("", """{"a":1}""", false)]
    public void APathExistsWhateverLiesThere(string path, string metadata, bool expected)
    {
        Assert.Equal(expected, Matches($$"""{"metadata.{{path}}":{"$exists":true} }""", metadata));
        Assert.Equal(!expected, Matches($$"""{"metadata.{{path}}":{"$exists":false} }""", metadata));
    }

    [Theory]
    [InlineData("null", true)]
    [InlineData("{}", true)]
    [InlineData("""{"$not":{}}""", false)]
    [InlineData("""{"$and":[{"metadata.a":1},{"metadata.b":2}]}""", true)]
    [InlineData("""{"$and":[{"metadata.a":1},{"metadata.b":3}]}""", false)]
    [InlineData("""{"$or":[{"metadata.a":2},{"metadata.b":2}]}""", true)]
    [InlineData("""{"$or":[{"metadata.a":2},{"metadata.b":3}]}""", false)]
    [InlineData("""{"$or":[{"metadata.a":2},{}]}""", true)]
    [InlineData("""{"$not":{"metadata.a":1,"metadata.b":3}}""", true)]
    [InlineData("""{"$not":{"metadata.a":1,"metadata.b":2}}""", false)]
    [InlineData("""{"$or":[{"metadata.a":1}],"metadata.b":3}""", false)]
    [InlineData("""{"$and":[{"$and":[{"metadata.a":1}]},{"$or":[{"$not":{"metadata.b":9}}]}]}""", true)]
    public void FiltersCombine(string filter, bool expected) => Assert.Equal(expected, Matches(filter, """{"a":1,"b":2}"""));

    [Theory]
    [InlineData("[]", "filters", "must be an object of conditions")]
    [InlineData("1", "filters", "must be an object of conditions")]
    [InlineData("""{"source":1}""", "filters.source", "must be a field that begins with metadata., or one of: $and, $or, $not")]
    [InlineData("""{"metadata":1}""", "filters.metadata", "must be a field that begins with metadata., or one of: $and, $or, $not")]
    [InlineData("""{"$nor":[]}""", "filters.$nor", "must be a field that begins with metadata., or one of: $and, $or, $not")]
    [InlineData("""{"$and":{}}""", "filters.$and", "must be a list of 1 to 256 filters")]
    [InlineData("""{"$or":[]}""", "filters.$or", "must be a list of 1 to 256 filters")]
    [InlineData("""{"$or":[{},7]}""", "filters.$or[1]", "must be an object of conditions")]
    [InlineData("""{"$not":[]}""", "filters.$not", "must be an object of conditions")]
    [InlineData("""{"metadata.a":[1]}""", "filters.metadata.a", "must be a string, a number, true, false or null, or an object of operators")]
    [InlineData("""{"metadata.a":{}}""", "filters.metadata.a", "must have at least one of: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not")]
    [InlineData("""{"metadata.a":{"b":1}}""", "filters.metadata.a.b", "must be one of: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not")]
    [InlineData("""{"metadata.a":{"$regex":"x"}}""", "filters.metadata.a.$regex", "must be one of: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not")]
    [InlineData("""{"metadata.a":{"$eq":{}}}""", "filters.metadata.a.$eq", "must be a string, a number, true, false or null")]
    [InlineData("""{"metadata.a":{"$ne":[]}}""", "filters.metadata.a.$ne", "must be a string, a number, true, false or null")]
    [InlineData("""{"metadata.a":{"$eq":"\ud800"}}""", "filters.metadata.a.$eq", "must be a string of valid Unicode")]
    [InlineData("""{"metadata.a":{"$gt":true}}""", "filters.metadata.a.$gt", "must be a number or a string")]
    [InlineData("""{"metadata.date":{"$gte":null}}""", "filters.metadata.date.$gte", "must be a number or a string")]
    [InlineData("""{"metadata.a":{"$lt":[1]}}""", "filters.metadata.a.$lt", "must be a number or a string")]
    [InlineData("""{"metadata.a":{"$lte":{}}}""", "filters.metadata.a.$lte", "must be a number or a string")]
    [InlineData("""{"metadata.a":{"$in":1}}""", "filters.metadata.a.$in", "must be a list of no more than 1000 values")]
    [InlineData("""{"metadata.a":{"$nin":[1,[2]]}}""", "filters.metadata.a.$nin[1]", "must be a string, a number, true, false or null")]
    [InlineData("""{"metadata.a":{"$exists":1}}""", "filters.metadata.a.$exists", "must be true or false")]
    [InlineData("""{"metadata.a":{"$not":1}}""", "filters.metadata.a.$not", "must be an object of operators")]
    [InlineData("""{"metadata.a":{"$not":{}}}""", "filters.metadata.a.$not", "must have at least one of: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not")]
    [InlineData("""{"$or":[{"metadata.a":{"$not":{"$gt":null}}}]}""", "filters.$or[0].metadata.a.$not.$gt", "must be a number or a string")]
    public void WhatIsNoFilterIsRefusedByNameWithWhatItMustBe(string filter, string name, string reason) =>
        Assert.Equal([KeyValuePair.Create<string, object?>(name, reason)], Faults(filter));

    [Fact]
    public void AllFaultsAreToldAtOnce() =>
        Assert.Equal(
            ["filters.$and[0].metadata.c.$in[0]", "filters.$and[1]", "filters.a", "filters.metadata.b.$gt", "filters.metadata.b.$size"],
            Faults("""{"a":1,"metadata.b":{"$gt":false,"$size":1,"$lt":2},"$and":[{"metadata.c":{"$in":[[]]}},"x",{"metadata.d":1}]}""").Keys.Order(StringComparer.Ordinal));

    [Fact]
    public void NestingHasALimit()
    {
        Assert.Empty(Faults(Nested(Filter.DepthMax)));
        Assert.Equal("must be nested no deeper than 16 levels", Assert.Single(Faults(Nested(Filter.DepthMax + 1))).Value);

        var operators = string.Concat(Enumerable.Repeat("{\"$not\":", Filter.DepthMax)) + "{\"$gt\":1}" + new string('}', Filter.DepthMax);
        Assert.Empty(Faults($$"""{"metadata.a":{{operators}} }"""));
        Assert.Equal("must be nested no deeper than 16 levels", Assert.Single(Faults($$"""{"$not":{"metadata.a":{{operators}} } }""")).Value);

        static string Nested(int depth) => depth == 0 ? "{}" : depth % 2 == 0 ? $$"""{"$not":{{Nested(depth - 1)}} }""" : $$"""{"$or":[{{Nested(depth - 1)}}]}""";
    }

    [Fact]
    public void TheNumberOfConditionsHasALimit()
    {
        Assert.Empty(Faults(Or(16, 16)));
        Assert.Equal("must have no more than 256 conditions", Assert.Single(Faults(Or(17, 16))).Value);
        Assert.Equal("must be a list of 1 to 256 filters", Assert.Single(Faults(Or(1, 257))).Value);
        Assert.Equal("must have no more than 256 conditions", Assert.Single(Faults(Or(257, 1))).Value);

        static string Or(int fields, int filters)
        {
            var list = string.Join(',', Enumerable.Repeat("{}", filters));
            return $"{{{string.Join(',', Enumerable.Range(0, fields).Select(field => filters == 1 ? $"\"metadata.{field}\":1" : $"\"$or\":[{list}]"))}}}";
        }
    }

    [Fact]
    public void ListsTextsAndPathsHaveLimits()
    {
        Assert.Empty(Faults($$"""{"metadata.a":{"$in":[{{string.Join(',', Enumerable.Range(0, 1000))}}]} }"""));
        Assert.Equal("filters.metadata.a.$nin", Assert.Single(Faults($$"""{"metadata.a":{"$nin":[{{string.Join(',', Enumerable.Range(0, 1001))}}]} }""")).Key);

        Assert.Empty(Faults($$"""{"metadata.a":{"$in":[{{Numbers(600)}}]},"$or":[{"metadata.b":{"$nin":[{{Numbers(400)}}]} }] }"""));
        Assert.Equal(
            [KeyValuePair.Create<string, object?>("filters.$or[0].metadata.b.$nin", "must have, with the lists before it, no more than 1000 values")],
            Faults($$"""{"metadata.a":{"$in":[{{Numbers(600)}}]},"$or":[{"metadata.b":{"$nin":[{{Numbers(401)}}]} },{"metadata.c":{"$in":[]} }] }""").Take(1));

        static string Numbers(int count) => string.Join(',', Enumerable.Range(0, count));

        var text = new string('ä', Filter.TextBytesMax / 2);
        Assert.Empty(Faults($$"""{"metadata.a":"{{text}}"}"""));
        Assert.Equal("must have no more than 1024 bytes in UTF-8", Assert.Single(Faults($$"""{"metadata.a":"{{text}}a"}""")).Value);
        Assert.Equal("must have no more than 1024 bytes in UTF-8", Assert.Single(Faults($$"""{"metadata.a":{"$gt":"{{text}}a"} }""")).Value);

        Assert.Empty(Faults($$"""{"metadata.{{text}}":1}"""));
        Assert.Equal("must have no more than 1024 bytes in UTF-8 after metadata.", Assert.Single(Faults($$"""{"metadata.{{text}}a":1}""")).Value);
    }

    [Fact]
    public void ALongPathIsToldOnceHoweverMuchIsBelowIt() =>
        Assert.Equal(
            "must have no more than 1024 bytes in UTF-8 after metadata.",
            Assert.Single(Faults($$"""{"metadata.{{new string('a', 1025)}}":{"$a":1,"$b":2,"$eq":[]} }""")).Value);

    // Each value of an array would otherwise meet each of a list: ten thousand million comparisons.
    [Fact]
    public void ALongListMeetsALongArrayWithoutComparingEachWithEach()
    {
        var metadata = $$"""{"a":[{{string.Join(',', Enumerable.Repeat("\"x\"", 8_000))}}]}""";
        var looked = 0;
        var values = Enumerable.Range(0, 1000).Select(number => new FilterValue(MetadataKind.Text, 0, new Counted(Encoding.UTF8.GetBytes($"{number}"), () => looked++).Memory)).ToList();

        Assert.False(new Filter.In("a"u8.ToArray(), values).Matches(MetadataFields.Parse(Encoding.UTF8.GetBytes(metadata))));
        Assert.InRange(looked, 0, 100_000);
    }

    private static bool Matches(string filter, string metadata)
    {
        var faults = new Faults();
        var parsed = Filter.Parse(JsonDocument.Parse(filter).RootElement, faults);
        faults.ThrowIfAny();
        return parsed.Matches(MetadataFields.Parse(Encoding.UTF8.GetBytes(metadata)));
    }

    private static IReadOnlyDictionary<string, object?> Faults(string filter)
    {
        var faults = new Faults();
        Filter.Parse(JsonDocument.Parse(filter).RootElement, faults);
        return Record.Exception(faults.ThrowIfAny) is ApiException exception ? exception.Details : new Dictionary<string, object?>();
    }

    /// <summary>Memory that tells whenever somebody looks into it.</summary>
    private sealed class Counted(byte[] bytes, Action looked) : System.Buffers.MemoryManager<byte>
    {
        public override Span<byte> GetSpan()
        {
            looked();
            return bytes;
        }

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
        }
    }
}
