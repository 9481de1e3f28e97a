using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using QuantumFlux.Api;
using QuantumFlux.Keys;

namespace QuantumFlux.Tests.Infra;

/// <summary>The hooks of <c>azd up</c>, with an azd and a Resource Manager that are files in a folder, and with the service itself.</summary>
public sealed partial class HookTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    public HookTests()
    {
        foreach (var folder in new[] { "infra/hooks", ".azure/test", "bin", "secrets" })
        {
            Directory.CreateDirectory(Path.Combine(_root, folder));
        }

        foreach (var hook in Directory.EnumerateFiles(Path.Combine(Parser.Root, "infra", "hooks"), "*.sh"))
        {
            File.Copy(hook, Path.Combine(_root, "infra", "hooks", Path.GetFileName(hook)));
        }

        Program("azd", """[ "$*" = "auth token --output json" ] && echo '{ "token": "entra-token", "expiresOn": "2030-01-01" }'""");
        Program("sleep", "exit 0");
        Program("curl", """
            for url; do :; done
            case $url in https://management.azure.com/*) ;; *) PATH=${PATH#*:} exec curl "$@" ;; esac
            config=$(cat)
            printf '%s\n' "$*" >>"$FAKE/arguments"
            printf '%s\n' "$config" | grep -q 'Bearer entra-token' || exit 1
            name=$(basename "${url%%\?*}")
            case "$* $FAKE_STATUS" in
            *"--request GET"*" ") if [ -f "$FAKE/secrets/$name" ]; then printf 200; else printf 404; fi ;;
            *"--request GET"*) printf '%s' "$FAKE_STATUS" ;;
            *"--request PUT"*) printf '%s\n' "$config" | sed -n 's/.*\\"value\\":\\"\([^\\]*\)\\".*/\1/p' >"$FAKE/secrets/$name" && printf 200 ;;
            *) printf 200 ;;
            esac
            """);
    }

    private string FirstKey => Path.Combine(_root, ".azure", "test", "first-key");

    private string[] Arguments => File.Exists(Path.Combine(_root, "arguments")) ? File.ReadAllLines(Path.Combine(_root, "arguments")) : [];

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task TheFirstProvisionMakesBothKeysAndTellsNobody()
    {
        var (exitCode, output) = await RunAsync("postprovision.sh");

        Assert.Equal(0, exitCode);
        Assert.True(MasterKey.IsValid(Secret("master-key")), "the master key is not one");
        Assert.Matches("^qfx_live_[0-9a-f]{64}$", Secret("bootstrap-key"));
        Assert.Equal(Secret("bootstrap-key"), File.ReadAllText(FirstKey).Trim());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FirstKey));
        }

        foreach (var secret in new[] { Secret("master-key"), Secret("bootstrap-key"), "entra-token" })
        {
            Assert.DoesNotContain(secret, output, StringComparison.Ordinal);
            Assert.DoesNotContain(secret, string.Join('\n', Arguments), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task ALaterProvisionChangesNoKey()
    {
        await RunAsync("postprovision.sh");
        File.Delete(FirstKey);
        var (master, bootstrap) = (Secret("master-key"), Secret("bootstrap-key"));

        var (exitCode, _) = await RunAsync("postprovision.sh");

        Assert.Equal((0, master, bootstrap), (exitCode, Secret("master-key"), Secret("bootstrap-key")));
        Assert.False(File.Exists(FirstKey));
        Assert.Equal(2, Arguments.Count(call => call.Contains("--request PUT", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("403")]
    [InlineData("500")]
    [InlineData("000")]
    public async Task AVaultThatDoesNotSayWhatItHasIsLeftAlone(string status)
    {
        var (exitCode, output) = await RunAsync("postprovision.sh", ("FAKE_STATUS", status));

        Assert.NotEqual(0, exitCode);
        Assert.Contains($"HTTP {status}", output, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_root, "secrets")));
        Assert.False(File.Exists(FirstKey));
    }

    [Fact]
    public async Task TheFirstDeploymentIsTriedAndItsKeyShownOnce()
    {
        var key = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var app = await TestApp.StartAsync(adminKey: key);
        await File.WriteAllTextAsync(FirstKey, key);
        var service = ("SERVICE_API_URI", app.Address.ToString().TrimEnd('/'));

        var first = await RunAsync("postdeploy.sh", service);
        var second = await RunAsync("postdeploy.sh", service);

        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        Assert.Contains(key, first.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(key, second.Output, StringComparison.Ordinal);
        Assert.Contains("works.", second.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(FirstKey));
        (await app.Admin.GetAsync("/api/v3/quantum/objects/azd-smoke-test")).Expect(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task InALogTheKeyIsNotShown()
    {
        var key = ApiKey.NewSecret(KeyEnvironment.Live);
        await using var app = await TestApp.StartAsync(adminKey: key);
        await File.WriteAllTextAsync(FirstKey, key);

        var (exitCode, output) = await RunAsync("postdeploy.sh", ("SERVICE_API_URI", app.Address.ToString().TrimEnd('/')), ("CI", "true"));

        Assert.Equal(0, exitCode);
        Assert.DoesNotContain(key, output, StringComparison.Ordinal);
        Assert.False(File.Exists(FirstKey));
    }

    [Fact]
    public async Task ADeploymentWhoseKeyIsRefusedFailsAndKeepsTheKey()
    {
        var app = await TestApp.SharedAsync;
        await File.WriteAllTextAsync(FirstKey, ApiKey.NewSecret(KeyEnvironment.Live));

        var (exitCode, output) = await RunAsync("postdeploy.sh", ("SERVICE_API_URI", app.Address.ToString().TrimEnd('/')));

        Assert.NotEqual(0, exitCode);
        Assert.Contains("INVALID_API_KEY", output, StringComparison.Ordinal);
        Assert.True(File.Exists(FirstKey));
        Assert.Equal(19, Arguments.Count(call => call.Contains("/sites/func-test/config/configreferences/appsettings/refresh", StringComparison.Ordinal)));
    }

    [Fact]
    public void TheHooksForWindowsSpeakOfTheSameThings()
    {
        foreach (var hook in Directory.EnumerateFiles(Path.Combine(Parser.Root, "infra", "hooks"), "*.sh"))
        {
            Assert.Equal(Facts(hook), Facts(Path.ChangeExtension(hook, ".ps1")));
        }

        static SortedSet<string> Facts(string file) => [.. Fact().Matches(File.ReadAllText(file)).Select(match => match.Value)];
    }

    private string Secret(string name) => File.ReadAllText(Path.Combine(_root, "secrets", name)).Trim();

    private void Program(string name, string text)
    {
        var path = Path.Combine(_root, "bin", name);
        File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private async Task<(int ExitCode, string Output)> RunAsync(string hook, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("sh", [Path.Combine(_root, "infra", "hooks", hook)])
        {
            WorkingDirectory = Path.GetTempPath(),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var all = new (string Name, string Value)[]
        {
            ("PATH", $"{Path.Combine(_root, "bin")}:{Environment.GetEnvironmentVariable("PATH")}"),
            ("FAKE", _root),
            ("FAKE_STATUS", ""),
            ("CI", ""),
            ("AZURE_ENV_NAME", "test"),
            ("AZURE_SUBSCRIPTION_ID", Guid.Empty.ToString()),
            ("AZURE_RESOURCE_GROUP", "rg-test"),
            ("AZURE_KEY_VAULT_NAME", "kv-test"),
            ("SERVICE_API_NAME", "func-test"),
        };
        foreach (var (name, value) in all.Concat(environment))
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await error);
    }

    [GeneratedRegex(@"api-version=[\d-]+|master-key|bootstrap-key|first-key|azd-smoke-test|qfx_live_|AUTHENTICATION_REQUIRED|config/\w+/\w+/\w+|Microsoft\.\w+/\w+|api/v3/\w+/\w+|AZURE_\w+|SERVICE_\w+|auth token --output json|QFlux-Token")]
    private static partial Regex Fact();
}
