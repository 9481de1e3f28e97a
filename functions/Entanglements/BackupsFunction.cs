using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Objects;

namespace QuantumFlux.Entanglements;

/// <summary>Backups that dissolutions left behind: what they hold, and the content itself.</summary>
public sealed class BackupsFunction(ApiGate gate, BackupStore backups, ContentStore contents)
{
    private const string Route = "api/v3/quantum/backups/{id}/{objectId?}";

    [Function("Backups")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => (request.Method, request.RouteText("objectId")) switch
            {
                ("GET", null) => ListAsync(request, caller, cancellationToken),
                ("GET" or "HEAD", { } objectId) => GetAsync(request, caller, objectId, cancellationToken),
                (_, null) => throw ApiException.MethodNotAllowed("GET"),
                _ => throw ApiException.MethodNotAllowed("GET", "HEAD"),
            },
            cancellationToken);

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        var backup = await FindAsync(request, caller, cancellationToken);
        return Json.Result(new BackupView(
            backup.Id,
            backup.EntanglementId,
            backup.CreatedAt,
            [.. backup.Versions.Select(version => new BackupObjectView(
                version.ObjectId, version.Version, version.ContentType, version.Content.SizeBytes, version.Content.Sha256, version.WrittenAt))]));
    }

    private async Task<IResult> GetAsync(HttpRequest request, Caller caller, string objectId, CancellationToken cancellationToken)
    {
        var backup = await FindAsync(request, caller, cancellationToken);
        return backup.Versions.FirstOrDefault(version => version.ObjectId == objectId) is { } found
            ? new ContentResult(
                found,
                (from, length, to) => contents.CopyAsync(caller.Tenant, found.Content, from, length, to, cancellationToken))
            : throw ApiException.NotFound("object_id", "object of the backup");
    }

    private async Task<Backup> FindAsync(HttpRequest request, Caller caller, CancellationToken cancellationToken)
    {
        new QueryParameters(request).ThrowIfInvalid();
        var id = request.RouteId()!;
        return (Ids.IsWellFormed(id, BackupStore.Prefix) ? await backups.FindAsync(caller.Tenant, id, cancellationToken) : null)
            ?? throw ApiException.NotFound("backup_id", "backup");
    }
}

/// <summary>What a backup holds.</summary>
public sealed record BackupView(
    string BackupId, string EntanglementId, DateTimeOffset CreatedAt, IReadOnlyList<BackupObjectView> Objects);

/// <summary>One object of a backup.</summary>
public sealed record BackupObjectView(
    string ObjectId, long Version, string ContentType, long SizeBytes, string Sha256, DateTimeOffset LastModified);
