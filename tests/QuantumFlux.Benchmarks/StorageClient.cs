using System.Collections.Concurrent;
using System.Globalization;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Benchmarks;

/// <summary>Storage requests with nothing around them: an <see cref="HttpClient"/>, and a signature that is made once a second for each path.</summary>
public sealed class StorageClient(StorageAddress address) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private readonly byte[] _key = Convert.FromBase64String(address.AccountKey!);
    private readonly string _endpoint = address.TableEndpoint.AbsoluteUri.TrimEnd('/');
    private readonly ConcurrentDictionary<string, Prepared> _prepared = new(StringComparer.Ordinal);

    /// <summary>Reads a row.</summary>
    public async Task GetAsync(string table, string partition, string key)
    {
        using var request = Request(HttpMethod.Get, TableWire.RowPath(table, partition, key));
        using var answer = await _http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Reads a page of rows.</summary>
    public async Task QueryAsync(string table, TableQuery query)
    {
        using var request = Request(HttpMethod.Get, $"/{table}()?$filter={Uri.EscapeDataString(TableWire.Filter(query))}&$top={query.Limit}");
        using var answer = await _http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Writes rows in one transaction.</summary>
    public async Task WriteAsync(string table, IReadOnlyList<TableAction> actions)
    {
        var operation = Guid.NewGuid().ToString("N");
        using var request = Request(HttpMethod.Post, "/$batch");
        request.Content = new ReadOnlyMemoryContent(TableWire.Batch(_endpoint, table, actions, operation));
        request.Content.Headers.TryAddWithoutValidation("Content-Type", $"multipart/mixed; boundary=batch_{operation}");
        using var answer = await _http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        if (TableWire.ReadBatch(await answer.Content.ReadAsByteArrayAsync(), actions.Count) is { Status: >= 300 } refused)
        {
            throw new InvalidOperationException($"Storage answered {refused.Status} {refused.Code}.");
        }
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var now = TimeProvider.System.GetUtcNow();
        var prepared = _prepared.GetValueOrDefault(path);
        if (prepared is null || prepared.UnixSeconds != now.ToUnixTimeSeconds())
        {
            _prepared[path] = prepared = Prepare(path, now);
        }

        var request = new HttpRequestMessage(method, prepared.Address);
        request.Headers.TryAddWithoutValidation("x-ms-version", StorageRest.Version);
        request.Headers.TryAddWithoutValidation("x-ms-date", prepared.Date);
        request.Headers.TryAddWithoutValidation("Authorization", prepared.Authorization);
        request.Headers.TryAddWithoutValidation("Accept", "application/json;odata=minimalmetadata");
        request.Headers.TryAddWithoutValidation("DataServiceVersion", "3.0;");
        return request;
    }

    private Prepared Prepare(string path, DateTimeOffset now)
    {
        var uri = new Uri(_endpoint + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        var date = now.ToString("R", CultureInfo.InvariantCulture);
        var signature = SharedKeyPolicy.Sign(_key, $"{date}\n/{address.AccountName}{uri.AbsolutePath}");
        return new Prepared(now.ToUnixTimeSeconds(), uri, date, $"SharedKeyLite {address.AccountName}:{signature}");
    }

    private sealed record Prepared(long UnixSeconds, Uri Address, string Date, string Authorization);
}
