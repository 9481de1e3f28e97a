namespace QuantumFlux.Vectors;

/// <summary>Changes that are about to be made to a state, which see each other before anybody else sees them.</summary>
/// <param name="state">The state; its segments are held by the caller.</param>
/// <param name="before">Changes that come before these; null when none do.</param>
public sealed class VectorDraft(VectorState state, VectorDraft? before = null)
{
    private readonly List<VectorChange> _changes = [];
    private readonly Dictionary<string, StoredVector?> _latest = new(StringComparer.Ordinal);
    private int _count = before?.Count ?? state.Count;

    /// <summary>The changes.</summary>
    public IReadOnlyList<VectorChange> Changes => _changes;

    /// <summary>How many vectors there are.</summary>
    public int Count => _count;

    /// <summary>The coordinates of each vector, and how they are compared; null while there is none.</summary>
    public (int Dimension, Metric Metric)? Shape { get; private set; } = before is null ? state.Shape : before.Shape;

    /// <summary>The vector of an id; null when there is none.</summary>
    public StoredVector? Find(string id) => _latest.TryGetValue(id, out var vector) ? vector : before is null ? state.Find(id) : before.Find(id);

    /// <summary>Whether there is a vector of an id.</summary>
    public bool Contains(string id) => _latest.TryGetValue(id, out var vector) ? vector is not null : before?.Contains(id) ?? state.Contains(id);

    /// <summary>Adds the changes of a draft that came after this one.</summary>
    public void Take(VectorDraft next)
    {
        _changes.AddRange(next._changes);
        foreach (var (id, vector) in next._latest)
        {
            _latest[id] = vector;
        }

        (_count, Shape) = (next._count, next.Shape);
    }

    /// <summary>Writes a vector.</summary>
    /// <returns>Whether it replaces one.</returns>
    public bool Write(StoredVector vector, Metric metric)
    {
        var isReplaced = Contains(vector.Id);
        _count += isReplaced ? 0 : 1;
        _latest[vector.Id] = vector;
        _changes.Add(VectorChange.Written(vector, metric));
        Shape = (vector.Values.Length, metric);
        return isReplaced;
    }

    /// <summary>Deletes a vector.</summary>
    /// <returns>Whether there was one.</returns>
    public bool Delete(string id)
    {
        if (!Contains(id))
        {
            return false;
        }

        _count--;
        _latest[id] = null;
        _changes.Add(VectorChange.Deleted(id));
        Shape = _count == 0 ? null : Shape;
        return true;
    }
}
