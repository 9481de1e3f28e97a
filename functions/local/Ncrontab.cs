using System.Globalization;
using System.Numerics;

namespace QuantumFlux.Local;

/// <summary>A schedule in the form that timer triggers use: second, minute, hour, day, month, day of the week.</summary>
/// <remarks>
/// A field is <c>*</c>, a number or a name (<c>jan</c>, <c>monday</c>), a range <c>a-b</c>, either with a step <c>/n</c>, or a list of those with
/// commas. A number with a step runs from it to the field's end. Sunday is 0. Five fields mean second 0. A moment matches when all fields match, the
/// day and the day of the week too. Times are UTC, as in Azure. The rules are those of the NCrontab library's documentation.
/// </remarks>
public sealed class Ncrontab
{
    // The longest wait there is: 29 February on a given day of the week comes every 28 years, or 40 across a year such as 2100 that is no leap year.
    private const int YearsMax = 41;

    private static readonly string[] _months = [.. CultureInfo.InvariantCulture.DateTimeFormat.MonthNames.Take(12)];
    private static readonly string[] _days = CultureInfo.InvariantCulture.DateTimeFormat.DayNames;

    // Bit n says that the value n matches.
    private readonly ulong _seconds;
    private readonly ulong _minutes;
    private readonly ulong _hours;
    private readonly ulong _daysOfMonth;
    private readonly ulong _monthsOfYear;
    private readonly ulong _daysOfWeek;

    private Ncrontab(string[] fields)
    {
        _seconds = ParseField(fields[0], 0, 59, []);
        _minutes = ParseField(fields[1], 0, 59, []);
        _hours = ParseField(fields[2], 0, 23, []);
        _daysOfMonth = ParseField(fields[3], 1, 31, []);
        _monthsOfYear = ParseField(fields[4], 1, 12, _months);
        _daysOfWeek = ParseField(fields[5], 0, 6, _days);
    }

    /// <summary>Reads a schedule.</summary>
    /// <exception cref="FormatException">The text is not a schedule.</exception>
    public static Ncrontab Parse(string schedule)
    {
        var fields = schedule.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return fields.Length switch
        {
            6 => new Ncrontab(fields),
            5 => new Ncrontab(["0", .. fields]),
            _ => throw new FormatException($"The schedule \"{schedule}\" has {fields.Length} fields instead of 6 (or 5 without seconds)."),
        };
    }

    /// <summary>The first moment after another one that matches, in UTC; null when there is none (30 February) before the calendar ends.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        var start = after.UtcDateTime;
        var secondOfDay = (int)start.TimeOfDay.TotalSeconds + 1;
        var day = DateOnly.FromDateTime(start);
        var last = day.Year + YearsMax <= DateOnly.MaxValue.Year ? day.AddYears(YearsMax) : DateOnly.MaxValue;
        while (true)
        {
            if (Has(_monthsOfYear, day.Month) && Has(_daysOfMonth, day.Day) && Has(_daysOfWeek, (int)day.DayOfWeek) && NextInDay(secondOfDay) is { } time)
            {
                return new DateTimeOffset(day.ToDateTime(time), TimeSpan.Zero);
            }

            if (day >= last)
            {
                return null;
            }

            day = day.AddDays(1);
            secondOfDay = 0;
        }
    }

    private TimeOnly? NextInDay(int secondOfDay)
    {
        for (var hour = secondOfDay / 3600; hour < 24; hour++)
        {
            if (!Has(_hours, hour))
            {
                continue;
            }

            var firstMinute = Math.Max(0, (secondOfDay - (hour * 3600)) / 60);
            for (var minute = firstMinute; minute < 60; minute++)
            {
                var firstSecond = Math.Max(0, secondOfDay - (hour * 3600) - (minute * 60));
                if (Has(_minutes, minute) && _seconds >> firstSecond is not 0 and var seconds)
                {
                    return new TimeOnly(hour, minute, firstSecond + BitOperations.TrailingZeroCount(seconds));
                }
            }
        }

        return null;
    }

    private static bool Has(ulong bits, int value) => (bits >> value & 1) != 0;

    private static ulong ParseField(string field, int min, int max, string[] names)
    {
        var bits = 0UL;
        foreach (var part in field.Split(','))
        {
            var (range, step) = part.Split('/') switch
            {
                [var only] => (only, 1),
                [var left, var right] => (left, ParseNumber(right, 1, max, field)),
                _ => throw Bad(field),
            };
            var (first, last) = range.Split('-') switch
            {
                ["*"] => (min, max),
                [var only] when part.Contains('/', StringComparison.Ordinal) => (ParseValue(only, min, max, names, field), max),
                [var only] => (ParseValue(only, min, max, names, field), -1),
                [var left, var right] => (ParseValue(left, min, max, names, field), ParseValue(right, min, max, names, field)),
                _ => throw Bad(field),
            };
            if (last == -1)
            {
                last = first;
            }

            if (first > last)
            {
                throw Bad(field);
            }

            for (var value = first; value <= last; value += step)
            {
                bits |= 1UL << value;
            }
        }

        return bits;
    }

    /// <summary>A number, or a name or at least its first three letters.</summary>
    private static int ParseValue(string text, int min, int max, string[] names, string field)
    {
        var name = text.Length < 3 ? -1 : Array.FindIndex(names, candidate => candidate.StartsWith(text, StringComparison.OrdinalIgnoreCase));
        return name >= 0 ? name + min : ParseNumber(text, min, max, field);
    }

    private static int ParseNumber(string text, int min, int max, string field) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max ? number : throw Bad(field);

    private static FormatException Bad(string field) => new($"The field \"{field}\" of a schedule cannot be read.");
}
