using System.Globalization;
using QuantumFlux.Local;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Local;

public sealed class NcrontabTests(ITestOutputHelper output)
{
    // The first nine are the examples of the timer trigger's documentation on Microsoft Learn; the others come from the calendar.
    [Theory]
    [InlineData("0 5 * * * *", "2026-11-21T10:05:00Z", "2026-11-21T11:05:00Z")]
    [InlineData("0 * 5 * * *", "2026-11-21T05:59:00Z", "2026-11-22T05:00:00Z")]
    [InlineData("*/5 5 5 * * *", "2026-11-21T05:05:50Z", "2026-11-21T05:05:55Z")]
    [InlineData("0 5 5 * * *", "2026-11-21T05:05:00Z", "2026-11-22T05:05:00Z")]
    [InlineData("0 */5 * * * *", "2026-11-21T23:57:31Z", "2026-11-22T00:00:00Z")]
    [InlineData("0 0 */2 * * *", "2026-11-21T22:00:00Z", "2026-11-22T00:00:00Z")]
    [InlineData("0 0 9-17 * * *", "2026-11-21T17:00:00Z", "2026-11-22T09:00:00Z")]
    [InlineData("0 30 9 * * 1-5", "2026-11-20T09:30:00Z", "2026-11-23T09:30:00Z")]
    [InlineData("0 30 9 * Jan Mon", "2026-11-21T00:00:00Z", "2027-01-04T09:30:00Z")]
    [InlineData("30 9 * january monday", "2026-11-21T00:00:00Z", "2027-01-04T09:30:00Z")]
    [InlineData("0 0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z")]
    [InlineData("0 0 0 29 2 mon", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z")]
    [InlineData("59 59 23 31 12 *", "2026-12-31T23:59:58.9999999Z", "2026-12-31T23:59:59Z")]
    [InlineData("59 59 23 31 12 *", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z")]
    [InlineData("* * * * * *", "2026-11-21T01:30:00.5+01:00", "2026-11-21T00:30:01Z")]
    [InlineData("50/5 * * * * *", "2026-11-21T00:00:00Z", "2026-11-21T00:00:50Z")]
    [InlineData("10-20/5,40 * * * * *", "2026-11-21T00:00:20Z", "2026-11-21T00:00:40Z")]
    public void TheNextMomentIsTheFirstOneAfter(string schedule, string after, string next)
    {
        var found = Ncrontab.Parse(schedule).Next(DateTimeOffset.Parse(after, CultureInfo.InvariantCulture));

        Assert.Equal(DateTimeOffset.Parse(next, CultureInfo.InvariantCulture), found);
        Assert.Equal(TimeSpan.Zero, found?.Offset);
    }

    [Fact]
    public void AMomentThatNeverComesIsNull()
    {
        Assert.Null(Ncrontab.Parse("0 0 0 30 2 *").Next(DateTimeOffset.UnixEpoch));
        Assert.Null(Ncrontab.Parse("* * * * * *").Next(DateTimeOffset.MaxValue));
    }

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("* * * * * * *")]
    [InlineData("00:05:00")]
    [InlineData("60 * * * * *")]
    [InlineData("* * 24 * * *")]
    [InlineData("* * * 0 * *")]
    [InlineData("* * * * 13 *")]
    [InlineData("* * * * * 7")]
    [InlineData("5-1 * * * * *")]
    [InlineData("*/0 * * * * *")]
    [InlineData("*/ * * * * *")]
    [InlineData("1, * * * * *")]
    [InlineData("1-2-3 * * * * *")]
    [InlineData("-1 * * * * *")]
    [InlineData("+1 * * * * *")]
    [InlineData("? * * * * *")]
    [InlineData("* * * * ja *")]
    [InlineData("* * * * mon *")]
    [InlineData("mon * * * * *")]
    public void WhatIsNoScheduleIsRefused(string schedule) => Assert.Throws<FormatException>(() => Ncrontab.Parse(schedule));

    [Fact]
    public void TheNextMomentIsTheOneThatTryingEverySecondFinds()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"Seed {seed}");
        var random = new Random(seed);
        for (var round = 0; round < 150; round++)
        {
            var fields = new[]
            {
                RandomField(random, 0, 59), RandomField(random, 0, 59), RandomField(random, 0, 23),
                RandomField(random, 1, 31), RandomField(random, 1, 12), RandomField(random, 0, 6),
            };
            var schedule = string.Join(' ', fields.Select(field => field.Text));
            var after = new DateTimeOffset(random.NextInt64(new DateTime(1990, 1, 1).Ticks, new DateTime(2110, 1, 1).Ticks), TimeSpan.Zero);

            var found = Ncrontab.Parse(schedule).Next(after);

            var expected = TryEverySecond(fields, after, seconds: 200_000);
            Assert.True(
                expected is null ? found is null || found > after.AddSeconds(200_000) : found == expected,
                $"Seed {seed}: \"{schedule}\" after {after:O} gave {found:O} instead of {expected:O}");
            Assert.True(found is null || Matches(fields, found.Value), $"Seed {seed}: \"{schedule}\" does not match {found:O}");
        }
    }

    private static DateTimeOffset? TryEverySecond((string Text, HashSet<int> Values)[] fields, DateTimeOffset after, int seconds)
    {
        var moment = new DateTimeOffset(after.Ticks - (after.Ticks % TimeSpan.TicksPerSecond), TimeSpan.Zero);
        for (var second = 0; second < seconds; second++)
        {
            moment = moment.AddSeconds(1);
            if (Matches(fields, moment))
            {
                return moment;
            }
        }

        return null;
    }

    private static bool Matches((string Text, HashSet<int> Values)[] fields, DateTimeOffset moment) =>
        fields[0].Values.Contains(moment.Second) && fields[1].Values.Contains(moment.Minute) && fields[2].Values.Contains(moment.Hour)
        && fields[3].Values.Contains(moment.Day) && fields[4].Values.Contains(moment.Month) && fields[5].Values.Contains((int)moment.DayOfWeek);

    /// <summary>A field with the values that it means, both written down by the same choice.</summary>
    private static (string Text, HashSet<int> Values) RandomField(Random random, int min, int max)
    {
        var first = random.Next(min, max + 1);
        var last = random.Next(first, max + 1);
        var step = random.Next(1, (max / 2) + 1);
        return random.Next(7) switch
        {
            0 => ($"{first}", [first]),
            1 => ($"{first}-{last}", Every(first, last, 1)),
            2 => ($"{first}-{last}/{step}", Every(first, last, step)),
            3 => ($"*/{step}", Every(min, max, step)),
            4 => ($"{first},{last}-{max}", [first, .. Every(last, max, 1)]),
            _ => ("*", Every(min, max, 1)),
        };
    }

    private static HashSet<int> Every(int first, int last, int step) => [.. Enumerable.Range(first, last - first + 1).Where(value => (value - first) % step == 0)];
}
