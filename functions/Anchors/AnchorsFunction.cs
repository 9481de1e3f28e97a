using System.Globalization;
using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Anchors;

/// <summary>Temporal anchors: versions of datasets that are pinned by a moment, and can be locked.</summary>
public sealed class AnchorsFunction(ApiGate gate, AnchorStore anchors, Dimensions dimensions, QuantumSignature signature, TimeProvider time)
{
    private const string Route = "api/v3/temporal/anchor/{id?}";
    private const int PerPageMax = 100;
    private const int PerPageDefault = 47;
    private const int PageMax = 1_000_000;

    [Function("Anchors")]
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
                ("DELETE", { } id) => RemoveAsync(request, caller, id, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET", "POST"),
                _ => throw ApiException.MethodNotAllowed("GET", "DELETE"),
            },
            cancellationToken);

    private async Task<IResult> CreateAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var create = CreateAnchor.From(await JsonBody.ReadAsync(request, isRequired: true, cancellationToken));

        // No resource is named yet, so no signature can be right.
        QuantumSignature.Check(request, null);
        if (caller.Key.Tier == Tier.Free && create.IsMultiDimensional)
        {
            throw ApiException.DimensionalRoutingDenied("free", "options.multi_dimensional", "must be false or absent");
        }

        JsonAnswer? recorded = null;
        await anchors.CreateAsync(
            caller.Tenant, caller.NewId(Anchor.Prefix, time.GetUtcNow()), create, caller.IsSandbox, RecordAsync, cancellationToken);
        return recorded!;

        Task<IReadOnlyList<TableAction>> RecordAsync(Anchor anchor)
        {
            recorded = Json.Result(
                CreatedAnchorView.From(anchor, Sign(caller, anchor), Stability(anchor)),
                StatusCodes.Status201Created,
                ("Location", $"/api/v3/temporal/anchor/{anchor.Id}"));
            return caller.RecordAsync(recorded, isFinal: true, cancellationToken);
        }
    }

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        QuantumSignature.Check(request, null);
        var query = new QueryParameters(request);
        var status = Parse<AnchorStatus>(query.Choice("status", "active", "expired", "drifting"));
        var type = Parse<AnchorType>(query.Choice("anchor_type", "fixed", "sliding", "periodic"));
        var dataset = query.Text("dataset_id", ObjectLimits.CheckId);
        var page = query.Whole("page", 1, PageMax);
        var perPage = query.Whole("per_page", 1, PerPageMax);
        var limit = query.Whole("limit", 1, Cursor.LimitMax);
        var after = query.Text("starting_after", Anchor.CheckId);
        var isCursor = limit is not null || after is not null;
        if (isCursor && (page is not null || perPage is not null))
        {
            query.Faults.Add(page is not null ? "page" : "per_page", "cannot be given together with limit or starting_after");
        }

        query.ThrowIfInvalid();

        var now = time.GetUtcNow();
        if (isCursor)
        {
            var isFiltered = status is not null || type is not null || dataset is not null;
            var (some, hasMore) = await anchors.AfterAsync(
                caller.Tenant, isFiltered ? Matches : null, after, (int)(limit ?? Cursor.LimitDefault), cancellationToken);
            return Json.Result(new AnchorListView([.. some.Select(Entry)], hasMore));
        }

        var (number, size) = ((int)(page ?? 1), (int)(perPage ?? PerPageDefault));
        var (shown, total) = await anchors.PageAsync(caller.Tenant, Matches, (number - 1L) * size, size, cancellationToken);
        return Json.Result(new AnchorPageView([.. shown.Select(Entry)], Pagination.Of(number, size, total)));

        bool Matches(Anchor anchor) =>
            (type is null || anchor.Type == type)
            && (dataset is null || anchor.DatasetId == dataset)
            && (status is null || anchor.StatusAt(now) == status);

        AnchorListEntry Entry(Anchor anchor) => AnchorListEntry.From(anchor, Stability(anchor), now);
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        new QueryParameters(request).ThrowIfInvalid();
        var anchor = await FindAsync(caller, id, cancellationToken);
        var sign = Sign(caller, anchor);
        QuantumSignature.Check(request, sign);

        var now = time.GetUtcNow();
        var pinned = anchor.IsExpired(now) ? null : await anchors.FindPinnedAsync(caller.Tenant, anchor, cancellationToken);
        var stability = pinned is null ? Stability(anchor) : dimensions.Stability(pinned.Content.Dimensions);
        return Json.Result(AnchorView.From(anchor, pinned?.Version, stability, sign, now));
    }

    private async Task<IResult> RemoveAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        new QueryParameters(request).ThrowIfInvalid();
        var anchor = await FindAsync(caller, id, cancellationToken);
        QuantumSignature.Check(request, Sign(caller, anchor));

        JsonAnswer? recorded = null;
        return await anchors.RemoveAsync(caller.Tenant, anchor, RecordAsync, cancellationToken) is not null
            ? recorded!
            : throw ApiException.NotFound("anchor_id", "anchor");

        Task<IReadOnlyList<TableAction>> RecordAsync(Anchor removed)
        {
            var now = time.GetUtcNow();
            recorded = Json.Result(new RemovedAnchorView(removed.Id, "removed", removed.DriftAt(now).TotalMilliseconds, now));
            return caller.RecordAsync(recorded, isFinal: true, cancellationToken);
        }
    }

    private async Task<Anchor> FindAsync(Caller caller, string id, CancellationToken cancellationToken) =>
        await anchors.FindAsync(caller.Tenant, id, cancellationToken) ?? throw ApiException.NotFound("anchor_id", "anchor");

    private double Stability(Anchor anchor) => dimensions.Stability(anchor.Dimensions);

    // Over what an anchor is and was asked to be: what it pins may change with time.
    private string Sign(Caller caller, Anchor anchor) => signature.Sign(
        caller.Tenant,
        anchor.Id,
        anchor.DatasetId,
        anchor.Type.ToString(),
        anchor.AnchorTime.UtcTicks.ToString("D", CultureInfo.InvariantCulture),
        anchor.FirstVersion.ToString("D", CultureInfo.InvariantCulture),
        anchor.ExpiresAt is { } end ? Json.Format(end) : "");

    private static T? Parse<T>(string? word)
        where T : struct, Enum => word is null ? null : Enum.Parse<T>(word, ignoreCase: true);
}
