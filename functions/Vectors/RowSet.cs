using System.Buffers.Binary;
using System.Numerics;

namespace QuantumFlux.Vectors;

/// <summary>A set of a segment's row numbers, one bit for each row.</summary>
public sealed class RowSet
{
    private const int WordBits = 64;

    private readonly ulong[] _words;

    /// <summary>Makes an empty set.</summary>
    /// <param name="rows">How many rows there are: the set may hold 0 to <paramref name="rows"/> - 1.</param>
    public RowSet(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        Rows = rows;
        _words = new ulong[(int)((rows + (WordBits - 1L)) / WordBits)];
    }

    /// <summary>How many rows there are, in the set or not.</summary>
    public int Rows { get; }

    /// <summary>How many rows are in the set. Each call counts them: one step for 64 rows.</summary>
    public int Count
    {
        get
        {
            var count = 0;
            foreach (var word in _words)
            {
                count += BitOperations.PopCount(word);
            }

            return count;
        }
    }

    /// <summary>The bits, row 0 in the lowest bit of the first word. Those behind the last row are zero.</summary>
    public ReadOnlySpan<ulong> Words => _words;

    // Which bits of the last word are rows.
    private ulong LastWordMask => ulong.MaxValue >> (-Rows & (WordBits - 1));

    /// <summary>Whether a row is in the set. No number outside of the rows is.</summary>
    public bool Contains(int row) => (uint)row < (uint)Rows && (_words[row / WordBits] >> row & 1) != 0;

    /// <summary>Puts a row into the set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Add(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        _words[row / WordBits] |= 1UL << row;
    }

    /// <summary>Puts neighbouring rows into the set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Some of them do not exist.</exception>
    public void AddRange(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)first, (uint)Rows, nameof(first));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(Rows - first), nameof(count));
        if (count == 0)
        {
            return;
        }

        var (from, to) = (first / WordBits, (first + count - 1) / WordBits);
        var (head, tail) = (ulong.MaxValue << first, ulong.MaxValue >> (-(first + count) & (WordBits - 1)));
        if (from == to)
        {
            _words[from] |= head & tail;
            return;
        }

        _words[from] |= head;
        _words.AsSpan(from + 1, to - from - 1).Fill(ulong.MaxValue);
        _words[to] |= tail;
    }

    /// <summary>Puts those rows into the set whose bits are set. Bits behind the last row are left out.</summary>
    /// <param name="firstWord">Which of <see cref="Words"/> the bits begin with.</param>
    /// <param name="bits">Whole words, in little-endian order.</param>
    /// <exception cref="ArgumentOutOfRangeException">They reach further than the set.</exception>
    public void AddBits(int firstWord, ReadOnlySpan<byte> bits)
    {
        var words = _words.AsSpan(firstWord, bits.Length / sizeof(ulong));
        for (var index = 0; index < words.Length; index++)
        {
            words[index] |= BinaryPrimitives.ReadUInt64LittleEndian(bits[(index * sizeof(ulong))..]);
        }

        TrimLastWord();
    }

    /// <summary>Takes a row out of the set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Remove(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        _words[row / WordBits] &= ~(1UL << row);
    }

    /// <summary>Puts every row into the set.</summary>
    public void Fill()
    {
        _words.AsSpan().Fill(ulong.MaxValue);
        TrimLastWord();
    }

    /// <summary>Takes every row out of the set.</summary>
    public void Clear() => _words.AsSpan().Clear();

    /// <summary>Keeps only the rows that the other set has too.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void And(RowSet other)
    {
        var others = SameSize(other);
        for (var index = 0; index < others.Length; index++)
        {
            _words[index] &= others[index];
        }
    }

    /// <summary>Adds the rows of the other set.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void Or(RowSet other)
    {
        var others = SameSize(other);
        for (var index = 0; index < others.Length; index++)
        {
            _words[index] |= others[index];
        }
    }

    /// <summary>Keeps only the rows that the other set has not.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void AndNot(RowSet other)
    {
        var others = SameSize(other);
        for (var index = 0; index < others.Length; index++)
        {
            _words[index] &= ~others[index];
        }
    }

    /// <summary>Exchanges the rows that are in the set for those that are not.</summary>
    public void Complement()
    {
        for (var index = 0; index < _words.Length; index++)
        {
            _words[index] = ~_words[index];
        }

        TrimLastWord();
    }

    /// <summary>The bits of 32 rows, the first in the lowest bit. Rows behind the last one are zeros.</summary>
    /// <param name="row">The first of them; need not be a multiple of anything.</param>
    public uint Mask32(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        var (word, shift) = (row / WordBits, row % WordBits);
        if (word >= _words.Length)
        {
            return 0;
        }

        var bits = _words[word] >> shift;
        return (uint)(shift > WordBits - 32 && word + 1 < _words.Length ? bits | _words[word + 1] << (WordBits - shift) : bits);
    }

    /// <summary>The rows of the set in ascending order. A row that was handed out may be removed meanwhile.</summary>
    public Enumerator GetEnumerator() => new(_words);

    private ulong[] SameSize(RowSet other) =>
        other.Rows == Rows ? other._words : throw new ArgumentException($"The sets are over {Rows} and {other.Rows} rows.", nameof(other));

    private void TrimLastWord()
    {
        if (_words.Length > 0)
        {
            _words[^1] &= LastWordMask;
        }
    }

    /// <summary>Goes through the rows of a set.</summary>
    public struct Enumerator
    {
        private readonly ulong[] _words;
        private int _index;
        private ulong _left;

        internal Enumerator(ulong[] words)
        {
            _words = words;
            _index = -1;
        }

        /// <summary>The row reached.</summary>
        public int Current { get; private set; }

        /// <summary>Goes to the next row; false when there is none.</summary>
        public bool MoveNext()
        {
            while (_left == 0)
            {
                if (++_index >= _words.Length)
                {
                    return false;
                }

                _left = _words[_index];
            }

            Current = _index * WordBits + BitOperations.TrailingZeroCount(_left);
            _left &= _left - 1;
            return true;
        }
    }
}
