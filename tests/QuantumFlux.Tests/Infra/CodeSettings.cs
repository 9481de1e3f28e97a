using System.Collections;
using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Infra;

/// <summary>
/// The settings that the deployed code reads, found by watching it read: the classes of options that the services bind, the storage addresses, and
/// what sources read by name. Numbers and dictionary keys are <c>*</c>, and the entries of a list and the parts of a storage address are one setting.
/// </summary>
public static partial class CodeSettings
{
    private static readonly string[] _addressParts = ["credential", "clientId", "accountName", "blobServiceUri", "tableServiceUri"];

    public static IReadOnlySet<string> Read() =>
        Options().Concat(Addresses()).Concat(ByName()).Select(Family).ToHashSet(StringComparer.Ordinal);

    /// <summary>A setting's name with what only tells it from its like taken out: <c>QuantumFlux__Dimensions</c> of all seven.</summary>
    public static string Family(string name)
    {
        var parts = name.Replace(":", "__", StringComparison.Ordinal).Split("__").Select(part => Varying().Replace(part, "*")).ToList();
        return string.Join("__", parts.Take(parts.FindLastIndex(part => part != "*" && !_addressParts.Contains(part)) + 1));
    }

    private static List<string> Options()
    {
        var watched = new Watched();
        var services = new ServiceCollection().AddLogging().AddQuantumFlux(watched.Configuration);
        services.AddSingleton(watched.Configuration);
        using var provider = services.BuildServiceProvider();
        var types = services.Select(service => service.ServiceType)
            .Where(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IConfigureOptions<>))
            .Select(type => type.GetGenericArguments()[0])
            .Where(type => type.Assembly == typeof(StorageAddress).Assembly)
            .Distinct();

        var found = new List<string>();
        foreach (var type in types)
        {
            watched.Sections.Clear();
            var options = Activator.CreateInstance(type)!;
            foreach (var configure in provider.GetServices(typeof(IConfigureOptions<>).MakeGenericType(type)))
            {
                configure!.GetType().GetMethod("Configure", [type])!.Invoke(configure, [options]);
            }

            // The first thing that a binder asks a section for is what is in it.
            var section = watched.Sections[0];
            found.AddRange(Properties(type).Select(property => $"{section}:{property}"));
        }

        return found;
    }

    private static IEnumerable<string> Properties(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite || !IsSimple(property.PropertyType))
            .SelectMany(property => Below(property.Name, property.PropertyType));

    private static IEnumerable<string> Below(string name, Type type) =>
        IsSimple(type) ? [name]
        : IsDictionary(type) ? Below($"{name}:*", type.GetGenericArguments()[1])
        : type.IsAssignableTo(typeof(IEnumerable)) ? Below($"{name}:*", type.IsArray ? type.GetElementType()! : type.GetGenericArguments()[0])
        : Properties(type).Select(property => $"{name}:{property}");

    private static bool IsDictionary(Type type) => type.IsGenericType && type.GetGenericArguments().Length == 2 && type.IsAssignableTo(typeof(IEnumerable));

    private static bool IsSimple(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.IsPrimitive || type.IsEnum || type == typeof(string) || type == typeof(Uri)
            || type.GetInterfaces().Any(face => face.IsGenericType && face.GetGenericTypeDefinition() == typeof(IParsable<>));
    }

    private static List<string> Addresses()
    {
        var watched = new Watched();
        StorageAddress.FromConfiguration(watched.Configuration, "AzureWebJobsStorage");
        StorageAccounts.Open(watched.Configuration, StorageAddress.Emulator(), _ => new StorageAccount(null!, null!));
        return watched.Values;
    }

    private static IEnumerable<string> ByName()
    {
        var functions = Path.Combine(Parser.Root, "functions");
        var local = Path.Combine(functions, "local");
        return Directory.EnumerateFiles(functions, "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.StartsWith(local, StringComparison.Ordinal))
            .SelectMany(file => Literal().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups[1].Value);
    }

    // What differs from one of a family to the next: a number, the name of a tier, an interpolation in Bicep.
    [GeneratedRegex(@"^(\d+|\*|\$\{.*\}|Free|Professional|Enterprise)$")]
    private static partial Regex Varying();

    [GeneratedRegex("""onfiguration(?:\[|\.GetValue(?:<[^>]*>)?\()"([^"]+)["]""")]
    private static partial Regex Literal();

    /// <summary>A configuration without values that keeps the names it is asked for.</summary>
    private sealed class Watched : IConfigurationProvider, IConfigurationSource
    {
        public Watched() => Configuration = new ConfigurationRoot([this]);

        public IConfiguration Configuration { get; }

        public List<string> Values { get; } = [];

        public List<string> Sections { get; } = [];

        public bool TryGet(string key, out string? value)
        {
            Values.Add(key);
            value = null;
            return false;
        }

        public IEnumerable<string> GetChildKeys(IEnumerable<string> earlierKeys, string? parentPath)
        {
            Sections.Add(parentPath ?? "");
            return earlierKeys;
        }

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

        public IChangeToken GetReloadToken() => new CancellationChangeToken(CancellationToken.None);

        public void Load()
        {
        }

        public void Set(string key, string? value)
        {
        }
    }
}
