using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>
/// The storage emulator that this host uses: one that it started, one that another host on the same data started, or one that somebody else runs.
/// One that a host started ends with the last of its hosts, however that ends, and saves everything before.
/// </summary>
/// <remarks><c>azurite/azurite.mjs</c> explains how the hosts and the emulator watch each other.</remarks>
public sealed partial class AzuriteProcess : IAsyncDisposable
{
    // A gigabyte of data takes some ten seconds to read, on a busy machine more.
    private static readonly TimeSpan _startMax = TimeSpan.FromSeconds(90);

    // A gigabyte takes some ten seconds to save.
    private static readonly TimeSpan _closeMax = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan _answerMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _poll = TimeSpan.FromMilliseconds(50);

    private readonly string _origin;
    private readonly Emulator? _emulator;
    private readonly TcpClient? _connection;

    private AzuriteProcess(StorageAddress address, string origin, int? processId = null, Emulator? emulator = null, TcpClient? connection = null)
    {
        Address = address;
        ProcessId = processId;
        _origin = origin;
        _emulator = emulator;
        _connection = connection;
    }

    /// <summary>Where it answers.</summary>
    public StorageAddress Address { get; }

    /// <summary>Its process; null when it is not one of ours.</summary>
    public int? ProcessId { get; }

    /// <summary>Starts an emulator, or joins the one that runs. When this returns, tables and blobs answer.</summary>
    /// <param name="folders">Where data and the installed Azurite are.</param>
    /// <param name="isEphemeral">True for an emulator of one's own with data in memory on free ports; false for the well-known ports and the data folder.</param>
    /// <param name="report">Receives what takes long or goes wrong, a line at a time.</param>
    /// <param name="cancellationToken">Ends the start early.</param>
    /// <param name="address">The ports for data on disk; null means the well-known ones.</param>
    /// <exception cref="LocalHostException">It cannot be installed or started.</exception>
    public static async Task<AzuriteProcess> StartAsync(
        LocalFolders folders,
        bool isEphemeral,
        Action<string> report,
        CancellationToken cancellationToken,
        StorageAddress? address = null)
    {
        if (isEphemeral)
        {
            var inMemory = await Emulator.StartAsync(folders, null, ["--inMemoryPersistence", "--blobPort", "0", "--tablePort", "0"], report, cancellationToken);
            return new AzuriteProcess(inMemory.Address, "Azurite in memory, gone with this process", inMemory.ProcessId, inMemory);
        }

        // One host at a time looks and starts: two Azurites on one folder would overwrite each other.
        Directory.CreateDirectory(folders.Data);
        using var turn = await FileTurn.TakeAsync(Path.Combine(folders.Data, "start.lock"), _startMax + _closeMax, cancellationToken);

        var stateFile = Path.Combine(folders.Data, "azurite.json");
        address ??= StorageAddress.Emulator();
        if (await JoinAsync(stateFile, address, report, cancellationToken) is { } joined)
        {
            return joined;
        }

        if (await AnswersAsync(address, cancellationToken))
        {
            return new AzuriteProcess(address, "an Azurite that was running already");
        }

        var emulator = await Emulator.StartAsync(
            folders,
            stateFile,
            [
                "--location", folders.Data,
                "--blobPort", address.BlobEndpoint.Port.ToString(CultureInfo.InvariantCulture),
                "--tablePort", address.TableEndpoint.Port.ToString(CultureInfo.InvariantCulture),
            ],
            report,
            cancellationToken);
        return new AzuriteProcess(emulator.Address, $"Azurite on {folders.Data}", emulator.ProcessId, emulator);
    }

    /// <summary>Lets the emulator go, and waits until one that nobody else uses has saved and ended.</summary>
    public async ValueTask DisposeAsync()
    {
        _connection?.Dispose();
        if (_emulator is not null)
        {
            await _emulator.DisposeAsync();
        }
    }

    /// <summary>Where the data is, for a person.</summary>
    public override string ToString() =>
        $"{_origin} ({(ProcessId is { } id ? $"process {id}, " : "")}{Address.TableEndpoint}, {Address.BlobEndpoint})";

    /// <summary>Joins the emulator that a state file names. One that saves, because its host has just ended, does not answer and is waited for.</summary>
    /// <returns>Null when there is none, or none any more.</returns>
    private static async Task<AzuriteProcess?> JoinAsync(string stateFile, StorageAddress address, Action<string> report, CancellationToken cancellationToken)
    {
        if (ReadState(stateFile) is not { } state)
        {
            return null;
        }

        var connection = new TcpClient();
        try
        {
            await connection.ConnectAsync(IPAddress.Loopback, state.ControlPort, cancellationToken);
            using var reader = new StreamReader(connection.GetStream(), leaveOpen: true);
            var greeting = reader.ReadLineAsync(cancellationToken).AsTask();
            if (await Task.WhenAny(greeting, Task.Delay(_patience, cancellationToken)) != greeting)
            {
                report("Waiting for an Azurite that saves its data …");
            }

            if (await greeting.WaitAsync(_closeMax, cancellationToken) == "ready")
            {
                var start = TimeProvider.System.GetTimestamp();
                while (connection.Connected && TimeProvider.System.GetElapsedTime(start) < _startMax)
                {
                    if (await AnswersAsync(address, cancellationToken))
                    {
                        var joined = new AzuriteProcess(address, "the Azurite of another host on the same data", state.Pid, connection: connection);
                        connection = null;
                        return joined;
                    }

                    await Task.Delay(_poll, cancellationToken);
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            // Its process has ended: the file outlived a crash.
        }
        catch (TimeoutException exception)
        {
            throw new LocalHostException($"The Azurite of an earlier run (process {state.Pid}) neither works nor ends. End it, then start again.", exception);
        }
        finally
        {
            connection?.Dispose();
        }

        return null;
    }

    private static State? ReadState(string stateFile)
    {
        try
        {
            return JsonSerializer.Deserialize<State>(File.ReadAllBytes(stateFile), JsonSerializerOptions.Web);
        }
        catch (Exception exception) when (exception is FileNotFoundException or JsonException)
        {
            return null;
        }
    }

    /// <summary>True when an Azurite answers for tables and another for blobs. Requests without a signature are refused, and that is an answer.</summary>
    private static async Task<bool> AnswersAsync(StorageAddress address, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { Timeout = _answerMax };
        try
        {
            foreach (var endpoint in new[] { address.TableEndpoint, address.BlobEndpoint })
            {
                using var response = await client.GetAsync(endpoint, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
                if (!response.Headers.Server.ToString().StartsWith("Azurite", StringComparison.OrdinalIgnoreCase))
                {
                    return false;
                }
            }

            return true;
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private sealed record State(int Pid, int ControlPort);

    /// <summary>A child process with Azurite in it.</summary>
    private sealed partial class Emulator : IAsyncDisposable
    {
        private const int LinesMax = 40;

        private readonly Process _process;
        private readonly Action<string> _report;
        private readonly Queue<string> _lines = new();
        private readonly TaskCompletionSource<int> _blobPort = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource<int> _tablePort = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _stays = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _isDisposed;

        private Emulator(Process process, Action<string> report)
        {
            _process = process;
            _report = report;
        }

        public int ProcessId { get; private set; }

        public StorageAddress Address { get; private set; } = StorageAddress.Emulator();

        public static async Task<Emulator> StartAsync(
            LocalFolders folders,
            string? stateFile,
            IEnumerable<string> arguments,
            Action<string> report,
            CancellationToken cancellationToken)
        {
            var install = await AzuriteInstall.FindOrInstallAsync(folders, report, cancellationToken);
            var start = new ProcessStartInfo(
                "node",
                [
                    install.Wrapper, stateFile ?? "-", install.Entry, .. arguments,
                    "--queuePort", "0", "--silent", "--disableTelemetry", "--skipApiVersionCheck",
                ])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                WorkingDirectory = folders.Tools,
            };

            // They would give the emulator other accounts or another database than its well-known ones.
            start.Environment.Remove("AZURITE_ACCOUNTS");
            start.Environment.Remove("AZURITE_DB");

            var emulator = new Emulator(new Process { StartInfo = start, EnableRaisingEvents = true }, report);
            try
            {
                await emulator.StartAsync(cancellationToken);
                return emulator;
            }
            catch
            {
                await emulator.DisposeAsync();
                throw;
            }
        }

        /// <summary>Ends the pipe that the script watches, and waits until it has saved and ended or says that it stays for another host.</summary>
        public async ValueTask DisposeAsync()
        {
            _isDisposed = true;
            if (ProcessId != 0)
            {
                _process.StandardInput.Close();
                try
                {
                    await Task.WhenAny(_process.WaitForExitAsync(), _stays.Task).WaitAsync(_closeMax);
                }
                catch (TimeoutException)
                {
                    _report($"Azurite (process {ProcessId}) has not ended after {_closeMax}.");
                }
            }

            _process.Dispose();
        }

        private async Task StartAsync(CancellationToken cancellationToken)
        {
            _process.OutputDataReceived += (_, line) => Read(line.Data);
            _process.ErrorDataReceived += (_, line) => Read(line.Data);
            try
            {
                _process.Start();
            }
            catch (Win32Exception exception)
            {
                throw AzuriteInstall.Missing("node", exception);
            }

            ProcessId = _process.Id;
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();

            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(_startMax);
            var exit = _process.WaitForExitAsync(limit.Token);
            var ports = Task.WhenAll(_blobPort.Task, _tablePort.Task);
            if (await Task.WhenAny(ports, exit) == ports)
            {
                Address = StorageAddress.Emulator(await _blobPort.Task, await _tablePort.Task);
                while (!exit.IsCompleted)
                {
                    if (await AnswersAsync(Address, cancellationToken))
                    {
                        _process.Exited += (_, _) => ReportExit();
                        return;
                    }

                    await Task.WhenAny(exit, Task.Delay(_poll, cancellationToken));
                }
            }

            cancellationToken.ThrowIfCancellationRequested();
            throw new LocalHostException($"Azurite did not start{(exit.IsCanceled ? $" within {_startMax}" : "")}. It said:{Environment.NewLine}{Output()}");
        }

        private void Read(string? line)
        {
            if (line is null)
            {
                return;
            }

            lock (_lines)
            {
                _lines.Enqueue(line);
                if (_lines.Count > LinesMax)
                {
                    _lines.Dequeue();
                }
            }

            if (Listening().Match(line) is { Success: true } match)
            {
                var port = int.Parse(match.Groups["port"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
                (match.Groups["service"].Value == "Blob" ? _blobPort : _tablePort).TrySetResult(port);
            }
            else if (line.StartsWith("Azurite stays for", StringComparison.Ordinal))
            {
                _stays.TrySetResult();
            }
        }

        private string Output()
        {
            lock (_lines)
            {
                return string.Join(Environment.NewLine, _lines);
            }
        }

        private void ReportExit()
        {
            if (!_isDisposed)
            {
                _report($"Azurite has ended by itself, and storage with it: restart the host. It said last:{Environment.NewLine}{Output()}");
            }
        }

        [GeneratedRegex(@"^Azurite (?<service>Blob|Table) service is successfully listening at .*:(?<port>\d+)$")]
        private static partial Regex Listening();
    }
}
