using System.Numerics;
using System.Runtime.Intrinsics;

namespace QuantumFlux.Vectors;

/// <summary>A segment to be searched.</summary>
/// <param name="Segment">The segment, held by the caller.</param>
/// <param name="Rows">Its rows that may be found; null means all.</param>
/// <param name="Weights">What each row's score is multiplied by, 0 to 1; null means nothing.</param>
public sealed record SearchPart(Segment Segment, RowSet? Rows, float[]? Weights);

/// <summary>How far an approximate search goes.</summary>
/// <param name="ClustersMax">The most clusters that it looks into, the nearest first.</param>
/// <param name="Stretch">It leaves out clusters that are more than this many times as far as the nearest one.</param>
/// <param name="Candidates">How many vectors it looks at more closely.</param>
/// <param name="Tunnel">How many more vectors it looks at behind barriers, as a part of those that it looked at before them; 0 for none.</param>
public sealed record SearchPlan(int ClustersMax, float Stretch, int Candidates, double Tunnel);

/// <summary>A vector that a search found.</summary>
/// <param name="Part">Which of the parts it lies in.</param>
/// <param name="Row">Its row there.</param>
public readonly record struct FoundRow(int Part, int Row);

/// <summary>One search of some segments for the vectors nearest to a query.</summary>
/// <param name="query">The query.</param>
/// <param name="parts">Where to search, all of the query's dimension.</param>
/// <param name="count">How many to find.</param>
/// <param name="isOver">Asked now and then; when it says so, the search ends with what it has.</param>
public sealed class SegmentSearch(QueryVector query, IReadOnlyList<SearchPart> parts, int count, Func<bool> isOver)
{
    // Single precision and another order of sums: what an exact search allows for, relative to what was added up.
    private const float RoundingSlack = 2e-5f;

    // Neighbours of a key in bytes that are compared exactly.
    private const int ExactMargin = 16;

    private readonly Nearest<FoundRow> _found = new(count);
    private readonly float _products = query.Metric == Metric.Dot ? 1 : 2;

    /// <summary>How many vectors were looked at: each costs the computation of a distance.</summary>
    public long Looked { get; private set; }

    /// <summary>Whether the search ended early.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>What was found, the nearest first. The search is over then.</summary>
    public ReadOnlySpan<FoundRow> Found(out ReadOnlySpan<float> keys) => _found.Sorted(out keys);

    /// <summary>Finds the nearest of all rows.</summary>
    /// <remarks>
    /// A row's bytes tell its key but for an error that is known. So most rows need not be looked at in single precision, and the answer is still exactly
    /// that of comparing all of them.
    /// </remarks>
    public void FindExactly()
    {
        var bounds = new Nearest<byte>(count);
        var candidates = new List<(float Least, FoundRow Row)>();
        foreach (var cluster in ClustersByKey(int.MaxValue))
        {
            if (isOver())
            {
                IsPartial = true;
                break;
            }

            if (LeastKey(cluster) > bounds.Worst)
            {
                continue;
            }

            AddRows(cluster, bounds, candidates);
        }

        candidates.Sort((a, b) => a.Least.CompareTo(b.Least));
        foreach (var (least, row) in candidates)
        {
            if (least > _found.Worst)
            {
                break;
            }

            AddExactly(row);
        }
    }

    /// <summary>Finds most of the nearest, in the nearest clusters.</summary>
    public void FindApproximately(SearchPlan plan)
    {
        var clusters = ClustersByKey(plan.ClustersMax);
        var near = new Nearest<Candidate>(plan.Candidates);
        foreach (var cluster in clusters)
        {
            if (isOver())
            {
                IsPartial = true;
                break;
            }

            Scan(cluster, near);
        }

        Compare(near);
    }

    private ClusterKey[] ClustersByKey(int most)
    {
        var all = parts.Sum(part => part.Segment.Header.Clusters);
        var nearest = new Nearest<ClusterKey>(Math.Min(most, all));
        for (var part = 0; part < parts.Count; part++)
        {
            var segment = parts[part].Segment;
            for (var cluster = 0; cluster < segment.Header.Clusters; cluster++)
            {
                var key = query.ClusterKey(segment.Centre(cluster));
                nearest.Add(key, new ClusterKey(part, cluster, key));
            }
        }

        return nearest.Sorted(out _).ToArray();
    }

    private float LeastKey(in ClusterKey cluster)
    {
        var radius = parts[cluster.Part].Segment.Clusters[cluster.Cluster].Radius;
        if (query.Metric == Metric.Dot)
        {
            return cluster.Key - (radius * query.Norm * (1 + RoundingSlack));
        }

        var distance = Math.Max(0, (MathF.Sqrt(cluster.Key) * (1 - RoundingSlack)) - (radius * (1 + RoundingSlack)));
        return distance * distance;
    }

    private void AddRows(in ClusterKey cluster, Nearest<byte> bounds, List<(float Least, FoundRow Row)> candidates)
    {
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var bytes = part.Segment.RowBytes(entry);
        var entries = part.Segment.RowEntries(entry);
        var length = query.Rotated.Length;
        var distance = query.Metric == Metric.Dot ? query.Norm : MathF.Sqrt(cluster.Key);
        for (var index = 0; index < entry.Rows; index++)
        {
            if (part.Rows?.Contains(entry.FirstRow + index) == false)
            {
                continue;
            }

            Looked++;
            var row = entries[index];
            var product = _products * row.Scale * VectorMath.Dot(query.Rotated, bytes.Slice(index * length, length));
            var key = cluster.Key + row.Base - product;
            var error = (_products * row.Error * distance) + (RoundingSlack * (Math.Abs(cluster.Key) + Math.Abs(row.Base) + Math.Abs(product)));
            if (key - error <= bounds.Worst)
            {
                bounds.Add(key + error, 0);
                candidates.Add((key - error, new FoundRow(cluster.Part, entry.FirstRow + index)));
            }
        }
    }

    private void Scan(in ClusterKey cluster, Nearest<Candidate> near)
    {
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var blocks = part.Segment.Blocks(entry);
        var blockBytes = SegmentFormat.BlockBytes(query.Rotated.Length);
        var codeBytes = BitCodes.BlockBytes(query.Rotated.Length);
        var (scale, offset, key) = (Vector256.Create(query.Codes.Scale), Vector256.Create(query.Codes.Offset), Vector256.Create(cluster.Key));
        Span<ushort> sums = stackalloc ushort[BitCodes.BlockVectors];
        for (var first = 0; first < entry.Rows; first += BitCodes.BlockVectors)
        {
            var wanted = part.Rows?.Mask32(entry.FirstRow + first) ?? uint.MaxValue;
            if (entry.Rows - first < BitCodes.BlockVectors)
            {
                wanted &= (1u << (entry.Rows - first)) - 1;
            }

            if (wanted == 0)
            {
                continue;
            }

            Looked += BitOperations.PopCount(wanted);
            var block = blocks.Slice(first / BitCodes.BlockVectors * blockBytes, blockBytes);
            query.Codes.Sum(block[..codeBytes], sums);
            var numbers = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(block[codeBytes..]);
            for (var eight = 0; eight < BitCodes.BlockVectors; eight += 8)
            {
                var sum = Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.Create<ushort>(sums.Slice(eight, 8)).ToVector256Unsafe()).AsInt32());
                var product = Vector256.FusedMultiplyAdd(sum, scale, offset);
                var keys = Vector256.FusedMultiplyAdd(
                    product, Vector256.Create<float>(numbers.Slice(BitCodes.BlockVectors + eight, 8)), Vector256.Create<float>(numbers.Slice(eight, 8))) + key;
                var nearer = Vector256.LessThan(keys, Vector256.Create(near.Worst)).ExtractMostSignificantBits() & (wanted >> eight);
                while (nearer != 0)
                {
                    var place = BitOperations.TrailingZeroCount(nearer);
                    nearer &= nearer - 1;
                    near.Add(keys[place], new Candidate(cluster.Part, cluster.Cluster, first + eight + place, cluster.Key));
                }
            }
        }
    }

    // Those that the codes found, by their bytes; and the best of those, by their coordinates.
    private void Compare(Nearest<Candidate> near)
    {
        var length = query.Rotated.Length;
        var closest = new Nearest<FoundRow>(Math.Min(near.Count, count + (count / 4) + ExactMargin));
        foreach (var candidate in near.Items)
        {
            var segment = parts[candidate.Part].Segment;
            var entry = segment.Clusters[candidate.Cluster];
            var row = segment.RowEntries(entry)[candidate.Index];
            var key = candidate.ClusterKey + row.Base
                - (_products * row.Scale * VectorMath.Dot(query.Rotated, segment.RowBytes(entry).Slice(candidate.Index * length, length)));
            closest.Add(key, new FoundRow(candidate.Part, entry.FirstRow + candidate.Index));
        }

        foreach (var row in closest.Items)
        {
            AddExactly(row);
        }
    }

    private void AddExactly(FoundRow row) => _found.Add((float)query.Key(parts[row.Part].Segment.Vector(row.Row)), row);

    private readonly record struct ClusterKey(int Part, int Cluster, float Key);

    private readonly record struct Candidate(int Part, int Cluster, int Index, float ClusterKey);
}
