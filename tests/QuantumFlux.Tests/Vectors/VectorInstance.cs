using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using QuantumFlux.Api;
using QuantumFlux.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>An instance of the service as far as one tenant's vectors go, without HTTP.</summary>
public sealed class VectorInstance : IDisposable
{
    private readonly DueTenants _due;
    private readonly Telemetry _telemetry = new(new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>());
    private readonly VectorUpkeep _upkeep;
    private readonly TimeProvider _time;

    public VectorInstance(StorageAccounts storage, VectorThresholds thresholds, TimeProvider time)
    {
        _time = time;
        _due = new DueTenants(storage, time);
        var segments = new SegmentStore(storage, thresholds);
        var store = new VectorStore(storage, segments, _due, thresholds, time);
        Vectors = store.Of("acc_one-live");
        _upkeep = new VectorUpkeep(storage, segments, store, _due, thresholds, _telemetry, time, NullLogger<VectorUpkeep>.Instance);
    }

    public TenantVectors Vectors { get; }

    /// <summary>Writes some vectors and deletes others, in one transaction.</summary>
    public Task ChangeAsync(IReadOnlyCollection<StoredVector> written, IReadOnlyCollection<string> deleted) => Vectors.CommitAsync(
        [.. written.Select(vector => vector.Id), .. deleted],
        draft =>
        {
            foreach (var vector in written)
            {
                draft.Write(vector, Metric.Cosine);
            }

            foreach (var id in deleted)
            {
                draft.Delete(id);
            }

            return draft;
        },
        _ => Task.FromResult<IReadOnlyList<TableAction>>([]),
        CancellationToken.None);

    /// <summary>Looks after the vectors once, as the timer does.</summary>
    /// <param name="tailRowsMin">From how many changes in the log on they become a segment.</param>
    /// <returns>Whether nothing is left to do.</returns>
    public Task<bool> LookAfterAsync(int tailRowsMin) =>
        _upkeep.RunAsync(Vectors, tailRowsMin, new TimerRun("vectors", _telemetry, _time, NullLogger.Instance), CancellationToken.None);

    public void Dispose()
    {
        Vectors.Forget();
        _due.Dispose();
    }
}
