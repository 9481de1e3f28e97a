using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Metering;

namespace QuantumFlux.Keys;

/// <summary>
/// Counts the requests of each address that come without a good key, by the minute of the clock. An address is an IPv4 address, or the /64 of an IPv6
/// address, which is what one subscriber has.
/// </summary>
/// <remarks>
/// The counts lie in the memory of this instance: an address can fail as often on every other one. They exist to keep guesses from costing storage
/// requests, which a count in storage would not. Past <see cref="AddressesMax"/> addresses in one minute, further ones share one count.
/// </remarks>
public sealed class FailedAuthentications(IOptions<RateLimitOptions> options, TimeProvider time)
{
    /// <summary>The most addresses that are told apart in one minute.</summary>
    public const int AddressesMax = 100_000;

    private readonly RatePolicy _policy = RatePolicy.ForFailedAuthentications(options.Value);
    private readonly Lock _lock = new();
    private Dictionary<IPAddress, int> _counts = [];
    private long _minute = -1;

    /// <summary>What an address has left of the current minute.</summary>
    /// <param name="address">The caller's address; null, when the host does not know it, is an address like any other.</param>
    public RateState StateOf(IPAddress? address)
    {
        lock (_lock)
        {
            return Find(address).State;
        }
    }

    /// <summary>Counts a failure.</summary>
    /// <exception cref="ApiException">429 <c>RATE_LIMIT_EXCEEDED</c> when the address had nothing left, since requests can fail together.</exception>
    public void Add(IPAddress? address)
    {
        lock (_lock)
        {
            var (name, state) = Find(address);
            if (!state.IsAdmitted)
            {
                throw Refusal(state);
            }

            _counts[name] = _counts.GetValueOrDefault(name) + 1;
        }
    }

    /// <summary>What an address is told that has nothing left.</summary>
    public static ApiException Refusal(RateState state) => state.Refusal(string.Create(
        CultureInfo.InvariantCulture, $"Limit of {state.Nearest.Window.Limit} failed authentications per minute exceeded"));

    private (IPAddress Name, RateState State) Find(IPAddress? address)
    {
        var now = time.GetUtcNow();
        var window = _policy.Windows[0];
        var minute = window.SpanAt(now);
        if (minute != _minute)
        {
            (_minute, _counts) = (minute, []);
        }

        var name = NameOf(address);
        var remaining = window.Limit - _counts.GetValueOrDefault(name);
        return (name, new RateState(_policy, remaining > 0, [new WindowState(window, remaining, window.EndOf(minute))], now));
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
