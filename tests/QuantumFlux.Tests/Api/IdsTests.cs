using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class IdsTests
{
    private static readonly DateTimeOffset _now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void AnIdIsItsPrefixAnd32HexDigits()
    {
        Assert.Matches("^ent_[0-9a-f]{32}$", Ids.New("ent_", _now));
    }

    [Fact]
    public void AnIdIsAUuidOfVersion7AndTellsItsMoment()
    {
        var id = Guid.ParseExact(Ids.New("", _now.AddMilliseconds(123.9)), "N");

        Assert.Equal((7, 0x8), (id.Version, id.Variant & 0xC));
        Assert.StartsWith((_now.ToUnixTimeMilliseconds() + 123).ToString("x12", System.Globalization.CultureInfo.InvariantCulture), id.ToString("N"), StringComparison.Ordinal);
    }

    [Fact]
    public void IdsSortByTheirMoment()
    {
        // Half a microsecond apart: two requests, one after the other, take longer.
        var ids = Enumerable.Range(0, 10_000).Select(index => Ids.New("ent_", _now.AddTicks(5 * index))).ToList();

        Assert.Equal(ids, ids.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void IdsOfOneMomentDiffer()
    {
        Assert.Equal(10_000, Enumerable.Range(0, 10_000).Select(_ => Ids.New("ent_", _now)).Distinct().Count());
    }

    [Theory]
    [InlineData("ent_0123456789abcdef0123456789abcdef", true)]
    [InlineData("ent_7f9e2a4b8c3d1e5f6g7h8j9k0l1m2n3p", true)]
    [InlineData("ent_0123456789abcdef0123456789abcde", false)]
    [InlineData("ent_0123456789abcdef0123456789abcdef0", false)]
    [InlineData("ent_0123456789ABCDEF0123456789ABCDEF", false)]
    [InlineData("ent_0123456789abcdef0123456789abcde\n", false)]
    [InlineData("ent_0123456789abcdef0123456789abcdef\n", false)]
    [InlineData("ent_０123456789abcdef0123456789abcdef", false)]
    [InlineData("ent_", false)]
    [InlineData("", false)]
    [InlineData("bak_0123456789abcdef0123456789abcdef", false)]
    [InlineData("ENT_0123456789abcdef0123456789abcdef", false)]
    public void OnlyWhatMayHaveBeenGivenOutIsWellFormed(string id, bool isWellFormed)
    {
        Assert.Equal(isWellFormed, Ids.IsWellFormed(id, "ent_"));
    }
}
