using System.Net;
using QuantumFlux.Tests.Cache;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests.Proof;

/// <summary>Writes vectors in all the ways that there are, one request after the other, and knows what must be there then. Nobody else writes vectors with its ids.</summary>
/// <param name="number">Tells it from others.</param>
/// <param name="ids">How many ids it has.</param>
/// <param name="batchMax">The most vectors that it writes in a batch.</param>
/// <param name="random">What to write.</param>
public sealed class VectorWriter(int number, int ids, int batchMax, Random random)
{
    private const long MarksMax = 1_000_000;

    private readonly string _prefix = $"w{number}-";
    private Dictionary<string, long> _known = [];
    private long _mark = number * MarksMax;

    // What the request that has no answer yet makes of the vectors; null when there is none.
    private Dictionary<string, long>? _open;

    /// <summary>The vectors that must be there, and their marks.</summary>
    public IReadOnlyDictionary<string, long> Known => _known;

    /// <summary>How many requests have their answer.</summary>
    public int Answered { get; private set; }

    /// <summary>How many requests were cut off.</summary>
    public int CutOff { get; private set; }

    /// <summary>How many of those were carried out all the same.</summary>
    public int CarriedOut { get; private set; }

    /// <summary>Sends a request and checks its status.</summary>
    /// <returns>The id of a vector that was written, the last of several; null when none was.</returns>
    public async Task<string?> WriteAsync(TestClient client)
    {
        var (written, deleted, status, send) = Next();
        _open = new Dictionary<string, long>(_known);
        written.ForEach(vector => _open[vector.Id] = vector.Mark);
        deleted.ForEach(id => _open.Remove(id));
        (await send(client)).Expect(status);
        (_known, _open) = (_open, null);
        Answered++;
        return written.Count == 0 ? null : written[^1].Id;
    }

    /// <summary>Takes note of what became of a request that was cut off: all that it was to do or nothing, and nothing else may have been done.</summary>
    /// <param name="found">All vectors that are there.</param>
    public void Settle(IReadOnlyDictionary<string, long> found)
    {
        var ours = found.Where(vector => vector.Key.StartsWith(_prefix, StringComparison.Ordinal)).ToDictionary();
        if (_open is not null)
        {
            CutOff++;
            if (!MarkedVectors.IsSame(_known, _open) && MarkedVectors.IsSame(_open, ours))
            {
                CarriedOut++;
                _known = _open;
            }

            _open = null;
        }

        MarkedVectors.AssertSame(_known, ours, $"vectors of the writer {number}");
    }

    private (List<(string Id, long Mark)> Written, List<string> Deleted, HttpStatusCode Status, Func<TestClient, Task<Answer>> Send) Next()
    {
        var (kind, id) = (random.Next(10), Id(random.Next(ids)));
        var known = _known.Count == 0 ? null : _known.Keys.ElementAt(random.Next(_known.Count));
        if (kind < 2 || known is null)
        {
            var mark = ++_mark;
            return (
                [(id, mark)], [], _known.ContainsKey(id) ? HttpStatusCode.OK : HttpStatusCode.Created,
                client => client.PostRawAsync(VectorClient.Root, MarkedVectors.Of(id, mark).Json));
        }

        // Never written: the only vector there is might be replaced by one of another kind.
        var missing = Id(ids);
        switch (kind)
        {
            case < 4:
                var changed = ++_mark;
                return ([(known, changed)], [], HttpStatusCode.OK, client => client.ChangeAsync(known, MarkedVectors.Change(changed)));

            case < 6:
                return ([], [known], HttpStatusCode.OK, client => client.RemoveAsync(known));

            case 6:
                return random.Next(4) switch
                {
                    0 => ([], [], HttpStatusCode.NotFound, client => client.RemoveAsync(missing)),
                    1 => ([], [], HttpStatusCode.NotFound, client => client.ChangeAsync(missing, MarkedVectors.Change(0))),
                    2 => ([], [], HttpStatusCode.BadRequest, client => client.PostRawAsync(VectorClient.Root, MarkedVectors.Misfit(missing).Json)),
                    _ => ([], [], HttpStatusCode.BadRequest, client => client.BatchAsync(
                        [MarkedVectors.Of(known, 0).Json, MarkedVectors.Of(missing, 0).Json, MarkedVectors.Misfit(missing).Json])),
                };

            default:
                var batch = Enumerable.Range(0, ids).OrderBy(_ => random.Next()).Take(random.Next(1, batchMax + 1)).Select(place => (Id: Id(place), Mark: ++_mark)).ToList();
                var vectors = batch.Select(vector => MarkedVectors.Of(vector.Id, vector.Mark).Json);
                return kind == 7
                    ? (batch, [], HttpStatusCode.Created, client => client.BatchAsync([MarkedVectors.Misfit(missing).Json, .. vectors], isTransaction: false))
                    : (batch, [], HttpStatusCode.Created, client => client.BatchAsync(vectors, isTransaction: true));
        }
    }

    private string Id(int place) => $"{_prefix}{place}";
}
