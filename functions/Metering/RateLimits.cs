using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;
using QuantumFlux.Keys;
using QuantumFlux.Storage;

namespace QuantumFlux.Metering;

/// <summary>Limits how many requests a key makes, exactly across all instances and at hardly any storage request.</summary>
public sealed class RateLimits(StorageAccounts storage, IOptions<RateLimitOptions> options, TimeProvider time) : IDisposable
{
    private const int MetersMax = 100_000;

    private static readonly TimeSpan _idleMax = TimeSpan.FromMinutes(10);

    private readonly ITables _tables = storage.Main.Tables;
    private readonly MemoryCache _meters = new(new MemoryCacheOptions { SizeLimit = MetersMax });
    private readonly RatePolicy _qStore = RatePolicy.ForQStore(options.Value);
    private readonly Dictionary<Tier, RatePolicy> _tiers =
        Enum.GetValues<Tier>().ToDictionary(tier => tier, tier => RatePolicy.ForTier(options.Value, tier));

    /// <summary>Counts a request of a key, and says whether it is admitted.</summary>
    /// <param name="key">The key.</param>
    /// <param name="isQStore">Whether the request is for Q-Store (version 2), which has windows of its own.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="StorageException">Storage did not answer when it had to be asked: the request must not be served.</exception>
    public ValueTask<RateState> AdmitAsync(ApiKey key, bool isQStore, CancellationToken cancellationToken) =>
        MeterOf(key, isQStore).AdmitAsync(cancellationToken);

    /// <summary>The key's meter on this instance.</summary>
    public Meter MeterOf(ApiKey key, bool isQStore)
    {
        if (!_meters.TryGetValue((key.KeyId, isQStore), out Meter? meter))
        {
            lock (_meters)
            {
                if (!_meters.TryGetValue((key.KeyId, isQStore), out meter))
                {
                    var policy = isQStore ? _qStore : _tiers[key.Tier];
                    meter = new Meter(_tables, KeyStore.UseRow(key, policy.Name), policy, time);
                    _meters.Set((key.KeyId, isQStore), meter, new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = _idleMax });
                }
            }
        }

        return meter!;
    }

    public void Dispose() => _meters.Dispose();
}
