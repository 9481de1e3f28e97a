namespace QuantumFlux.Vectors;

/// <summary>Keeps the items with the smallest keys, up to a number of them.</summary>
/// <remarks>A heap with the largest on top, so that the next one to go is known.</remarks>
public sealed class Nearest<T>(int capacity)
    where T : struct
{
    private readonly float[] _keys = new float[capacity];
    private readonly T[] _items = new T[capacity];

    public int Count { get; private set; }

    public bool IsFull => Count == _keys.Length;

    /// <summary>The largest key that is kept: from here on, a further item is of no use. Infinite while there is room.</summary>
    public float Worst { get; private set; } = capacity == 0 ? float.NegativeInfinity : float.PositiveInfinity;

    /// <summary>Keeps an item if it is among the nearest.</summary>
    public void Add(float key, T item)
    {
        if (!(key < Worst))
        {
            return;
        }

        if (Count < _keys.Length)
        {
            Rise(Count++, key, item);
        }
        else
        {
            Sink(key, item, Count);
        }

        if (IsFull)
        {
            Worst = _keys[0];
        }
    }

    /// <summary>The items, the nearest first. Nothing can be added any more.</summary>
    public ReadOnlySpan<T> Sorted(out ReadOnlySpan<float> keys)
    {
        Array.Sort(_keys, _items, 0, Count);
        keys = _keys.AsSpan(0, Count);
        return _items.AsSpan(0, Count);
    }

    /// <summary>The items in any order.</summary>
    public ReadOnlySpan<T> Items => _items.AsSpan(0, Count);

    private void Rise(int place, float key, T item)
    {
        while (place > 0 && _keys[(place - 1) / 2] < key)
        {
            var parent = (place - 1) / 2;
            (_keys[place], _items[place]) = (_keys[parent], _items[parent]);
            place = parent;
        }

        (_keys[place], _items[place]) = (key, item);
    }

    private void Sink(float key, T item, int count)
    {
        var place = 0;
        while (true)
        {
            var child = (2 * place) + 1;
            if (child + 1 < count && _keys[child + 1] > _keys[child])
            {
                child++;
            }

            if (child >= count || _keys[child] <= key)
            {
                break;
            }

            (_keys[place], _items[place]) = (_keys[child], _items[child]);
            place = child;
        }

        (_keys[place], _items[place]) = (key, item);
    }
}
