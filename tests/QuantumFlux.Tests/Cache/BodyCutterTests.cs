using System.Globalization;
using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Cache;

namespace QuantumFlux.Tests.Cache;

public sealed class BodyCutterTests
{
    [Theory]
    [InlineData("""{"key":"a","value":{"b":[1,2]},"ttl_seconds":5}""", """{"b":[1,2]}""", """{"key":"a","value":true,"ttl_seconds":5}""")]
    [InlineData("""{"value":1}""", "1", """{"value":true}""")]
    [InlineData("""{"value":-1.5e+7 ,"key":"a"}""", "-1.5e+7", """{"value":true ,"key":"a"}""")]
    [InlineData("""{ "value" : "}\"]" }""", "\"}\\\"]\"", """{ "value" : true }""")]
    [InlineData("""{"options":{"value":2},"value":null}""", "null", """{"options":{"value":2},"value":true}""")]
    [InlineData("""{"v\u0061lue":[]}""", "[]", """{"v\u0061lue":true}""")]
    [InlineData("""{"key":"value"}""", "", """{"key":"value"}""")]
    [InlineData("""["value",{"value":1}]""", "", """["value",{"value":1}]""")]
    [InlineData("""{"value":1,"value":2}""", "1", """{"value":true,"value":2}""")]
    [InlineData("""{"value":{"a":1,"a":2}}""", """{"a":1,"a":2}""", """{"value":true}""")]
    [InlineData("""{"value":"\ud800"}""", "\"\\ud800\"", """{"value":true}""")]
    [InlineData("", "", "")]
    public void TheValueIsCutOutHoweverTheBodyArrives(string body, string value, string rest)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        for (var piece = 1; piece <= Math.Max(1, bytes.Length); piece++)
        {
            Assert.Equal((value, rest), Cut(bytes, _ => piece));
        }
    }

    [Theory]
    [InlineData("""{"value":01}""")]
    [InlineData("""{"value":1.}""")]
    [InlineData("""{"value":+1}""")]
    [InlineData("""{"value":-}""")]
    [InlineData("""{"value":1e}""")]
    [InlineData("""{"value":nul}""")]
    [InlineData("""{"value":NaN}""")]
    [InlineData("""{"value":[1,]}""")]
    [InlineData("""{"value":[1}""")]
    [InlineData("""{"value":{"a":1,}}""")]
    [InlineData("""{"value":{"a"}}""")]
    [InlineData("""{"value":{a:1}}""")]
    [InlineData("""{"value":"\x"}""")]
    [InlineData("""{"value":"\u12g4"}""")]
    [InlineData("{\"value\":\"\n\"}")]
    [InlineData("""{"value":1""")]
    [InlineData("""{"value":1}}""")]
    [InlineData("""{"value":1} x""")]
    [InlineData("""{"value"}""")]
    [InlineData("""{"value":}""")]
    [InlineData("\ufeff{}")]
    public void WhatIsNotJsonIsRefused(string body) =>
        Assert.Equal(400, Assert.Throws<ApiException>(() => Cut(Encoding.UTF8.GetBytes(body), _ => 3)).Status);

    [Theory]
    [InlineData(new byte[] { 0xff })]
    [InlineData(new byte[] { 0xc0, 0x80 })]
    [InlineData(new byte[] { 0xed, 0xa0, 0x80 })]
    [InlineData(new byte[] { 0xe2, 0x82 })]
    [InlineData(new byte[] { 0xf4, 0x90, 0x80, 0x80 })]
    public void WhatIsNotUtf8IsRefused(byte[] text)
    {
        byte[] body = [.. "{\"value\":\"a"u8, .. text, .. "b\"}"u8];
        for (var piece = 1; piece <= body.Length; piece++)
        {
            Assert.Equal(400, Assert.Throws<ApiException>(() => Cut(body, _ => piece)).Status);
        }
    }

    [Fact]
    public void NestingHasALimit()
    {
        // The object itself is the first level.
        Cut(Nested(BodyCutter.DepthMax - 1), _ => 100);
        Assert.Throws<ApiException>(() => Cut(Nested(BodyCutter.DepthMax), _ => 100));

        static byte[] Nested(int depth) => Encoding.UTF8.GetBytes($"{{\"value\":{new string('[', depth)}{new string(']', depth)}}}");
    }

    [Fact]
    public void TheRestHasALimit()
    {
        var body = Encoding.UTF8.GetBytes($"{{\"value\":1,\"key\":\"{new string('a', JsonBody.BytesMaxDefault)}\"}}");

        Assert.Throws<ApiException>(() => Cut(body, _ => 1000));
    }

    [Fact]
    public void ItAgreesWithTheParserOnDocumentsThatWereDamagedAtRandom()
    {
        var seed = Environment.GetEnvironmentVariable("QUANTUMFLUX_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture) : Random.Shared.Next();
        var random = new Random(seed);
        var sample = Encoding.UTF8.GetBytes(
            """{"key":"k ä😀\u00e4\n","value":{"a":[0,-1.25e-3,10E5,true,false,null,"x\"\\\/é"],"b":{},"c":[],"d":[[{"e":""}]]},"options":{"compression":"none"}}""");
        const string Alphabet = "{}[]\",:\\0123456789-+.eEtrufalsn \n\u00e4";
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = sample.ToList();
            for (var edits = random.Next(4); edits > 0; edits--)
            {
                var at = random.Next(bytes.Count);
                switch (random.Next(4))
                {
                    case 0:
                        bytes.RemoveAt(at);
                        break;
                    case 1:
                        bytes[at] = (byte)random.Next(256);
                        break;
                    default:
                        bytes.Insert(at, (byte)Alphabet[random.Next(Alphabet.Length)]);
                        break;
                }
            }

            byte[] body = [.. bytes];
            var expected = IsJson(body);
            bool actual;
            (string Value, string Outline) cut = ("", "");
            try
            {
                cut = Cut(body, left => random.Next(1, left + 1));
                actual = true;
            }
            catch (ApiException)
            {
                actual = false;
            }

            Assert.True(expected == actual, $"QUANTUMFLUX_SEED={seed}, round {round}: {Encoding.Latin1.GetString(body)}");
            if (actual && cut.Value.Length > 0)
            {
                using var document = JsonDocument.Parse(body);
                Assert.Equal(document.RootElement.EnumerateObject().First(member => member.NameEquals("value")).Value.GetRawText(), cut.Value);
            }
        }
    }

    private static bool IsJson(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return System.Text.Unicode.Utf8.IsValid(body);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static (string Value, string Outline) Cut(byte[] body, Func<int, int> piece)
    {
        var cutter = new BodyCutter("value");
        var value = new MemoryStream();
        for (var start = 0; start < body.Length;)
        {
            var arrived = body.AsSpan(start, Math.Min(piece(body.Length - start), body.Length - start));
            start += arrived.Length;
            while (!arrived.IsEmpty)
            {
                var taken = arrived[..cutter.Take(arrived, out var isValue)];
                arrived = arrived[taken.Length..];
                if (isValue)
                {
                    value.Write(taken);
                }
            }
        }

        cutter.End();
        return (Encoding.UTF8.GetString(value.ToArray()), Encoding.UTF8.GetString(cutter.Rest.Span));
    }
}
