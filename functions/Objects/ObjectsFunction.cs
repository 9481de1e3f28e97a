using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Objects: the data that entanglements, streams and anchors are about.</summary>
public sealed class ObjectsFunction(
    ApiGate gate, ObjectStore objects, ObjectWriter writer, ContentStore contents, AnchorStore anchors, TimeProvider time)
{
    private const string Route = "api/v3/quantum/objects/{id?}";

    [Function("Objects")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => (request.Method, request.RouteId()) switch
            {
                ("GET", null) => ListAsync(request, caller, cancellationToken),
                ("PUT", { } id) => PutAsync(request, caller, id, cancellationToken),
                ("GET" or "HEAD", { } id) => GetAsync(request, caller, id, cancellationToken),
                ("DELETE", { } id) => DeleteAsync(request, caller, id, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET"),
                _ => throw ApiException.MethodNotAllowed("GET", "HEAD", "PUT", "DELETE"),
            },
            cancellationToken);

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        var limit = Cursor.Limit(query);
        var prefix = query.Text("prefix", text => text.Length == 0 ? null : ObjectLimits.CheckId(text)) ?? "";
        var after = query.Text("starting_after", ObjectLimits.CheckId);
        query.ThrowIfInvalid();

        var (page, hasMore) = await objects.ListAsync(caller.Tenant, prefix, after, limit, cancellationToken);
        return Json.Result(new ObjectListView([.. page.Select(ObjectView.From)], hasMore));
    }

    private async Task<IResult> PutAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(id);
        new QueryParameters(request).ThrowIfInvalid();
        var contentType = ReadContentType(request);
        var digest = ContentDigest.Read(request);

        var body = await ReceivedContent.ReceiveAsync(request, cancellationToken);
        var content = new NewContent(contentType, body.Small, null, []);
        if (body.IsWhole)
        {
            ContentDigest.Require(digest, ContentStore.PointerTo(body.Small.Span, Dimensions.Home).Sha256);
        }
        else
        {
            // Before gigabytes are taken in: would the write be refused anyway, and which dimensions want the content?
            var now = time.GetUtcNow();
            var graph = await ObjectGraph.LoadAsync(id, null, now, ids => objects.FindForWriteAsync(caller.Tenant, ids, cancellationToken));
            Check(graph);
            graph.RefuseConflicts(now);
            var (uploaded, missing) = await contents.UploadAsync(
                caller.Tenant, body.Small, request.Body, graph.DimensionsNeeded(now), cancellationToken);
            content = new NewContent(contentType, default, uploaded, missing);
            try
            {
                ContentDigest.Require(digest, uploaded.Sha256);
            }
            catch (ApiException)
            {
                await contents.DiscardAsync(uploaded, cancellationToken);
                throw;
            }
        }

        JsonAnswer? recorded = null;
        var changed = await writer.ChangeAsync(caller.Tenant, new Change(id, Check, content, Also: RecordAsync), cancellationToken);
        return changed.IsOneTransaction ? recorded! : ObjectView.Answer(changed);

        Task<IReadOnlyList<TableAction>> RecordAsync(Changed planned) =>
            caller.RecordAsync(recorded = ObjectView.Answer(planned), planned.IsOneTransaction, cancellationToken);

        void Check(ObjectGraph graph) =>
            Preconditions.CheckWrite(request, graph.Origin.Exists ? graph.Origin.Current.ETag : null);
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(id);
        var query = new QueryParameters(request);
        var number = query.Whole("version", 1, long.MaxValue);
        var at = query.Moment("at");
        var anchor = query.Text("anchor", Anchor.CheckId);
        var given = new[] { number is null ? null : "version", at is null ? null : "at", anchor is null ? null : "anchor" }.OfType<string>().ToList();
        if (given.Count > 1)
        {
            query.Faults.Add(given[1], $"cannot be given together with {given[0]}");
        }

        query.ThrowIfInvalid();

        var head = given.Count == 0 ? await objects.FindAsync(caller.Tenant, id, cancellationToken) : null;
        var version = (number, at, anchor) switch
        {
            ({ } wanted, _, _) => await objects.FindVersionAsync(caller.Tenant, id, wanted, cancellationToken),
            (_, { } moment, _) => await objects.FindVersionAtAsync(caller.Tenant, id, moment, cancellationToken),
            (_, _, { } anchorId) => await anchors.FindPinnedAsync(caller.Tenant, id, anchorId, cancellationToken),
            _ => head?.Current,
        };
        if (version is null)
        {
            // Without the object itself, or only without such a version of it?
            var isVersionMissing = given.Count > 0 && await objects.FindAsync(caller.Tenant, id, cancellationToken) is not null;
            throw !isVersionMissing ? ApiException.NotFound("object_id", "object")
                : anchor is null ? ApiException.NotFound(given[0], "version of the object")
                : ApiException.NotFound("anchor", "anchor of the object");
        }

        return head?.CrystalAt(time.GetUtcNow()) is { IsEmpty: false } crystal
            ? new ContentResult(
                version,
                async (from, length, to) => await to.WriteAsync(crystal.Slice((int)from, (int)length), cancellationToken),
                isCached: true)
            : new ContentResult(
                version,
                (from, length, to) => contents.CopyAsync(caller.Tenant, version.Content, from, length, to, cancellationToken));
    }

    private async Task<IResult> DeleteAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        RequireId(id);
        new QueryParameters(request).ThrowIfInvalid();
        var answer = Json.Result(new DeletedObjectView(id, "deleted", time.GetUtcNow()));
        var isDeleted = await objects.DeleteAsync(
            caller.Tenant,
            id,
            head => Preconditions.CheckWrite(request, head.Current.ETag),
            () => caller.RecordAsync(answer, isFinal: true, cancellationToken),
            cancellationToken);
        return isDeleted
            ? answer
            : throw ApiException.NotFound("object_id", "object");
    }

    private static void RequireId(string id)
    {
        if (ObjectLimits.CheckId(id) is { } reason)
        {
            throw ApiException.InvalidParameter("object_id", reason);
        }
    }

    private static string ReadContentType(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0)
        {
            throw ApiException.UnsupportedMediaType("Content-Encoding", "is not supported: send the content as it is to be kept");
        }

        var contentType = request.ContentType;
        if (string.IsNullOrEmpty(contentType))
        {
            return "application/octet-stream";
        }

        return ObjectLimits.CheckContentType(contentType) is { } reason
            ? throw ApiException.InvalidParameter("Content-Type", reason)
            : contentType;
    }
}
