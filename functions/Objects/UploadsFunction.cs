using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Objects;

/// <summary>Uploads of content that is too large for one request: straight into storage, then committed here.</summary>
public sealed class UploadsFunction(
    ApiGate gate, UploadStore uploads, ObjectStore objects, ObjectWriter writer, ContentStore contents, WriteLanes lanes, TimeProvider time)
{
    private const string Route = "api/v3/quantum/objects/{id}/uploads/{uploadId?}/{action?}";
    private const int BlockIdCharactersMax = 88;

    // All the block ids that a blob can have, each at its longest.
    private const int CommitBytesMax = IBlobs.BlocksMax * (BlockIdCharactersMax + 4);

    [Function("ObjectUploads")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => (request.Method, request.RouteText("uploadId"), request.RouteText("action")) switch
            {
                ("POST", null, null) => StartAsync(request, caller, request.RouteId()!, cancellationToken),
                ("POST", { } upload, "commit") => CommitAsync(request, caller, request.RouteId()!, upload, cancellationToken),
                (_, null, null) or (_, { }, "commit") => throw ApiException.MethodNotAllowed("POST"),
                _ => throw ApiException.NotFound("path", "resource"),
            },
            cancellationToken);

    private async Task<IResult> StartAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, isRequired: false, cancellationToken);
        if (ObjectLimits.CheckId(id) is { } reason)
        {
            body.Faults.Add("object_id", reason);
        }

        body.ThrowIfInvalid();

        var now = time.GetUtcNow();
        var upload = new Upload(caller.NewId(Upload.Prefix, now), id, now + Upload.Lifetime, null, null);
        var url = await uploads.UrlAsync(caller.Tenant, upload, cancellationToken);

        // The URL lets anyone write who has it.
        var answer = Json.Result(
            new UploadView(upload.Id, url, upload.ExpiresAt, ObjectLimits.ContentBytesMax),
            StatusCodes.Status201Created,
            ("Cache-Control", "no-store"));
        return await uploads.AddAsync(caller.Tenant, upload, await caller.RecordAsync(answer, isFinal: true, cancellationToken), cancellationToken)
            ? answer
            : throw ApiException.IdempotencyInProgress();
    }

    private async Task<IResult> CommitAsync(
        HttpRequest request, Caller caller, string id, string uploadId, CancellationToken cancellationToken)
    {
        var body = await JsonBody.ReadAsync(request, isRequired: false, cancellationToken, CommitBytesMax);
        var blockIds = body.Texts("block_ids", IBlobs.BlocksMax, text =>
            text.Length is > 0 and <= BlockIdCharactersMax ? null : $"must hold ids of 1 to {BlockIdCharactersMax} characters");
        var sha256 = body.OptionalText("sha256", text =>
            text.Length == 64 && text.All(char.IsAsciiHexDigit) ? null : "must be 64 hex digits");
        var contentType = body.OptionalText("content_type", ObjectLimits.CheckContentType);
        body.ThrowIfInvalid();

        // Commits of one upload go one after the other here; on another instance they meet in storage.
        using var lane = await lanes.EnterAsync(caller.Tenant, [$"upload:{uploadId}"], cancellationToken);
        var upload = await FindAsync(caller.Tenant, id, uploadId, cancellationToken);
        if (upload.CommittedVersion is { } committed)
        {
            return await RepeatAsync(caller, id, committed, cancellationToken);
        }

        NewContent content;
        try
        {
            content = await TakeInAsync(caller.Tenant, upload, blockIds, sha256, contentType, cancellationToken);
        }
        catch (Exception exception) when (exception is StorageException { IsTransient: false } or ApiException { Status: StatusCodes.Status400BadRequest })
        {
            // What was uploaded changed while it was read: perhaps because another instance has committed it and cleared up.
            upload = await FindAsync(caller.Tenant, id, uploadId, cancellationToken);
            if (upload.CommittedVersion is { } other)
            {
                return await RepeatAsync(caller, id, other, cancellationToken);
            }

            if (exception is ApiException)
            {
                throw;
            }

            throw ApiException.QuantumConflict(
                "The uploaded content changed while it was committed",
                new Dictionary<string, object?> { ["upload_id"] = "is being written or committed by another request; try again" });
        }

        var isFirstAttempt = true;
        JsonAnswer? recorded = null;
        try
        {
            var changed = await writer.ChangeAsync(caller.Tenant, new Change(id, Check, content, Also: CommittedAsync), cancellationToken);
            await uploads.DiscardAsync(caller.Tenant, upload, cancellationToken);
            return changed.IsOneTransaction ? recorded! : ObjectView.Answer(changed);
        }
        catch (UploadCommittedException taken)
        {
            // Another commit of this upload was first: both get its answer.
            return await RepeatAsync(caller, id, taken.Version, cancellationToken);
        }

        void Check(ObjectGraph graph) => Preconditions.CheckWrite(request, graph.Origin.Exists ? graph.Origin.Current.ETag : null);

        async Task<IReadOnlyList<TableAction>> CommittedAsync(Changed planned)
        {
            if (!isFirstAttempt)
            {
                upload = await FindAsync(caller.Tenant, id, uploadId, cancellationToken);
                if (upload.CommittedVersion is { } other)
                {
                    throw new UploadCommittedException(other);
                }
            }

            isFirstAttempt = false;
            recorded = ObjectView.Answer(planned);
            return
            [
                UploadStore.Committed(caller.Tenant, upload, planned.Version.Version),
                .. await caller.RecordAsync(recorded, planned.IsOneTransaction, cancellationToken),
            ];
        }
    }

    private async Task<Upload> FindAsync(string tenant, string objectId, string uploadId, CancellationToken cancellationToken)
    {
        var upload = Ids.IsWellFormed(uploadId, Upload.Prefix) ? await uploads.FindAsync(tenant, uploadId, cancellationToken) : null;
        return upload is null || upload.ObjectId != objectId || (upload.CommittedVersion is null && upload.ExpiresAt <= time.GetUtcNow())
            ? throw ApiException.NotFound("upload_id", "upload")
            : upload;
    }

    private async Task<NewContent> TakeInAsync(
        string tenant, Upload upload, IReadOnlyList<string>? blockIds, string? sha256, string? contentType, CancellationToken cancellationToken)
    {
        await using var source = await uploads.OpenAsync(tenant, upload, blockIds, cancellationToken)
            ?? throw ApiException.InvalidParameter("upload_id", "names an upload to which nothing has been uploaded");
        if (source.Properties.Length > ObjectLimits.ContentBytesMax)
        {
            throw ApiException.PayloadTooLarge(ObjectLimits.ContentBytesMax);
        }

        var type = contentType ?? "application/octet-stream";
        if (source.Properties.Length <= ObjectLimits.RowContentBytesMax)
        {
            var bytes = new byte[source.Properties.Length];
            await source.Stream.ReadExactlyAsync(bytes, cancellationToken);
            ContentDigest.Require("sha256", sha256, ContentStore.PointerTo(bytes, Dimensions.Home).Sha256);
            return new NewContent(type, bytes, null, []);
        }

        var now = time.GetUtcNow();
        var graph = await ObjectGraph.LoadAsync(upload.ObjectId, null, now, ids => objects.FindForWriteAsync(tenant, ids, cancellationToken));
        graph.RefuseConflicts(now);
        var (uploaded, missing) = await contents.UploadAsync(tenant, default, source.Stream, graph.DimensionsNeeded(now), cancellationToken);
        try
        {
            ContentDigest.Require("sha256", sha256, uploaded.Sha256);
        }
        catch (ApiException)
        {
            await contents.DiscardAsync(uploaded, cancellationToken);
            throw;
        }

        return new NewContent(type, default, uploaded, missing);
    }

    private async Task<IResult> RepeatAsync(Caller caller, string id, long committed, CancellationToken cancellationToken)
    {
        var head = await objects.FindAsync(caller.Tenant, id, cancellationToken);
        var version = await objects.FindVersionAsync(caller.Tenant, id, committed, cancellationToken);
        return head is null || version is null
            ? throw ApiException.NotFound("object_id", "object")
            : ObjectView.Answer(ObjectView.From(version, head.FirstVersion, []), version, committed == head.FirstVersion);
    }
}
