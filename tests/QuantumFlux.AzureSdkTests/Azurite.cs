using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>
/// Azurite in memory, on a port of its own, for the tests of a class. The program is the one that <c>AZURITE_BIN</c> names, <c>azurite</c> in
/// <c>node_modules/.bin</c> of a folder above, or <c>azurite</c> on the path.
/// </summary>
public sealed class Azurite : IAsyncLifetime
{
    private static readonly TimeSpan _startMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan _pollInterval = TimeSpan.FromMilliseconds(50);

    private Process? _process;

    /// <summary>Where it listens.</summary>
    public StorageAddress Address { get; } = StorageAddress.Emulator(blobPort: FreePort());

    public async Task InitializeAsync()
    {
        var port = Address.BlobEndpoint.Port;
        _process = Process.Start(new ProcessStartInfo(
            FindProgram(),
            ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--queuePort", "0", "--tablePort", "0", "--blobPort", port.ToString(CultureInfo.InvariantCulture)]));

        using var deadline = new CancellationTokenSource(_startMax);
        while (!await AnswersAsync(port, deadline.Token))
        {
            await Task.Delay(_pollInterval, deadline.Token);
        }
    }

    public async Task DisposeAsync()
    {
        if (_process is { } process)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    private static string FindProgram()
    {
        if (Environment.GetEnvironmentVariable("AZURITE_BIN") is { Length: > 0 } program)
        {
            return program;
        }

        var name = OperatingSystem.IsWindows() ? "azurite.cmd" : "azurite";
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (Path.Combine(folder.FullName, "node_modules", ".bin", name) is var path && File.Exists(path))
            {
                return path;
            }
        }

        return name;
    }

    private static async Task<bool> AnswersAsync(int port, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
