using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QuantumFlux.Vectors;

/// <summary>A segment to be searched.</summary>
/// <param name="Segment">The segment, held by the caller.</param>
/// <param name="Rows">Its rows that may be found; null means all.</param>
/// <param name="Weights">What each row's score is multiplied by, 0 to 1; null means nothing.</param>
public sealed record SearchPart(Segment Segment, RowSet? Rows, float[]? Weights);

/// <summary>A vector that a search found.</summary>
/// <param name="Part">Which of the parts it lies in.</param>
/// <param name="Row">Its row there.</param>
public readonly record struct FoundRow(int Part, int Row);

/// <summary>One search of some segments for the vectors nearest to a query.</summary>
/// <param name="query">The query.</param>
/// <param name="parts">Where to search, all of the query's dimension.</param>
/// <param name="count">How many to find.</param>
/// <param name="isOver">Asked now and then; when it says so, the search ends with what it has.</param>
/// <remarks>
/// What is searched for is the smallest rank: the key, or where rows have weights, the negative of the weighted score.
/// </remarks>
public sealed class SegmentSearch(QueryVector query, IReadOnlyList<SearchPart> parts, int count, Func<bool> isOver)
{
    // Single precision and another order of sums: what an exact search allows for, relative to what was added up.
    private const float RoundingSlack = 2e-5f;

    // So many more than are to be found are compared by their coordinates: bytes get neighbours' order wrong at times.
    private const int ExactMargin = 8;

    // How sharply the chance of a cluster falls with its barrier. The cosine of random directions varies by 1 / √dimension; of what vectors in practice vary
    // in, this many dimensions are left.
    private const double Sharpness = 32;

    private readonly Nearest<FoundRow> _found = new(count);
    private readonly float _products = query.Metric == Metric.Dot ? 1 : 2;
    private readonly HashSet<(int Part, int Cluster)> _visited = [];
    private ClusterKey[]? _clusters;

    /// <summary>How many vectors were looked at: each costs the computation of a distance.</summary>
    public long Looked { get; private set; }

    /// <summary>Whether the search ended early.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>What was found, the nearest first, with its ranks. The search is over then.</summary>
    public ReadOnlySpan<FoundRow> Found(out ReadOnlySpan<float> ranks) => _found.Sorted(out ranks);

    /// <summary>Finds the nearest of all rows.</summary>
    /// <remarks>
    /// A row's bytes tell its key but for an error that is known. So most rows need not be looked at in single precision, and the answer is still exactly
    /// that of comparing all of them.
    /// </remarks>
    public void FindExactly()
    {
        var bounds = new Nearest<byte>(count);
        var candidates = new List<(float Least, FoundRow Row)>();
        foreach (var cluster in NearestClusters(int.MaxValue))
        {
            if (IsOver())
            {
                break;
            }

            if (LeastRank(cluster) <= bounds.Worst)
            {
                AddRows(cluster, bounds, candidates);
            }
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
    /// <param name="clustersMax">How many clusters it looks into.</param>
    /// <param name="candidates">How many vectors it looks at more closely.</param>
    public void FindApproximately(int clustersMax, int candidates)
    {
        var near = new Nearest<Candidate>(candidates);
        foreach (var cluster in NearestClusters(clustersMax))
        {
            if (IsOver())
            {
                break;
            }

            Scan(cluster, near);
        }

        Compare(near);
    }

    /// <summary>
    /// Looks into further clusters, which the way to the nearest ones has not led to, and adds what it finds there to what was found. Each is chosen by
    /// chance, and the chance falls with its barrier: how unlikely a vector of it is to be nearer than what has been found, given how far the cluster is and how
    /// widely it is spread. So a far cluster that is wide can come before a near one that is narrow.
    /// </summary>
    /// <param name="share">How many vectors it may look at, as a part of those that were looked at before.</param>
    /// <param name="candidates">How many of them it looks at more closely.</param>
    /// <remarks>
    /// The same query tunnels through the same barriers every time: its coordinates make the chance. Nothing that was found is given up but for what is nearer.
    /// </remarks>
    public void Tunnel(double share, int candidates)
    {
        var random = new Random(query.Values.Aggregate(17, (hash, value) => unchecked((hash * 31) + BitConverter.SingleToInt32Bits(value))));
        var (clusters, barriers) = (new List<ClusterKey>(), new List<double>());
        foreach (var cluster in _clusters ?? [])
        {
            if (!_visited.Contains((cluster.Part, cluster.Cluster)))
            {
                // The largest sums of a logarithm of a chance and Gumbel's noise are a draw by these chances.
                clusters.Add(cluster);
                barriers.Add(Barrier(cluster) + Math.Log(-Math.Log(1 - random.NextDouble())));
            }
        }

        var chosen = clusters.ToArray();
        Array.Sort([.. barriers], chosen);
        var near = new Nearest<Candidate>(candidates);
        var end = Looked + (long)(Looked * share);
        foreach (var cluster in chosen)
        {
            if (Looked >= end || IsOver())
            {
                break;
            }

            Scan(cluster, near);
        }

        Compare(near);
    }

    private bool IsOver() => IsPartial = IsPartial || isOver();

    private ClusterKey[] NearestClusters(int most)
    {
        var all = new ClusterKey[parts.Sum(part => part.Segment.Header.Clusters)];
        var index = 0;
        for (var part = 0; part < parts.Count; part++)
        {
            var segment = parts[part].Segment;
            for (var cluster = 0; cluster < segment.Header.Clusters; cluster++)
            {
                all[index++] = new ClusterKey(part, cluster, query.ClusterKey(segment.Centre(cluster)));
            }
        }

        _clusters = all;
        var nearest = new Nearest<ClusterKey>(Math.Min(most, all.Length));
        foreach (var cluster in all)
        {
            nearest.Add(cluster.Key, cluster);
        }

        return nearest.Sorted(out _).ToArray();
    }

    // The exponent of the chance: squares of a normal deviate, halved.
    private double Barrier(in ClusterKey cluster)
    {
        var spread = parts[cluster.Part].Segment.Clusters[cluster.Cluster].Spread;
        if (!_found.IsFull || parts[cluster.Part].Weights is not null)
        {
            return 0;
        }

        // With the angle t between what leads from the centre to the query and to a vector at the usual distance s, the vector's key is d² + s² − 2ds cos t.
        var (nearest, slope) = query.Metric == Metric.Dot
            ? (cluster.Key, query.Norm * spread)
            : (cluster.Key + (spread * spread), 2 * MathF.Sqrt(cluster.Key) * spread);
        var cosine = slope > 0 ? (nearest - _found.Worst) / slope : 1;
        return cosine <= 0 ? 0 : Sharpness * cosine * cosine / 2;
    }

    private float Rank(SearchPart part, int row, float key) =>
        part.Weights is { } weights ? -weights[row] * (float)query.Metric.Score(key) : key;

    private float LeastRank(in ClusterKey cluster)
    {
        var part = parts[cluster.Part];
        var radius = part.Segment.Clusters[cluster.Cluster].Radius;
        float key;
        if (query.Metric == Metric.Dot)
        {
            key = cluster.Key - (radius * query.Norm * (1 + RoundingSlack)) - (RoundingSlack * Math.Abs(cluster.Key));
        }
        else
        {
            var distance = Math.Max(0, (MathF.Sqrt(cluster.Key) * (1 - RoundingSlack)) - (radius * (1 + RoundingSlack)));
            key = distance * distance;
        }

        return part.Weights is null ? key : -(float)Math.Max(0, query.Metric.Score(key));
    }

    private void AddRows(in ClusterKey cluster, Nearest<byte> bounds, List<(float Least, FoundRow Row)> candidates)
    {
        _visited.Add((cluster.Part, cluster.Cluster));
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var bytes = part.Segment.RowBytes(entry);
        var entries = part.Segment.RowEntries(entry);
        var length = query.Rotated.Length;
        var distance = query.Metric == Metric.Dot ? query.Norm : MathF.Sqrt(cluster.Key);
        for (var first = 0; first < entry.Rows; first += BitCodes.BlockVectors)
        {
            for (var wanted = Wanted(part, entry, first); wanted != 0; wanted &= wanted - 1)
            {
                var index = first + BitOperations.TrailingZeroCount(wanted);
                var row = entries[index];
                var product = _products * row.Scale * VectorMath.Dot(query.Rotated, bytes.Slice(index * length, length));
                var key = cluster.Key + row.Base - product;
                var error = (_products * row.Error * distance) + (RoundingSlack * (Math.Abs(cluster.Key) + Math.Abs(row.Base) + Math.Abs(product)));
                var least = Rank(part, entry.FirstRow + index, key - error);
                Looked++;
                if (least <= bounds.Worst)
                {
                    bounds.Add(Rank(part, entry.FirstRow + index, key + error), 0);
                    candidates.Add((least, new FoundRow(cluster.Part, entry.FirstRow + index)));
                }
            }
        }
    }

    private void Scan(in ClusterKey cluster, Nearest<Candidate> near)
    {
        _visited.Add((cluster.Part, cluster.Cluster));
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var blocks = part.Segment.Blocks(entry);
        var blockBytes = SegmentFormat.BlockBytes(query.Rotated.Length);
        var codeBytes = BitCodes.BlockBytes(query.Rotated.Length);
        var (scale, offset, base8) = (Vector256.Create(query.Codes.Scale), Vector256.Create(query.Codes.Offset), Vector256.Create(cluster.Key));
        Span<ushort> sums = stackalloc ushort[BitCodes.BlockVectors];
        for (var first = 0; first < entry.Rows; first += BitCodes.BlockVectors)
        {
            var wanted = Wanted(part, entry, first);
            if (wanted == 0)
            {
                continue;
            }

            Looked += BitOperations.PopCount(wanted);
            var block = blocks.Slice(first / BitCodes.BlockVectors * blockBytes, blockBytes);
            query.Codes.Sum(block[..codeBytes], sums);
            var numbers = MemoryMarshal.Cast<byte, float>(block[codeBytes..]);
            for (var eight = 0; eight < BitCodes.BlockVectors; eight += 8)
            {
                var sum = Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.Create<ushort>(sums.Slice(eight, 8)).ToVector256Unsafe()).AsInt32());
                var product = Vector256.FusedMultiplyAdd(sum, scale, offset);
                var keys = Vector256.FusedMultiplyAdd(
                    product, Vector256.Create<float>(numbers.Slice(BitCodes.BlockVectors + eight, 8)), Vector256.Create<float>(numbers.Slice(eight, 8))) + base8;

                // With weights the key alone does not tell.
                var nearer = part.Weights is null ? Vector256.LessThan(keys, Vector256.Create(near.Worst)).ExtractMostSignificantBits() : uint.MaxValue;
                for (nearer &= (wanted >> eight) & 0xff; nearer != 0; nearer &= nearer - 1)
                {
                    var place = BitOperations.TrailingZeroCount(nearer);
                    var index = first + eight + place;
                    near.Add(Rank(part, entry.FirstRow + index, keys[place]), new Candidate(cluster.Part, cluster.Cluster, index, cluster.Key));
                }
            }
        }
    }

    // Which of a block's 32 rows may be found.
    private static uint Wanted(SearchPart part, in ClusterEntry entry, int first)
    {
        var wanted = part.Rows?.Mask32(entry.FirstRow + first) ?? uint.MaxValue;
        var left = entry.Rows - first;
        return left < BitCodes.BlockVectors ? wanted & ((1u << left) - 1) : wanted;
    }

    // Those that the codes found, by their bytes; and the best of those, by their coordinates.
    private void Compare(Nearest<Candidate> near)
    {
        var length = query.Rotated.Length;
        var closest = new Nearest<FoundRow>(Math.Min(near.Count, count + (count / 4) + ExactMargin));
        foreach (var candidate in near.Items)
        {
            var part = parts[candidate.Part];
            var entry = part.Segment.Clusters[candidate.Cluster];
            var row = part.Segment.RowEntries(entry)[candidate.Index];
            var key = candidate.ClusterKey + row.Base
                - (_products * row.Scale * VectorMath.Dot(query.Rotated, part.Segment.RowBytes(entry).Slice(candidate.Index * length, length)));
            closest.Add(Rank(part, entry.FirstRow + candidate.Index, key), new FoundRow(candidate.Part, entry.FirstRow + candidate.Index));
        }

        foreach (var row in closest.Items)
        {
            AddExactly(row);
        }
    }

    private void AddExactly(FoundRow row)
    {
        var part = parts[row.Part];
        _found.Add(Rank(part, row.Row, (float)query.Key(part.Segment.Vector(row.Row))), row);
    }

    private readonly record struct ClusterKey(int Part, int Cluster, float Key);

    private readonly record struct Candidate(int Part, int Cluster, int Index, float ClusterKey);
}
