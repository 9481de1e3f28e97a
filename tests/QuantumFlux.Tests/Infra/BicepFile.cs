using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using QuantumFlux.Local;

namespace QuantumFlux.Tests.Infra;

/// <summary>Something that a Bicep file declares.</summary>
/// <param name="Kind"><c>param</c>, <c>var</c>, <c>resource</c>, <c>module</c> or <c>output</c>.</param>
/// <param name="Name">Its symbol; <c>parent/child</c> for a nested resource.</param>
/// <param name="Type">The type of a parameter or output, <c>type@version</c> of a resource, the path of a module; null for a variable.</param>
/// <param name="Value">The text after the equals sign; null when there is none.</param>
/// <param name="Decorators">Their arguments by name.</param>
/// <param name="Start">Where it begins in the text.</param>
/// <param name="End">Where it ends.</param>
public sealed record Declaration(
    string Kind, string Name, string? Type, string? Value, IReadOnlyDictionary<string, string> Decorators, int Start, int End);

/// <summary>A property of an object in a Bicep file.</summary>
/// <param name="Owner">The declaration that it belongs to.</param>
/// <param name="Path">Where it is in there: <c>properties.sku.name</c>, <c>rules[].name</c>.</param>
/// <param name="Name">The last part of the path.</param>
/// <param name="Value">The text of its value.</param>
/// <param name="Start">Where it begins in the text, name included.</param>
/// <param name="NameEnd">Where its name ends.</param>
/// <param name="End">Where it ends.</param>
public sealed record Property(string Owner, string Path, string Name, string Value, int Start, int NameEnd, int End);

/// <summary>A name that an expression uses.</summary>
public sealed record UsedName(string Owner, string Text);

/// <summary>A place that is not Bicep.</summary>
public sealed record SyntaxError(string Text, int Start);

/// <summary>A Bicep file, taken apart.</summary>
public sealed record BicepFile(
    IReadOnlyList<Declaration> Declarations, IReadOnlyList<Property> Properties, IReadOnlyList<UsedName> Names, IReadOnlyList<SyntaxError> Errors)
{
    public IEnumerable<Declaration> Of(string kind) => Declarations.Where(declaration => declaration.Kind == kind);

    /// <summary>The text of a property; null when it is not there.</summary>
    public string? Value(string owner, string path) => Properties.FirstOrDefault(property => property.Owner == owner && property.Path == path)?.Value;

    /// <summary>A resource's type with its parents' and without the version.</summary>
    public string TypeOf(Declaration resource)
    {
        var own = resource.Type!.Split('@')[0];
        return resource.Name.LastIndexOf('/') is > 0 and var end
            ? $"{TypeOf(Declarations.Single(parent => parent.Kind == "resource" && parent.Name == resource.Name[..end]))}/{own}"
            : own;
    }
}

/// <summary>The parser: tree-sitter's grammar of Bicep, which runs in Node.js and is installed at first use.</summary>
public static class Parser
{
    public static readonly string Root = LocalFolders.Find().Root ?? throw new InvalidOperationException("The tests need the repository.");

    private static readonly string _folder = Path.Combine(Root, "tests", "QuantumFlux.Tests", "Infra");
    private static readonly Lazy<Task<string>> _packages = new(InstallAsync);

    /// <summary>Parses texts, all in one process. A YAML file comes back as the JSON of its content.</summary>
    public static async Task<IReadOnlyList<JsonElement>> ParseAsync(IEnumerable<(string Name, string Text)> sources)
    {
        var input = JsonSerializer.Serialize(sources.Select(source => new { name = source.Name, text = source.Text }));
        var output = await RunAsync("node", [Path.Combine(_folder, "parse.mjs"), await _packages.Value], _folder, input);
        return JsonSerializer.Deserialize<List<JsonElement>>(output)!;
    }

    public static BicepFile ToFile(JsonElement parsed) => parsed.Deserialize<BicepFile>(JsonSerializerOptions.Web)!;

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    private static async Task<string> RunAsync(string program, string[] arguments, string folder, string input = "")
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output : throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {await error}");
    }

    // Installed beside and renamed, so that it is there whole or not at all.
    private static async Task<string> InstallAsync()
    {
        var version = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(Path.Combine(_folder, "package-lock.json"))))[..12];
        var target = Path.Combine(Root, "artifacts", "infra-tests", version);
        if (!Directory.Exists(target))
        {
            var partial = $"{target}.{Environment.ProcessId}";
            Directory.CreateDirectory(partial);
            foreach (var name in new[] { "package.json", "package-lock.json" })
            {
                File.Copy(Path.Combine(_folder, name), Path.Combine(partial, name), overwrite: true);
            }

            await RunAsync(OperatingSystem.IsWindows() ? "npm.cmd" : "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], partial);
            Directory.Move(partial, target);
        }

        return target;
    }
}
