using System.Globalization;
using System.Text;
using System.Text.Json;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class MetadataFieldsTests
{
    [Theory]
    [InlineData("{}", "")]
    [InlineData("""{"a":1,"b":"x","c":true,"d":false,"e":null}""", "a=1 b='x' c=True d=False e=Null")]
    [InlineData("""{"a":{"b":1}}""", "a=Container a.b=1")]
    [InlineData("""{"a.b":1}""", "a.b=1")]
    [InlineData("""{"a":[1,"x",null]}""", "a=Container a=1 a='x' a=Null")]
    [InlineData("""{"a":[{"b":1},{"b":2,"c":[3]}]}""", "a=Container a.b=1 a.b=2 a.c=Container a.c=3")]
    [InlineData("""{"a":[[1],[],{}]}""", "a=Container a=1")]
    [InlineData("""{"a":{},"b":[]}""", "a=Container b=Container")]
    [InlineData("""{"":1,"a":{"":2},"b":{"":{"":3}}}""", "=1 a=Container a.=2 b=Container b.=Container b..=3")]
    [InlineData("""{"":{"b":1}}""", "=Container .b=1")]
    [InlineData("""{"\u00e4\n":"\ud83d\ude00\"","😀":"ä"}""", "ä\n='😀\"' 😀='ä'")]
    [InlineData("""{"a":-0.0,"b":1.50,"c":9007199254740993,"d":1e308,"e":1e999,"f":-1e999}""", "a=-0 b=1.5 c=9007199254740992 d=1E+308 e=Infinity f=-Infinity")]
    public void AnObjectBecomesPathsAndValues(string json, string expected) => Assert.Equal(expected, Text(json));

    [Fact]
    public void WhatIsNoUnicodeIsThereWithoutAValueAndCannotBeNamed() =>
        Assert.Equal("a=Container b=Container b=Container b='x' d=1", Text("""{"a":"\ud800","b":["\udc00x","x"],"\ud800":{"c":1},"d":1}"""));

    [Fact]
    public void PathsThatNoFilterCanNameAreLeftOutWithAllBelowThem()
    {
        var longest = new string('a', MetadataFields.PathBytesMax);

        Assert.Equal(
            $"{longest}=Container b=Container b.{longest[2..]}=3 c=4",
            Text($$"""{"{{longest}}":{"b":1},"{{longest}}a":{"b":1},"b":{"{{longest[1..]}}":2,"{{longest[2..]}}":3},"c":4}"""));
    }

    [Fact]
    public void ALongNameBeforeManyShortOnesDoesNotBlowTheFieldsUp()
    {
        var name = new string('a', 20_000);
        var json = $$"""{"{{name}}":{{{string.Join(",", Enumerable.Range(0, 2000).Select(number => $"\"{number}\":0"))}} } }""";

        Assert.Equal(0, Parse(json).Count);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"a":""")]
    public void WhatIsNoObjectIsRefused(string json) => Assert.ThrowsAny<JsonException>(() => Parse(json));

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("""{"a":1,"b":[1,2]}""", 2)]
    [InlineData("""{"a":{"b":{"c":1}}}""", 1 + 3 + 5)]
    [InlineData("""{"a":[{"b":1},{"b":2}]}""", 1 + 3 + 3)]
    [InlineData("""{"\u00e4":{"\ud83d\ude00":1}}""", 2 + 7)]
    [InlineData("""{"a":{"\ud800":1}}""", 1)]
    public void EachMemberTakesItsWholePath(string json, int expected)
    {
        Assert.Equal(expected, MetadataFields.Measure(Encoding.UTF8.GetBytes(json)).PathBytes);
        Assert.Equal(expected, Parse(json).Size.PathBytes);
    }

    [Fact]
    public void WhatTheFieldsTakeIsKnownBeforeTheyAreMade()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var metadata = new RandomMetadata(new Random(seed));
            for (var round = 0; round < 20; round++)
            {
                var json = metadata.Metadata();
                var fields = Parse(json);
                var text = Text(json);

                Assert.Equal(fields.Size, MetadataFields.Measure(Encoding.UTF8.GetBytes(json)));
                Assert.Equal(fields.Size.HeapBytes, fields.Trim().HeapBytes);
                Assert.Equal(text, Text(fields));
            }
        }
    }

    [Fact]
    public void AVectorWithoutMetadataHasNoFields() => Assert.Equal(0, MetadataFields.Empty.Count);

    private static MetadataFields Parse(string json) => MetadataFields.Parse(Encoding.UTF8.GetBytes(json));

    private static string Text(string json) => Text(Parse(json));

    private static string Text(MetadataFields fields)
    {
        var texts = new List<string>();
        foreach (var field in fields)
        {
            var value = field.Kind switch
            {
                MetadataKind.Number => field.Number.ToString(CultureInfo.InvariantCulture),
                MetadataKind.Text => $"'{Encoding.UTF8.GetString(field.Text)}'",
                var kind => kind.ToString(),
            };
            texts.Add($"{Encoding.UTF8.GetString(field.Path)}={value}");
        }

        return string.Join(' ', texts);
    }
}
