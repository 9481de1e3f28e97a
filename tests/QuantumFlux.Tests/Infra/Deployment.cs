using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Infra;

/// <summary>Everything that <c>azd up</c> goes by, parsed.</summary>
/// <param name="Files">The Bicep files by name.</param>
/// <param name="Azd">The content of <c>azure.yaml</c>.</param>
/// <param name="Parameters">The content of <c>main.parameters.json</c>.</param>
/// <param name="Sample">The content of <c>local.settings.sample.json</c>.</param>
public sealed partial record Deployment(
    IReadOnlyDictionary<string, BicepFile> Files, JsonElement Azd, JsonElement Parameters, JsonElement Sample)
{
    public const string BlobDataOwner = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b";
    public const string TableDataContributor = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3";
    public const string MetricsPublisher = "3913510d-42f4-4e42-8a64-420c390055eb";
    public const string SecretsUser = "4633458b-17de-408a-b874-0445c86b69e6";
    public const string SecretsOfficer = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7";
    public const string WebPubSubOwner = "12cf5a90-567b-43ae-8102-96cf46c7d9b4";

    /// <summary>Settings that the platform reads and the code does not: in Azure, or on a developer's machine.</summary>
    public static readonly IReadOnlyList<string> AzureOnly =
        ["APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED"];

    public static readonly IReadOnlyList<string> LocalOnly = ["FUNCTIONS_WORKER_RUNTIME"];

    // What a secure and frugal deployment says in so many words: file, resource, property, value.
    private static readonly (string File, string Owner, string Path, string Value)[] _policies =
    [
        ("storage.bicep", "account", "properties.allowBlobPublicAccess", "false"),
        ("storage.bicep", "account", "properties.allowSharedKeyAccess", "false"),
        ("storage.bicep", "account", "properties.allowCrossTenantReplication", "false"),
        ("storage.bicep", "account", "properties.defaultToOAuthAuthentication", "true"),
        ("storage.bicep", "account", "properties.minimumTlsVersion", "'TLS1_2'"),
        ("storage.bicep", "account", "properties.supportsHttpsTrafficOnly", "true"),
        ("storage.bicep", "account", "properties.publicNetworkAccess", "isClosed && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'"),
        ("storage.bicep", "account", "properties.networkAcls.defaultAction", "isClosed ? 'Deny' : 'Allow'"),
        ("storage.bicep", "account/blobs", "properties.deleteRetentionPolicy.enabled", "true"),
        ("storage.bicep", "account/blobs", "properties.deleteRetentionPolicy.days", "softDeleteDays"),
        ("storage.bicep", "account/blobs", "properties.containerDeleteRetentionPolicy.enabled", "true"),
        ("storage.bicep", "account/blobs", "properties.containerDeleteRetentionPolicy.days", "softDeleteDays"),
        ("storage.bicep", "account/blobs/container", "properties.publicAccess", "'None'"),
        ("storage.bicep", "account/lifecycle", "properties.policy.rules[].enabled", "true"),
        ("storage.bicep", "account/lifecycle", "properties.policy.rules[].definition.filters.prefixMatch", "['uploads/']"),
        ("storage.bicep", "account/lifecycle", "properties.policy.rules[].definition.actions.baseBlob.delete.daysAfterModificationGreaterThan", "2"),
        ("vault.bicep", "vault", "properties.enableRbacAuthorization", "true"),
        ("vault.bicep", "vault", "properties.enableSoftDelete", "true"),
        ("vault.bicep", "vault", "properties.softDeleteRetentionInDays", "90"),
        ("vault.bicep", "vault", "properties.enablePurgeProtection", "purgeProtection ? true : null"),
        ("vault.bicep", "vault", "properties.publicNetworkAccess", "isClosed && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'"),
        ("vault.bicep", "vault", "properties.networkAcls.defaultAction", "isClosed ? 'Deny' : 'Allow'"),
        ("monitoring.bicep", "insights", "properties.DisableLocalAuth", "true"),
        ("monitoring.bicep", "insights", "properties.WorkspaceResourceId", "workspace.id"),
        ("monitoring.bicep", "workspace", "properties.features", "entraOnly"),
        ("monitoring.bicep", "workspace", "properties.workspaceCapping.dailyQuotaGb", "dailyQuotaGb"),
        ("monitoring.bicep", "entraOnly", "disableLocalAuth", "true"),
        ("app.bicep", "plan", "sku.name", "'FC1'"),
        ("app.bicep", "plan", "sku.tier", "'FlexConsumption'"),
        ("app.bicep", "plan", "properties.reserved", "true"),
        ("app.bicep", "site", "identity.type", "'UserAssigned'"),
        ("app.bicep", "site", "properties.httpsOnly", "true"),
        ("app.bicep", "site", "properties.keyVaultReferenceIdentity", "identityId"),
        ("app.bicep", "site", "properties.virtualNetworkSubnetId", "empty(subnetId) ? null : subnetId"),
        ("app.bicep", "site", "properties.siteConfig.minTlsVersion", "'1.2'"),
        ("app.bicep", "site", "properties.siteConfig.scmMinTlsVersion", "'1.2'"),
        ("app.bicep", "site", "properties.siteConfig.ftpsState", "'Disabled'"),
        ("app.bicep", "site", "properties.functionAppConfig.deployment.storage.authentication.type", "'UserAssignedIdentity'"),
        ("app.bicep", "site", "properties.functionAppConfig.runtime.name", "'dotnet-isolated'"),
        ("app.bicep", "site", "properties.functionAppConfig.runtime.version", "'10.0'"),
        ("app.bicep", "site", "properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount", "maximumInstanceCount"),
        ("app.bicep", "site/ftp", "properties.allow", "false"),
        ("app.bicep", "site/scm", "properties.allow", "false"),
        ("app.bicep", "site/settings", "properties.AzureWebJobsStorage__credential", "'managedidentity'"),
        ("streaming.bicep", "service/hub", "properties.anonymousConnectPolicy", "'deny'"),
        ("alerts.bicep", "serverErrors", "dimensions[].name", "'request/resultCode'"),
        ("alerts.bicep", "throttling", "dimensions[].name", "'ResponseType'"),
        ("budget.bicep", "budget", "properties.notifications.spent80Percent.contactRoles", "['Owner']"),
        ("budget.bicep", "budget", "properties.notifications.forecast100Percent.contactRoles", "['Owner']"),
    ];

    // Types that take no tags.
    private static readonly string[] _untagged =
    [
        "Microsoft.Authorization/roleAssignments", "Microsoft.Consumption/budgets", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        "Microsoft.SignalRService/webPubSub/hubs", "Microsoft.Storage/storageAccounts/blobServices", "Microsoft.Storage/storageAccounts/blobServices/containers",
        "Microsoft.Storage/storageAccounts/managementPolicies", "Microsoft.Storage/storageAccounts/tableServices",
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies", "Microsoft.Web/sites/config",
    ];

    // Who must be let in where: file, resource, role, and whose id.
    private static readonly (string File, string Scope, string Role, string Principal)[] _roles =
    [
        ("storage.bicep", "account", BlobDataOwner, "personId"),
        ("storage.bicep", "account", TableDataContributor, "personId"),
        ("vault.bicep", "vault", SecretsOfficer, "personId"),
        ("monitoring.bicep", "insights", MetricsPublisher, "personId"),
    ];

    // With these values nothing runs, waits or is reserved that is paid for by the hour.
    private static readonly (string Parameter, string Default)[] _idleDefaults =
    [
        ("alwaysReadyHttp", "0"), ("zoneRedundant", "false"), ("vnetEnabled", "false"), ("streamingEnabled", "false"), ("webPubSubSku", "'Free_F1'"),
        ("alertEmail", "''"), ("dimensionLocations", "{}"), ("logRetentionDays", "30"), ("instanceMemoryMB", "512"),
    ];

    private static readonly string[] _outputs =
    [
        "AZURE_LOCATION", "AZURE_TENANT_ID", "AZURE_RESOURCE_GROUP", "SERVICE_API_NAME", "SERVICE_API_URI", "STORAGE_ACCOUNT_NAME",
        "AZURE_KEY_VAULT_NAME", "APPLICATIONINSIGHTS_NAME", "WEBPUBSUB_ENDPOINT", "BUDGET_START",
    ];

    private static readonly string[] _functions =
    [
        "concat", "empty", "environment", "guid", "items", "length", "map", "range", "reduce", "replace", "resourceId", "subscription",
        "subscriptionResourceId", "tenant", "toLower", "union", "uniqueString", "utcNow",
    ];

    private static readonly string[] _moduleProperties = ["name", "scope", "params", "dependsOn"];

    private static readonly IReadOnlyList<string> _hookVariables = [.. Directory.EnumerateFiles(Path.Combine(Parser.Root, "infra", "hooks"))
        .SelectMany(file => Variable().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).Distinct()];

    private BicepFile Main => Files["main.bicep"];

    /// <summary>The application settings in Bicep.</summary>
    public IEnumerable<Property> BicepSettings => Files["app.bicep"].Properties.Where(IsSetting);

    public IEnumerable<string> SampleSettings => Sample.GetProperty("Values").EnumerateObject().Select(setting => setting.Name);

    /// <summary>Reads the repository's files.</summary>
    public static async Task<Deployment> ReadAsync() => (await WithAsync([null])).Single();

    /// <summary>Reads the repository's files as often as there are changes, each time with one of them made (null: none).</summary>
    public static async Task<IReadOnlyList<Deployment>> WithAsync(IReadOnlyList<Change?> changes)
    {
        var texts = Texts();
        var azd = File.ReadAllText(Path.Combine(Parser.Root, "azure.yaml"));
        var sources = texts.Select(file => (file.Key, file.Value))
            .Append(("azure.yaml", azd))
            .Concat(changes.OfType<Change>().Select(change => (change.File, change.Apply(texts[change.File]))));
        var parsed = await Parser.ParseAsync(sources);
        var files = texts.Keys.Zip(parsed, (name, content) => (name, file: Parser.ToFile(content))).ToDictionary(entry => entry.name, entry => entry.file);
        var unchanged = new Deployment(files, parsed[files.Count], Json("infra/main.parameters.json"), Json("local.settings.sample.json"));
        var changed = new Queue<JsonElement>(parsed.Skip(files.Count + 1));
        return [.. changes.Select(change => change is null
            ? unchanged
            : unchanged with { Files = new Dictionary<string, BicepFile>(files) { [change.File] = Parser.ToFile(changed.Dequeue()) } })];
    }

    /// <summary>What is wrong with it; empty when nothing is.</summary>
    /// <param name="read">The settings that the code reads.</param>
    public IReadOnlyList<string> Findings(IReadOnlySet<string> read) =>
    [
        .. Language(), .. Modules(), .. Reviewed(), .. Policies(), .. Tags(), .. Settings(read), .. Roles(), .. Outputs(), .. ParametersOfMain(), .. AzdFile(),
    ];

    // What a compiler would say first. The repository has none, so names are looked up here.
    private IEnumerable<string> Language()
    {
        foreach (var (name, file) in Files)
        {
            foreach (var error in file.Errors)
            {
                yield return $"{name}: not Bicep near '{error.Text}'";
            }

            var declared = file.Declarations.Where(declaration => declaration.Kind != "output").ToList();
            foreach (var used in file.Names.Where(used => !_functions.Contains(used.Text) && !declared.Any(declaration => declaration.Name == used.Text || declaration.Name.EndsWith($"/{used.Text}", StringComparison.Ordinal))))
            {
                yield return $"{name}: {used.Text} is not declared";
            }

            foreach (var unused in declared.Where(declaration => declaration.Kind is "param" or "var" && !file.Names.Any(used => used.Text == declaration.Name)))
            {
                yield return $"{name}: {unused.Name} is not used";
            }
        }
    }

    private IEnumerable<string> Modules()
    {
        foreach (var module in Main.Of("module"))
        {
            if (!Files.TryGetValue(module.Type!, out var file))
            {
                yield return $"main.bicep: there is no {module.Type}";
                continue;
            }

            var properties = Main.Properties.Where(property => property.Owner == module.Name).ToList();
            foreach (var name in properties.Select(property => property.Path.Split('.', '[')[0]).Except(_moduleProperties))
            {
                yield return $"main.bicep: a module has no {name}";
            }

            foreach (var required in _moduleProperties.Take(3).Where(name => properties.All(property => property.Path != name)))
            {
                yield return $"main.bicep: {module.Name} needs {required}";
            }

            var given = properties.Where(property => property.Path.StartsWith("params.", StringComparison.Ordinal)).Select(property => property.Path.Split('.', '[')[1]).ToHashSet();
            foreach (var odd in file.Of("param").Select(param => param.Name).ToHashSet().SymmetricExceptWithAll(given))
            {
                yield return $"main.bicep: {module.Name} and {module.Type} differ in the parameter {odd}";
            }
        }

        var used = Main.Declarations.SelectMany(declaration => Output().Matches(declaration.Value ?? ""))
            .Select(match => (Module: match.Groups[1].Value, Output: match.Groups[2].Value)).ToHashSet();
        foreach (var (module, output) in used)
        {
            var file = Main.Of("module").FirstOrDefault(other => other.Name == module)?.Type;
            if (file is null || !Files[file].Of("output").Any(other => other.Name == output))
            {
                yield return $"main.bicep: {module} has no output {output}";
            }
        }

        foreach (var (name, file) in Files.Where(file => file.Key != "main.bicep"))
        {
            var instances = Main.Of("module").Where(module => module.Type == name).Select(module => module.Name).ToList();
            foreach (var output in file.Of("output").Where(output => !instances.Any(instance => used.Contains((instance, output.Name)))))
            {
                yield return $"{name}: nobody uses the output {output.Name}";
            }
        }
    }

    // Properties and listed values that were compared with the schemas of their resources. A new one is added to the list once it has been.
    private IEnumerable<string> Reviewed()
    {
        return Files.SelectMany(file => ReviewedList.Of(file.Key, file.Value)).Except(ReviewedList.Lines)
            .Select(line => $"not in {ReviewedList.FileName} (compare it with the resource's schema first): {line}");
    }

    private IEnumerable<string> Policies() => _policies
        .Where(policy => !Files[policy.File].Properties.Any(property => property.Owner == policy.Owner && property.Path == policy.Path && property.Value == policy.Value))
        .Select(policy => $"{policy.File}: {policy.Owner} must have {policy.Path}: {policy.Value}");

    private IEnumerable<string> Tags()
    {
        foreach (var (name, file) in Files)
        {
            foreach (var resource in file.Of("resource").Where(resource => !_untagged.Contains(file.TypeOf(resource))))
            {
                if (file.Value(resource.Name, "tags") is not { } tags || (tags != "tags" && !tags.StartsWith("union(tags, ", StringComparison.Ordinal)))
                {
                    yield return $"{name}: {resource.Name} has no tags";
                }
            }
        }

        if (Main.Value("tags", "azd-env-name") != "environmentName")
        {
            yield return "main.bicep: azd finds the deployment by the tag azd-env-name";
        }

        var services = Azd.GetProperty("services").EnumerateObject().Select(service => service.Name).ToList();
        if (services is not [var only] || Files["app.bicep"].Value("site", "tags") != $"union(tags, {{ 'azd-service-name': '{only}' }})")
        {
            yield return "app.bicep: azd finds the site by the tag azd-service-name, which is the service's name in azure.yaml";
        }

        foreach (var module in Main.Of("module").Where(module => Files[module.Type!].Of("param").Any(param => param.Name == "tags") && Main.Value(module.Name, "params.tags") != "tags"))
        {
            yield return $"main.bicep: {module.Name} gets other tags";
        }
    }

    private IEnumerable<string> Settings(IReadOnlySet<string> read)
    {
        var bicep = BicepSettings.Select(setting => setting.Name).ToList();
        var sample = SampleSettings.ToList();
        return Missing("Bicep", read, bicep)
            .Concat(Missing("local.settings.sample.json", read, sample))
            .Concat(bicep.Except(AzureOnly).Select(CodeSettings.Family).Except(read).Select(name => $"Bicep: no code reads {name}"))
            .Concat(sample.Except(LocalOnly).Select(CodeSettings.Family).Except(read).Select(name => $"local.settings.sample.json: no code reads {name}"))
            .Concat(AzureOnly.Except(bicep).Select(name => $"Bicep: {name} is missing"))
            .Concat(LocalOnly.Except(sample).Select(name => $"local.settings.sample.json: {name} is missing"))
            .Concat(IdentityParts().Except(bicep).Select(name => $"Bicep: {name} is missing"))
            .Concat(BicepSettings.Where(IsOtherThanInSample).Select(setting => $"Bicep: {setting.Name} is {setting.Value}, in local.settings.sample.json another value"));

        static IEnumerable<string> Missing(string where, IReadOnlySet<string> read, List<string> there) =>
            read.Except(there.Select(CodeSettings.Family)).Select(name => $"{where}: the code reads {name}, which is missing");

        // Parts of one setting to the code, but an identity needs each of them.
        static IEnumerable<string> IdentityParts() =>
        [
            .. from part in new[] { "credential", "clientId", "blobServiceUri", "tableServiceUri" } select $"AzureWebJobsStorage__{part}",
            .. from part in new[] { "blobServiceUri", "tableServiceUri" } select $"QuantumFlux__Dimensions__${{account.number}}__{part}",
        ];
    }

    // A value that the template writes out is the default, and so is the sample's.
    private bool IsOtherThanInSample(Property setting) =>
        Sample.GetProperty("Values").TryGetProperty(setting.Name, out var value)
        && PlainText().IsMatch(setting.Value) && setting.Value != $"'{value.GetString()}'";

    private IEnumerable<string> Roles()
    {
        var needed = _roles.ToHashSet();
        foreach (var setting in BicepSettings)
        {
            (string, string, string)? need = setting switch
            {
                _ when setting.Name.EndsWith("blobServiceUri", StringComparison.Ordinal) => ("storage.bicep", "account", BlobDataOwner),
                _ when setting.Name.EndsWith("tableServiceUri", StringComparison.Ordinal) => ("storage.bicep", "account", TableDataContributor),
                _ when setting.Name == "APPLICATIONINSIGHTS_CONNECTION_STRING" => ("monitoring.bicep", "insights", MetricsPublisher),
                _ when setting.Value.StartsWith("'@Microsoft.KeyVault(", StringComparison.Ordinal) => ("vault.bicep", "vault", SecretsUser),
                _ when setting.Name.EndsWith("Uri", StringComparison.OrdinalIgnoreCase) || setting.Name.EndsWith("Endpoint", StringComparison.OrdinalIgnoreCase) =>
                    ("(an endpoint without a rule here)", setting.Name, "?"),
                _ => null,
            };
            if (need is { } found)
            {
                needed.Add((found.Item1, found.Item2, found.Item3, "appPrincipalId"));
            }
        }

        if (Files["streaming.bicep"].Of("resource").Any())
        {
            needed.Add(("streaming.bicep", "service", WebPubSubOwner, "appPrincipalId"));
        }

        foreach (var (name, scope, role, principal) in needed)
        {
            if (!Files.TryGetValue(name, out var file) || !file.Of("resource").Any(assignment => IsAssignment(file, assignment, scope, role, principal)))
            {
                yield return $"{name}: {principal} lacks the role {role} on {scope}";
            }
        }

        foreach (var module in Main.Of("module").Where(module => Files[module.Type!].Of("param").Any(param => param.Name == "appPrincipalId")
            && Main.Value(module.Name, "params.appPrincipalId") != "identity.outputs.principalId"))
        {
            yield return $"main.bicep: {module.Name} lets in somebody else";
        }

        foreach (var (name, value) in new[] { ("personId", "principalId"), ("personType", "principalType") })
        {
            foreach (var module in Main.Of("module").Where(module => Files[module.Type!].Of("param").Any(param => param.Name == name) && Main.Value(module.Name, $"params.{name}") != value))
            {
                yield return $"main.bicep: {module.Name} gets another {name}";
            }
        }
    }

    private static bool IsAssignment(BicepFile file, Declaration assignment, string scope, string role, string principal)
    {
        var definition = file.Value(assignment.Name, "properties.roleDefinitionId");
        return file.TypeOf(assignment) == "Microsoft.Authorization/roleAssignments"
            && file.Value(assignment.Name, "scope") == scope
            && file.Value(assignment.Name, "properties.principalId") == principal
            && file.Value(assignment.Name, "properties.principalType") == (principal == "personId" ? "personType" : "'ServicePrincipal'")
            && file.Value(assignment.Name, "name") == $"guid({scope}.id, {principal}, {definition})"
            && file.Of("var").Any(variable => variable.Name == definition && variable.Value == $"subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{role}')")
            && assignment.Value!.StartsWith("if (!empty(personId))", StringComparison.Ordinal) == (principal == "personId");
    }

    private IEnumerable<string> Outputs() =>
        _outputs.Except(Main.Of("output").Select(output => output.Name)).Select(name => $"main.bicep: the output {name} is missing")
            .Concat(Main.Of("output").Select(output => output.Name).Except(_outputs).Select(name => $"main.bicep: nobody expects the output {name}"))
            .Concat(Main.Of("output").Where(output => !output.Decorators.ContainsKey("description")).Select(output => $"main.bicep: {output.Name} has no description"))
            .Concat(_hookVariables.Except([.. _outputs, "AZURE_ENV_NAME", "AZURE_SUBSCRIPTION_ID", "CI"]).Select(name => $"a hook uses {name}, which azd does not set"));

    /// <summary>Whether a property of <c>app.bicep</c> is an application setting: of the settings themselves, or of a variable called <c>…Settings</c>.</summary>
    public static bool IsSetting(Property property) =>
        property.Owner.EndsWith("Settings", StringComparison.Ordinal) || (property.Owner == "site/settings" && property.Path.StartsWith("properties.", StringComparison.Ordinal));

    private IEnumerable<string> ParametersOfMain()
    {
        var parameters = Main.Of("param").ToDictionary(param => param.Name);
        foreach (var (name, param) in parameters)
        {
            if (!param.Decorators.ContainsKey("description"))
            {
                yield return $"main.bicep: {name} has no description";
            }

            if (param.Type == "int" && !param.Decorators.ContainsKey("minValue") && !param.Decorators.ContainsKey("allowed"))
            {
                yield return $"main.bicep: {name} has no limit";
            }
        }

        foreach (var (name, value) in _idleDefaults.Where(idle => !parameters.TryGetValue(idle.Parameter, out var param) || param.Value != idle.Default))
        {
            yield return $"main.bicep: by default nothing costs while idle, so {name} is {value}";
        }

        var given = Parameters.GetProperty("parameters").EnumerateObject().ToDictionary(param => param.Name, param => param.Value.GetProperty("value"));
        foreach (var odd in parameters.Keys.Except(["month"]).ToHashSet().SymmetricExceptWithAll(given.Keys))
        {
            yield return $"main.parameters.json and main.bicep differ in the parameter {odd}";
        }

        foreach (var (name, value) in given.Where(param => param.Value.ValueKind == JsonValueKind.String && parameters.ContainsKey(param.Key)))
        {
            var fallback = Substitution().Match(value.GetString()!) is { Success: true } match ? match.Groups[1].Value.TrimStart('=') : null;
            var text = parameters[name].Type == "string" ? $"'{fallback}'" : fallback;
            if (fallback is null || (parameters[name].Value is { } own && own != text))
            {
                yield return $"main.parameters.json: the default of {name} is {text}, in main.bicep {parameters[name].Value}";
            }
        }
    }

    private IEnumerable<string> AzdFile()
    {
        var api = Azd.GetProperty("services").GetProperty("api");
        var project = Path.Combine(Parser.Root, api.GetProperty("project").GetString()!);
        if (api.GetProperty("host").GetString() != "function" || api.GetProperty("language").GetString() != "dotnet"
            || Directory.GetFiles(project, "*.csproj") is not [var single] || Path.GetFileName(single) != "QuantumFlux.Functions.csproj")
        {
            yield return "azure.yaml: the service api is the function app of the one project in functions/";
        }

        if (!File.Exists(Path.Combine(Parser.Root, Azd.GetProperty("infra").GetProperty("path").GetString()!, $"{Azd.GetProperty("infra").GetProperty("module").GetString()}.bicep")))
        {
            yield return "azure.yaml: infra names no Bicep file";
        }

        foreach (var hook in Azd.GetProperty("hooks").EnumerateObject())
        {
            foreach (var (system, shell, extension) in new[] { ("posix", "sh", ".sh"), ("windows", "pwsh", ".ps1") })
            {
                if (!hook.Value.TryGetProperty(system, out var run) || run.GetProperty("shell").GetString() != shell
                    || run.GetProperty("run").GetString() != $"./infra/hooks/{hook.Name}{extension}" || !File.Exists(Path.Combine(Parser.Root, run.GetProperty("run").GetString()!)))
                {
                    yield return string.Create(CultureInfo.InvariantCulture, $"azure.yaml: {hook.Name} has no script for {system}");
                }
            }
        }

        foreach (var missing in new[] { "postprovision", "postdeploy" }.Where(name => !Azd.GetProperty("hooks").TryGetProperty(name, out _)))
        {
            yield return $"azure.yaml: the hook {missing} is missing";
        }
    }

    /// <summary>The texts of the Bicep files by name.</summary>
    public static IReadOnlyDictionary<string, string> Texts() => Directory.EnumerateFiles(Path.Combine(Parser.Root, "infra"), "*.bicep")
        .ToDictionary(file => Path.GetFileName(file), File.ReadAllText);

    /// <summary>The properties that the rules name, for a test that takes them away.</summary>
    public IEnumerable<(string File, Property Property)> RuledProperties() => _policies.SelectMany(policy => Files[policy.File].Properties
        .Where(property => property.Owner == policy.Owner && property.Path == policy.Path).Select(property => (policy.File, property)));

    private static JsonElement Json(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Parser.Root, path)));
        return document.RootElement.Clone();
    }

    [GeneratedRegex(@"\b(\w+)!?(?:\[\w+\])?\.outputs\.(\w+)")]
    private static partial Regex Output();

    [GeneratedRegex(@"(?:\$env:|\$\{?)((?>[A-Z][A-Z_]+))(?![a-z])")]
    private static partial Regex Variable();

    [GeneratedRegex("^'[^@$]*'$")]
    private static partial Regex PlainText();

    [GeneratedRegex(@"^\$\{[A-Z_]+(=[^}]*)?\}$")]
    private static partial Regex Substitution();
}

/// <summary>One change of a Bicep file: some of its text for other text.</summary>
/// <param name="What">What it does, for a message.</param>
public sealed record Change(string What, string File, int Start, int End, string Text)
{
    public string Apply(string text) => text[..Start] + Text + text[End..];
}

/// <summary>The list of properties, and of values out of a list, that the Bicep files may have: compared with the resources' schemas.</summary>
public static partial class ReviewedList
{
    public const string FileName = "reviewed-properties.txt";

    public static readonly IReadOnlySet<string> Lines =
        File.ReadAllLines(Path.Combine(Parser.Root, "tests", "QuantumFlux.Tests", "Infra", FileName)).ToHashSet(StringComparer.Ordinal);

    /// <summary>The lines of a file: the type and the path of each property, with its value where that is a plain text.</summary>
    public static IEnumerable<string> Of(string name, BicepFile file) => file.Properties
        .Where(property => !Deployment.IsSetting(property))
        .Select(property => $"{Type(name, file, property.Owner)} {property.Path}{(Plain().IsMatch(property.Value) ? $" {property.Value}" : "")}");

    private static string Type(string name, BicepFile file, string owner) =>
        file.Declarations.First(declaration => declaration.Name == owner) is { Kind: "resource" } resource
            ? $"{file.TypeOf(resource)}@{file.Declarations.First(parent => parent.Name == owner.Split('/')[0]).Type!.Split('@')[1]}"
            : $"{name} {owner}";

    [GeneratedRegex("^'[^$]*'$|^(true|false)$")]
    private static partial Regex Plain();
}

internal static class Sets
{
    /// <summary>What only one of two sets has.</summary>
    public static IEnumerable<string> SymmetricExceptWithAll(this IReadOnlySet<string> one, IEnumerable<string> other)
    {
        var difference = one.ToHashSet();
        difference.SymmetricExceptWith(other);
        return difference;
    }
}
