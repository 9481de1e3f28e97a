using System.Linq.Expressions;
using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Template;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;

namespace QuantumFlux.Api;

/// <summary>The functions of this application, as their attributes declare them: those with a route, and those with a schedule.</summary>
/// <remarks>The local host serves from this, and the catch-all function of both hosts uses it to hand the short paths to the functions they mean.</remarks>
public sealed class FunctionRoutes
{
    /// <summary>Reads the functions of some types: their public methods with <c>[Function]</c>.</summary>
    /// <exception cref="InvalidOperationException">A declaration is one that this application does not use, or two functions share a name.</exception>
    public FunctionRoutes(IEnumerable<Type> types)
    {
        var functions = types
            .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.DeclaredOnly))
            .Select(method => (method, name: method.GetCustomAttribute<FunctionAttribute>()?.Name))
            .Where(function => function.name is not null)
            .OrderBy(function => function.name, StringComparer.OrdinalIgnoreCase)
            .ToList();

        var twice = functions.GroupBy(function => function.name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null)
        {
            throw new InvalidOperationException($"Two functions are called {twice.Key}.");
        }

        All = [.. functions.Select(function => FunctionRoute.TryCreate(function.name!, function.method)).OfType<FunctionRoute>()];
        Timers = [.. functions.Select(function => FunctionTimer.TryCreate(function.name!, function.method)).OfType<FunctionTimer>()];
    }

    /// <summary>Reads the functions of an assembly's public types.</summary>
    public FunctionRoutes(Assembly assembly)
        : this(assembly.GetExportedTypes())
    {
    }

    /// <summary>The functions with a route, in the order in which the Functions host tries them: by name, whatever their templates.</summary>
    public IReadOnlyList<FunctionRoute> All { get; }

    /// <summary>The functions with a schedule, by name.</summary>
    public IReadOnlyList<FunctionTimer> Timers { get; }

    /// <summary>The first function whose template matches a path, or null.</summary>
    /// <param name="path">The path as in <see cref="HttpRequest.Path"/>: with its leading slash, decoded once (an encoded slash stays <c>%2F</c>).</param>
    /// <param name="values">Receives the route values of the match.</param>
    public FunctionRoute? Match(string path, RouteValueDictionary values)
    {
        foreach (var route in All)
        {
            values.Clear();
            if (route.IsMatch(path, values))
            {
                return route;
            }
        }

        values.Clear();
        return null;
    }
}

/// <summary>A function that a request can reach.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Template">The route, without a leading slash: <c>{id?}</c> is optional, <c>{*path}</c> takes the rest.</param>
/// <param name="Call">The function's method on the instance that the services hold.</param>
public sealed record FunctionRoute(string Name, string Template, Func<IServiceProvider, HttpRequest, CancellationToken, Task> Call)
{
    private readonly TemplateMatcher _matcher = new(TemplateParser.Parse(Template), []);

    /// <summary>Calls the function, which writes its own response.</summary>
    public Task InvokeAsync(IServiceProvider services, HttpRequest request, CancellationToken cancellationToken) => Call(services, request, cancellationToken);

    // A path with an empty segment (//) matches no template by the router's rules; ours that takes everything takes that too.
    internal bool IsMatch(string path, RouteValueDictionary values) => _matcher.TryMatch(new PathString(path), values) || IsCatchAll;

    private bool IsCatchAll => _matcher.Template.Segments is [{ Parts: [{ IsCatchAll: true }] }];

    internal static FunctionRoute? TryCreate(string name, MethodInfo method)
    {
        var trigger = method.GetParameters().Select(parameter => parameter.GetCustomAttribute<HttpTriggerAttribute>()).OfType<HttpTriggerAttribute>().FirstOrDefault();
        if (trigger is null)
        {
            return null;
        }

        // The Functions host would answer a verb that is not listed with a bare 404; our functions take every verb and answer 405 themselves.
        if (trigger.Methods is { Length: > 0 })
        {
            throw new InvalidOperationException($"The trigger of {name} lists verbs.");
        }

        var route = new FunctionRoute(name, trigger.Route ?? name, FunctionCall.Compile<HttpRequest>(name, method));
        return route._matcher.Template.Parameters.Any(parameter => parameter.InlineConstraints.Any())
            ? throw new InvalidOperationException($"The template of {name} has a constraint, which only the Functions host would apply.")
            : route;
    }
}

/// <summary>A function that a schedule fires.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Schedule">NCRONTAB, or the name of a setting between percent signs that holds it.</param>
/// <param name="Call">The function's method on the instance that the services hold.</param>
public sealed record FunctionTimer(string Name, string Schedule, Func<IServiceProvider, TimerInfo, CancellationToken, Task> Call)
{
    /// <summary>Runs the function once.</summary>
    public Task InvokeAsync(IServiceProvider services, TimerInfo timer, CancellationToken cancellationToken) => Call(services, timer, cancellationToken);

    internal static FunctionTimer? TryCreate(string name, MethodInfo method) =>
        method.GetParameters().Select(parameter => parameter.GetCustomAttribute<TimerTriggerAttribute>()).OfType<TimerTriggerAttribute>().FirstOrDefault() is { } trigger
            ? new FunctionTimer(name, trigger.Schedule, FunctionCall.Compile<TimerInfo>(name, method))
            : null;
}

/// <summary>Turns a function's method into a delegate, once, so that no call pays for reflection.</summary>
internal static class FunctionCall
{
    private static readonly MethodInfo _getService =
        typeof(ServiceProviderServiceExtensions).GetMethod(nameof(ServiceProviderServiceExtensions.GetRequiredService), [typeof(IServiceProvider), typeof(Type)])!;

    /// <summary>A delegate that finds the method's class among the services and calls the method with the trigger's value and the token, as it asks for them.</summary>
    /// <exception cref="InvalidOperationException">The method takes something else, or does not return a task.</exception>
    public static Func<IServiceProvider, TTrigger, CancellationToken, Task> Compile<TTrigger>(string name, MethodInfo method)
    {
        if (!method.ReturnType.IsAssignableTo(typeof(Task)))
        {
            throw new InvalidOperationException($"The function {name} does not return a task.");
        }

        var services = Expression.Parameter(typeof(IServiceProvider));
        var trigger = Expression.Parameter(typeof(TTrigger));
        var cancellationToken = Expression.Parameter(typeof(CancellationToken));
        var instance = Expression.Convert(Expression.Call(_getService, services, Expression.Constant(method.DeclaringType)), method.DeclaringType!);
        var arguments = method.GetParameters().Select(parameter =>
            parameter.ParameterType == typeof(TTrigger) ? trigger
            : parameter.ParameterType == typeof(CancellationToken) ? cancellationToken
            : throw new InvalidOperationException($"The function {name} takes a {parameter.ParameterType.Name}, which a trigger does not give."));

        return Expression
            .Lambda<Func<IServiceProvider, TTrigger, CancellationToken, Task>>(Expression.Call(instance, method, arguments), services, trigger, cancellationToken)
            .Compile();
    }
}
