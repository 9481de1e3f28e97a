using System.Security.Cryptography;
using System.Text.Json;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>Something that the person who started the host can put right. The message says how; no stack trace is needed.</summary>
public sealed class LocalHostException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>What the local host was started with.</summary>
/// <param name="Folders">Where it keeps things.</param>
/// <param name="Configuration">Defaults, then <c>local.settings.json</c>, then the environment, then the command line: the later wins.</param>
/// <param name="IsEphemeral">True when storage is in memory and goes with the process.</param>
public sealed record LocalSettings(LocalFolders Folders, IConfigurationRoot Configuration, bool IsEphemeral)
{
    /// <summary>The setting with the first key; here its default is <see cref="DevelopmentKey"/>.</summary>
    public const string BootstrapKeySetting = "QuantumFlux:BootstrapKey";

    /// <summary>The setting with the key that signs what clients bring back to the service, 32 bytes in Base64.</summary>
    public const string MasterKeySetting = "QuantumFlux:MasterKey";

    /// <summary>The key that the specification prints. Everybody knows it, so only the local host accepts it.</summary>
    public const string DevelopmentKey = "qfx_live_47b89d3c92e1f5a6b8c4d7e9f2a3b5c8d1e4f6a9b2c5d8e1f4a7b0c3d6e9f2a5";

    /// <summary>The setting with the folder for data; its default is <c>.azurite</c> in the repository.</summary>
    public const string DataFolderSetting = "QuantumFlux:DataFolder";

    private const string StorageSetting = "AzureWebJobsStorage";
    private const int MasterKeyBytes = 32;

    /// <summary>The storage account that the settings name; null when it is the emulator, which the host then starts.</summary>
    /// <exception cref="LocalHostException">The setting is incomplete.</exception>
    public StorageAddress? Storage => Configured is { IsEmulator: false } address && !IsEphemeral ? address : null;

    /// <summary>The ports on which the emulator answers, or is to answer: the well-known ones, or those of an emulator's connection string.</summary>
    /// <exception cref="LocalHostException">The setting is incomplete.</exception>
    public StorageAddress Emulator => Configured is { IsEmulator: true } address ? address : StorageAddress.Emulator();

    private StorageAddress? Configured
    {
        get
        {
            try
            {
                return StorageAddress.FromConfiguration(Configuration, StorageSetting);
            }
            catch (FormatException exception)
            {
                throw new LocalHostException($"The setting {StorageSetting} cannot be read: {exception.Message}", exception);
            }
        }
    }

    /// <summary>Reads the settings, and makes the master key when no setting holds one.</summary>
    /// <param name="args">The command line: <c>--ephemeral</c> anywhere, and <c>--Name value</c> or <c>--Name=value</c> for any setting.</param>
    /// <param name="folders">Where to look and to keep things; null finds them.</param>
    /// <exception cref="LocalHostException">An argument or the settings file cannot be read.</exception>
    public static LocalSettings Read(IReadOnlyList<string> args, LocalFolders? folders = null)
    {
        folders ??= LocalFolders.Find();
        var arguments = LocalArguments.Parse(args);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?>
            {
                [BootstrapKeySetting] = DevelopmentKey,
                ["Logging:LogLevel:Default"] = "Information",
                ["Logging:LogLevel:Microsoft"] = "Warning",
                // ASP.NET would make a span for every request as long as it may log one; the gate makes its own. Kestrel still logs what the application throws.
                ["Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics"] = "None",
                ["Logging:LogLevel:Azure"] = "Warning",

                // It logs a failed start with a stack trace before the exception reaches Program, which has a sentence for it.
                ["Logging:LogLevel:Microsoft.Extensions.Hosting.Internal.Host"] = "Critical",
            })
            .AddInMemoryCollection(folders.Root is { } root ? ReadFile(Path.Combine(root, "local.settings.json")) : [])
            .AddEnvironmentVariables()
            .AddInMemoryCollection(arguments.Settings)
            .Build();

        if (configuration[DataFolderSetting] is { Length: > 0 } data)
        {
            folders = folders with { Data = Path.GetFullPath(data) };
        }

        if (string.IsNullOrEmpty(configuration[MasterKeySetting]))
        {
            configuration[MasterKeySetting] = arguments.IsEphemeral ? NewMasterKey() : KeptMasterKey(folders.Data);
        }

        return new LocalSettings(folders, configuration, arguments.IsEphemeral);
    }

    /// <summary>The values of a settings file in the form of the Functions host; none when there is no file.</summary>
    /// <exception cref="LocalHostException">The file is not such a file.</exception>
    public static Dictionary<string, string?> ReadFile(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            using var document = JsonDocument.Parse(file, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            return document.RootElement.TryGetProperty("Values", out var values)
                ? values.EnumerateObject().ToDictionary(
                    value => value.Name.Replace("__", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal),
                    value => value.Value.ValueKind is JsonValueKind.Null ? null : value.Value.ToString(),
                    StringComparer.OrdinalIgnoreCase)
                : [];
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new LocalHostException($"{path} is not a settings file like local.settings.sample.json: {exception.Message}", exception);
        }
    }

    /// <summary>The master key of a data folder, made at the first start so that signatures stay valid from one run to the next.</summary>
    private static string KeptMasterKey(string folder)
    {
        var path = Path.Combine(folder, "master-key");
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(folder);
            var written = $"{path}.{Guid.NewGuid():N}";
            File.WriteAllText(written, NewMasterKey());
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(written, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            // Two hosts may start at once: the first one's key counts for both.
            try
            {
                File.Move(written, path, overwrite: false);
            }
            catch (IOException) when (File.Exists(path))
            {
                File.Delete(written);
            }
        }

        return File.ReadAllText(path).Trim();
    }

    private static string NewMasterKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(MasterKeyBytes));
}

/// <summary>The command line, taken apart.</summary>
/// <param name="IsEphemeral">Whether <c>--ephemeral</c> was among the arguments.</param>
/// <param name="Settings">The settings by name; one that is given twice has its last value.</param>
public sealed record LocalArguments(bool IsEphemeral, IReadOnlyDictionary<string, string?> Settings)
{
    private const string Usage =
        "Usage: dotnet run --project functions/local -- [--ephemeral] [--urls http://127.0.0.1:7071] [--Name value …]";

    /// <summary>Reads <c>--ephemeral</c>, <c>--name value</c> and <c>--name=value</c>, in any order.</summary>
    /// <exception cref="LocalHostException">An argument is none of these.</exception>
    public static LocalArguments Parse(IReadOnlyList<string> args)
    {
        var isEphemeral = false;
        var settings = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        for (var index = 0; index < args.Count; index++)
        {
            var argument = args[index];
            if (string.Equals(argument, "--ephemeral", StringComparison.OrdinalIgnoreCase))
            {
                isEphemeral = true;
            }
            else if (!argument.StartsWith("--", StringComparison.Ordinal) || argument.Length == 2 || argument[2] == '=')
            {
                throw new LocalHostException($"The argument {argument} is not understood.{Environment.NewLine}{Usage}");
            }
            else if (argument.IndexOf('=', StringComparison.Ordinal) is > 0 and var separator)
            {
                settings[Name(argument[2..separator])] = argument[(separator + 1)..];
            }
            else if (index + 1 < args.Count && !args[index + 1].StartsWith("--", StringComparison.Ordinal))
            {
                settings[Name(argument[2..])] = args[++index];
            }
            else
            {
                throw new LocalHostException($"The argument {argument} needs a value.{Environment.NewLine}{Usage}");
            }
        }

        return new LocalArguments(isEphemeral, settings);
    }

    private static string Name(string argument) => argument.Replace("__", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal);
}

/// <summary>Where the local host keeps things. All of it is ignored by Git.</summary>
/// <param name="Root">The repository's root; null when the host runs without one.</param>
/// <param name="Data">Holds what storage keeps, and the master key.</param>
/// <param name="Tools">Holds the installed Azurite.</param>
public sealed record LocalFolders(string? Root, string Data, string Tools)
{
    /// <summary>Looks for the root upwards from the current folder and from the binaries; without one, the user's own folder for applications serves.</summary>
    public static LocalFolders Find() => Find([Environment.CurrentDirectory, AppContext.BaseDirectory]);

    /// <summary>Looks for the root upwards from some folders, the first one first.</summary>
    public static LocalFolders Find(IEnumerable<string> starts) => starts.Select(FindRoot).OfType<string>().FirstOrDefault() is { } root
        ? new LocalFolders(root, Path.Combine(root, ".azurite"), Path.Combine(root, "artifacts", "azurite"))
        : WithoutRoot(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "QuantumFlux"));

    private static LocalFolders WithoutRoot(string folder) => new(null, Path.Combine(folder, "data"), Path.Combine(folder, "azurite"));

    private static string? FindRoot(string start)
    {
        var folder = new DirectoryInfo(start);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "QuantumFlux.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName;
    }
}
