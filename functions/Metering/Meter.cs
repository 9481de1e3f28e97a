using System.Globalization;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Metering;

/// <summary>
/// One key's budget on this instance: what it has leased from the key's row and not spent. The row counts what all instances have leased, and
/// changes only under its ETag, so all of them together never spend more than there is.
/// </summary>
/// <remarks>
/// A lease takes what the requests that wait need, and ahead of them what the recent rate will need within <see cref="RateWindow.Horizon"/>, but
/// ahead never more than a quarter of what a span has left (an eighth of a span to come): the fuller the span, the smaller the block. What an
/// instance has leased and never spends (its requests went elsewhere, or it ended) is missing until the span is over.
/// </remarks>
public sealed class Meter(ITables tables, MeterRow row, RatePolicy policy, TimeProvider time)
{
    private const int AttemptsMax = 32;
    private const string WritesColumn = "Writes";
    private const string LastUsedColumn = "LastUsedAt";

    /// <summary>How many of the last writes the row names, so that one whose answer was lost can be found.</summary>
    private const int WritesMax = 8;

    /// <summary>Ahead of need, a lease takes at most one part in so many of what a span has left.</summary>
    private const int AheadShare = 4;

    // The rate of a burst counts as spread over a second.
    private static readonly TimeSpan _observedMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _backoffMax = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly Leases[] _leases = [.. policy.Windows.Select(_ => Leases.None)];
    private readonly Dictionary<long, long>[] _unspent = [.. policy.Windows.Select(_ => new Dictionary<long, long>())];
    private string[] _writes = [];
    private bool _isKnown;

    // Others write the row too: then it is read before a lease, since a write under an old ETag would be in vain.
    private bool _isShared;
    private string? _etag;
    private Task? _leasing;
    private Plan? _unknown;
    private int _waiting;
    private long _spentSinceLease;
    private long _leasedAt = time.GetTimestamp();

    /// <summary>Admits a request when every window has room for it. No storage request while the instance has budget, or knows that there is none.</summary>
    /// <exception cref="StorageException">Budget had to be leased, and storage did not answer. The request must not be served.</exception>
    /// <exception cref="ApiException">503: too many instances leased at once.</exception>
    public async ValueTask<RateState> AdmitAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            Task leasing;
            TaskCompletionSource? begin = null;
            lock (_lock)
            {
                if (TrySpend() is { } state)
                {
                    return state;
                }

                _waiting++;
                if (_leasing is null)
                {
                    begin = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    _leasing = begin.Task;
                }

                leasing = _leasing;
            }

            // All who wait share one lease. It is nobody's request in particular, so nobody's cancellation ends it.
            if (begin is not null)
            {
                _ = LeaseForAllAsync(begin);
            }

            try
            {
                await leasing.WaitAsync(cancellationToken);
            }
            finally
            {
                lock (_lock)
                {
                    _waiting--;
                }
            }
        }

        throw ApiException.Unavailable();
    }

    /// <summary>
    /// What this instance has leased, or may have leased, and not spent, by window and span: what is lost until the spans are over if it ends now.
    /// </summary>
    public IReadOnlyList<IReadOnlyDictionary<long, long>> Unspent()
    {
        lock (_lock)
        {
            return [.. _unspent.Select((unspent, index) => unspent
                .Concat(_unknown?.Grants[index] ?? [])
                .GroupBy(entry => entry.Key, entry => entry.Value)
                .ToDictionary(spans => spans.Key, spans => spans.Sum()))];
        }
    }

    /// <summary>When the key was last used, as its row says: accurate to a minute, since every minute in which it is used needs a lease.</summary>
    public static DateTimeOffset? LastUsedAt(TableRow row) =>
        row.Whole(LastUsedColumn) is { } ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    private RateState? TrySpend()
    {
        var now = time.GetUtcNow();
        var isAdmitted = true;
        var isLacking = false;
        for (var index = 0; index < policy.Windows.Count; index++)
        {
            var window = policy.Windows[index];
            var span = window.SpanAt(now);
            if (_unspent[index].GetValueOrDefault(span) == 0)
            {
                // What others take only grows, so a span that was found used up stays so.
                isAdmitted &= _leases[index].Left(window, span) > 0;
                isLacking = true;
            }
        }

        if (isAdmitted && isLacking)
        {
            return null;
        }

        var states = new WindowState[policy.Windows.Count];
        for (var index = 0; index < states.Length; index++)
        {
            var window = policy.Windows[index];
            var span = window.SpanAt(now);
            var unspent = _unspent[index].GetValueOrDefault(span);
            if (isAdmitted)
            {
                _unspent[index][span] = --unspent;
            }

            states[index] = new WindowState(window, unspent + _leases[index].Left(window, span), window.EndOf(span));
        }

        _spentSinceLease += isAdmitted ? 1 : 0;
        return new RateState(policy, isAdmitted, states, now);
    }

    private async Task LeaseForAllAsync(TaskCompletionSource done)
    {
        Exception? failure = null;
        try
        {
            await LeaseAsync();
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        lock (_lock)
        {
            _leasing = null;
        }

        if (failure is null)
        {
            done.SetResult();
        }
        else
        {
            done.SetException(failure);
        }
    }

    private async Task LeaseAsync()
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            if (!_isKnown || (attempt == 0 && _isShared))
            {
                Learn(await tables.GetAsync(row.Table, row.Partition, row.Key, null, CancellationToken.None));
            }

            if (MakePlan() is not { } plan)
            {
                return;
            }

            TableResult result;
            try
            {
                result = await tables.WriteAsync(
                    row.Table, [_etag is null ? TableAction.Insert(plan.Row) : TableAction.Replace(plan.Row, _etag)], CancellationToken.None);
            }
            catch (StorageException)
            {
                // It may have been written. The row will tell, unless many others have written since.
                lock (_lock)
                {
                    _unknown = plan;
                    _isKnown = false;
                }

                throw;
            }

            lock (_lock)
            {
                if (result.IsDone)
                {
                    plan.Leases.CopyTo(_leases, 0);
                    _writes = plan.Row.Text(WritesColumn)!.Split(' ');
                    Take(plan);
                    _etag = result.ETags.Count > 0 ? result.ETags[0] : null;
                    _isKnown = _etag is not null;
                    return;
                }

                _isKnown = false;
            }

            await Task.Delay(_backoffMax * (Random.Shared.NextDouble() * attempt / AttemptsMax), time);
        }

        throw ApiException.Unavailable();
    }

    private void Learn(TableRow? known)
    {
        lock (_lock)
        {
            for (var index = 0; index < _leases.Length; index++)
            {
                _leases[index] = Leases.Parse(known?.Text(policy.Windows[index].Name));
            }

            _writes = known?.Text(WritesColumn)?.Split(' ') ?? [];
            if (_unknown is { } plan && _writes.Contains(plan.Id, StringComparer.Ordinal))
            {
                Take(plan);
            }

            _unknown = null;
            _isShared = _etag != known?.ETag;
            _etag = known?.ETag;
            _isKnown = true;
        }
    }

    // Null when the requests that wait need no lease, or no lease can help them.
    private Plan? MakePlan()
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            var observed = time.GetElapsedTime(_leasedAt);
            var perSecond = _spentSinceLease / (observed > _observedMin ? observed : _observedMin).TotalSeconds;
            var grants = new Dictionary<long, long>[_leases.Length];
            var isNeeded = false;
            var usable = long.MaxValue;
            for (var index = 0; index < grants.Length; index++)
            {
                var window = policy.Windows[index];
                var first = window.SpanAt(now);
                var held = 0L;
                grants[index] = [];
                for (var span = first; span < first + window.SpansAhead; span++)
                {
                    var left = _leases[index].Left(window, span);
                    var unspent = _unspent[index].GetValueOrDefault(span);
                    if (span == first && left + unspent == 0)
                    {
                        return null;
                    }

                    var expected = Expected(window, perSecond, window.EndOf(span) - now);
                    var share = span == first ? ((left - 1) / AheadShare) + 1 : left / (2 * AheadShare);
                    var ahead = Math.Min(Math.Min(expected, usable), share);
                    var wanted = span == first ? Math.Max(ahead, _waiting) : ahead;
                    var units = Math.Max(0, Math.Min(wanted - unspent, left));
                    held += unspent + units;
                    if (units > 0)
                    {
                        grants[index][span] = units;
                        isNeeded |= span == first && unspent < _waiting;
                    }
                }

                // The longer windows need no more than the shorter ones let through before they must be asked again.
                usable = Math.Min(usable, held);
            }

            return isNeeded ? NewPlan(now, grants) : null;
        }
    }

    private Plan NewPlan(DateTimeOffset now, Dictionary<long, long>[] grants)
    {
        var id = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        var written = new TableRow(row.Partition, row.Key)
            .Set(WritesColumn, string.Join(' ', _writes.TakeLast(WritesMax - 1).Append(id)))
            .Set(LastUsedColumn, now.UtcTicks);
        var leases = new Leases[_leases.Length];
        for (var index = 0; index < leases.Length; index++)
        {
            var window = policy.Windows[index];
            leases[index] = _leases[index].With(window, window.SpanAt(now), grants[index]);
            written.Set(window.Name, leases[index].ToString());
        }

        return new Plan(id, now, grants, leases, written);
    }

    private void Take(Plan plan)
    {
        for (var index = 0; index < _leases.Length; index++)
        {
            var window = policy.Windows[index];
            var unspent = _unspent[index];
            foreach (var (span, units) in plan.Grants[index])
            {
                unspent[span] = unspent.GetValueOrDefault(span) + units;
            }

            // What is left of spans far from now is of no use any more.
            var now = window.SpanAt(plan.Now);
            foreach (var span in unspent.Keys.Where(span => Math.Abs(span - now) > window.SpansRemembered).ToList())
            {
                unspent.Remove(span);
            }
        }

        _spentSinceLease = 0;
        _leasedAt = time.GetTimestamp();
    }

    // Over a longer time the rate evens out; in a single second it strays by its square root (Poisson), so twice that is added.
    private static long Expected(RateWindow window, double perSecond, TimeSpan left) => window.Length >= RateWindow.Horizon
        ? (long)Math.Ceiling(perSecond * (left < RateWindow.Horizon ? left : RateWindow.Horizon).TotalSeconds)
        : (long)Math.Ceiling((perSecond + (2 * Math.Sqrt(perSecond))) * window.Length.TotalSeconds);

    private sealed record Plan(string Id, DateTimeOffset Now, Dictionary<long, long>[] Grants, Leases[] Leases, TableRow Row);
}

/// <summary>Where the row of a meter lies.</summary>
public sealed record MeterRow(string Table, string Partition, string Key);
