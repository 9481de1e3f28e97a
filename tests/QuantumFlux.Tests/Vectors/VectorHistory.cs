using System.Text;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

/// <summary>
/// What a tenant's log of vectors has ever said, and what its vectors were after each of its records, found out the slow and obvious way. Every state that the
/// store gives must be one of these.
/// </summary>
public sealed class VectorHistory
{
    private readonly List<VectorMoment> _moments = [VectorMoment.Empty];
    private readonly HashSet<long> _ends = [0];

    /// <summary>The last record.</summary>
    public long Head => _moments.Count - 1;

    /// <summary>The vectors after a record; after none for 0.</summary>
    public VectorMoment this[long sequence] => _moments[(int)sequence];

    /// <summary>Those of the moments between two, both included, that somebody may see: what one append did is seen together.</summary>
    public IEnumerable<VectorMoment> Seen(long from, long through) =>
        _ends.Where(end => end >= from && end <= through).Select(end => _moments[(int)end]);

    /// <summary>Adds what one append wrote.</summary>
    public void Append(IEnumerable<(long Sequence, VectorChange Change)> records)
    {
        foreach (var (sequence, change) in records)
        {
            Assert.Equal(Head + 1, sequence);
            _moments.Add(_moments[^1].After(change));
        }

        _ends.Add(Head);
    }

    /// <summary>Compares a state with what it should be, by all ways to look at it.</summary>
    /// <param name="state">The state, settled and held. What is looked at is brought into reach first, and nothing else.</param>
    /// <param name="ids">Ids that there may be.</param>
    /// <param name="random">Chooses a page.</param>
    public async Task VerifyAsync(VectorState state, IReadOnlyList<string> ids, Random random)
    {
        var at = state.Head.LastSequence;
        Assert.True(_ends.Contains(at), $"a state after {at} of {Head} records is within an append");
        var expected = _moments[(int)at];
        Assert.True(state.Count == expected.Vectors.Count, $"after {at} there are {expected.Vectors.Count} vectors, not {state.Count}");
        Assert.True(state.Shape == expected.Shape, $"after {at} they are {expected.Shape}, not {state.Shape}");

        var (skip, take) = (random.Next(expected.Vectors.Count + 2), random.Next(1, 6));
        await state.NeedOrderAsync();
        Assert.Equal(Text(expected.Vectors.Skip(skip).Take(take)), await ListAsync(state, skip, take));
        foreach (var id in ids)
        {
            var vector = expected.Find(id);
            await state.NeedAsync([id]);
            Assert.Equal(vector is not null, state.Contains(id));
            Assert.Equal(vector is null ? "" : Text([vector]), state.Find(id) is { } found ? Text([found]) : "");
        }

        Assert.Equal(expected.Text, await ListAsync(state, 0, expected.Vectors.Count + 1));
    }

    private static async Task<string> ListAsync(VectorState state, int skip, int take)
    {
        var vectors = state.List(skip, take);
        await VectorState.NeedAsync(vectors);
        return Text(vectors);
    }

    public static string Text(IEnumerable<SegmentRow> vectors) =>
        Text(vectors.Select(vector => new StoredVector(vector.Id, vector.Values.ToArray(), vector.Facts)));

    public static string Text(IEnumerable<StoredVector> vectors)
    {
        var text = new StringBuilder();
        foreach (var (id, values, facts) in vectors)
        {
            text.Append(id).Append(" [").AppendJoin(' ', values).Append("] ").Append(Encoding.UTF8.GetString(facts.Metadata.Span)).Append(' ')
                .AppendJoin(' ', facts.Contexts).Append(' ').Append(facts.Coherence).Append(' ').Append(facts.WrittenAt.UtcTicks).Append(' ')
                .Append(facts.PreparedAt.UtcTicks).Append('\n');
        }

        return text.ToString();
    }
}

/// <summary>All vectors at a moment.</summary>
/// <param name="Vectors">The vectors, in the order in which they were last written.</param>
/// <param name="Shape">What all of them have in common; null when there is none.</param>
public sealed record VectorMoment(IReadOnlyList<StoredVector> Vectors, (int Dimension, Metric Metric)? Shape)
{
    private string? _text;

    public static VectorMoment Empty { get; } = new([], null);

    public string Text => _text ??= VectorHistory.Text(Vectors);

    public StoredVector? Find(string id) => Vectors.FirstOrDefault(vector => vector.Id == id);

    /// <summary>Whether a vector of some kind may be written: those that stay are of the same.</summary>
    public bool Takes(string id, int dimension, Metric? metric) =>
        Shape is not { } shape || Vectors.All(vector => vector.Id == id) || (shape.Dimension == dimension && (metric ?? shape.Metric) == shape.Metric);

    /// <summary>The vectors after a change, which must be one that keeps the rules.</summary>
    public VectorMoment After(VectorChange change)
    {
        var others = Vectors.Where(vector => vector.Id != change.Id).ToList();
        if (change.Vector is not { } vector)
        {
            Assert.True(others.Count < Vectors.Count, $"{change.Id} was deleted and was not there");
            return new VectorMoment(others, others.Count == 0 ? null : Shape);
        }

        Assert.True(Takes(change.Id, vector.Values.Length, change.Metric), $"{change} was written beside vectors that are {Shape}");
        return new VectorMoment([.. others, vector], (vector.Values.Length, change.Metric));
    }
}
