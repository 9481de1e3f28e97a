using System.Globalization;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class MomentsTests
{
    [Theory]
    [InlineData("2024-11-19T14:47:23Z", "2024-11-19T14:47:23.0000000")]
    [InlineData("2024-11-19T14:47:23.470Z", "2024-11-19T14:47:23.4700000")]
    [InlineData("2024-11-19T14:47:23.1234567Z", "2024-11-19T14:47:23.1234567")]
    [InlineData("2024-11-19T14:47Z", "2024-11-19T14:47:00.0000000")]
    [InlineData("2024-11-19T14:47:23+02:00", "2024-11-19T12:47:23.0000000")]
    [InlineData("2024-11-19T14:47:23.5-05:30", "2024-11-19T20:17:23.5000000")]
    [InlineData("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.0000000")]
    [InlineData("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.0000000")]
    [InlineData("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999")]
    public void ATimeWithAZoneIsAMoment(string text, string utc)
    {
        Assert.True(Moments.TryParse(text, out var moment));

        Assert.Equal(utc, moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff", CultureInfo.InvariantCulture));
        Assert.Equal(TimeSpan.Zero, moment.Offset);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Z")]
    [InlineData("T")]
    [InlineData("TZ")]
    [InlineData("now")]
    [InlineData("1732027643")]
    [InlineData("2024-11-19")]
    [InlineData("2024-11-19Z")]
    [InlineData("2024-11-19T14:47:23")]
    [InlineData("2024-11-19 14:47:23Z")]
    [InlineData("2024-11-19T14:47:23.12345678Z")]
    [InlineData("2024-11-19T24:00:00Z")]
    [InlineData("2024-11-19T14:47:60Z")]
    [InlineData("2023-02-29T00:00:00Z")]
    [InlineData("2024-13-01T00:00:00Z")]
    [InlineData("0000-01-01T00:00:00Z")]
    [InlineData("2024-11-19T14:47:23+15:00")]
    [InlineData("2024-11-19T14:47:23+99:99")]
    [InlineData("0001-01-01T00:00:00+14:00")]
    [InlineData("9999-12-31T23:59:59-14:00")]
    [InlineData(" 2024-11-19T14:47:23Z")]
    [InlineData("2024-11-19T14:47:23Z ")]
    [InlineData("2024-11-19T14:47:23ZZ")]
    [InlineData("２０２４-11-19T14:47:23Z")]
    [InlineData("2024-11-19T14:47:23\u0000Z")]
    public void AnythingElseIsNot(string text)
    {
        Assert.False(Moments.TryParse(text, out _));
    }
}
