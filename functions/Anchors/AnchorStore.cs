using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Anchors;

/// <summary>Makes, finds, lists and ends anchors.</summary>
/// <remarks>
/// An anchor is written under the ETag of its dataset's head, and what falls due for it lies beside it: so it pins what was there, a deletion that is
/// under way at the same time fails or makes it fail, and a crash leaves all of it or nothing.
/// </remarks>
public sealed class AnchorStore(
    StorageAccounts storage,
    ObjectStore objects,
    ContentStore contents,
    WorkStore work,
    WriteLanes lanes,
    DueTenants dueTenants,
    TimeProvider time)
{
    /// <summary>Under what name tenants with due anchors are announced.</summary>
    public const string DueKind = "anchors";

    private const int AttemptsMax = 64;

    private static readonly int[] _allDimensions = [.. Enumerable.Range(1, StorageAccounts.DimensionMax)];

    private readonly ITables _tables = storage.Main.Tables;

    /// <summary>
    /// Makes an anchor. Two storage requests when it pins the current version and three when it pins an older one; one more in the first use of an hour
    /// that an anchor of the tenant falls due in, and what copies to all dimensions need.
    /// </summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="id">The anchor's id.</param>
    /// <param name="create">What is to be anchored.</param>
    /// <param name="isSandbox">Whether a dataset that nobody has written is made, empty since the anchor's moment.</param>
    /// <param name="also">Gives further rows for the transaction that makes the anchor, which it is told; null for none.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <exception cref="ApiException">
    /// 404 without the dataset; 409 <c>QUANTUM_CONFLICT</c> when the anchor would drift and must not; 503 <c>DIMENSIONAL_INSTABILITY</c> when what is to be
    /// copied cannot be read.
    /// </exception>
    public async Task<Anchor> CreateAsync(
        string tenant,
        string id,
        CreateAnchor create,
        bool isSandbox,
        Func<Anchor, Task<IReadOnlyList<TableAction>>>? also,
        CancellationToken cancellationToken)
    {
        using var lane = await lanes.EnterAsync(tenant, [create.DatasetId], cancellationToken);
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var now = time.GetUtcNow();
            var anchor = create.ToAnchor(id, now);
            var head = await objects.FindAsync(tenant, create.DatasetId, cancellationToken)
                ?? (isSandbox ? EmptySince(anchor.MomentAt(now), create.DatasetId, now) : throw ApiException.NotFound("dataset_id", "object"));
            anchor = anchor with { FirstVersion = head.FirstVersion };
            if (await objects.FindNearestVersionAsync(tenant, head, anchor.MomentAt(now), cancellationToken) is { } version)
            {
                anchor = anchor.WithPin(version, now).WithNextPin(now);
                RefuseDrift(anchor, now);
                var placement = await PlaceAsync(tenant, anchor, version.Content, cancellationToken);
                anchor = anchor with { Dimensions = placement.Pointer.Dimensions };
                if (anchor.DueAt is { } due)
                {
                    await dueTenants.AnnounceAsync(DueKind, tenant, due, cancellationToken);
                }

                var rows = AnchorRows.All(tenant, anchor, version with { Content = placement.Pointer }).Select(TableAction.Insert);
                var further = also is null ? [] : await also(anchor);
                if ((await _tables.WriteAsync(
                    ObjectRows.Table, [.. rows, .. Touch(tenant, head, anchor), .. ToWrite(tenant, placement), .. further], cancellationToken)).IsDone)
                {
                    return anchor;
                }
            }

            await Task.Delay(ObjectWriter.Backoff(attempt), time, cancellationToken);
        }

        throw ApiException.Unavailable();
    }

    /// <summary>An anchor, or null when there is none. One storage request.</summary>
    public async Task<Anchor?> FindAsync(string tenant, string anchorId, CancellationToken cancellationToken) =>
        Anchor.IsId(anchorId)
        && await _tables.GetAsync(ObjectRows.Table, tenant, AnchorRows.Key(anchorId), null, cancellationToken) is { } row
            ? AnchorRows.Parse(row)
            : null;

    /// <summary>The version of an object that an anchor pins now. Two storage requests at once, and one more when it is not the current one.</summary>
    /// <returns>The version; null when there is no such anchor of this object, it has expired, or what it pinned was deleted.</returns>
    public async Task<ObjectVersion?> FindPinnedAsync(string tenant, string objectId, string anchorId, CancellationToken cancellationToken)
    {
        var (find, ask) = (FindAsync(tenant, anchorId, cancellationToken), objects.FindAsync(tenant, objectId, cancellationToken));
        await Task.WhenAll(find, ask);
        return await find is { } anchor && anchor.DatasetId == objectId && !anchor.IsExpired(time.GetUtcNow()) && await ask is { } head
            ? await FindPinnedAsync(tenant, anchor, head, cancellationToken)
            : null;
    }

    /// <summary>The version that an anchor pins now, or null when it was deleted. One or two storage requests.</summary>
    public async Task<ObjectVersion?> FindPinnedAsync(string tenant, Anchor anchor, CancellationToken cancellationToken) =>
        await objects.FindAsync(tenant, anchor.DatasetId, cancellationToken) is { } head
            ? await FindPinnedAsync(tenant, anchor, head, cancellationToken)
            : null;

    /// <summary>
    /// A numbered page of anchors, newest first, and how many there are. Exact totals for any filter need all of a tenant's anchors: one storage
    /// request for each thousand of them.
    /// </summary>
    public async Task<(IReadOnlyList<Anchor> Anchors, int Total)> PageAsync(
        string tenant, Func<Anchor, bool> filter, long skip, int take, CancellationToken cancellationToken)
    {
        var (shown, total) = (new List<Anchor>(), 0);
        var query = new TableQuery(tenant, AnchorRows.From, AnchorRows.Before);
        do
        {
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            foreach (var anchor in page.Rows.Select(AnchorRows.Parse).Where(filter))
            {
                if (total++ >= skip && shown.Count < take)
                {
                    shown.Add(anchor);
                }
            }

            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null);

        return (shown, total);
    }

    /// <summary>
    /// The anchors after one of them, newest first. One storage request; with a filter, one more for each thousand anchors that it passes over.
    /// </summary>
    public async Task<(IReadOnlyList<Anchor> Anchors, bool HasMore)> AfterAsync(
        string tenant, Func<Anchor, bool>? filter, string? after, int limit, CancellationToken cancellationToken)
    {
        var found = new List<Anchor>();
        var start = after is null ? AnchorRows.From : Cursor.After(AnchorRows.Key(after));
        var query = new TableQuery(tenant, start, AnchorRows.Before, filter is null ? limit + 1 : ITables.PageRowsMax);
        do
        {
            var page = await _tables.QueryAsync(ObjectRows.Table, query, cancellationToken);
            found.AddRange(page.Rows.Select(AnchorRows.Parse).Where(anchor => filter is null || filter(anchor)));
            query = query with { Continuation = page.Continuation };
        }
        while (query.Continuation is not null && found.Count <= limit);

        return ([.. found.Take(limit)], found.Count > limit);
    }

    /// <summary>Removes an anchor and its lock. One storage request; two for one that has expired.</summary>
    /// <param name="tenant">The tenant.</param>
    /// <param name="anchor">The anchor.</param>
    /// <param name="also">Gives further rows for the transaction that removes the anchor, which it is told; null for none.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The anchor as it was in the end, or null when somebody else has removed it.</returns>
    public async Task<Anchor?> RemoveAsync(
        string tenant, Anchor anchor, Func<Anchor, Task<IReadOnlyList<TableAction>>>? also, CancellationToken cancellationToken)
    {
        var isEnded = anchor.IsExpired(time.GetUtcNow());
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var dues = AnchorRows.Dues(anchor).ToList();
            if (isEnded)
            {
                // The anchor's row does not show whether the timer has been there. Now somebody has.
                await ExpireAsync(tenant, dues.Single(due => due.Kind == AnchorDueKind.Expire), cancellationToken);
                dues.RemoveAll(due => due.Kind == AnchorDueKind.Expire);
            }

            var keys = dues.Select(AnchorRows.DueKey);
            if (anchor.IsLocked && !isEnded)
            {
                keys = keys.Append(ObjectRows.LockKey(anchor.DatasetId, anchor.Id));
            }

            var removal = TableAction.Delete(tenant, AnchorRows.Key(anchor.Id), anchor.RowETag!);
            var further = also is null ? [] : await also(anchor);
            if ((await _tables.WriteAsync(
                ObjectRows.Table, [removal, .. keys.Select(key => TableAction.Delete(tenant, key, "*")), .. further], cancellationToken)).IsDone)
            {
                return anchor;
            }

            await Task.Delay(ObjectWriter.Backoff(attempt), time, cancellationToken);
            if (await FindAsync(tenant, anchor.Id, cancellationToken) is not { } current)
            {
                return null;
            }

            // With its row unchanged, what was missing is what an expiry takes away: the timer runs on a machine whose clock is ahead.
            isEnded = current.ExpiresAt is not null && (current.RowETag == anchor.RowETag || current.IsExpired(time.GetUtcNow()));
            anchor = current;
        }

        throw ApiException.Unavailable();
    }

    /// <summary>What is due for a tenant's anchors until a moment, one page of it; see <see cref="AnchorRows.ParseDue"/>. One storage request.</summary>
    public Task<TablePage> DueAsync(string tenant, DateTimeOffset now, string? continuation, CancellationToken cancellationToken) =>
        _tables.QueryAsync(
            ObjectRows.Table, new TableQuery(tenant, AnchorRows.DueFrom, AnchorRows.DueBefore(now), Continuation: continuation), cancellationToken);

    /// <summary>Does what is due for an anchor. Safe to repeat, and to do twice at once: one of the two does it.</summary>
    /// <returns>False when it was done already.</returns>
    public Task<bool> DoAsync(string tenant, AnchorDue due, CancellationToken cancellationToken) => due.Kind switch
    {
        AnchorDueKind.Expire => ExpireAsync(tenant, due, cancellationToken),
        AnchorDueKind.Forget => ForgetAsync(tenant, due, cancellationToken),
        _ => PinAgainAsync(tenant, due, cancellationToken),
    };

    // One write, and no read: the lock goes, and with it the hold on the content. That the anchor has expired shows in its own row all along.
    private async Task<bool> ExpireAsync(string tenant, AnchorDue due, CancellationToken cancellationToken)
    {
        await dueTenants.AnnounceAsync(DueKind, tenant, due.ForgottenAt!.Value, cancellationToken);
        List<TableAction> actions = [TableAction.Delete(tenant, AnchorRows.DueKey(due), "*")];
        if (due.IsLocked)
        {
            actions.Add(TableAction.Delete(tenant, ObjectRows.LockKey(due.DatasetId, due.AnchorId), "*"));
        }

        return (await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone;
    }

    private async Task<bool> ForgetAsync(string tenant, AnchorDue due, CancellationToken cancellationToken) =>
        (await _tables.WriteAsync(
            ObjectRows.Table,
            [
                TableAction.Delete(tenant, AnchorRows.DueKey(due), "*"),
                TableAction.Delete(tenant, AnchorRows.Key(due.AnchorId), "*"),
            ],
            cancellationToken)).IsDone;

    // Two or three reads and a write.
    private async Task<bool> PinAgainAsync(string tenant, AnchorDue due, CancellationToken cancellationToken)
    {
        var (find, ask) = (FindAsync(tenant, due.AnchorId, cancellationToken), objects.FindAsync(tenant, due.DatasetId, cancellationToken));
        await Task.WhenAll(find, ask);
        if (await find is not { } anchor)
        {
            // Forgotten before it came to this.
            return (await _tables.WriteAsync(ObjectRows.Table, [TableAction.Delete(tenant, AnchorRows.DueKey(due), "*")], cancellationToken)).IsDone;
        }

        if (anchor.NextPinAt != due.At)
        {
            return false;
        }

        var now = time.GetUtcNow();
        var next = anchor.IsExpired(now) ? anchor with { NextPinAt = null } : anchor.WithNextPin(now);
        var actions = new List<TableAction> { TableAction.Delete(tenant, AnchorRows.DueKey(due), "*") };

        // Without its dataset the anchor goes on pinning what is no more, and drifts.
        if (!anchor.IsExpired(now) && await ask is { } head && head.FirstVersion == anchor.FirstVersion
            && await objects.FindNearestVersionAsync(tenant, head, anchor.MomentAt(now), cancellationToken) is { } version)
        {
            var placement = await PlaceAsync(tenant, anchor, Held(anchor, version).Content, cancellationToken);
            version = version with { Content = placement.Pointer };
            next = next.WithPin(version, now);
            actions.AddRange(ToWrite(tenant, placement));
            if (anchor.IsLocked)
            {
                actions.Add(TableAction.Replace(ObjectRows.LockRow(tenant, version, anchor.Id, anchor.ExpiresAt), "*"));
            }
        }

        if (next.NextPinAt is { } again)
        {
            actions.Add(TableAction.Insert(AnchorRows.DueRow(tenant, new AnchorDue(AnchorDueKind.Pin, again, next))));
        }

        if (next.DueAt is { } dueAt)
        {
            await dueTenants.AnnounceAsync(DueKind, tenant, dueAt, cancellationToken);
        }

        actions.Add(TableAction.Replace(AnchorRows.Row(tenant, next), anchor.RowETag!));
        return (await _tables.WriteAsync(ObjectRows.Table, actions, cancellationToken)).IsDone;
    }

    private async Task<ObjectVersion?> FindPinnedAsync(string tenant, Anchor anchor, ObjectHead head, CancellationToken cancellationToken)
    {
        // Another object of the same name is not what was anchored.
        if (head.FirstVersion != anchor.FirstVersion)
        {
            return null;
        }

        var version = anchor.Type == AnchorType.Sliding
            ? await objects.FindNearestVersionAsync(tenant, head, anchor.MomentAt(time.GetUtcNow()), cancellationToken)
            : await objects.FindVersionAsync(tenant, head, anchor.Version, cancellationToken);
        return version is null ? null : Held(anchor, version);
    }

    // The version with the dimensions that hold it for the anchor: they may be more than those that hold it for the object.
    private static ObjectVersion Held(Anchor anchor, ObjectVersion version) => version.Version == anchor.Version
        ? version with { Content = version.Content with { Dimensions = anchor.Dimensions } }
        : version;

    private static void RefuseDrift(Anchor anchor, DateTimeOffset now)
    {
        if (!anchor.AllowsDrift && anchor.DriftAt(now) is var drift && drift > Anchor.DriftTolerance)
        {
            throw ApiException.QuantumConflict(
                "The anchor cannot be exact: nothing is known of the dataset at its moment",
                new Dictionary<string, object?>
                {
                    ["anchor_time"] = $"must lie between {Json.Format(VersionNumber.ToMoment(anchor.FirstVersion))} and now, {Json.Format(now)}, unless options.allow_drift is true",
                    ["drift_amount_ms"] = drift.TotalMilliseconds,
                });
        }
    }

    // In the sandbox: the dataset was always there and empty, as far as the anchor looks back, so that anchors to any moment of the past can be tried.
    private static ObjectHead EmptySince(DateTimeOffset moment, string datasetId, DateTimeOffset now)
    {
        var head = ObjectHead.Unwritten(datasetId);
        var version = Math.Clamp(VersionNumber.At(moment), 1, VersionNumber.At(now));
        return head with { Current = head.Current with { Version = version }, FirstVersion = version };
    }

    private static IEnumerable<TableAction> Touch(string tenant, ObjectHead head, Anchor anchor)
    {
        var row = ObjectRows.HeadRow(tenant, head with { HasLocks = head.HasLocks || anchor.IsLocked });
        return head.Exists
            ? [TableAction.Replace(row, head.RowETag!)]
            : [TableAction.Insert(row), TableAction.Insert(ObjectRows.VersionRow(tenant, head.Current, head.FirstVersion))];
    }

    private async Task<Placement> PlaceAsync(string tenant, Anchor anchor, ContentPointer content, CancellationToken cancellationToken)
    {
        var placement = await contents.ExtendAsync(tenant, content, anchor.IsMultiDimensional ? _allDimensions : [], cancellationToken);
        if (placement.Missing.Count > 0)
        {
            await work.AnnounceAsync(tenant, cancellationToken);
        }

        return placement;
    }

    private static IEnumerable<TableAction> ToWrite(string tenant, Placement placement) => placement.Actions.Concat(
        placement.Missing.Select(dimension => new Repair(placement.Pointer, dimension).Plan(tenant)));
}
