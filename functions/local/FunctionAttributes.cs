// The few attributes and types of the Functions worker that the shared sources name, under their real names, so that a route and a schedule
// are written once. Signatures follow Microsoft.Azure.Functions.Worker.Extensions.{Abstractions,Http,Timer}.
namespace Microsoft.Azure.Functions.Worker;

/// <summary>Names a method that the host can invoke.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FunctionAttribute(string name) : Attribute
{
    /// <summary>The function's name, unique in the application. The Functions host tries routes in the order of these names.</summary>
    public string Name { get; } = name;
}

/// <summary>Whether the Functions host asks for a key of its own. Ours are all anonymous: the gate authenticates.</summary>
public enum AuthorizationLevel
{
    Anonymous = 0,
    User = 1,
    Function = 2,
    System = 3,
    Admin = 4,
}

/// <summary>Binds a method to a route.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class HttpTriggerAttribute(AuthorizationLevel authLevel, params string[] methods) : Attribute
{
    /// <summary>The route template, without a leading slash; null means the function's name.</summary>
    public string? Route { get; set; }

    /// <summary>The verbs that reach the function; empty means all.</summary>
    public string[]? Methods { get; } = methods;

    /// <summary>The key that the Functions host asks for.</summary>
    public AuthorizationLevel AuthLevel { get; } = authLevel;
}

/// <summary>Binds a method to an NCRONTAB schedule of six fields, seconds first.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class TimerTriggerAttribute(string schedule) : Attribute
{
    /// <summary>The schedule, such as <c>0 */5 * * * *</c> for every five minutes.</summary>
    public string Schedule { get; } = schedule;

    /// <summary>On the Functions host: whether missed ticks are noticed over a restart.</summary>
    public bool UseMonitor { get; set; } = true;

    /// <summary>On the Functions host: whether the timer also fires at each start.</summary>
    public bool RunOnStartup { get; set; }
}

/// <summary>What a timer function learns of its tick.</summary>
public sealed class TimerInfo
{
    /// <summary>True when the tick comes later than its schedule says.</summary>
    public bool IsPastDue { get; set; }
}
