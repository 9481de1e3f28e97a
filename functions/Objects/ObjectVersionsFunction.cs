using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>An object's history.</summary>
public sealed class ObjectVersionsFunction(ApiGate gate, ObjectStore objects)
{
    private const string Route = "api/v3/quantum/objects/{id}/versions";

    [Function("ObjectVersions")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken) =>
        gate.RunAsync(
            request,
            Route,
            caller => request.Method switch
            {
                "GET" => ListAsync(request, caller, request.RouteId()!, cancellationToken),
                _ => throw ApiException.MethodNotAllowed("GET"),
            },
            cancellationToken);

    private async Task<IResult> ListAsync(HttpRequest request, Caller caller, string id, CancellationToken cancellationToken)
    {
        var query = new QueryParameters(request);
        if (ObjectLimits.CheckId(id) is { } reason)
        {
            query.Faults.Add("object_id", reason);
        }

        var limit = Cursor.Limit(query);
        var after = query.Whole("starting_after", 1, long.MaxValue);
        query.ThrowIfInvalid();

        return await objects.ListVersionsAsync(caller.Tenant, id, after, limit, cancellationToken) is var (versions, hasMore)
            ? Json.Result(new ObjectVersionListView(id, [.. versions.Select(ObjectVersionView.From)], hasMore))
            : throw ApiException.NotFound("object_id", "object");
    }
}
