using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Local;

public sealed class LocalSettingsTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    private LocalFolders Folders => LocalFolders.Find([_root]);

    public LocalSettingsTests() => File.WriteAllText(Path.Combine(_root, "QuantumFlux.slnx"), "<Solution />");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void AnEmulatorOnOtherPortsIsStartedThere()
    {
        var address = StorageAddress.Emulator(blobPort: 20000, tablePort: 20002);

        var settings = LocalSettings.Read(["--AzureWebJobsStorage", address.ToConnectionString()!], Folders);

        Assert.Null(settings.Storage);
        Assert.Equal(address, settings.Emulator);
    }

    [Fact]
    public void TheDataFolderCanBeAnother()
    {
        var data = Path.Combine(_root, "elsewhere");

        var settings = LocalSettings.Read(["--QuantumFlux:DataFolder", data], Folders);

        Assert.Equal(data, settings.Folders.Data);
        Assert.True(File.Exists(Path.Combine(data, "master-key")));
    }

    [Fact]
    public void TheCommandLineWinsOverTheEnvironmentAndThatOverTheFile()
    {
        // Names of their own: the environment belongs to all tests.
        var test = $"Test{Guid.NewGuid():N}";
        WriteFile($$"""{ "Values": { "{{test}}:A": "file", "{{test}}__B": "file", "{{test}}:C": "file", "QuantumFlux:BootstrapKey": "file" } }""");
        Environment.SetEnvironmentVariable($"{test}__B", "environment");
        Environment.SetEnvironmentVariable($"{test}__C", "environment");

        var configuration = LocalSettings.Read([$"--{test}__C", "command line"], Folders).Configuration;

        Assert.Equal(
            ("file", "environment", "command line", "file"),
            (configuration[$"{test}:A"], configuration[$"{test}:B"], configuration[$"{test}:C"], configuration["QuantumFlux:BootstrapKey"]));
    }

    [Fact]
    public void WithoutAFileTheDevelopmentKeyIsTheFirstKey() =>
        Assert.Equal(LocalSettings.DevelopmentKey, LocalSettings.Read([], Folders).Configuration["QuantumFlux:BootstrapKey"]);

    [Fact]
    public void AFileMayHaveCommentsNumbersAndNulls()
    {
        WriteFile("""{ "IsEncrypted": false, /* why not */ "Values": { "A": 7, "B": true, "C": null, }, }""");

        Assert.Equal(
            new Dictionary<string, string?> { ["A"] = "7", ["B"] = "True", ["C"] = null },
            LocalSettings.ReadFile(Path.Combine(_root, "local.settings.json")));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{ "Values": 7 }""")]
    [InlineData("""{ "Values": { "A:B": "1", "A__B": "2" } }""")]
    public void AFileThatIsNoSettingsFileIsNamed(string content)
    {
        WriteFile(content);

        var exception = Assert.Throws<LocalHostException>(() => LocalSettings.Read([], Folders));

        Assert.Contains("local.settings.json", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheMasterKeyStaysTheSameFromRunToRun()
    {
        var first = LocalSettings.Read([], Folders).Configuration[LocalSettings.MasterKeySetting];
        var second = LocalSettings.Read([], Folders).Configuration[LocalSettings.MasterKeySetting];

        Assert.Equal(32, Convert.FromBase64String(first!).Length);
        Assert.Equal(first, second);
    }

    [Fact]
    public void AnEphemeralHostHasAMasterKeyOfItsOwnAndWritesNothing()
    {
        var first = LocalSettings.Read(["--ephemeral"], Folders).Configuration[LocalSettings.MasterKeySetting];
        var second = LocalSettings.Read(["--ephemeral"], Folders).Configuration[LocalSettings.MasterKeySetting];

        Assert.NotEqual(first, second);
        Assert.False(Directory.Exists(Folders.Data));
    }

    [Fact]
    public void AMasterKeyThatIsSetIsNotReplaced() =>
        Assert.Equal("mine", LocalSettings.Read(["--QuantumFlux:MasterKey", "mine"], Folders).Configuration[LocalSettings.MasterKeySetting]);

    [Fact]
    public void ManyHostsThatStartAtOnceAgreeOnTheMasterKey()
    {
        var keys = new string?[16];

        Parallel.For(0, keys.Length, index => keys[index] = LocalSettings.Read([], Folders).Configuration[LocalSettings.MasterKeySetting]);

        Assert.Single(keys.Distinct());
    }

    [Fact]
    public void AStorageAccountIsUsedUnlessItIsTheEmulatorOrTheHostIsEphemeral()
    {
        Assert.Equal("real", LocalSettings.Read(["--AzureWebJobsStorage__accountName", "real"], Folders).Storage?.AccountName);
        Assert.Null(LocalSettings.Read(["--AzureWebJobsStorage", "UseDevelopmentStorage=true"], Folders).Storage);
        Assert.Null(LocalSettings.Read(["--AzureWebJobsStorage", "real", "--ephemeral"], Folders).Storage);
        Assert.Equal(StorageAddress.Emulator(), LocalSettings.Read([], Folders).Emulator);
    }

    [Fact]
    public void AnIncompleteConnectionStringIsExplainedWithoutItsKey()
    {
        var settings = LocalSettings.Read(["--AzureWebJobsStorage", "AccountKey=c2VjcmV0"], Folders);

        var exception = Assert.Throws<LocalHostException>(() => settings.Storage);

        Assert.Contains("AzureWebJobsStorage", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("c2VjcmV0", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheRootIsFoundFromAnyFolderBelowIt()
    {
        var below = Directory.CreateDirectory(Path.Combine(_root, "a", "b")).FullName;

        Assert.Equal(_root, LocalFolders.Find([Path.GetTempPath(), below]).Root);
    }

    [Fact]
    public void WithoutARootTheDataGoesToTheUsersFolder()
    {
        var folders = LocalFolders.Find([Path.GetPathRoot(_root)!]);

        Assert.Null(folders.Root);
        Assert.True(Path.IsPathRooted(folders.Data));
    }

    private void WriteFile(string content) => File.WriteAllText(Path.Combine(_root, "local.settings.json"), content);
}

public sealed class LocalArgumentsTests
{
    [Theory]
    [InlineData("--ephemeral --urls http://x")]
    [InlineData("--urls http://x --ephemeral")]
    [InlineData("--Ephemeral --URLS=http://x")]
    public void EphemeralTakesNoValueAndStandsAnywhere(string args)
    {
        var arguments = LocalArguments.Parse(args.Split(' '));

        Assert.True(arguments.IsEphemeral);
        Assert.Equal("http://x", Assert.Single(arguments.Settings).Value);
    }

    [Fact]
    public void ASettingMayContainEqualsSignsAndBeGivenTwice()
    {
        var arguments = LocalArguments.Parse(["--AzureWebJobsStorage", "A=b;C=d==", "--A__B=1", "--a:b", "2", "--Empty="]);

        Assert.False(arguments.IsEphemeral);
        Assert.Equal(("A=b;C=d==", "2", ""), (arguments.Settings["AzureWebJobsStorage"], arguments.Settings["A:B"], arguments.Settings["empty"]));
    }

    [Theory]
    [InlineData("--urls")]
    [InlineData("--urls --ephemeral")]
    [InlineData("urls http://x")]
    [InlineData("-u http://x")]
    [InlineData("--")]
    [InlineData("--=x")]
    [InlineData("--help")]
    public void AnArgumentThatIsNotUnderstoodIsAnsweredWithTheUsage(string args)
    {
        var exception = Assert.Throws<LocalHostException>(() => LocalArguments.Parse(args.Split(' ')));

        Assert.Contains("--ephemeral", exception.Message, StringComparison.Ordinal);
    }
}
