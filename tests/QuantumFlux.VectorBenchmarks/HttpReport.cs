using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Benchmarks;
using QuantumFlux.Keys;
using QuantumFlux.Local;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The vectors in a host of their own, over Azurite: what inserts and queries take through HTTP, beside what they are made of.</summary>
public sealed class HttpReport : IDisposable
{
    private const int BatchVectors = 100;
    private const int Connections = 8;
    private const int Samples = 1_000;

    private static readonly TimeSpan _loadTime = TimeSpan.FromSeconds(5);

    // Until the runtimes of all three processes have optimised what a query takes; before that it takes twice as long.
    private static readonly TimeSpan _firstWarmUpTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan _warmUpTime = TimeSpan.FromSeconds(3);

    private static readonly VectorThresholds _thresholds = new();
    private static readonly TimeSpan _poll = TimeSpan.FromMilliseconds(500);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private readonly VectorData _data;
    private readonly Metric _metric;
    private readonly int _k;
    private readonly Uri _vectors;
    private readonly Uri _query;

    // Written once: a client's work, which takes as long as a search.
    private readonly byte[][] _vectorTexts;
    private int _queries;

    private HttpReport(VectorData data, Metric metric, int k, Uri host)
    {
        (_data, _metric, _k) = (data, metric, k);
        _vectorTexts = [.. Enumerable.Range(0, data.Query.Count).Select(query => JsonSerializer.SerializeToUtf8Bytes(data.Query[query].ToArray()))];
        (_vectors, _query) = (new Uri(host, "api/v2/vectors/batch"), new Uri(host, "api/v2/query"));
        _http.DefaultRequestHeaders.Add("Authorization", $"Bearer {LocalSettings.DevelopmentKey}");
    }

    /// <summary>Measures and prints.</summary>
    public static async Task PrintAsync(VectorData data, Metric metric, int k, Recall recall, TextWriter output)
    {
        await using var host = await HostProcess.StartAsync(typeof(LocalHost).Assembly.Location);
        using var report = new HttpReport(data, metric, k, host.Address);
        var storage = new StorageAccounts(new StorageAccount(new RestTables(host.Storage), new RestBlobs(host.Storage)), new Dictionary<int, StorageAccount>());
        await report.InsertAsync(storage.Main.Tables, output);

        // The same state here as there, for what a search takes without a service around it.
        var tenant = $"{ApiKey.BootstrapAccount(ApiKey.HashOf(LocalSettings.DevelopmentKey))}-live";
        using var due = new DueTenants(storage, TimeProvider.System);
        var here = new TenantVectors(tenant, storage.Main.Tables, new SegmentStore(storage, _thresholds), due, _thresholds, TimeProvider.System, _ => { });
        await SettleAsync(here, data.Base.Count);
        using var held = await here.HoldAsync(isStrong: true, CancellationToken.None);
        await held.State.NeedAllAsync();
        output.WriteLine($"{held.State.Segments.Count} segments of {string.Join(", ", held.State.Segments.Select(segment => segment.Count))} vectors, {held.State.TailAlive} in the log");

        using var bare = new StorageClient(host.Storage);
        var tail = new TableQuery(tenant, string.Create(CultureInfo.InvariantCulture, $"x:{held.State.Head.LastSequence + 1:D19}"), "x;");
        Task ReadTailAsync() => bare.QueryAsync(ObjectRows.Table, tail);

        output.WriteLine();
        output.WriteLine($"{"query",-44}{"recall",8}{"p50 ms",9}{"p99 ms",9}{"search",9}{"storage",9}{"the rest",10}{"8 at once: /s",15}{"p50 ms",9}{"p99 ms",9}");
        await Load.RunAsync(Connections, _firstWarmUpTime, host, () => report.AskAsync(Question.All[0]));
        foreach (var question in Question.All)
        {
            var search = report.MeasureSearch(held.State, question);
            await Load.RunAsync(Connections, _warmUpTime, host, () => report.AskAsync(question));
            var measured = await Latency.CompareAsync(Samples, () => report.AskAsync(question), ReadTailAsync);
            var load = await Load.RunAsync(Connections, _loadTime, host, () => report.AskAsync(question));
            var found = question.Filter is null ? $"{await report.RecallAsync(question, recall):F4}" : "";
            var (whole, read) = (measured.Ours.At(50), question.IsStrong ? measured.Bare.At(50) : TimeSpan.Zero);
            output.WriteLine(
                $"{question.Name,-44}{found,8}{whole.TotalMilliseconds,9:F3}{measured.Ours.At(99).TotalMilliseconds,9:F3}{search.TotalMilliseconds,9:F3}{read.TotalMilliseconds,9:F3}"
                + $"{(whole - search - read).TotalMilliseconds,10:F3}{load.PerSecond,15:F0}{load.Times.At(50).TotalMilliseconds,9:F3}{load.Times.At(99).TotalMilliseconds,9:F3}");
        }
    }

    public void Dispose() => _http.Dispose();

    // In turns with the transaction that each needs, of a log that nobody else looks at.
    private async Task InsertAsync(ITables tables, TextWriter output)
    {
        var (inserts, appends) = (new Times(0), new Times(0));
        var (log, head) = (new Log(tables, ObjectRows.Table, "bare", "x"), LogHead.None);
        for (var first = 0; first < _data.Base.Count; first += BatchVectors)
        {
            var rows = Enumerable.Range(first, Math.Min(BatchVectors, _data.Base.Count - first)).ToList();
            using var batch = Batch(rows);
            await inserts.MeasureAsync(() => SendAsync(_vectors, batch));

            var facts = new VectorFacts([], null, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, default);
            var records = rows
                .Select(row => VectorChange.Written(new StoredVector(row.ToString(CultureInfo.InvariantCulture), _data.Base[row].ToArray(), facts), _metric).ToBytes())
                .ToList();
            await appends.MeasureAsync(async () => head = (await log.AppendAsync(head, records, DateTimeOffset.UnixEpoch, [], CancellationToken.None)).Head!);
        }

        output.WriteLine($"{_data.Base.Count} vectors of {_data.Base.Dimensions} in batches of {BatchVectors}: {_data.Base.Count / inserts.Total.TotalSeconds:F0} vectors/s");
        output.WriteLine($"a batch p50 {Ms(inserts.At(50))}, p99 {Ms(inserts.At(99))}; its bare transaction p50 {Ms(appends.At(50))}, p99 {Ms(appends.At(99))}");
    }

    private static string Ms(TimeSpan time) => $"{time.TotalMilliseconds:F1} ms";

    // Until what was written lies in segments, but for what need not.
    private static async Task SettleAsync(TenantVectors vectors, int count)
    {
        while (true)
        {
            using (var held = await vectors.HoldAsync(isStrong: true, CancellationToken.None))
            {
                await vectors.AdoptAsync(CancellationToken.None);
                if (held.State.Count == count && held.State.Manifest.Building is null && !_thresholds.IsTailLong(held.State))
                {
                    return;
                }
            }

            await Task.Delay(_poll);
        }
    }

    private TimeSpan MeasureSearch(VectorState state, Question question)
    {
        var times = new List<TimeSpan>();
        for (var number = -Samples; number < Samples; number++)
        {
            var asked = question.ToQuery(_data.Query[Math.Abs(number) % _data.Query.Count].ToArray(), _k);
            var started = TimeProvider.System.GetTimestamp();
            var hits = new VectorSearch(state, asked, TimeProvider.System.GetUtcNow(), TimeProvider.System, () => false).Run();
            GC.KeepAlive(VectorJson.Hits(hits.Hits, asked));
            if (number >= 0)
            {
                times.Add(TimeProvider.System.GetElapsedTime(started));
            }
        }

        times.Sort();
        return times[times.Count / 2];
    }

    private async Task<double> RecallAsync(Question question, Recall recall)
    {
        var answers = new List<int[]>();
        for (var query = 0; query < _data.Query.Count; query++)
        {
            var answer = JsonDocument.Parse(await SendAsync(_query, Body(question, query))).RootElement;
            answers.Add([.. answer.GetProperty("results").EnumerateArray().Select(hit => int.Parse(hit.GetProperty("id").GetString()!, CultureInfo.InvariantCulture))]);
        }

        var next = 0;
        return recall.Of(
            (_, ids) =>
            {
                answers[next].CopyTo(ids);
                return answers[next++].Length;
            },
            _data.Query.Count);
    }

    // No two bodies are the same: the service would know the answer.
    private async Task AskAsync(Question question)
    {
        using var body = Body(question, Interlocked.Increment(ref _queries));
        await SendAsync(_query, body);
    }

    private async Task<byte[]> SendAsync(Uri address, HttpContent content)
    {
        using var answer = await _http.PostAsync(address, content);
        return await answer.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync();
    }

    private ByteArrayContent Batch(IEnumerable<int> rows) => Json(writer =>
    {
        writer.WriteStartArray("vectors");
        foreach (var row in rows)
        {
            writer.WriteStartObject();
            writer.WriteString("id", row.ToString(CultureInfo.InvariantCulture));
            writer.WritePropertyName("vector");
            JsonSerializer.Serialize(writer, _data.Base[row].ToArray());
            writer.WriteString("metric", _metric.ToString().ToLowerInvariant());
            writer.WriteStartObject("metadata");
            writer.WriteNumber("percent", row % 100);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    private ByteArrayContent Body(Question question, int number) => Json(writer =>
    {
        writer.WritePropertyName("vector");
        writer.WriteRawValue(_vectorTexts[number % _data.Query.Count], skipInputValidation: true);
        writer.WriteNumber("top_k", _k);
        writer.WriteNumber("timeout_ms", 5_000 + (number / _data.Query.Count));
        writer.WriteString("mode", question.Mode.ToString().ToLowerInvariant());
        writer.WriteBoolean("enable_tunneling", question.IsTunneling);
        writer.WriteBoolean("include_vectors", question.HasVectors);
        writer.WriteString("consistency", question.IsStrong ? "strong" : "eventual");
        if (question.Filter is not null)
        {
            writer.WritePropertyName("filters");
            writer.WriteRawValue(question.Filter);
        }
    });

    private static ByteArrayContent Json(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return new ByteArrayContent(stream.ToArray()) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
    }

    /// <summary>A kind of query.</summary>
    private sealed record Question(string Name, QueryMode Mode, bool IsTunneling, bool HasVectors, bool IsStrong, string? Filter)
    {
        public static IReadOnlyList<Question> All { get; } =
        [
            new("balanced, strong", QueryMode.Balanced, false, false, true, null),
            new("balanced, strong, with vectors", QueryMode.Balanced, false, true, true, null),
            new("balanced, eventual", QueryMode.Balanced, false, false, false, null),
            new("balanced + tunneling, strong", QueryMode.Balanced, true, false, true, null),
            new("precise, strong", QueryMode.Precise, false, false, true, null),
            new("precise, a filter that keeps 1 %, strong", QueryMode.Precise, false, false, true, """{"metadata.percent":7}"""),
        ];

        public VectorQuery ToQuery(float[] vector, int k) => new(
            vector,
            null,
            Mode,
            IsTunneling,
            k,
            TimeSpan.MaxValue,
            Filter is null ? null : QuantumFlux.Vectors.Filter.Parse(JsonDocument.Parse(Filter).RootElement, new Faults()),
            HasVectors,
            true,
            IsStrong);
    }
}
