using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace QuantumFlux.Metering;

/// <summary>How many requests a key may make: the numbers of both specifications, each of which a setting can override.</summary>
public sealed class RateLimitOptions
{
    /// <summary>Whether requests are limited at all. Load tests switch it off. Default: true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>The free tier on version 3.</summary>
    [ValidateObjectMembers]
    public TierLimits Free { get; set; } = new() { Minute = 23, Hour = 100, Day = 2_340, Month = 47_000 };

    /// <summary>The professional tier on version 3.</summary>
    [ValidateObjectMembers]
    public TierLimits Professional { get; set; } = new() { Minute = 127, Hour = 500, Day = 8_470, Month = 234_000 };

    /// <summary>The enterprise tier on version 3.</summary>
    [ValidateObjectMembers]
    public TierLimits Enterprise { get; set; } = new() { Minute = 847, Hour = 5_000, Day = 84_700, Month = 2_340_000 };

    /// <summary>Q-Store (version 2), whatever the tier.</summary>
    [ValidateObjectMembers]
    public QStoreLimits QStore { get; set; } = new();

    /// <summary>The most entanglements that one key has active at a time. Default: 847, from the specification.</summary>
    [Range(1, 1_000_000)]
    public int EntanglementsMax { get; set; } = 847;

    /// <summary>The most requests a minute from one address that come without a good key. Default: 60.</summary>
    [Range(1, 1_000_000)]
    public int FailedAuthenticationsPerMinute { get; set; } = 60;
}

/// <summary>The requests that one tier may make on version 3 in each window.</summary>
public sealed class TierLimits
{
    /// <summary>In a minute: the burst capacity.</summary>
    [Range(1, 1_000_000_000)]
    public int Minute { get; set; }

    /// <summary>In an hour. The specification's table counts entanglements for two of the tiers, its 429 counts requests; here it is requests for all.</summary>
    [Range(1, 1_000_000_000)]
    public int Hour { get; set; }

    /// <summary>In a day.</summary>
    [Range(1, 1_000_000_000)]
    public int Day { get; set; }

    /// <summary>In 30 days.</summary>
    [Range(1, 1_000_000_000)]
    public int Month { get; set; }
}

/// <summary>The requests that a key may make on Q-Store in each window.</summary>
public sealed class QStoreLimits
{
    /// <summary>In a second: the burst. Default: 100.</summary>
    [Range(1, 1_000_000_000)]
    public int Second { get; set; } = 100;

    /// <summary>In a minute. Default: 1,000.</summary>
    [Range(1, 1_000_000_000)]
    public int Minute { get; set; } = 1_000;
}
