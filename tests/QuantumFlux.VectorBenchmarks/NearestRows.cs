namespace QuantumFlux.VectorBenchmarks;

/// <summary>The nearest rows seen so far, nearest first, in memory of the caller: as many as there is room for.</summary>
/// <param name="distances">Their distances.</param>
/// <param name="ids">Their rows.</param>
/// <param name="count">How many there are already.</param>
public ref struct NearestRows(Span<float> distances, Span<int> ids, int count = 0)
{
    private readonly Span<float> _distances = distances;
    private readonly Span<int> _ids = ids;

    public int Count { get; private set; } = count;

    /// <summary>A row is taken when it is nearer than this.</summary>
    public float Bound { get; private set; } = count < ids.Length ? float.PositiveInfinity : distances[count - 1];

    /// <summary>Takes a row that is nearer than <see cref="Bound"/>.</summary>
    public void Add(int id, float distance)
    {
        var place = Count < _ids.Length ? Count++ : Count - 1;
        for (; place > 0 && _distances[place - 1] > distance; place--)
        {
            (_distances[place], _ids[place]) = (_distances[place - 1], _ids[place - 1]);
        }

        (_distances[place], _ids[place]) = (distance, id);
        Bound = Count < _ids.Length ? float.PositiveInfinity : _distances[Count - 1];
    }
}
