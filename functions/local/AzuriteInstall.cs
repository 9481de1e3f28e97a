using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace QuantumFlux.Local;

/// <summary>The storage emulator on this machine: the exact packages of the lock file, installed at first use.</summary>
/// <param name="Wrapper">The script that runs Azurite.</param>
/// <param name="Entry">Azurite's own program, which the script loads.</param>
public sealed record AzuriteInstall(string Wrapper, string Entry)
{
    private const int NodeVersionMin = 20;

    private static readonly TimeSpan _installMax = TimeSpan.FromMinutes(10);

    private static readonly string _sources = Path.Combine(AppContext.BaseDirectory, "azurite");

    /// <summary>Finds Azurite, and installs it when this is the first use or the lock file has changed.</summary>
    /// <exception cref="LocalHostException">Node.js or npm is missing or too old, or the installation failed.</exception>
    public static async Task<AzuriteInstall> FindOrInstallAsync(LocalFolders folders, Action<string> report, CancellationToken cancellationToken)
    {
        await CheckNodeAsync(cancellationToken);

        var lockFile = Path.Combine(_sources, "package-lock.json");
        var version = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(lockFile, cancellationToken)))[..12];
        var target = Path.Combine(folders.Tools, version);
        if (!Directory.Exists(target))
        {
            // Two hosts may want it at once. The second one waits, then finds it.
            Directory.CreateDirectory(folders.Tools);
            using var turn = await FileTurn.TakeAsync(Path.Combine(folders.Tools, "install.lock"), _installMax, cancellationToken);
            if (!Directory.Exists(target))
            {
                report($"Installing the storage emulator Azurite with npm into {target} (once) …");
                await InstallAsync(folders.Tools, target, cancellationToken);
            }
        }

        return new AzuriteInstall(Path.Combine(_sources, "azurite.mjs"), Path.Combine(target, "node_modules", "azurite", "dist", "src", "azurite.js"));
    }

    /// <summary>The message for a machine on which a program does not start.</summary>
    internal static LocalHostException Missing(string program, Exception? exception) => new(
        $"{program} was not found. The local host keeps its data in Azurite, which runs on Node.js: install Node.js {NodeVersionMin} or newer (it brings npm), "
        + "or name a storage account in the setting AzureWebJobsStorage.",
        exception);

    /// <summary>Installs beside the target and renames, so that the target is there whole or not at all.</summary>
    private static async Task InstallAsync(string tools, string target, CancellationToken cancellationToken)
    {
        foreach (var leftover in Directory.EnumerateDirectories(tools, "*.partial"))
        {
            try
            {
                Directory.Delete(leftover, recursive: true);
            }
            catch (IOException)
            {
                // The npm of a host that was killed may still write there; the next installation finds it idle.
            }
        }

        var partial = $"{target}.{Environment.ProcessId}.partial";
        Directory.CreateDirectory(partial);
        foreach (var name in new[] { "package.json", "package-lock.json" })
        {
            File.Copy(Path.Combine(_sources, name), Path.Combine(partial, name));
        }

        var npm = OperatingSystem.IsWindows() ? "npm.cmd" : "npm";
        var (exitCode, output) = await RunAsync(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], partial, cancellationToken);
        if (exitCode != 0)
        {
            throw new LocalHostException($"npm could not install Azurite (exit code {exitCode}):{Environment.NewLine}{output}");
        }

        Directory.Move(partial, target);
    }

    private static async Task CheckNodeAsync(CancellationToken cancellationToken)
    {
        var (exitCode, output) = await RunAsync("node", ["--version"], AppContext.BaseDirectory, cancellationToken);
        var version = output.Trim();
        var isKnown = int.TryParse(version.TrimStart('v').Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major);
        if (exitCode != 0 || !isKnown || major < NodeVersionMin)
        {
            throw new LocalHostException($"Node.js is too old ({version}): Azurite, which keeps the local host's data, needs Node.js {NodeVersionMin} or newer.");
        }
    }

    private static async Task<(int ExitCode, string Output)> RunAsync(string program, string[] arguments, string folder, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using var process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            try
            {
                await process.WaitForExitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }

            return (process.ExitCode, await output + await error);
        }
        catch (Win32Exception exception)
        {
            throw Missing(program, exception);
        }
    }
}

/// <summary>A turn that processes take one after the other, by holding a file open alone. It ends with the process that holds it.</summary>
internal static class FileTurn
{
    private static readonly TimeSpan _poll = TimeSpan.FromMilliseconds(100);

    /// <summary>Waits for the turn; dispose the result to end it.</summary>
    /// <exception cref="LocalHostException">Another process held it all the time.</exception>
    public static async Task<IDisposable> TakeAsync(string path, TimeSpan limit, CancellationToken cancellationToken)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(start) < limit)
            {
                await Task.Delay(_poll, cancellationToken);
            }
            catch (IOException exception)
            {
                throw new LocalHostException($"Another process has held {path} for {limit}.", exception);
            }
        }
    }
}
