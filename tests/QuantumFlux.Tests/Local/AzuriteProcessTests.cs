using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Local;

public sealed partial class AzuriteProcessTests : IDisposable
{
    // The first run on a machine installs Azurite.
    private static readonly TimeSpan _startMax = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan _endMax = TimeSpan.FromSeconds(60);

    private readonly string _data = Directory.CreateTempSubdirectory("quantumflux-").FullName;

    private LocalFolders Folders => LocalFolders.Find() with { Data = _data };

    public void Dispose() => Directory.Delete(_data, recursive: true);

    [Fact]
    public async Task AnEphemeralAzuriteAnswersAndEndsWhenItIsLetGo()
    {
        var azurite = await StartAsync(isEphemeral: true);
        using var process = Process.GetProcessById(azurite.ProcessId!.Value);

        Assert.Equal(HttpStatusCode.Created, await PostAsync(azurite.Address, "Tables", """{"TableName":"Rows"}"""));

        await azurite.DisposeAsync();
        Assert.True(process.HasExited);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_data));
    }

    [Fact]
    public async Task AnAzuriteEndsWithItsHostAlsoWhenThatIsKilled()
    {
        var start = new ProcessStartInfo("dotnet", [typeof(LocalHost).Assembly.Location, "--ephemeral", "--urls", "http://127.0.0.1:0"])
        {
            RedirectStandardOutput = true,
        };
        using var host = Process.Start(start)!;
        using var azurite = Process.GetProcessById(await ReadAzuriteIdAsync(host).WaitAsync(_startMax));

        host.Kill();

        await azurite.WaitForExitAsync().WaitAsync(_endMax);
    }

    [Fact]
    public async Task RowsOutliveTheirAzurite()
    {
        var address = FreeAddress();
        var first = await StartAsync(isEphemeral: false, address);
        Assert.Equal(HttpStatusCode.Created, await PostAsync(address, "Tables", """{"TableName":"Rows"}"""));

        // "ttl" and "constraints": names that the emulator's database keeps for itself and blanks in documents.
        Assert.Equal(HttpStatusCode.Created, await PostAsync(address, "Rows", """{"PartitionKey":"p","RowKey":"r","ttl":7,"constraints":"none","Text":"ä\n"}"""));
        await first.DisposeAsync();
        await using var second = await StartAsync(isEphemeral: false, address);

        var (status, row) = await SendAsync(HttpMethod.Get, address, "Rows(PartitionKey='p',RowKey='r')");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Contains("\"ttl\":7", row, StringComparison.Ordinal);
        Assert.Contains("\"constraints\":\"none\"", row, StringComparison.Ordinal);
        Assert.Contains("\"Text\":\"ä\\n\"", row, StringComparison.Ordinal);
        Assert.NotEqual(first.ProcessId, second.ProcessId);
    }

    [Fact]
    public async Task AnAzuriteStaysForASecondHostOnTheSameData()
    {
        var address = FreeAddress();
        var first = await StartAsync(isEphemeral: false, address);
        var second = await StartAsync(isEphemeral: false, address);
        using var process = Process.GetProcessById(first.ProcessId!.Value);

        await first.DisposeAsync();

        Assert.Equal(process.Id, second.ProcessId);
        Assert.Equal(HttpStatusCode.Created, await PostAsync(address, "Tables", """{"TableName":"Rows"}"""));
        await second.DisposeAsync();
        await process.WaitForExitAsync().WaitAsync(_endMax);
    }

    [Fact]
    public async Task AnAzuriteOfSomebodyElseIsUsedAndLeftAlone()
    {
        await using var other = await StartAsync(isEphemeral: true);

        await using (var ours = await StartAsync(isEphemeral: false, other.Address))
        {
            Assert.Null(ours.ProcessId);
            Assert.Equal(other.Address, ours.Address);
        }

        Assert.Equal(HttpStatusCode.Created, await PostAsync(other.Address, "Tables", """{"TableName":"Rows"}"""));
    }

    [Fact]
    public async Task AStateFileThatOutlivedItsAzuriteDoesNoHarm()
    {
        await File.WriteAllTextAsync(Path.Combine(_data, "azurite.json"), $$"""{"pid":1,"controlPort":{{FreePort()}}}""");

        await using var azurite = await StartAsync(isEphemeral: false, FreeAddress());

        Assert.NotEqual(1, azurite.ProcessId);
    }

    [Fact]
    public async Task APortThatAnotherProgramHasIsExplained()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = StorageAddress.Emulator(((IPEndPoint)listener.LocalEndpoint).Port, FreePort());

        var exception = await Assert.ThrowsAsync<LocalHostException>(() => StartAsync(isEphemeral: false, address));

        Assert.Contains("EADDRINUSE", exception.Message, StringComparison.Ordinal);
    }

    private Task<AzuriteProcess> StartAsync(bool isEphemeral, StorageAddress? address = null) =>
        AzuriteProcess.StartAsync(Folders, isEphemeral, _ => { }, CancellationToken.None, address).WaitAsync(_startMax);

    private static async Task<int> ReadAzuriteIdAsync(Process host)
    {
        while (await host.StandardOutput.ReadLineAsync() is { } line)
        {
            if (AzuriteId().Match(line) is { Success: true } match)
            {
                return int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            }
        }

        throw new InvalidOperationException("The host ended before it listened.");
    }

    private static StorageAddress FreeAddress() => StorageAddress.Emulator(FreePort(), FreePort());

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static async Task<HttpStatusCode> PostAsync(StorageAddress address, string path, string body) =>
        (await SendAsync(HttpMethod.Post, address, path, body)).Status;

    /// <summary>One signed request, by hand: these tests are about the process and not about a client of it.</summary>
    private static async Task<(HttpStatusCode Status, string Body)> SendAsync(HttpMethod method, StorageAddress address, string path, string? body = null)
    {
        var date = TimeProvider.System.GetUtcNow().ToString("R", CultureInfo.InvariantCulture);
        var url = new Uri($"{address.TableEndpoint}/{path}");
        var signed = Encoding.UTF8.GetBytes($"{date}\n/{address.AccountName}{url.AbsolutePath}");
        var signature = Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(address.AccountKey!), signed));
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(method, url) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("Authorization", $"SharedKeyLite {address.AccountName}:{signature}");
        request.Headers.Add("Accept", "application/json;odata=nometadata");
        request.Headers.Add("x-ms-date", date);
        request.Headers.Add("x-ms-version", "2020-12-06");
        using var response = await client.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    [GeneratedRegex(@"\(process (\d+), ")]
    private static partial Regex AzuriteId();
}
