using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>How often a caller may fail to authenticate.</summary>
public sealed class FailedAuthenticationOptions
{
    /// <summary>Whether limits are kept at all. Default: true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>The most requests a minute from one address that come without a good key. Default: 60.</summary>
    [Range(1, 1_000_000)]
    public int FailedAuthenticationsPerMinute { get; set; } = 60;
}

/// <summary>How much of its minute an address has left.</summary>
/// <param name="Limit">The most failures in a minute.</param>
/// <param name="Remaining">How many are left.</param>
/// <param name="Reset">When the minute ends.</param>
public sealed record FailedAuthenticationWindow(int Limit, int Remaining, DateTimeOffset Reset)
{
    /// <summary>How long the window lasts.</summary>
    public static readonly TimeSpan Length = TimeSpan.FromMinutes(1);
}

/// <summary>
/// Counts the requests of each address that come without a good key, by the minute of the clock. An address is an IPv4 address, or the /64 of an IPv6
/// address, which is what one subscriber has.
/// </summary>
/// <remarks>
/// The counts lie in the memory of this instance: an address can fail as often on every other one. They exist to keep guesses from costing storage
/// requests, which a count in storage would not. Past <see cref="AddressesMax"/> addresses in one minute, further ones share one count.
/// </remarks>
public sealed class FailedAuthentications(IOptions<FailedAuthenticationOptions> options, TimeProvider time)
{
    /// <summary>The most addresses that are told apart in one minute.</summary>
    public const int AddressesMax = 100_000;

    private const string Policy = "failed-authentications";

    private readonly FailedAuthenticationOptions _options = options.Value;
    private readonly Lock _lock = new();
    private Dictionary<IPAddress, int> _counts = [];
    private DateTimeOffset _start;

    /// <summary>What an address has left of the current minute; null when limits are switched off.</summary>
    /// <param name="address">The caller's address; null, when the host does not know it, is an address like any other.</param>
    public FailedAuthenticationWindow? WindowOf(IPAddress? address)
    {
        if (!_options.Enabled)
        {
            return null;
        }

        lock (_lock)
        {
            var reset = Begin();
            return new FailedAuthenticationWindow(
                _options.FailedAuthenticationsPerMinute,
                _options.FailedAuthenticationsPerMinute - _counts.GetValueOrDefault(NameOf(address)),
                reset);
        }
    }

    /// <summary>Counts a failure.</summary>
    /// <exception cref="ApiException">429 <c>RATE_LIMIT_EXCEEDED</c> when the address had nothing left, since requests can fail together.</exception>
    public void Add(IPAddress? address)
    {
        if (!_options.Enabled)
        {
            return;
        }

        lock (_lock)
        {
            var reset = Begin();
            var name = NameOf(address);
            var count = _counts.GetValueOrDefault(name);
            if (count >= _options.FailedAuthenticationsPerMinute)
            {
                throw Refusal(new FailedAuthenticationWindow(_options.FailedAuthenticationsPerMinute, 0, reset));
            }

            _counts[name] = count + 1;
        }
    }

    /// <summary>What an address is told that has nothing left.</summary>
    public ApiException Refusal(FailedAuthenticationWindow window)
    {
        var wait = window.Reset - time.GetUtcNow();
        return ApiException.RateLimitExceeded(
            string.Create(CultureInfo.InvariantCulture, $"Limit of {window.Limit} failed authentications per minute exceeded"),
            [Policy],
            wait > TimeSpan.Zero ? wait : TimeSpan.Zero,
            window.Reset,
            new Dictionary<string, object?> { ["limit"] = window.Limit });
    }

    // The end of the current minute, in which the counts are.
    private DateTimeOffset Begin()
    {
        var now = time.GetUtcNow();
        var start = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % FailedAuthenticationWindow.Length.Ticks), TimeSpan.Zero);
        if (start != _start)
        {
            (_start, _counts) = (start, []);
        }

        return start + FailedAuthenticationWindow.Length;
    }

    private IPAddress NameOf(IPAddress? address)
    {
        var name = address switch
        {
            null => IPAddress.None,
            { AddressFamily: AddressFamily.InterNetworkV6, IsIPv4MappedToIPv6: false } => new IPAddress([.. address.GetAddressBytes().AsSpan(0, 8), .. new byte[8]]),
            _ => address.MapToIPv4(),
        };
        return _counts.Count < AddressesMax || _counts.ContainsKey(name) ? name : IPAddress.None;
    }
}
