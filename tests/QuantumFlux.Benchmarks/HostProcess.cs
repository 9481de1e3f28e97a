using System.Diagnostics;
using System.Text.RegularExpressions;
using QuantumFlux.Storage;

namespace QuantumFlux.Benchmarks;

/// <summary>The local host in a process of its own, with its data in memory.</summary>
public sealed partial class HostProcess : IAsyncDisposable
{
    private static readonly TimeSpan _startMax = TimeSpan.FromMinutes(2);

    private readonly Process _process;

    // Read, so that what it says later does not fill the pipe.
    private readonly Task<string> _output;

    private HostProcess(Process process, Uri address, StorageAddress storage)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        Address = address;
        Storage = storage;
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>Its storage.</summary>
    public StorageAddress Storage { get; }

    /// <summary>The processor time that it has used.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Starts a host whose limits are kept, and are never reached.</summary>
    /// <param name="assembly">Its program. The build puts it beside this one.</param>
    public static async Task<HostProcess> StartAsync(string assembly)
    {
        string[] windows = ["Enterprise:Minute", "Enterprise:Hour", "Enterprise:Day", "Enterprise:Month", "QStore:Second", "QStore:Minute"];
        var limits = windows.SelectMany(window => new[] { $"--QuantumFlux:RateLimits:{window}", "1000000000" });
        var start = new ProcessStartInfo("dotnet", [assembly, "--ephemeral", "--urls", "http://127.0.0.1:0", .. limits]) { RedirectStandardOutput = true };
        var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(_startMax);
        var said = "";
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            said += line + '\n';
            if (line.StartsWith("Press", StringComparison.Ordinal))
            {
                if (Addresses().Match(said) is not { Success: true } storage)
                {
                    break;
                }

                return new HostProcess(
                    process,
                    new Uri(storage.Groups["host"].Value),
                    StorageAddress.Emulator(new Uri(storage.Groups["blobs"].Value).Port, new Uri(storage.Groups["tables"].Value).Port));
            }
        }

        process.Kill();
        throw new InvalidOperationException($"The host did not start. It said: {said}");
    }

    public async ValueTask DisposeAsync()
    {
        // Azurite notices that its host is gone, and ends.
        _process.Kill();
        await _process.WaitForExitAsync();
        await _output;
        _process.Dispose();
    }

    [GeneratedRegex(@"listens on\s+(?<host>http\S+)[^(]*\([^)]*?(?<tables>http[^,\s]+), (?<blobs>http[^)\s]+)\)")]
    private static partial Regex Addresses();
}
