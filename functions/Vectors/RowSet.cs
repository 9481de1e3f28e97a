using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace QuantumFlux.Vectors;

/// <summary>A set of a segment's row numbers, one bit for each row.</summary>
/// <remarks>
/// Its memory is lent from a pool, because at a million rows the runtime takes a hundred times longer for fresh memory than to clear used memory.
/// Whoever made the set disposes of it and does not touch it afterwards; a set that is forgotten costs its memory for a while.
/// </remarks>
public sealed class RowSet : IDisposable
{
    private const int WordBits = 64;

    private readonly int _wordCount;

    // May be longer than that; empty after disposal, so that a late touch fails and does not reach into another's set.
    private ulong[] _lent;

    /// <summary>Makes an empty set.</summary>
    /// <param name="rows">How many rows there are: the set may hold 0 to <paramref name="rows"/> - 1.</param>
    public RowSet(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        Rows = rows;
        _wordCount = (int)((rows + (WordBits - 1L)) / WordBits);
        _lent = ArrayPool<ulong>.Shared.Rent(_wordCount);
        Clear();
    }

    /// <summary>How many rows there are, in the set or not.</summary>
    public int Rows { get; }

    /// <summary>How many rows are in the set. Each call counts them: one step for 64 rows.</summary>
    public int Count
    {
        get
        {
            var count = 0;
            foreach (var word in Words)
            {
                count += BitOperations.PopCount(word);
            }

            return count;
        }
    }

    /// <summary>The bits, row 0 in the lowest bit of the first word. Those behind the last row are zero.</summary>
    public ReadOnlySpan<ulong> Words => Bits;

    private Span<ulong> Bits => _lent.AsSpan(0, _wordCount);

    /// <summary>Whether a row is in the set. No number outside of the rows is.</summary>
    public bool Contains(int row) => (uint)row < (uint)Rows && (_lent[row / WordBits] >> row & 1) != 0;

    /// <summary>Puts a row into the set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Add(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Rows, nameof(row));
        _lent[row / WordBits] |= 1UL << row;
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

        var words = Bits[(first / WordBits)..((first + count - 1) / WordBits + 1)];
        var (head, tail) = (ulong.MaxValue << first, ulong.MaxValue >> -(first + count));
        if (words.Length == 1)
        {
            words[0] |= head & tail;
            return;
        }

        words[0] |= head;
        words[1..^1].Fill(ulong.MaxValue);
        words[^1] |= tail;
    }

    /// <summary>Puts those rows into the set whose bits are set. Bits behind the last row are left out.</summary>
    /// <param name="firstWord">Which of <see cref="Words"/> the bits begin with.</param>
    /// <param name="bits">Whole words, in little-endian order.</param>
    /// <exception cref="ArgumentOutOfRangeException">They reach further than the set.</exception>
    public void AddBits(int firstWord, ReadOnlySpan<byte> bits)
    {
        var words = Bits.Slice(firstWord, bits.Length / sizeof(ulong));
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
        _lent[row / WordBits] &= ~(1UL << row);
    }

    /// <summary>Puts every row into the set.</summary>
    public void Fill()
    {
        Bits.Fill(ulong.MaxValue);
        TrimLastWord();
    }

    /// <summary>Takes every row out of the set.</summary>
    public void Clear() => Bits.Clear();

    /// <summary>Keeps only the rows that the other set has too.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void And(RowSet other)
    {
        var words = Bits;
        var others = BitsOf(other);
        for (var index = 0; index < words.Length; index++)
        {
            words[index] &= others[index];
        }
    }

    /// <summary>Adds the rows of the other set.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void Or(RowSet other)
    {
        var words = Bits;
        var others = BitsOf(other);
        for (var index = 0; index < words.Length; index++)
        {
            words[index] |= others[index];
        }
    }

    /// <summary>Keeps only the rows that the other set has not.</summary>
    /// <exception cref="ArgumentException">The other is over another number of rows.</exception>
    public void AndNot(RowSet other)
    {
        var words = Bits;
        var others = BitsOf(other);
        for (var index = 0; index < words.Length; index++)
        {
            words[index] &= ~others[index];
        }
    }

    /// <summary>Exchanges the rows that are in the set for those that are not.</summary>
    public void Complement()
    {
        foreach (ref var word in Bits)
        {
            word = ~word;
        }

        TrimLastWord();
    }

    /// <summary>The bits of 32 rows, the first in the lowest bit. Rows behind the last one are zeros.</summary>
    /// <param name="row">The first of them, anywhere from 0.</param>
    public uint Mask32(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        var words = Words;
        var (word, shift) = (row / WordBits, row % WordBits);
        var bits = word < words.Length ? words[word] >> shift : 0;
        return (uint)(shift > WordBits - 32 && word + 1 < words.Length ? bits | words[word + 1] << (WordBits - shift) : bits);
    }

    /// <summary>The rows of the set in ascending order. A row that was handed out may be removed meanwhile.</summary>
    public Enumerator GetEnumerator() => new(this);

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        if (_lent.Length > 0)
        {
            ArrayPool<ulong>.Shared.Return(_lent);
            _lent = [];
        }
    }

    private Span<ulong> BitsOf(RowSet other) =>
        other.Rows == Rows ? other.Bits : throw new ArgumentException($"The sets are over {Rows} and {other.Rows} rows.", nameof(other));

    private void TrimLastWord()
    {
        if (_wordCount > 0)
        {
            _lent[_wordCount - 1] &= ulong.MaxValue >> -Rows;
        }
    }

    /// <summary>Goes through the rows of a set.</summary>
    public struct Enumerator
    {
        private readonly RowSet _set;
        private int _word;
        private ulong _left;

        internal Enumerator(RowSet set)
        {
            _set = set;
            _word = -1;
        }

        /// <summary>The row reached.</summary>
        public int Current { get; private set; }

        /// <summary>Goes to the next row; false when there is none.</summary>
        public bool MoveNext()
        {
            while (_left == 0)
            {
                if (++_word >= _set._wordCount)
                {
                    return false;
                }

                _left = _set._lent[_word];
            }

            Current = _word * WordBits + BitOperations.TrailingZeroCount(_left);
            _left &= _left - 1;
            return true;
        }
    }
}
