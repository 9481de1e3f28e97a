using System.Net;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Infra;

public sealed partial class DeploymentTests
{
    private static readonly IReadOnlySet<string> _read = CodeSettings.Read();

    [Fact]
    public async Task TheDeploymentKeepsEveryRule()
    {
        var findings = (await Deployment.ReadAsync()).Findings(_read);

        Assert.True(findings.Count == 0, string.Join(Environment.NewLine, findings));
    }

    [Fact]
    public void TheSettingsThatTheCodeReadsAreSeen() => Assert.Superset(
        new HashSet<string> { "AzureWebJobsStorage", "AZURE_CLIENT_ID", "QuantumFlux__MasterKey", "QuantumFlux__BootstrapKey", "QuantumFlux__Dimensions" },
        _read.ToHashSet());

    [Fact]
    public async Task TheReadmeTellsOfEverySettingOfTheSample()
    {
        var sample = (await Deployment.ReadAsync()).SampleSettings;
        var readme = await File.ReadAllTextAsync(Path.Combine(Parser.Root, "README.md"));

        Assert.All(
            sample,
            setting => Assert.Contains($"`{Digits().Replace(setting.Replace("__", ":", StringComparison.Ordinal), "1")}`", readme, StringComparison.Ordinal));
    }

    [Fact]
    public async Task TheServiceStartsWithTheSample()
    {
        // The local host brings what the sample leaves to it: an emulator and a master key.
        var sample = (await Deployment.ReadAsync()).Sample.GetProperty("Values").EnumerateObject()
            .Where(setting => setting.Name is not "QuantumFlux__MasterKey")
            .ToDictionary(setting => setting.Name.Replace("__", ":", StringComparison.Ordinal), setting => setting.Value.GetString());

        await using var app = await TestApp.StartAsync(settings: sample);

        (await app.ClientWith(sample["QuantumFlux:BootstrapKey"]!, "admin").GetAsync("/api/v3/quantum/objects")).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task WithoutASettingARoleATagAnOutputOrARuledPropertyTheCheckFails()
    {
        var deployment = await Deployment.ReadAsync();
        var changes = new List<Change>();
        foreach (var (name, file) in deployment.Files)
        {
            changes.AddRange(file.Declarations.Where(declaration => declaration.Kind == "output" || declaration.Type?.StartsWith("Microsoft.Authorization/roleAssignments@", StringComparison.Ordinal) is true)
                .Select(declaration => new Change($"{name} without {declaration.Name}", name, declaration.Start, declaration.End, "")));
            changes.AddRange(file.Properties.Where(property => property.Path is "tags" or "params.tags" or "azd-env-name" || Deployment.IsSetting(property))
                .Select(property => Without(name, property)));
        }

        changes.AddRange(deployment.Files.SelectMany(file => file.Value.Of("var").Where(variable => variable.Value!.Contains("roleDefinitions", StringComparison.Ordinal))
            .Select(variable => new Change($"{file.Key}: another role as {variable.Name}", file.Key, variable.End - 3, variable.End - 2, "0"))));
        changes.AddRange(deployment.RuledProperties().Select(ruled => Without(ruled.File, ruled.Property)));

        await AllAreFoundAsync(changes, atLeast: 90);
    }

    [Fact]
    public async Task AMisspeltPropertyIsFound()
    {
        var deployment = await Deployment.ReadAsync();
        var changes = deployment.Files.SelectMany(file => file.Value.Properties.Select(property =>
            new Change($"{file.Key}: {property.Path} misspelt", file.Key, property.NameEnd - 1, property.NameEnd, "Q")));

        await AllAreFoundAsync([.. changes], atLeast: 400);
    }

    [Fact]
    public async Task AMisspeltValueIsFound()
    {
        var deployment = await Deployment.ReadAsync();
        var changes = deployment.Files.SelectMany(file => file.Value.Properties
            .Where(property => PlainText().IsMatch(property.Value) && property.Value.Length > 2)
            .Select(property => new Change($"{file.Key}: {property.Path}: {property.Value} misspelt", file.Key, property.End - 2, property.End - 1, "Q")));

        await AllAreFoundAsync([.. changes], atLeast: 60);
    }

    [Fact]
    public async Task AMisspeltNameIsFound()
    {
        var deployment = await Deployment.ReadAsync();
        var changes = deployment.Files.SelectMany(file => file.Value.Declarations.Where(declaration => declaration.Kind is "param" or "var")
            .Select(declaration => (declaration, at: Deployment.Texts()[file.Key].IndexOf(declaration.Name, declaration.Start, StringComparison.Ordinal)))
            .Select(found => new Change($"{file.Key}: {found.declaration.Name} declared as another name", file.Key, found.at, found.at + 1, "Q")));

        await AllAreFoundAsync([.. changes], atLeast: 80);
    }

    [Fact]
    public void TheWorkflowsTakeActionsByTheirCommit()
    {
        var uses = Directory.EnumerateFiles(Path.Combine(Parser.Root, ".github", "workflows")).SelectMany(File.ReadAllLines)
            .Where(line => line.Contains("uses:", StringComparison.Ordinal)).ToList();

        Assert.NotEmpty(uses);
        Assert.All(uses, line => Assert.Matches("uses: [A-Za-z-]+/[A-Za-z-]+@[0-9a-f]{40} # v", line));
    }

    private static Change Without(string file, Property property) => new($"{file} without {property.Owner} {property.Path}", file, property.Start, property.End, "");

    private static async Task AllAreFoundAsync(List<Change> changes, int atLeast)
    {
        var changed = await Deployment.WithAsync([null, .. changes]);
        Assert.Equal([], changed[0].Findings(_read));

        var missed = changes.Zip(changed.Skip(1)).Where(pair => pair.Second.Findings(_read).Count == 0).Select(pair => pair.First.What).ToList();
        Assert.True(missed.Count == 0, string.Join(Environment.NewLine, missed));
        Assert.True(changes.Count >= atLeast, $"only {changes.Count} changes");
    }

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();

    [GeneratedRegex("^'[^$']*'$")]
    private static partial Regex PlainText();
}
