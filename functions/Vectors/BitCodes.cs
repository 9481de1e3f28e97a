using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QuantumFlux.Vectors;

/// <summary>
/// One bit a coordinate: whether it is above zero. In blocks of 32 vectors, laid out so that a shuffle of bytes looks up what four coordinates of
/// 16 to 64 vectors add to an inner product, at once.
/// </summary>
/// <remarks>
/// The codes are those of RaBitQ (Gao and Long, SIGMOD 2024), the layout and the look-up by shuffling those of "Quicker ADC" and "Bolt" (André et al.,
/// 2019; Blalock and Guttag, 2017). A block has for every eight coordinates 32 bytes, one a vector: the lower half of a byte holds the first four
/// coordinates, bit 0 the first, the upper half the next four.
/// </remarks>
public static class BitCodes
{
    /// <summary>How many vectors a block holds.</summary>
    public const int BlockVectors = 32;

    private const int GroupCoordinates = 4;
    private const int UnitCoordinates = 16;
    private const int UnitBytes = UnitCoordinates / 8 * BlockVectors;
    private const int TableBytes = 128;

    /// <summary>The bytes of a block.</summary>
    /// <param name="length">The coordinates of a vector, a multiple of 16.</param>
    public static int BlockBytes(int length) => length / UnitCoordinates * UnitBytes;

    /// <summary>Writes a vector's code into its block, whose bytes were zero.</summary>
    /// <param name="vector">The vector.</param>
    /// <param name="place">Which of the 32 it is.</param>
    /// <param name="block">The block.</param>
    public static void Write(ReadOnlySpan<float> vector, int place, Span<byte> block)
    {
        for (var index = 0; index < vector.Length; index++)
        {
            if (vector[index] > 0)
            {
                block[(index / 8 * BlockVectors) + place] |= (byte)(1 << (index % 8));
            }
        }
    }

    /// <summary>
    /// For each group of four coordinates of a query the sixteen sums that their bits can make, in bytes: sixteen look-ups of a block's 32 vectors are one
    /// shuffle. A sum S over all groups stands for the inner product <see cref="Scale"/> × S + <see cref="Offset"/> with the code read as ±1.
    /// </summary>
    public sealed class QueryTable
    {
        // Sums of all groups must stay in sixteen bits.
        private const float SumMax = 65_000;

        private readonly byte[] _tables;

        /// <summary>Makes the tables of a query.</summary>
        /// <param name="query">Its coordinates, a multiple of 16.</param>
        public QueryTable(ReadOnlySpan<float> query)
        {
            _tables = new byte[query.Length / UnitCoordinates * TableBytes];
            var groups = query.Length / GroupCoordinates;
            float widest = 0, offset = 0, sum = 0;
            for (var group = 0; group < groups; group++)
            {
                var four = Vector128.Create(query.Slice(group * GroupCoordinates, GroupCoordinates));
                widest = Math.Max(widest, Vector128.Sum(Vector128.Abs(four)));
                offset += Vector128.Sum(Vector128.Min(four, Vector128<float>.Zero));
                sum += Vector128.Sum(four);
            }

            var steps = widest == 0 ? 0 : Math.Min(byte.MaxValue, SumMax / groups) / widest;
            for (var group = 0; group < groups; group++)
            {
                var entries = Entries(query.Slice(group * GroupCoordinates, GroupCoordinates), steps);

                // Twice, since a register of 32 bytes looks up within each half of it.
                var place = (group / 4 * TableBytes) + (group % 2 * (TableBytes / 2)) + (group % 4 / 2 * (TableBytes / 4));
                entries.CopyTo(_tables, place);
                entries.CopyTo(_tables, place + Vector128<byte>.Count);
            }

            // Of the sums that bits make of a query, ±1 makes twice as much, less all of it.
            Scale = steps == 0 ? 0 : 2 / steps;
            Offset = (2 * offset) - sum;
        }

        public float Scale { get; }

        public float Offset { get; }

        /// <summary>
        /// The tables: 128 bytes for every sixteen coordinates. First the table of the first four, twice, and that of the third four, twice, which a block's lower
        /// halves of bytes look up; then those of the second and the last four for the upper halves.
        /// </summary>
        public ReadOnlySpan<byte> Tables => _tables;

        /// <summary>Sums up a block.</summary>
        /// <param name="block">The block.</param>
        /// <param name="sums">Receives the sums of its 32 vectors.</param>
        public void Sum(ReadOnlySpan<byte> block, Span<ushort> sums)
        {
            if (Avx512BW.IsSupported)
            {
                SumBy64(block, sums);
            }
            else if (Avx2.IsSupported)
            {
                SumBy32(block, sums);
            }
            else
            {
                SumBy16(block, sums);
            }
        }

        /// <summary>The same with registers of 64 bytes (x86 with AVX-512).</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void SumBy64(ReadOnlySpan<byte> block, Span<ushort> sums)
        {
            ref var codes = ref MemoryMarshal.GetReference(block);
            ref var tables = ref MemoryMarshal.GetArrayDataReference(_tables);
            var units = (nuint)(block.Length / UnitBytes);
            Vector512<ushort> all = default, odd = default;
            var mask = Vector512.Create((byte)15);
            for (nuint unit = 0; unit < units; unit++)
            {
                var pairs = Vector512.LoadUnsafe(ref codes, unit * UnitBytes);
                var low = Avx512BW.Shuffle(Vector512.LoadUnsafe(ref tables, unit * TableBytes), pairs & mask).AsUInt16();
                var high = Avx512BW.Shuffle(
                    Vector512.LoadUnsafe(ref tables, (unit * TableBytes) + (TableBytes / 2)), (pairs.AsUInt16() >>> 4).AsByte() & mask).AsUInt16();

                // Two bytes are one number here: the sum of its upper half is had apart, and taken away at the end.
                all += low + high;
                odd += (low >>> 8) + (high >>> 8);
            }

            all -= odd << 8;
            Store(all.GetLower() + all.GetUpper(), odd.GetLower() + odd.GetUpper(), sums);
        }

        /// <summary>The same with registers of 32 bytes (x86 with AVX2).</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void SumBy32(ReadOnlySpan<byte> block, Span<ushort> sums)
        {
            ref var codes = ref MemoryMarshal.GetReference(block);
            ref var tables = ref MemoryMarshal.GetArrayDataReference(_tables);
            var halves = (nuint)(block.Length / Vector256<byte>.Count);
            Vector256<ushort> all = default, odd = default;
            var mask = Vector256.Create((byte)15);
            for (nuint half = 0; half < halves; half++)
            {
                var pairs = Vector256.LoadUnsafe(ref codes, half * 32);
                var table = (half / 2 * TableBytes) + (half % 2 * 32);
                var low = Avx2.Shuffle(Vector256.LoadUnsafe(ref tables, table), pairs & mask).AsUInt16();
                var high = Avx2.Shuffle(
                    Vector256.LoadUnsafe(ref tables, table + (TableBytes / 2)), (pairs.AsUInt16() >>> 4).AsByte() & mask).AsUInt16();
                all += low + high;
                odd += (low >>> 8) + (high >>> 8);
            }

            Store(all - (odd << 8), odd, sums);
        }

        /// <summary>The same with registers of 16 bytes (Arm, and any other machine).</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void SumBy16(ReadOnlySpan<byte> block, Span<ushort> sums)
        {
            ref var codes = ref MemoryMarshal.GetReference(block);
            ref var tables = ref MemoryMarshal.GetArrayDataReference(_tables);
            var quarters = (nuint)(block.Length / Vector128<byte>.Count);
            Vector128<ushort> all0 = default, odd0 = default, all1 = default, odd1 = default;
            var mask = Vector128.Create((byte)15);
            for (nuint quarter = 0; quarter < quarters; quarter += 2)
            {
                var table = (quarter / 4 * TableBytes) + (quarter % 4 / 2 * 32);
                var (lowTable, highTable) = (Vector128.LoadUnsafe(ref tables, table), Vector128.LoadUnsafe(ref tables, table + (TableBytes / 2)));
                Add(Vector128.LoadUnsafe(ref codes, quarter * 16), ref all0, ref odd0);
                Add(Vector128.LoadUnsafe(ref codes, (quarter + 1) * 16), ref all1, ref odd1);

                void Add(Vector128<byte> pairs, ref Vector128<ushort> all, ref Vector128<ushort> odd)
                {
                    var low = Vector128.ShuffleNative(lowTable, pairs & mask).AsUInt16();
                    var high = Vector128.ShuffleNative(highTable, (pairs.AsUInt16() >>> 4).AsByte() & mask).AsUInt16();
                    all += low + high;
                    odd += (low >>> 8) + (high >>> 8);
                }
            }

            Store(Vector256.Create(all0 - (odd0 << 8), all1 - (odd1 << 8)), Vector256.Create(odd0, odd1), sums);
        }

        // Vectors 0, 2, 4 … are in one register and 1, 3, 5 … in the other; now they are in a row.
        private static void Store(Vector256<ushort> even, Vector256<ushort> odd, Span<ushort> sums)
        {
            var pairs = MemoryMarshal.Cast<ushort, uint>(sums);
            (Vector256.WidenLower(even) | (Vector256.WidenLower(odd) << 16)).CopyTo(pairs);
            (Vector256.WidenUpper(even) | (Vector256.WidenUpper(odd) << 16)).CopyTo(pairs[8..]);
        }

        // The sixteen sums of four numbers, less the smallest, in steps.
        private static Vector128<byte> Entries(ReadOnlySpan<float> four, float steps)
        {
            var (first, second) = (Vector256<float>.Zero, Vector256<float>.Zero);
            for (var bit = 0; bit < GroupCoordinates; bit++)
            {
                // What a bit adds where it is set; where it is not, a negative number was taken as the floor.
                var (set, clear) = (Math.Max(four[bit], 0) * steps, Math.Max(-four[bit], 0) * steps);
                var low = Vector256.ConditionalSelect(_bits[bit], Vector256.Create(set), Vector256.Create(clear));
                first += bit == 3 ? Vector256.Create(clear) : low;
                second += bit == 3 ? Vector256.Create(set) : low;
            }

            var half = Vector256.Create(0.5f);
            var wide = Vector256.Narrow(Vector256.ConvertToInt32(first + half), Vector256.ConvertToInt32(second + half));
            return Vector128.Narrow(wide.GetLower(), wide.GetUpper()).AsByte();
        }

        // Where the bits 0, 1 and 2 of the numbers 0 to 7 are set.
        private static readonly Vector256<float>[] _bits =
        [
            Vector256.Create(0, -1, 0, -1, 0, -1, 0, -1).AsSingle(),
            Vector256.Create(0, 0, -1, -1, 0, 0, -1, -1).AsSingle(),
            Vector256.Create(0, 0, 0, 0, -1, -1, -1, -1).AsSingle(),
            Vector256<float>.Zero,
        ];
    }
}
