using System.Globalization;
using Microsoft.Extensions.Caching.Memory;

namespace QuantumFlux.Storage;

/// <summary>
/// Knows which tenants have something that falls due, and in which hour, so that timers read those and no others. What falls due lies in the tenants'
/// own partitions, in the order of time; this only says where to look.
/// </summary>
/// <remarks>
/// A tenant is announced before the thing itself is written, since no transaction spans the two. An announcement without anything due is
/// harmless, and goes when its hour is over.
/// </remarks>
public sealed class DueTenants(StorageAccounts storage, TimeProvider time) : IDisposable
{
    private const string Table = "due";
    private const int KnownMax = 100_000;

    private static readonly TimeSpan _hour = TimeSpan.FromHours(1);

    /// <summary>How long an announcement outlives its hour: longer than any request runs, which may be between the two writes.</summary>
    private static readonly TimeSpan _grace = TimeSpan.FromMinutes(10);

    private readonly ITables _tables = storage.Main.Tables;
    private readonly MemoryCache _known = new(new MemoryCacheOptions { SizeLimit = KnownMax });

    /// <summary>Says that a tenant is about to have something that falls due. One storage request an hour that things fall due in, else none.</summary>
    /// <param name="kind">What sort of thing it is: letters and digits, the same for the timer that reads it.</param>
    /// <param name="tenant">The tenant.</param>
    /// <param name="dueAt">When it falls due.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task AnnounceAsync(string kind, string tenant, DateTimeOffset dueAt, CancellationToken cancellationToken)
    {
        // What is due already belongs to this hour: the announcement of an hour long gone may be gone too.
        var now = time.GetUtcNow();
        var hour = (dueAt > now ? dueAt : now).UtcTicks / _hour.Ticks;
        var key = string.Create(CultureInfo.InvariantCulture, $"{hour:D10}:{tenant}");
        if (!_known.TryGetValue((kind, key), out _))
        {
            await _tables.WriteAsync(Table, [TableAction.Upsert(new TableRow(kind, key).Set("Tenant", tenant))], cancellationToken);
            _known.Set((kind, key), true, new MemoryCacheEntryOptions { Size = 1 });
        }
    }

    /// <summary>Goes through the tenants that have something due. One storage request for each thousand of them, beside what the step makes.</summary>
    /// <param name="kind">What sort of thing.</param>
    /// <param name="step">
    /// Does what is due for a tenant until now, and says whether nothing due is left. It must not throw for a failure of one tenant: then it
    /// says false, and the tenant comes up again next time.
    /// </param>
    /// <param name="cancellationToken">Ends the call early.</param>
    public async Task ForEachAsync(string kind, Func<string, Task<bool>> step, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var before = string.Create(CultureInfo.InvariantCulture, $"{(now.UtcTicks / _hour.Ticks) + 1:D10}:");
        var done = new Dictionary<string, bool>(StringComparer.Ordinal);
        string? continuation = null;
        do
        {
            var page = await _tables.QueryAsync(Table, new TableQuery(kind, "", before, Continuation: continuation), cancellationToken);
            foreach (var announcement in page.Rows)
            {
                var tenant = announcement.Text("Tenant")!;
                if (!done.TryGetValue(tenant, out var isDone))
                {
                    done[tenant] = isDone = await step(tenant);
                }

                var hour = long.Parse(announcement.Key.AsSpan(0, 10), CultureInfo.InvariantCulture);
                if (isDone && now.UtcTicks >= ((hour + 1) * _hour.Ticks) + _grace.Ticks)
                {
                    await _tables.WriteAsync(Table, [TableAction.Delete(kind, announcement.Key, announcement.ETag!)], cancellationToken);
                }
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    public void Dispose() => _known.Dispose();
}
