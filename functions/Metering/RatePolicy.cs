using System.Globalization;
using QuantumFlux.Keys;

namespace QuantumFlux.Metering;

/// <summary>So many requests in each span of time. The spans follow each other without gaps, counted from 1970, and have numbers.</summary>
/// <param name="Name">What headers call it: the span in one word, such as <c>hour</c>.</param>
/// <param name="Length">How long each is; whole seconds.</param>
/// <param name="Limit">The most requests in one.</param>
public sealed record RateWindow(string Name, TimeSpan Length, long Limit)
{
    /// <summary>For how long ahead an instance takes budget at once, while there is plenty: at a steady rate, one lease in this time.</summary>
    public static readonly TimeSpan Horizon = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan _remembered = TimeSpan.FromMinutes(2);
    private const int SpansRememberedMin = 60;

    /// <summary>How many spans a lease covers: as many as lie within the horizon, at least the one that it is.</summary>
    public int SpansAhead { get; } = Math.Max(1, (int)(Horizon / Length));

    /// <summary>
    /// How many past spans stay on record, for instances whose clock is behind others: two minutes, at least 60 spans. A clock that is further off
    /// can cost budget until the span is over; never is any given twice.
    /// </summary>
    public int SpansRemembered { get; } = Math.Max(SpansRememberedMin, (int)(_remembered / Length));

    /// <summary>The number of the span that a moment lies in.</summary>
    public long SpanAt(DateTimeOffset moment) => (moment.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) / Length.Ticks;

    /// <summary>When a span ends and the next begins.</summary>
    public DateTimeOffset EndOf(long span) => DateTimeOffset.UnixEpoch + ((span + 1) * Length);
}

/// <summary>The windows that all limit one kind of request: it needs room in every one.</summary>
public sealed class RatePolicy
{
    private static readonly TimeSpan _month = TimeSpan.FromDays(30);

    private RatePolicy(string name, bool isLimited, params RateWindow[] windows)
    {
        Name = name;
        IsLimited = isLimited;
        Windows = windows;
        Header = string.Join(", ", windows.Select(window =>
            string.Create(CultureInfo.InvariantCulture, $"\"{window.Name}\";q={window.Limit};w={(long)window.Length.TotalSeconds}")));
    }

    /// <summary>Which requests it is about: <c>v3</c>, <c>v2</c>, <c>failed-authentications</c>, or <c>unlimited</c> for all when limits are switched off.</summary>
    public string Name { get; }

    /// <summary>False when limits are switched off: then requests are counted, so that a key's last use is known, and never refused.</summary>
    public bool IsLimited { get; }

    /// <summary>The windows, the shortest first.</summary>
    public IReadOnlyList<RateWindow> Windows { get; }

    /// <summary>The value of the header <c>RateLimit-Policy</c> (draft-ietf-httpapi-ratelimit-headers).</summary>
    public string Header { get; }

    /// <summary>The policy of a tier on version 3.</summary>
    public static RatePolicy ForTier(RateLimitOptions options, Tier tier)
    {
        var limits = tier switch
        {
            Tier.Enterprise => options.Enterprise,
            Tier.Professional => options.Professional,
            _ => options.Free,
        };
        return options.Enabled
            ? new RatePolicy(
                "v3",
                true,
                new RateWindow("minute", TimeSpan.FromMinutes(1), limits.Minute),
                new RateWindow("hour", TimeSpan.FromHours(1), limits.Hour),
                new RateWindow("day", TimeSpan.FromDays(1), limits.Day),
                new RateWindow("month", _month, limits.Month))
            : Unlimited();
    }

    /// <summary>The policy of Q-Store.</summary>
    public static RatePolicy ForQStore(RateLimitOptions options) => options.Enabled
        ? new RatePolicy(
            "v2",
            true,
            new RateWindow("second", TimeSpan.FromSeconds(1), options.QStore.Second),
            new RateWindow("minute", TimeSpan.FromMinutes(1), options.QStore.Minute))
        : Unlimited();

    /// <summary>The policy of an address whose requests fail to authenticate.</summary>
    public static RatePolicy ForFailedAuthentications(RateLimitOptions options) => options.Enabled
        ? new RatePolicy(
            "failed-authentications",
            true,
            new RateWindow("failed-authentications", TimeSpan.FromMinutes(1), options.FailedAuthenticationsPerMinute))
        : Unlimited();

    // More than can be used, and far from overflowing when it is added to. In a row of its own, so that switching limits off and on gives no budget anew.
    private static RatePolicy Unlimited() => new("unlimited", false, new RateWindow("minute", TimeSpan.FromMinutes(1), long.MaxValue / 4));
}
