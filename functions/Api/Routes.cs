namespace QuantumFlux.Api;

/// <summary>What a function reads from its route.</summary>
public static class Routes
{
    /// <summary>The <c>{id}</c> of the route; null when the path ends before it.</summary>
    /// <remarks>Never a parameter of the function: the Functions host would fill an empty one from the query or from the JSON body.</remarks>
    public static string? RouteId(this HttpRequest request) => request.RouteText("id");

    /// <summary>A named segment of the route; null when the path ends before it.</summary>
    public static string? RouteText(this HttpRequest request, string name) => request.RouteValues[name] as string is { Length: > 0 } text ? text : null;
}
