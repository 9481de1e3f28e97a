using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using QuantumFlux.Local;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Proof;

/// <summary>A folder for data and ports for an emulator that are a test's own. What hosts keep there outlives them, and goes with the test.</summary>
public sealed class HostData : IAsyncDisposable
{
    private static readonly TimeSpan _closeMax = TimeSpan.FromSeconds(90);

    private readonly HashSet<int> _emulators = [];
    private readonly Lazy<RestTables> _tables;

    public HostData() => _tables = new Lazy<RestTables>(() => new RestTables(Address));

    public string Folder { get; } = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    public StorageAddress Address { get; } = StorageAddress.Emulator(FreePort(), FreePort());

    /// <summary>Starts a host on this data. Several at once share one emulator; each has an address of its own.</summary>
    public async Task<HostProcess> StartAsync()
    {
        var host = await HostProcess.StartAsync(
            "--QuantumFlux:DataFolder", Folder,
            "--AzureWebJobsStorage", Address.ToConnectionString()!,
            "--QuantumFlux:RateLimits:Enabled", "false",
            "--Logging:LogLevel:Default", "Error");
        _emulators.Add(host.EmulatorId);
        return host;
    }

    /// <summary>What names the segments of a client's vectors, read past all hosts.</summary>
    public async Task<VectorManifest> ManifestAsync(TestClient client)
    {
        var log = TenantVectors.Log(_tables.Value, client.Tenant());
        var row = await _tables.Value.GetAsync(ObjectRows.Table, client.Tenant(), TenantVectors.ManifestKey(log), null, CancellationToken.None);
        return row is null ? VectorManifest.None : VectorManifest.Parse(row);
    }

    /// <summary>Waits until the emulators have noticed that their hosts are gone, have saved and ended. Dispose the hosts before.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var id in _emulators)
        {
            try
            {
                using var emulator = Process.GetProcessById(id);
                await emulator.WaitForExitAsync().WaitAsync(_closeMax);
            }
            catch (ArgumentException)
            {
                // It has ended.
            }
        }

        Directory.Delete(Folder, recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>The built local host as a process of its own.</summary>
public sealed partial class HostProcess : IAsyncDisposable
{
    // The first run on a machine installs Azurite.
    private static readonly TimeSpan _startMax = TimeSpan.FromMinutes(10);

    private readonly Process _process;
    private readonly Task<string> _rest;

    private HostProcess(Process process, string output)
    {
        _process = process;
        _rest = process.StandardOutput.ReadToEndAsync();
        EmulatorId = int.Parse(Emulator().Match(output).Groups["id"].ValueSpan, CultureInfo.InvariantCulture);
        Http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 256 })
        {
            BaseAddress = new Uri(Listens().Match(output).Groups["address"].Value),
            Timeout = TimeSpan.FromMinutes(5),
        };
    }

    /// <summary>The process of the emulator that holds its data.</summary>
    public int EmulatorId { get; }

    /// <summary>Sends to it, without a key.</summary>
    public HttpClient Http { get; }

    /// <summary>A client with the development key, which opens the host and owns the sample world.</summary>
    public TestClient Admin => new(Http, LocalSettings.DevelopmentKey, "admin");

    /// <summary>The most memory that the process has had in RAM so far, in bytes.</summary>
    public long ResidentBytesMax
    {
        get
        {
            var line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return 1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Starts a host on a free port; when this returns, it listens.</summary>
    public static async Task<HostProcess> StartAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(LocalHost).Assembly.Location, "--urls", "http://127.0.0.1:0", .. arguments])
        {
            RedirectStandardOutput = true,
        };
        var process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(_startMax);
        var output = "";
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            output += line + '\n';
            if (line.StartsWith("Press Ctrl+C", StringComparison.Ordinal))
            {
                return new HostProcess(process, output);
            }
        }

        throw new InvalidOperationException($"The host ended before it listened. It said: {output}");
    }

    /// <summary>The same client for a host that was started again.</summary>
    public TestClient As(TestClient client) => new(Http, client.Key, client.Account);

    /// <summary>
    /// Ends the process at once, as <c>kill -9</c> does. Requests that it has not answered then fail with <see cref="HttpRequestException"/>; those that
    /// are still to fail when the host is disposed are cancelled instead, so wait for them in between.
    /// </summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Ends the process at once, in the middle of whatever is sent to it.</summary>
    /// <param name="sends">
    /// Each sends a request, and is called again and again, all of them at the same time. What they send to this process ends with an
    /// <see cref="HttpRequestException"/> once it is gone.
    /// </param>
    /// <param name="isTime">Whether to end it: asked whenever one of them has its answer.</param>
    public async Task KillAmidAsync(IEnumerable<Func<Task>> sends, Func<bool> isTime)
    {
        var time = new TaskCompletionSource();
        var isGone = false;
        var senders = sends.Select(SendUntilGoneAsync).ToList();
        await time.Task;
        await KillAsync();
        Volatile.Write(ref isGone, true);
        await Task.WhenAll(senders);

        async Task SendUntilGoneAsync(Func<Task> sendAsync)
        {
            try
            {
                while (!Volatile.Read(ref isGone))
                {
                    await sendAsync();
                    if (isTime())
                    {
                        time.TrySetResult();
                    }
                }
            }
            catch (HttpRequestException) when (time.Task.IsCompleted)
            {
                // The process is gone; whether the last request did anything, nobody said.
            }
            catch
            {
                time.TrySetResult();
                throw;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        await _rest;
        Http.Dispose();
        _process.Dispose();
    }

    [GeneratedRegex(@"listens on\s+(?<address>http\S+)")]
    private static partial Regex Listens();

    [GeneratedRegex(@"\(process (?<id>\d+),")]
    private static partial Regex Emulator();
}
