using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>
/// Removes the content of a tenant that nothing points to: goes through all places where content lies, takes as many candidates as fit into memory,
/// strikes out those that some row points to, and removes the rest.
/// </summary>
/// <remarks>
/// It never removes what is needed, although it reads row after row while others write, because
/// <list type="bullet">
/// <item>a version that can be read when candidates are taken is still stored when they have been struck out, even if its object is deleted
/// meanwhile: versions of deleted objects go <see cref="CleanUpStore.Grace"/> later, and a step that takes longer than <see cref="CleanUpStore.Leeway"/>
/// removes nothing. So whatever is copied from a version (to other objects, backups, anchors) keeps its content;</item>
/// <item>whoever brings content anew writes its rows in the main account in the transaction that points to them, and with them the row that says which
/// blob holds it; candidates are removed under the ETag with which they were taken, and a blob after the row that names it;</item>
/// <item>what is written outside of that transaction, blobs and the rows of other accounts, carries its time and is no candidate until it is older
/// than any request runs.</item>
/// </list>
/// A lock that is over keeps nothing, whether or not it has been taken away: its object was there until then, and versions outlast the object by the grace.
/// So a row that points to content must do one of these: come with the content's own rows, or be written within the grace after reading a
/// version that it copies; and a row that others copy from must outlive its being readable by the grace.
/// <para>
/// A step reads every row of the tenant that points to content, a thousand with each storage request. In the minutes that a run has, those are some
/// millions; the content of a tenant with more is not swept.
/// </para>
/// </remarks>
public sealed class ContentSweep(StorageAccounts storage, ContentStore contents, CleanUpStore cleanUps, TimeProvider time)
{
    /// <summary>How many candidates are in memory at once: some megabytes.</summary>
    private const int CandidatesMax = 20_000;

    private const int BlobsPageMax = 1000;
    private const int RemovalsAtOnceMax = 16;

    private static readonly string[] _contentColumns = [ContentStore.WrittenAtColumn];
    private static readonly string[] _pointerColumns = ["Sha256", "Blob", "ExpiresAt"];

    // Everything but content itself and repairs, which point to nothing that must stay.
    private static readonly (string From, string? Before)[] _pointerRanges =
        [("", ObjectRows.ContentFrom), (ObjectRows.ContentBefore, Repair.From), (Repair.Before, null)];

    /// <summary>The places in which content lies, in the order in which a sweep goes through them: rows before the blobs that they name.</summary>
    private readonly List<Place> _places =
    [
        .. storage.All.Select(account => new Place(account, PlaceKind.Rows, 0)),
        new Place(storage.Main, PlaceKind.Repairs, 0),
        .. Enumerable.Range(1, StorageAccounts.DimensionMax).Select(dimension => new Place(storage.ForDimension(dimension), PlaceKind.Blobs, dimension)),
    ];

    private enum PlaceKind
    {
        Rows,
        Repairs,
        Blobs,
    }

    /// <summary>Sweeps a tenant, from wherever the sweep has come to.</summary>
    /// <returns>False when the sweep is not over, or must be made again because a place or an item failed.</returns>
    public async Task<bool> RunAsync(string tenant, CleanUpItem sweep, TimerRun run, CancellationToken cancellationToken)
    {
        var progress = sweep.Progress!;
        while (progress.Place < _places.Count)
        {
            if (run.IsOver)
            {
                return false;
            }

            var started = time.GetTimestamp();
            var candidates = new Candidates();
            progress = await TakeAsync(tenant, progress, candidates, run, cancellationToken);
            await StrikeOutAsync(tenant, candidates, cancellationToken);
            if (time.GetElapsedTime(started) >= CleanUpStore.Leeway)
            {
                return false;
            }

            var isRemoved = await RemoveRowsAsync(tenant, candidates, run, cancellationToken)
                & await RemoveBlobsAsync(tenant, candidates, run, cancellationToken);
            progress = progress with { HasFailed = progress.HasFailed || !isRemoved };
            if (await cleanUps.ReplaceAsync(tenant, sweep with { Progress = progress }, cancellationToken) is not { } stored)
            {
                return false;
            }

            sweep = stored;
        }

        if (progress.HasFailed)
        {
            await cleanUps.ReplaceAsync(tenant, sweep with { Progress = null }, cancellationToken);
            return false;
        }

        return await cleanUps.RemoveAsync(tenant, [sweep], cancellationToken);
    }

    // Takes candidates from one place after the other until there are enough. A place that fails is passed over; the sweep is then made again.
    private async Task<SweepProgress> TakeAsync(
        string tenant, SweepProgress progress, Candidates candidates, TimerRun run, CancellationToken cancellationToken)
    {
        var writtenBefore = time.GetUtcNow() - (CleanUpStore.Grace - CleanUpStore.Leeway);
        while (progress.Place < _places.Count && candidates.Count < CandidatesMax)
        {
            var place = _places[progress.Place];
            var isTaken = await run.TryAsync(
                tenant,
                "a place of content",
                async () =>
                {
                    var after = place.Kind == PlaceKind.Blobs
                        ? await TakeBlobsAsync(tenant, place, progress.After, writtenBefore, candidates, cancellationToken)
                        : await TakeRowsAsync(tenant, place, progress.After, writtenBefore, candidates, cancellationToken);
                    progress = after is null ? progress with { Place = progress.Place + 1, After = null } : progress with { After = after };
                    return true;
                },
                cancellationToken);
            if (!isTaken)
            {
                progress = new SweepProgress(progress.Place + 1, null, HasFailed: true);
            }
        }

        return progress;
    }

    private static async Task<string?> TakeRowsAsync(
        string tenant, Place place, string? after, DateTimeOffset writtenBefore, Candidates candidates, CancellationToken cancellationToken)
    {
        var query = place.Kind == PlaceKind.Rows
            ? new TableQuery(tenant, ObjectRows.ContentFrom, ObjectRows.ContentBefore, Columns: _contentColumns, Continuation: after)
            : new TableQuery(tenant, Repair.From, Repair.Before, Columns: _pointerColumns, Continuation: after);
        var page = await place.Account.Tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
        foreach (var row in page.Rows)
        {
            if (place.Kind == PlaceKind.Repairs)
            {
                candidates.Add(row.Text("Sha256")!, row.Text("Blob"), new RowCandidate(place.Account, row.Key, row.ETag!));
            }
            else if (row.Whole(ContentStore.WrittenAtColumn) < writtenBefore.UtcTicks)
            {
                candidates.Add(ObjectRows.ContentSha256(row), null, new RowCandidate(place.Account, row.Key, row.ETag!));
            }
        }

        return page.Continuation;
    }

    private static async Task<string?> TakeBlobsAsync(
        string tenant, Place place, string? after, DateTimeOffset writtenBefore, Candidates candidates, CancellationToken cancellationToken)
    {
        var page = await place.Account.Blobs.ListAsync(
            Dimensions.Container(place.Dimension), ContentStore.BlobPrefix(tenant), BlobsPageMax, after, cancellationToken);
        foreach (var blob in page.Blobs.Where(blob => ContentStore.WrittenAt(blob.Name) < writtenBefore))
        {
            candidates.Add(blob.Name, place.Dimension);
        }

        return page.Continuation;
    }

    private async Task StrikeOutAsync(string tenant, Candidates candidates, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        foreach (var (from, before) in _pointerRanges)
        {
            string? continuation = null;
            do
            {
                if (candidates.Count == 0)
                {
                    return;
                }

                var query = new TableQuery(tenant, from, before, Columns: _pointerColumns, Continuation: continuation);
                var page = await storage.Main.Tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
                foreach (var row in page.Rows.Where(row => row.Text("Sha256") is not null && !ObjectRows.IsLockOver(row, now)))
                {
                    candidates.StrikeOut(row.Text("Sha256")!, row.Text("Blob"));
                }

                continuation = page.Continuation;
            }
            while (continuation is not null);
        }
    }

    private static async Task<bool> RemoveRowsAsync(string tenant, Candidates candidates, TimerRun run, CancellationToken cancellationToken)
    {
        var isDone = true;
        foreach (var ofAccount in candidates.Rows.GroupBy(row => row.Account))
        {
            foreach (var rows in ofAccount.Chunk(ITables.TransactionRowsMax))
            {
                isDone &= await run.TryAsync(
                    tenant,
                    "rows of content",
                    async () =>
                    {
                        // One that is needed again, or gone already, refuses the whole transaction, but not each on its own.
                        var actions = rows.Select(row => TableAction.Delete(tenant, row.Key, row.ETag)).ToList();
                        if ((await ofAccount.Key.Tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone)
                        {
                            run.Count("rows_removed", rows.Length);
                            return true;
                        }

                        foreach (var action in actions)
                        {
                            if ((await ofAccount.Key.Tables.WriteAsync(ObjectRows.Table, [action], cancellationToken)).IsDone)
                            {
                                run.Count("rows_removed");
                            }
                        }

                        return true;
                    },
                    cancellationToken);
            }
        }

        return isDone;
    }

    private async Task<bool> RemoveBlobsAsync(string tenant, Candidates candidates, TimerRun run, CancellationToken cancellationToken)
    {
        var isDone = true;
        foreach (var some in candidates.Blobs.Chunk(RemovalsAtOnceMax))
        {
            var outcomes = await Task.WhenAll(some.Select(blob => run.TryAsync(
                tenant, "a blob", () => RemoveBlobAsync(tenant, blob.Name, blob.Use, run, cancellationToken), cancellationToken)));
            isDone &= outcomes.All(outcome => outcome);
        }

        return isDone;
    }

    // No version points to it. The row that says where new versions find their content may still name it, when that has other blobs too.
    private async Task<bool> RemoveBlobAsync(string tenant, string name, BlobUse use, TimerRun run, CancellationToken cancellationToken)
    {
        var sha256 = use.Sha256;
        foreach (var dimension in use.Dimensions)
        {
            sha256 ??= await contents.FindBlobSha256Async(name, dimension, cancellationToken);
        }

        if (sha256 is not null && await contents.FindBlobNameAsync(tenant, sha256, cancellationToken) == name)
        {
            return true;
        }

        foreach (var repair in use.Repairs)
        {
            if ((await storage.Main.Tables.WriteAsync(ObjectRows.Table, [TableAction.Delete(tenant, repair.Key, repair.ETag)], cancellationToken)).IsDone)
            {
                run.Count("rows_removed");
            }
        }

        foreach (var dimension in use.Dimensions)
        {
            await storage.ForDimension(dimension).Blobs.DeleteAsync(Dimensions.Container(dimension), name, null, cancellationToken);
            run.Count("blobs_removed");
        }

        return true;
    }

    private sealed record Place(StorageAccount Account, PlaceKind Kind, int Dimension);

    private sealed record RowCandidate(StorageAccount Account, string Key, string ETag);

    /// <summary>What is there of a blob: copies in dimensions, and repairs that would bring more.</summary>
    private sealed class BlobUse
    {
        public string? Sha256 { get; set; }

        public List<int> Dimensions { get; } = [];

        public List<RowCandidate> Repairs { get; } = [];
    }

    /// <summary>What may be useless, until a row is found that points to it.</summary>
    private sealed class Candidates
    {
        private readonly Dictionary<string, List<RowCandidate>> _rows = new(StringComparer.Ordinal);
        private readonly Dictionary<string, BlobUse> _blobs = new(StringComparer.Ordinal);

        public int Count => _rows.Count + _blobs.Count;

        public IEnumerable<RowCandidate> Rows => _rows.Values.SelectMany(rows => rows);

        public IEnumerable<(string Name, BlobUse Use)> Blobs => _blobs.Select(entry => (entry.Key, entry.Value));

        public void Add(string sha256, string? blob, RowCandidate row)
        {
            if (blob is not null)
            {
                var use = UseOf(blob);
                use.Sha256 = sha256;
                use.Repairs.Add(row);
            }
            else if (_rows.TryGetValue(sha256, out var rows))
            {
                rows.Add(row);
            }
            else
            {
                _rows.Add(sha256, [row]);
            }
        }

        public void Add(string blob, int dimension) => UseOf(blob).Dimensions.Add(dimension);

        public void StrikeOut(string sha256, string? blob)
        {
            _rows.Remove(sha256);
            if (blob is not null)
            {
                _blobs.Remove(blob);
            }
        }

        private BlobUse UseOf(string blob)
        {
            if (!_blobs.TryGetValue(blob, out var use))
            {
                _blobs.Add(blob, use = new BlobUse());
            }

            return use;
        }
    }
}
