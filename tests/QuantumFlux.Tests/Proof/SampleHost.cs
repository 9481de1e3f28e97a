using System.Diagnostics;
using System.Text;

namespace QuantumFlux.Tests.Proof;

/// <summary>The local host as it starts on any machine, and what sends the specifications' samples to it.</summary>
public sealed class SampleHost : IAsyncLifetime
{
    private HostProcess _host = null!;

    /// <summary>A client with the key that opens the host.</summary>
    public TestClient Admin => _host.Admin;

    public async Task InitializeAsync() => _host = await HostProcess.StartAsync("--ephemeral");

    public async Task DisposeAsync() => await _host.DisposeAsync();

    /// <summary>The host's address with a path.</summary>
    public string AddressOf(string path) => new Uri(_host.Http.BaseAddress!, path).AbsoluteUri;

    /// <summary>Sends a request.</summary>
    /// <param name="method">Its method.</param>
    /// <param name="path">Its path.</param>
    /// <param name="headers">Its headers as a sample shows them, one a line.</param>
    /// <param name="body">Its body, which is JSON; null for none.</param>
    public async Task<Answer> SendAsync(HttpMethod method, string path, string headers, string? body)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }

        foreach (var (name, value) in headers.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Header))
        {
            // The media type stands in the content's headers already.
            _ = request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await _host.Http.SendAsync(request);
        return new Answer(response.StatusCode, await response.Content.ReadAsByteArrayAsync(), response.Headers, response.Content.Headers);
    }

    /// <summary>Name and value of a header as a sample shows it.</summary>
    public static (string Name, string Value) Header(string line) => line.Trim().Split(": ", 2) is [var name, var value] ? (name, value) : throw new FormatException(line);

    /// <summary>Runs a program that is handed to an interpreter.</summary>
    /// <param name="interpreter">What runs it.</param>
    /// <param name="argument">What has it read the program from its input.</param>
    /// <param name="program">The program.</param>
    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string interpreter, string argument, string program)
    {
        using var process = Process.Start(new ProcessStartInfo(interpreter, [argument])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["NO_PROXY"] = "127.0.0.1" },
        })!;
        await process.StandardInput.WriteAsync(program);
        process.StandardInput.Close();
        var error = process.StandardError.ReadToEndAsync();
        var said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await error);
        return said;
    }
}
