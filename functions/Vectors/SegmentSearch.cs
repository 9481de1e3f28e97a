using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QuantumFlux.Vectors;

/// <summary>A segment to be searched.</summary>
/// <param name="Segment">The segment, held by the caller.</param>
/// <param name="Rows">Its rows that may be found; null means all.</param>
/// <param name="Weights">What each row's score is multiplied by, 0 to 1; null means nothing.</param>
public sealed record SearchPart(Segment Segment, RowSet? Rows, float[]? Weights);

/// <summary>How far an approximate search goes.</summary>
/// <param name="ClustersMin">The fewest clusters that it looks into, the nearest first.</param>
/// <param name="ClustersMax">The most.</param>
/// <param name="Stretch">Beyond the fewest it only looks into those that are no more than this many times as far as the nearest one.</param>
public sealed record SearchReach(int ClustersMin, int ClustersMax, float Stretch)
{
    /// <summary>Every cluster.</summary>
    public static SearchReach Unlimited { get; } = new(int.MaxValue, int.MaxValue, 1);

    /// <summary>The nearest clusters, a number of them.</summary>
    public static SearchReach Of(int clusters) => new(clusters, clusters, 1);
}

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

    // How much chance there is in tunneling, as a part of the rank of the last that was found: at this temperature it costs no recall.
    private const float Temperature = 0.02f;

    private readonly Nearest<FoundRow> _found = new(count);
    private readonly float _products = query.Metric == Metric.Dot ? 1 : 2;
    private ClusterKey[] _clusters = [];
    private bool[] _visited = [];
    private ClusterKey[] _chosen = [];

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
    /// <param name="reach">How far it goes, and further when there are fewer than are to be found.</param>
    /// <param name="candidates">How many vectors it looks at more closely.</param>
    public void FindApproximately(SearchReach reach, int candidates)
    {
        Choose(reach);
        var near = ScanChosen(candidates);
        if (Looked < count)
        {
            ScanMore(near);
        }

        Compare(Closest(near));
    }

    /// <summary>The first step of <see cref="FindApproximately"/>: chooses clusters, by their centres alone.</summary>
    /// <returns>Which clusters of which parts.</returns>
    public IEnumerable<(int Part, int Cluster)> Choose(SearchReach reach)
    {
        var clusters = NearestClusters(reach.ClustersMax);
        var count = 0;
        while (count < clusters.Length && (count < reach.ClustersMin || !IsFar(clusters[count])))
        {
            count++;
        }

        _chosen = clusters[..count];
        return _chosen.Select(cluster => (cluster.Part, cluster.Cluster));

        // The keys are squares of distances. Of inner products nobody can say how many times as far one is.
        bool IsFar(in ClusterKey cluster) => query.Metric != Metric.Dot && cluster.Key > clusters[0].Key * reach.Stretch * reach.Stretch;
    }

    /// <summary>The second step where bytes are not in reach: finds the closest of the chosen clusters' vectors by their codes alone.</summary>
    /// <returns>Which rows they are.</returns>
    public IReadOnlyList<FoundRow> ClosestByCodes(int candidates)
    {
        var closest = new List<FoundRow>();
        foreach (var near in ScanChosen(candidates).Items)
        {
            closest.Add(new FoundRow(near.Part, parts[near.Part].Segment.Clusters[near.Cluster].FirstRow + near.Index));
        }

        return closest;
    }

    /// <summary>The last step: compares rows with the query by their coordinates.</summary>
    public void Compare(IReadOnlyList<FoundRow> rows)
    {
        foreach (var row in rows)
        {
            AddExactly(row);
        }
    }

    /// <summary>
    /// Looks behind barriers: at blocks of vectors in clusters that the way to the nearest ones has not led to, because their centres are far although some of their
    /// vectors may be near. Which ones is left to chance, and the chance falls with the barrier: the distance of the block's middle. What is found there is
    /// added to what was found.
    /// </summary>
    /// <param name="share">How many vectors it may look at, middles included, as a part of those that were looked at before.</param>
    /// <param name="candidates">How many of them it looks at more closely.</param>
    /// <remarks>
    /// The same query goes the same ways every time: its coordinates make the chance. Nothing that was found is given up but for what is nearer.
    /// </remarks>
    public void Tunnel(double share, int candidates)
    {
        var budget = (long)(Looked * share);
        var end = Looked + budget;
        var random = new Random(query.Values.Aggregate(17, (hash, value) => unchecked((hash * 31) + BitConverter.SingleToInt32Bits(value))));
        var noise = _found.IsFull ? Temperature * Math.Abs(_found.Worst) : 0;
        var blocks = new Nearest<BlockKey>((int)Math.Min(int.MaxValue, budget / BitCodes.BlockVectors));
        Array.Sort(_clusters, (a, b) => a.Key.CompareTo(b.Key));
        foreach (var cluster in _clusters)
        {
            // A quarter for the middles at most, the rest for what lies behind them.
            if (Looked >= end - (budget * 3 / 4) || IsOver())
            {
                break;
            }

            if (!_visited[cluster.Number])
            {
                ScanMiddles(cluster, blocks, random, noise);
            }
        }

        var near = new Nearest<Candidate>(candidates);
        foreach (var block in blocks.Sorted(out _))
        {
            if (Looked >= end || IsOver())
            {
                break;
            }

            Scan(block.Cluster, block.Block * BitCodes.BlockVectors, near);
        }

        Compare(Closest(near));
    }

    private Nearest<Candidate> ScanChosen(int candidates)
    {
        var near = new Nearest<Candidate>(candidates);
        for (var index = 0; index < _chosen.Length && !IsOver(); index++)
        {
            Scan(_chosen[index], near);
        }

        return near;
    }

    // The nearest clusters hold few, or few that may be found. As many come back as were asked for.
    private void ScanMore(Nearest<Candidate> near)
    {
        Array.Sort(_clusters, (a, b) => a.Key.CompareTo(b.Key));
        foreach (var cluster in _clusters)
        {
            if (Looked >= count || IsOver())
            {
                break;
            }

            if (!_visited[cluster.Number])
            {
                Scan(cluster, near);
            }
        }
    }

    private bool IsOver() => IsPartial = IsPartial || isOver();

    private ClusterKey[] NearestClusters(int most)
    {
        var all = new ClusterKey[parts.Sum(part => part.Segment.Header.Clusters)];
        var index = 0;
        for (var part = 0; part < parts.Count; part++)
        {
            var segment = parts[part].Segment;
            var clusters = segment.Clusters;
            for (var cluster = 0; cluster < clusters.Length; cluster++)
            {
                all[index] = new ClusterKey(index, part, cluster, query.ClusterKey(segment.Centre(cluster), clusters[cluster].Scale));
                index++;
            }
        }

        (_clusters, _visited) = (all, new bool[all.Length]);
        var nearest = new Nearest<ClusterKey>(Math.Min(most, all.Length));
        foreach (var cluster in all)
        {
            nearest.Add(cluster.Key, cluster);
        }

        return nearest.Sorted(out _).ToArray();
    }

    private void ScanMiddles(in ClusterKey cluster, Nearest<BlockKey> blocks, Random random, float noise)
    {
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        Span<float> keys = stackalloc float[BitCodes.BlockVectors];
        for (var block = 0; block < entry.Blocks; block++)
        {
            var place = (entry.FirstBlock + block) % BitCodes.BlockVectors;
            if (block == 0 || place == 0)
            {
                CodeKeys(part.Segment.Middles(entry.FirstBlock + block - place), cluster.Key, keys);
            }

            if (Wanted(part, entry, block * BitCodes.BlockVectors) != 0)
            {
                // The smallest sums of a barrier and Gumbel's noise are a draw by chances that fall exponentially with the barrier.
                Looked++;
                var luck = noise * (float)Math.Log(-Math.Log(1 - random.NextDouble()));
                blocks.Add(keys[place] + luck, new BlockKey(cluster, block));
            }
        }
    }

    // What the codes of 32 vectors, or of 32 middles, say of their keys.
    private void CodeKeys(ReadOnlySpan<byte> block, float clusterKey, Span<float> keys)
    {
        var codeBytes = BitCodes.BlockBytes(query.Rotated.Length);
        Span<ushort> sums = stackalloc ushort[BitCodes.BlockVectors];
        query.Codes.Sum(block[..codeBytes], sums);
        var numbers = MemoryMarshal.Cast<byte, float>(block[codeBytes..]);
        var (scale, offset, all) = (Vector256.Create(query.Codes.Scale), Vector256.Create(query.Codes.Offset), Vector256.Create(clusterKey));
        for (var eight = 0; eight < BitCodes.BlockVectors; eight += 8)
        {
            var sum = Vector256.ConvertToSingle(Vector256.WidenLower(Vector128.Create<ushort>(sums.Slice(eight, 8)).ToVector256Unsafe()).AsInt32());
            var product = Vector256.FusedMultiplyAdd(sum, scale, offset);
            (Vector256.FusedMultiplyAdd(
                product, Vector256.Create<float>(numbers.Slice(BitCodes.BlockVectors + eight, 8)), Vector256.Create<float>(numbers.Slice(eight, 8))) + all)
                .CopyTo(keys[eight..]);
        }
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
        _visited[cluster.Number] = true;
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var bytes = part.Segment.RowBytes(entry);
        var entries = part.Segment.RowEntries(entry);
        var length = query.Rotated.Length;

        // What the bytes miss of a vector counts along the way from the centre to the query, whatever the metric.
        var distance = MathF.Sqrt(query.Metric == Metric.Dot ? VectorMath.SquaredDistance(query.Rotated, part.Segment.Centre(cluster.Cluster), entry.Scale) : cluster.Key);
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
        _visited[cluster.Number] = true;
        var rows = parts[cluster.Part].Segment.Clusters[cluster.Cluster].Rows;
        for (var first = 0; first < rows; first += BitCodes.BlockVectors)
        {
            Scan(cluster, first, near);
        }
    }

    private void Scan(in ClusterKey cluster, int first, Nearest<Candidate> near)
    {
        var part = parts[cluster.Part];
        var entry = part.Segment.Clusters[cluster.Cluster];
        var wanted = Wanted(part, entry, first);
        if (wanted == 0)
        {
            return;
        }

        Looked += BitOperations.PopCount(wanted);
        Span<float> keys = stackalloc float[BitCodes.BlockVectors];
        CodeKeys(part.Segment.Block(entry, first / BitCodes.BlockVectors), cluster.Key, keys);
        for (var eight = 0; eight < BitCodes.BlockVectors; eight += 8)
        {
            // With weights the key alone does not tell.
            var nearer = part.Weights is null
                ? Vector256.LessThan(Vector256.Create<float>(keys.Slice(eight, 8)), Vector256.Create(near.Worst)).ExtractMostSignificantBits()
                : uint.MaxValue;
            for (nearer &= (wanted >> eight) & 0xff; nearer != 0; nearer &= nearer - 1)
            {
                var index = first + eight + BitOperations.TrailingZeroCount(nearer);
                near.Add(
                    Rank(part, entry.FirstRow + index, keys[index - first]), new Candidate(cluster.Part, cluster.Cluster, index, cluster.Key));
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

    // The best of those that the codes found, by their bytes.
    private FoundRow[] Closest(Nearest<Candidate> near)
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

        return closest.Items.ToArray();
    }

    private void AddExactly(FoundRow row)
    {
        var part = parts[row.Part];
        _found.Add(Rank(part, row.Row, (float)query.Key(part.Segment.Vector(row.Row))), row);
    }

    private readonly record struct ClusterKey(int Number, int Part, int Cluster, float Key);

    private readonly record struct BlockKey(ClusterKey Cluster, int Block);

    private readonly record struct Candidate(int Part, int Cluster, int Index, float ClusterKey);
}
