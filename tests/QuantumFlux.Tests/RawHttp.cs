using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace QuantumFlux.Tests;

/// <summary>An answer as it came over the wire.</summary>
/// <param name="Status">Its status; 0 when the connection ended without an answer.</param>
/// <param name="Headers">Its headers, in lower case; those that came twice are joined with a comma.</param>
/// <param name="Body">Its content.</param>
public sealed record RawAnswer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    public JsonElement Error => JsonDocument.Parse(Body).RootElement.GetProperty("error");

    public string? Header(string name) => Headers.GetValueOrDefault(name);
}

/// <summary>Sends bytes as they are: what no client would send, a server must still answer.</summary>
public static class RawHttp
{
    /// <summary>Sends a request on a connection of its own, and reads the one answer to it.</summary>
    /// <param name="server">Where to.</param>
    /// <param name="request">The bytes of the whole request.</param>
    /// <param name="cancellationToken">Ends the wait for an answer.</param>
    public static async Task<RawAnswer> SendAsync(Uri server, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, LingerState = new LingerOption(true, 0) };
        await socket.ConnectAsync(IPAddress.Loopback, server.Port, cancellationToken);
        var sent = SendAllAsync(socket, request, cancellationToken);
        var answer = await ReadAsync(socket, request.Span.StartsWith("HEAD "u8), cancellationToken);
        await sent;
        return answer;
    }

    /// <summary>Sends a request of ASCII text, with its line ends written out.</summary>
    public static Task<RawAnswer> SendAsync(Uri server, string request, CancellationToken cancellationToken = default) =>
        SendAsync(server, Encoding.Latin1.GetBytes(request), cancellationToken);

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        try
        {
            while (!request.IsEmpty)
            {
                request = request[await socket.SendAsync(request, cancellationToken)..];
            }
        }
        catch (SocketException)
        {
            // The server has heard enough and has answered.
        }
    }

    private static async Task<RawAnswer> ReadAsync(Socket socket, bool isHead, CancellationToken cancellationToken)
    {
        var received = new List<byte>();
        while (true)
        {
            while (HeadLength(received) is var head && head >= 0)
            {
                var lines = Encoding.Latin1.GetString(received.GetRange(0, head).ToArray()).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
                received.RemoveRange(0, head);
                var status = int.Parse(lines[0].AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture);
                if (status == 100)
                {
                    continue;
                }

                var headers = lines.Skip(1)
                    .Select(line => line.Split(':', 2))
                    .GroupBy(pair => pair[0].ToLowerInvariant(), pair => pair[1].Trim())
                    .ToDictionary(group => group.Key, group => string.Join(", ", group));
                var length = isHead || status is 204 or 304 ? 0 : int.Parse(headers["content-length"], System.Globalization.CultureInfo.InvariantCulture);
                while (received.Count < length && await ReceiveAsync(socket, received, cancellationToken))
                {
                }

                return new RawAnswer(status, headers, [.. received.Take(length)]);
            }

            if (!await ReceiveAsync(socket, received, cancellationToken))
            {
                return new RawAnswer(0, new Dictionary<string, string>(), [.. received]);
            }
        }
    }

    private static async Task<bool> ReceiveAsync(Socket socket, List<byte> received, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            var count = await socket.ReceiveAsync(buffer, cancellationToken);
            received.AddRange(buffer.AsSpan(0, count));
            return count > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int HeadLength(List<byte> received)
    {
        var end = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(received).IndexOf("\r\n\r\n"u8);
        return end < 0 ? -1 : end + 4;
    }
}
