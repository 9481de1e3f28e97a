using System.Globalization;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>
/// What an instance reads of a segment before it answers its first query: its head, then the codes of the nearest clusters, then the rows that may be answers.
/// The manifest, which names the segment, comes before.
/// </summary>
public static class ColdReport
{
    private const int QueriesMax = 50;

    /// <summary>Prints it.</summary>
    public static void Print(VectorData data, Metric metric, int k, Recall recall, TextWriter output)
    {
        using var index = new SegmentIndex(data.Base, metric);
        var segment = index.Segment;
        output.WriteLine(
            $"{data.Base.Count} vectors of {data.Base.Dimensions}: a segment of {Mb(segment.Bytes)}, {Mb(index.SearchBytes)} of it for searches; {segment.Clusters.Length} clusters");
        output.WriteLine(
            $"{"query",-14}{"requests: head",16}{"codes",8}{"rows",8}{"MB: head",12}{"codes",8}{"rows",8}{"together",10}{"recall",9}");
        foreach (var mode in new[] { QueryMode.Balanced, QueryMode.Exploratory })
        {
            var reads = new List<(SegmentPart Part, int Bytes)>();
            var queries = Math.Min(QueriesMax, data.Query.Count);
            var found = recall.Of(
                (query, ids) =>
                {
                    var rows = AskAsync(segment, index.State, query.ToArray(), mode, k, reads).GetAwaiter().GetResult();
                    rows.CopyTo(ids);
                    return rows.Length;
                },
                queries);
            var (head, codes, rows) = (Of(part => part < SegmentPart.Middles), Of(part => part is >= SegmentPart.Middles and < SegmentPart.Rows), Of(part => part == SegmentPart.Rows));
            output.WriteLine(
                $"{mode.ToString().ToLowerInvariant(),-14}{head.Requests,16:F1}{codes.Requests,8:F1}{rows.Requests,8:F1}{head.Mb,12:F2}{codes.Mb,8:F2}{rows.Mb,8:F2}"
                + $"{head.Mb + codes.Mb + rows.Mb,10:F2}{found,9:F4}");

            (double Requests, double Mb) Of(Func<SegmentPart, bool> isOne)
            {
                var some = reads.Where(read => isOne(read.Part)).ToList();
                return (some.Count / (double)queries, some.Sum(read => (long)read.Bytes) / 1e6 / queries);
            }
        }
    }

    // Each time as if nothing was there.
    private static async Task<int[]> AskAsync(Segment whole, VectorState state, float[] vector, QueryMode mode, int k, List<(SegmentPart Part, int Bytes)> reads)
    {
        using var bytes = new MappedBytes(whole.Bytes, isSparse: true);
        var download = new SegmentDownload(bytes, new VectorThresholds().PieceBytes, FetchAsync);
        await download.NeedAsync([(0, whole.Header.HeadBytes)]);
        using var segment = new Segment(whole.Id, bytes, download);
        var cold = VectorState.Of(state.Manifest, [LiveSegment.Of(segment, state.Segments[0].Alive)]);
        var asked = new VectorQuery(vector, null, mode, false, k, TimeSpan.MaxValue, null, false, false, true);
        var hits = (await new VectorSearch(cold, asked, DateTimeOffset.UnixEpoch, TimeProvider.System, () => false).RunAsync(CancellationToken.None)).Hits;
        return [.. hits.Select(hit => int.Parse(hit.Vector.IdBytes, CultureInfo.InvariantCulture))];

        Task<bool> FetchAsync(long offset, int length, CancellationToken cancellationToken)
        {
            lock (reads)
            {
                reads.Add((PartAt(whole.Header, offset), length));
            }

            bytes.Write(offset, whole.Copy(offset, length));
            return Task.FromResult(true);
        }
    }

    private static SegmentPart PartAt(SegmentHeader header, long offset) => (SegmentPart)Math.Max(0, header.Parts.Count(part => part.Offset <= offset) - 1);

    private static string Mb(long bytes) => $"{bytes / 1e6:F1} MB";
}
