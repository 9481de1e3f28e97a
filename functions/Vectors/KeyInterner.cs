using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>Numbers different keys 0, 1, 2, … as they come, and keeps each once. Millions of short ones cost their bytes and about 24 more each.</summary>
internal sealed class KeyInterner
{
    private const int ChunkBytesFirst = 1 << 10;
    private const int ChunkBytes = 1 << 20;

    private readonly List<byte[]> _chunks = [new byte[ChunkBytesFirst]];
    private int _chunkUsed;
    private Key[] _keys = new Key[16];

    // The number of a key + 1, at the place that its hash says or the next free one behind it; 0 is free.
    private int[] _slots = new int[32];

    /// <summary>How many keys there are.</summary>
    public int Count { get; private set; }

    /// <summary>The key that has a number.</summary>
    public ReadOnlySpan<byte> this[int number]
    {
        get
        {
            ref readonly var key = ref _keys[number];
            return _chunks[key.Chunk].AsSpan(key.Start, key.Length);
        }
    }

    /// <summary>The number of a key, which is the next one when the key is new.</summary>
    /// <param name="bytes">No more than a mebibyte.</param>
    public int Intern(ReadOnlySpan<byte> bytes)
    {
        var hash = Hash(bytes);
        var slot = hash & (_slots.Length - 1);
        for (; _slots[slot] > 0; slot = slot + 1 & (_slots.Length - 1))
        {
            var number = _slots[slot] - 1;
            if (_keys[number].Hash == hash && this[number].SequenceEqual(bytes))
            {
                return number;
            }
        }

        _slots[slot] = Count + 1;
        Keep(bytes, hash);
        if (2 * Count > _slots.Length)
        {
            Grow();
        }

        return Count - 1;
    }

    // The runtime's hash of strings: seeded anew in every process and made so that nobody can prepare keys that collide. It takes pairs of bytes.
    private static int Hash(ReadOnlySpan<byte> bytes) =>
        HashCode.Combine(string.GetHashCode(MemoryMarshal.Cast<byte, char>(bytes)), bytes.Length, bytes.IsEmpty ? 0 : bytes[^1]);

    private void Keep(ReadOnlySpan<byte> bytes, int hash)
    {
        if (bytes.Length > _chunks[^1].Length - _chunkUsed)
        {
            _chunks.Add(new byte[ChunkBytes]);
            _chunkUsed = 0;
        }

        if (Count == _keys.Length)
        {
            Array.Resize(ref _keys, 2 * Count);
        }

        bytes.CopyTo(_chunks[^1].AsSpan(_chunkUsed));
        _keys[Count++] = new Key(_chunks.Count - 1, _chunkUsed, bytes.Length, hash);
        _chunkUsed += bytes.Length;
    }

    private void Grow()
    {
        _slots = new int[2 * _slots.Length];
        for (var number = 0; number < Count; number++)
        {
            var slot = _keys[number].Hash & (_slots.Length - 1);
            while (_slots[slot] > 0)
            {
                slot = slot + 1 & (_slots.Length - 1);
            }

            _slots[slot] = number + 1;
        }
    }

    private readonly record struct Key(int Chunk, int Start, int Length, int Hash);
}
