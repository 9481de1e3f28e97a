using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Entanglements;

/// <summary>Entanglements: pairs of objects kept in lock-step, so that a write to one is a write to both.</summary>
public sealed class EntanglementFunction(
    ApiGate gate,
    ObjectStore objects,
    ObjectWriter writer,
    Dimensions dimensions,
    SyncLedger ledger,
    QuantumSignature signature,
    TimeProvider time)
{
    private const string Route = "api/v3/quantum/entangle/{id?}";
    private const string RoutingHeader = "X-Dimensional-Routing";
    private const int PerPageMax = 100;
    private const int PerPageDefault = 23;
    private const int PageMax = 1_000_000;

    [Function("Entanglements")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => (request.Method, request.RouteId()) switch
            {
                ("POST", null) => CreateAsync(request, caller, cancellationToken),
                ("GET", null) => ListAsync(request, caller, cancellationToken),
                ("GET", { } id) => GetAsync(request, caller, id, cancellationToken),
                ("DELETE", { } id) => DissolveAsync(request, caller, id, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET", "POST"),
                _ => throw ApiException.MethodNotAllowed("GET", "DELETE"),
            },
            cancellationToken);

    private async Task<IResult> CreateAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var create = CreateEntanglement.From(await JsonBody.ReadAsync(request, isRequired: true, cancellationToken), IsRouted(request));

        // No resource is named yet, so no signature can be right.
        QuantumSignature.Check(request, null);
        if (caller.Key.Tier == Tier.Free && !create.Pathway.SequenceEqual(Dimensions.DefaultPathway))
        {
            throw ApiException.DimensionalRoutingDenied(
                "free", "dimensional_pathway", $"must be [{string.Join(", ", Dimensions.DefaultPathway)}] or absent");
        }

        var now = time.GetUtcNow();
        var pair = create.ToPair(caller.NewId(Entanglement.Prefix, now), caller.Key.KeyId, now);
        var sign = signature.Sign(Entanglement.SignedParts(caller.Tenant, pair));
        return Answer(await writer.ChangeAsync(caller.Tenant, new Change(pair.SourceId, Check, Added: pair, Also: RecordAsync), cancellationToken));

        // How long the transaction takes, which the answer says, it cannot know itself.
        Task<IReadOnlyList<TableAction>> RecordAsync(Changed planned) => caller.RecordAsync(Answer(planned), isFinal: false, cancellationToken);

        JsonAnswer Answer(Changed changed) => Json.Result(
            CreatedEntanglementView.From(pair, changed.Latency, sign, dimensions.Stability(pair.Pathway)),
            StatusCodes.Status200OK,
            ("Location", $"/api/v3/quantum/entangle/{pair.Id}"));

        void Check(ObjectGraph graph)
        {
            var (source, target) = (graph.Head(pair.SourceId), graph.Head(pair.TargetId));
            if (!caller.IsSandbox && (!source.Exists || !target.Exists))
            {
                throw ApiException.NotFound(!source.Exists ? "source_id" : "target_id", "object");
            }

            if (source.Links.FirstOrDefault(link => IsSamePair(link, pair)) is { } same)
            {
                throw ApiException.AlreadyEntangled(same.PairId);
            }

            if (create.IsVerified && pair.Status == PairStatus.Pending)
            {
                throw ApiException.CoherenceLost(pair.Strength, Pair.CoherenceMin, pair.Pathway);
            }
        }
    }

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        QuantumSignature.Check(request, null);
        var query = new QueryParameters(request);
        var status = query.Choice("status", "active", "pending", "collapsed");
        var strengthMin = query.Number("min_strength", 0, 1);
        var page = (int)(query.Whole("page", 1, PageMax) ?? 1);
        var perPage = (int)(query.Whole("per_page", 1, PerPageMax) ?? PerPageDefault);
        var sort = query.Choice("sort", "created_at", "-created_at", "strength", "-strength") ?? "-created_at";
        query.ThrowIfInvalid();

        // Totals over any filter need all pairs of the tenant; they are few (at most 847 a key are active) and one request reads a thousand.
        var now = time.GetUtcNow();
        var (pairs, underWay) = await objects.ListPairsAsync(caller.Tenant, cancellationToken);
        var lagging = Entanglement.Lagging(pairs, underWay, now);
        var matching = pairs
            .Select(pair => (Pair: pair, Status: lagging.ContainsKey(pair.Id) ? PairStatus.Pending : pair.StatusAt(now)))
            .Where(entry => (status is null || Entanglement.Word(entry.Status) == status) && entry.Pair.Strength >= (strengthMin ?? 0))
            .ToList();

        // Ids begin with their time, so they break ties and make every page the same each time.
        var byAge = sort switch
        {
            "created_at" => matching.OrderBy(entry => entry.Pair.CreatedAt).ThenBy(entry => entry.Pair.Id, StringComparer.Ordinal),
            "strength" => matching.OrderBy(entry => entry.Pair.Strength).ThenBy(entry => entry.Pair.Id, StringComparer.Ordinal),
            "-strength" => matching.OrderByDescending(entry => entry.Pair.Strength).ThenByDescending(entry => entry.Pair.Id, StringComparer.Ordinal),
            _ => matching.OrderByDescending(entry => entry.Pair.CreatedAt).ThenByDescending(entry => entry.Pair.Id, StringComparer.Ordinal),
        };
        var shown = byAge.Skip((page - 1) * perPage).Take(perPage).Select(entry => EntanglementListEntry.From(entry.Pair, entry.Status));
        return Json.Result(new EntanglementListView([.. shown], Pagination.Of(page, perPage, matching.Count)));
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        query.ThrowIfInvalid();
        // The pair's row cannot tell that a write is on its way to it: that is asked beside it.
        var (find, ask) = (FindAsync(caller, id, cancellationToken), objects.ListUnderWayAsync(caller.Tenant, cancellationToken));
        await Task.WhenAll(find, ask);
        var pair = await find;
        var sign = signature.Sign(Entanglement.SignedParts(caller.Tenant, pair));
        signature.Check(request, Entanglement.SignedParts(caller.Tenant, pair));

        var now = time.GetUtcNow();
        var status = pair.StatusAt(now);
        var unsyncedFor = TimeSpan.Zero;
        if (status == PairStatus.Active && (await ask).Count > 0)
        {
            var (pairs, underWay) = await objects.ListPairsAsync(caller.Tenant, cancellationToken);
            if (Entanglement.Lagging(pairs, underWay, now).TryGetValue(pair.Id, out var oldest))
            {
                status = PairStatus.Pending;
                unsyncedFor = now - VersionNumber.ToMoment(oldest.Version);
            }
        }

        var record = ledger.Peek(caller.Tenant, pair.Id);
        if (status == PairStatus.Active && pair.Coherence(TimeSpan.Zero, record) < Pair.CoherenceMin)
        {
            await writer.NoteLossAsync(caller.Tenant, pair, cancellationToken);
        }

        var statistics = pair.Statistics.With(record);
        var (source, target) = await ObjectsOfAsync(caller.Tenant, pair, now, cancellationToken);
        return Json.Result(new EntanglementView(
            pair.Id,
            source,
            target,
            Entanglement.Word(status),
            pair.Strength,
            new EntanglementStatisticsView(
                statistics.SyncCount,
                statistics.TransferredBytes,
                statistics.AverageLatencyNanoseconds,
                statistics.ErrorRate,
                statistics.UptimePercentage(pair.CreatedAt, now)),
            new DimensionalMetricsView(pair.Pathway, dimensions.Stability(pair.Pathway), pair.Coherence(unsyncedFor, record)),
            pair.CreatedAt,
            EntanglementListEntry.LastSyncOf(pair),
            pair.ExpiresAt,
            sign,
            pair.IsCrystalCached));
    }

    private async Task<IResult> DissolveAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        var isGraceful = query.Flag("graceful", true);
        var isBackedUp = query.Flag("backup", false);
        query.ThrowIfInvalid();

        var pair = await FindAsync(caller, id, cancellationToken);
        signature.Check(request, Entanglement.SignedParts(caller.Tenant, pair));
        if (pair.Dissolution is null && isGraceful)
        {
            await FinishSyncsAsync(caller.Tenant, cancellationToken);
        }

        var now = time.GetUtcNow();
        var backupId = isBackedUp ? caller.NewId(BackupStore.Prefix, now) : null;
        JsonAnswer? recorded = null;
        return pair.Dissolution is not null ? Answer(pair)
            : await writer.UnlinkAsync(caller.Tenant, id, EndAsync, cancellationToken) is not null ? recorded!
            : Answer(await FindAsync(caller, id, cancellationToken));

        async Task<(Pair Ended, IReadOnlyList<TableAction> Also)?> EndAsync(Pair current, ObjectHead source, ObjectHead target)
        {
            var ended = current with { Status = PairStatus.Dissolved, Dissolution = new Dissolution(now, backupId) };
            recorded = Answer(ended);
            var also = await caller.RecordAsync(recorded, isFinal: true, cancellationToken);
            return (
                ended,
                backupId is null ? also : [.. also, .. BackupStore.Add(caller.Tenant, new Backup(backupId, id, now, [source.Current, target.Current]))]);
        }

        static JsonAnswer Answer(Pair ended) => Json.Result(DissolvedEntanglementView.From(ended));
    }

    private async Task<Pair> FindAsync(Caller caller, string id, CancellationToken cancellationToken) =>
        (Ids.IsWellFormed(id, Entanglement.Prefix) ? await objects.FindPairAsync(caller.Tenant, id, cancellationToken) : null)
        ?? throw ApiException.NotFound("entanglement_id", "entanglement");

    private async Task FinishSyncsAsync(string tenant, CancellationToken cancellationToken)
    {
        foreach (var write in await objects.ListUnderWayAsync(tenant, cancellationToken))
        {
            await writer.FinishAsync(tenant, write, cancellationToken);
        }
    }

    // In lock-step both objects are what the pair's own row says, and that was written with them: one read, and never two different moments.
    private async Task<(EntangledObjectView Source, EntangledObjectView Target)> ObjectsOfAsync(
        string tenant, Pair pair, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (pair.StatusAt(now) == PairStatus.Active)
        {
            var synced = VersionNumber.ToMoment(pair.SyncedVersion);
            return (
                new EntangledObjectView(pair.SourceId, ObjectView.Dataset, pair.SyncedBytes, synced),
                new EntangledObjectView(pair.TargetId, ObjectView.Dataset, pair.SyncedBytes, synced));
        }

        var heads = await objects.FindForWriteAsync(tenant, [pair.SourceId, pair.TargetId], cancellationToken);
        return (View(pair.SourceId, heads[0]), View(pair.TargetId, heads[1]));

        static EntangledObjectView View(string id, ObjectHead head) => head.Exists
            ? new(id, ObjectView.Dataset, head.Current.Content.SizeBytes, head.Current.WrittenAt)
            : new(id, ObjectView.Dataset, null, null);
    }

    private bool IsSamePair(Link link, Pair pair) =>
        link.OtherId == pair.TargetId
        && !link.IsExpired(time.GetUtcNow())
        && (pair.IsBidirectional || link.Direction != LinkDirection.In);

    private static bool IsRouted(HttpRequest request)
    {
        if (!request.Headers.TryGetValue(RoutingHeader, out var value))
        {
            return true;
        }

        return value.ToString() switch
        {
            "enabled" => true,
            "disabled" => false,
            _ => throw ApiException.InvalidParameter(RoutingHeader, "must be one of: enabled, disabled"),
        };
    }
}
