using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

public sealed class TableKeyTests
{
    [Fact]
    public void EveryCharacterOfTheBasicPlaneSurvives()
    {
        for (var code = 0; code <= char.MaxValue; code++)
        {
            var text = $"a{(char)code}b";

            var key = TableKey.Escape(text);

            Assert.Equal(text, TableKey.Unescape(key));
            TableRules.CheckKey(key);
            Assert.DoesNotContain(":", key, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("plain text-1_2.3~4 ünï 漢字")]
    [InlineData("\U0001f63a")]
    public void APleasantTextIsItsOwnKey(string text) => Assert.Same(text, TableKey.Escape(text));

    [Theory]
    [InlineData("a/b", "a!002fb")]
    [InlineData("!", "!0021")]
    [InlineData("a:b", "a!003ab")]
    [InlineData("it's", "it!0027s")]
    [InlineData("100%", "100!0025")]
    public void AnUnpleasantCharacterBecomesFourHexDigits(string text, string key) => Assert.Equal(key, TableKey.Escape(text));

    [Fact]
    public void HalfASurrogatePairIsEscapedAndAWholeOneIsNot()
    {
        foreach (var text in new[] { "\ud83d", "\ude3a", "\ude3a\ud83d", "\ud83d\ud83d\ude3a", "\ud83d\ude3a\ude3a", "a\ud83d", "\ud83db" })
        {
            var key = TableKey.Escape(text);

            TableRules.CheckKey(key);
            Assert.Equal(text, TableKey.Unescape(key));
        }

        Assert.Equal("!d83d\U0001f63a", TableKey.Escape("\ud83d\U0001f63a"));
    }

    [Fact]
    public void DifferentTextsNeverShareAKey()
    {
        string[] texts = ["/", "!002f", "!!002f", "!0021002f", "\\", "", "!", "!!", "a!", "!a", "002f"];

        Assert.Equal(texts.Length, texts.Select(TableKey.Escape).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void AKeyHasAtMost512Characters()
    {
        Assert.Equal(TableKey.CharactersMax, TableKey.Escape(new string('x', 512)).Length);
        Assert.Throws<ArgumentException>(() => TableKey.Escape(new string('x', 513)));
        Assert.Throws<ArgumentException>(() => TableKey.Escape(new string('/', 103)));
    }

    [Theory]
    [InlineData("!")]
    [InlineData("!12")]
    [InlineData("a!00zz")]
    [InlineData("! 12f")]
    public void ATextThatEscapeDidNotMakeIsRefused(string key) => Assert.Throws<FormatException>(() => TableKey.Unescape(key));

    [Fact]
    public void LargerNumbersComeFirst()
    {
        long[] numbers = [0, 1, 9, 10, 1234567890123, long.MaxValue];

        Assert.Equal(numbers.Reverse(), numbers.OrderBy(TableKey.Descending, StringComparer.Ordinal));
        Assert.All(numbers, number => Assert.Equal(19, TableKey.Descending(number).Length));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    public void ANegativeNumberIsRefused(long number) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => TableKey.Descending(number));

    [Fact]
    public void TextsOfAnyLengthHaveKeysOfTheirOwnWithinTheLimitThatTheirPrefixesFind()
    {
        const int Max = 100;
        string[] pieces = ["a", "/", "!", "😀", "ä", "\0"];
        var seen = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (first, second) in pieces.SelectMany(first => pieces.Select(second => (first, second))))
        {
            for (var count = 1; count < 60; count++)
            {
                var text = string.Concat(Enumerable.Repeat(first, count)) + second;
                var key = TableKey.EscapeLong(text, Max);

                Assert.InRange(key.Length, 1, Max);
                Assert.Equal(text, seen.GetValueOrDefault(key, text));
                seen[key] = text;
                TableRules.CheckKey(key);
                Assert.StartsWith(TableKey.EscapeLongPrefix(text[..^second.Length], Max), key, StringComparison.Ordinal);
                Assert.StartsWith(TableKey.EscapeLongPrefix(text, Max), key, StringComparison.Ordinal);
            }
        }
    }
}
