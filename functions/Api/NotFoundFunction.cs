using Microsoft.Azure.Functions.Worker;

namespace QuantumFlux.Api;

/// <summary>
/// Takes every path that no other function takes: hands the specifications' short paths (<c>/v3/…</c>, <c>/v2/…</c>) to the functions of the full
/// ones, and answers the rest with our own 404. Its name sorts last, because the Functions host tries routes in the order of names.
/// </summary>
public sealed class NotFoundFunction(ApiGate gate, FunctionRoutes routes, IServiceProvider services)
{
    private const string Route = "{*path}";

    [Function("zz_NotFound")]
    public Task RunAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, Route = Route)] HttpRequest request,
        CancellationToken cancellationToken)
    {
        var path = request.Path.Value ?? "";
        var values = new RouteValueDictionary();
        if (IsShort(path) && routes.Match("/api" + path, values) is { Template: not Route } function)
        {
            request.RouteValues = values;
            return function.InvokeAsync(services, request, cancellationToken);
        }

        return gate.RunAsync(request, Route, _ => throw ApiException.NotFound("path", "resource"), cancellationToken);
    }

    private static bool IsShort(string path) =>
        path.StartsWith("/v3/", StringComparison.OrdinalIgnoreCase) || path.StartsWith("/v2/", StringComparison.OrdinalIgnoreCase);
}
