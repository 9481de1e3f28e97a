using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests;

/// <summary>One Azurite for the whole test run, in memory, on free ports, ended with the process. Tests share it, each with tables and containers of its own.</summary>
public static class AzuriteFixture
{
    private static readonly Lazy<Task<StorageAddress>> _started = new(StartAsync);

    /// <summary>Where the emulator is; the first caller starts it.</summary>
    public static Task<StorageAddress> Address => _started.Value;

    // Stands in for AzuriteProcess of the local host: AZURITE_BIN names the executable.
    private static async Task<StorageAddress> StartAsync()
    {
        var (blobPort, tablePort) = (FreePort(), FreePort());
        var executable = Environment.GetEnvironmentVariable("AZURITE_BIN") ?? "azurite";
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(executable)
            {
                ArgumentList =
                {
                    "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
                    "--blobPort", $"{blobPort}", "--queuePort", "0", "--tablePort", $"{tablePort}",
                },
                RedirectStandardOutput = true,
                WorkingDirectory = Path.GetTempPath(),
            },
        };
        process.Start();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => process.Kill(entireProcessTree: true);

        // It says so when a service listens; the table service is the last.
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Contains("Table service is successfully listening", StringComparison.Ordinal))
            {
                _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
                return StorageAddress.Emulator(blobPort, tablePort);
            }
        }

        throw new InvalidOperationException($"Azurite ({executable}) ended before it listened.");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
