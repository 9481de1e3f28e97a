using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>Vectors: written one at a time or in batches, listed, read, changed and deleted by id.</summary>
public sealed class VectorsFunction(ApiGate gate, VectorStore vectors, TimeProvider time)
{
    private const string Route = "api/v2/vectors/{*id}";
    private const string PathBefore = "/vectors/";
    private const int SizeDefault = 50;
    private const int SizeMax = 100;

    // How long an answer is at most that goes along with the fullest append; enciphered, and as text in a request, it takes almost twice that. A longer one, which
    // only a batch has, is kept by itself, once the append is done.
    private const int AnswerBytesMax = Log.AlongBytesMax / 2;

    // Pages are counted from 1, as far as whole numbers of 32 bits go.
    private const int PageMax = int.MaxValue / SizeMax;

    [Function("Vectors")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => (request.Method, IdOf(request)) switch
            {
                ("POST", null) => WriteAsync(request, caller, cancellationToken),
                ("GET" or "HEAD", null) => ListAsync(request, caller, cancellationToken),
                ("POST", VectorLimits.ReservedId) => WriteBatchAsync(request, caller, cancellationToken),
                (_, VectorLimits.ReservedId) => throw ApiException.MethodNotAllowed("POST"),
                ("GET" or "HEAD", { } id) => GetAsync(request, caller, id, cancellationToken),
                ("PUT", { } id) => UpdateAsync(request, caller, id, cancellationToken),
                ("DELETE", { } id) => DeleteAsync(request, caller, id, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET", "HEAD", "POST"),
                _ => throw ApiException.MethodNotAllowed("GET", "HEAD", "PUT", "DELETE"),
            },
            cancellationToken);

    private async Task<IResult> WriteAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, isRequired: true, cancellationToken, VectorLimits.BodyBytesMax);
        var vector = NewVector.From(body);
        body.ThrowIfInvalid();
        return await CommitAsync(
            caller,
            [vector.Id],
            draft =>
            {
                var now = time.GetUtcNow();
                var isReplaced = vector.WriteTo(draft, now);
                return Json.Result(
                    new WrittenVectorView(vector.Id, isReplaced ? "replaced" : "inserted", vector.Contexts.Count > 0, now),
                    isReplaced ? StatusCodes.Status200OK : StatusCodes.Status201Created,
                    ("Location", $"/api/v2{PathBefore}{Uri.EscapeDataString(vector.Id)}"));
            },
            cancellationToken);
    }

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        var page = (int)(query.Whole("page", 1, PageMax) ?? 1);
        var size = (int)(query.Whole("size", 1, SizeMax) ?? SizeDefault);
        var (hasVectors, hasMetadata) = (query.Flag("include_vectors", absent: true), query.Flag("include_metadata", absent: true));
        query.ThrowIfInvalid();

        return await vectors.Of(caller.Tenant).LookAsync(
            isStrong: true,
            isSettled: true,
            async (state, _) =>
            {
                await state.NeedOrderAsync();
                var (total, some) = (state.Count, state.List((long)(page - 1) * size, size));
                await VectorState.NeedAsync(some);
                var results = VectorJson.List(some, hasVectors, hasMetadata, time.GetUtcNow());
                return Json.Results(results.Pages, new VectorListView(new VectorPaginationView(page, size, total, (total + size - 1) / size)));
            },
            cancellationToken);
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(request, id);
        var vector = await vectors.Of(caller.Tenant).LookAsync(
            isStrong: true,
            isSettled: true,
            async (state, _) =>
            {
                await state.NeedAsync([id]);
                return state.Find(id) ?? throw ApiException.NotFound("id", "vector");
            },
            cancellationToken);
        return new JsonAnswer(VectorJson.One(new SegmentRow(null, 0, vector), time.GetUtcNow()), StatusCodes.Status200OK);
    }

    private async Task<IResult> UpdateAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(request, id);
        var update = VectorUpdate.From(await JsonBody.ReadAsync(request, isRequired: true, cancellationToken, VectorLimits.BodyBytesMax));
        return await CommitAsync(
            caller,
            [id],
            draft =>
            {
                update.WriteTo(draft, id, time.GetUtcNow());
                return Json.Result(new UpdatedVectorView(id, "updated", 0, false));
            },
            cancellationToken);
    }

    private async Task<IResult> DeleteAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(request, id);
        return await CommitAsync(
            caller,
            [id],
            draft => draft.Delete(id) ? Json.Result(new DeletedVectorView(id, "deleted", 0)) : throw ApiException.NotFound("id", "vector"),
            cancellationToken);
    }

    private async Task<IResult> WriteBatchAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var (body, items) = await JsonBody.ReadListAsync(
            request, "vectors", VectorLimits.BatchVectorsMax, VectorLimits.BatchBodyBytesMax, cancellationToken);
        var isTransaction = body.Flag("transaction", absent: true);
        body.ThrowIfInvalid();
        var batch = VectorBatch.From(items);
        if (isTransaction)
        {
            batch.RequireAll();
            var id = caller.NewId("tx_", time.GetUtcNow());
            return await CommitAsync(caller, batch.Ids, draft => batch.WriteTo(draft, id, time.GetUtcNow()), cancellationToken);
        }

        // As few appends as their size allows. Each takes along what is done by then, so that a second run goes on from there; the last one the answer.
        var parts = batch.Parts();
        var step = new VectorBatchStep(VectorBatchOutcome.Parse(await caller.ProgressAsync(cancellationToken)), null);
        while (step.Outcomes.Count < parts.Count)
        {
            var (before, part) = (step.Outcomes, parts[step.Outcomes.Count]);
            step = await vectors.Of(caller.Tenant).CommitAsync(
                part.Ids,
                draft =>
                {
                    VectorBatchOutcome[] outcomes = [.. before, part.TryWriteTo(draft, time.GetUtcNow())];
                    return new VectorBatchStep(outcomes, outcomes.Length == parts.Count ? batch.Answer(outcomes) : null);
                },
                next => next.Answer is { BodyBytes: <= AnswerBytesMax } answer
                    ? caller.RecordAsync(answer, isFinal: true, cancellationToken)
                    : caller.AdvanceAsync(() => VectorBatchOutcome.ToBytes(next.Outcomes), cancellationToken),
                cancellationToken);
        }

        return step.Answer ?? batch.Answer(step.Outcomes);
    }

    private Task<JsonAnswer> CommitAsync(
        Caller caller, IReadOnlyCollection<string> ids, Func<VectorDraft, JsonAnswer> prepare, CancellationToken cancellationToken) =>
        vectors.Of(caller.Tenant).CommitAsync(
            ids,
            prepare,
            answer => caller.RecordAsync(answer, isFinal: true, cancellationToken),
            cancellationToken);

    private static string? IdOf(HttpRequest request) => PathText.Of(request, "id", PathBefore);

    private static void RequireId(HttpRequest request, string id)
    {
        var faults = new Faults();
        if (NewVector.CheckId(id) is { } reason)
        {
            faults.Add("id", reason);
        }

        faults.ThrowIfAny();
        if (!HttpMethods.IsPut(request.Method))
        {
            // Whoever reads a body sees to it that there are no parameters beside it.
            new QueryParameters(request).ThrowIfInvalid();
        }
    }
}
