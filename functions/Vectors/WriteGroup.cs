using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Vectors;

/// <summary>Writes that go into one append.</summary>
internal sealed class WriteGroup(VectorState state)
{
    private const int AttemptsMax = 64;
    private const int AlongMax = 16;

    // As text in a request, bytes take a third more.
    private const int AlongBytesMax = Log.AlongBytesMax / 2;

    private readonly VectorDraft _draft = new(state);
    private readonly HashSet<string> _alongKeys = new(StringComparer.Ordinal);
    private int _alongBytes;

    public List<(PendingWrite Write, object Answer)> Writes { get; } = [];

    public List<ReadOnlyMemory<byte>> Records { get; } = [];

    public List<TableAction> Along { get; } = [];

    public IReadOnlyList<VectorChange> Changes => _draft.Changes;

    /// <summary>Adds a write; false when there is no room for it beside the others.</summary>
    public async Task<bool> TryAddAsync(PendingWrite write)
    {
        var draft = new VectorDraft(state, _draft);
        var answer = write.Prepare(draft);
        var records = draft.Changes.Select(change => change.ToBytes()).ToList();
        if (Log.CountFitting([.. Records, .. records]) < Records.Count + records.Count && Writes.Count > 0)
        {
            return false;
        }

        var along = await write.Along(answer);
        var alongBytes = along.Sum(action => TableRules.RowBytes(action.Row));
        if (Writes.Count > 0
            && (Along.Count + along.Count > AlongMax || _alongBytes + alongBytes > AlongBytesMax || along.Any(action => _alongKeys.Contains(action.Row.Key))))
        {
            return false;
        }

        _alongBytes += alongBytes;
        _draft.Take(draft);
        Records.AddRange(records);
        Along.AddRange(along);
        _alongKeys.UnionWith(along.Select(action => action.Row.Key));
        Writes.Add((write, answer));
        return true;
    }

    /// <summary>Has them come up again, unless they have often enough.</summary>
    public void Retry()
    {
        foreach (var (write, _) in Writes.Where(write => ++write.Write.Attempts >= AttemptsMax))
        {
            write.Fail(ApiException.Unavailable());
        }
    }
}

/// <summary>A write that waits for its append.</summary>
internal sealed class PendingWrite(
    long beganAt, IReadOnlyCollection<string> ids, Func<VectorDraft, object> prepare, Func<object, Task<IReadOnlyList<TableAction>>> along)
{
    private readonly TaskCompletionSource<object> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long BeganAt { get; } = beganAt;

    public IReadOnlyCollection<string> Ids { get; } = ids;

    public Task<object> Answer => _answer.Task;

    public int Attempts { get; set; }

    public object Prepare(VectorDraft draft) => prepare(draft);

    public Task<IReadOnlyList<TableAction>> Along(object answer) => along(answer);

    public void Succeed(object answer) => _answer.TrySetResult(answer);

    public void Fail(Exception exception) => _answer.TrySetException(exception);
}
