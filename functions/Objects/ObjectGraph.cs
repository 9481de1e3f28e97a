using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>One object that a write reaches.</summary>
/// <param name="ObjectId">The object.</param>
/// <param name="Via">The link that carries the write to it, as the object before it knows it; null for the object that is written.</param>
public sealed record Step(string ObjectId, Link? Via);

/// <summary>Everything that a write to one object moves: the object itself and all that entanglements carry the write to, nearest first.</summary>
/// <param name="origin">The object that is written.</param>
/// <param name="heads">The heads of all of them, by id.</param>
/// <param name="steps">All of them in the order in which the write reaches them, each once; the origin first.</param>
/// <param name="added">The entanglement that the write creates; null when it creates none.</param>
public sealed class ObjectGraph(string origin, IReadOnlyDictionary<string, ObjectHead> heads, IReadOnlyList<Step> steps, Pair? added)
{
    public ObjectHead Origin => heads[origin];

    public IReadOnlyList<Step> Steps => steps;

    /// <summary>The head of an object that the write reaches, or that the added entanglement names.</summary>
    public ObjectHead Head(string objectId) => heads[objectId];

    /// <summary>
    /// The version that the origin has, or is about to get: while a write to many objects is under way, others can have it already. What comes with
    /// the added entanglement does not count.
    /// </summary>
    public ObjectVersion Latest(DateTimeOffset now)
    {
        var reached = new HashSet<string>(StringComparer.Ordinal) { origin };
        var open = new Queue<string>(reached);
        var latest = Origin.Current;
        while (open.TryDequeue(out var id))
        {
            latest = heads[id].Current.Version > latest.Version ? heads[id].Current : latest;
            foreach (var link in heads[id].Links.Where(link => link.Carries(now) && heads.ContainsKey(link.OtherId) && reached.Add(link.OtherId)))
            {
                open.Enqueue(link.OtherId);
            }
        }

        return latest;
    }

    /// <summary>The first object by name: the same for every member, and so a name for the whole.</summary>
    public string LaneKey => heads.Keys.Min(StringComparer.Ordinal)!;

    /// <summary>The dimensions that must hold the content after the write: those of every entanglement it passes, else the origin's home.</summary>
    public IReadOnlyList<int> DimensionsNeeded(DateTimeOffset now)
    {
        var pathways = heads.Values
            .SelectMany(head => head.Links)
            .Where(link => link.IsCoupled && !link.IsExpired(now))
            .SelectMany(link => link.Pathway)
            .Concat(added?.Pathway ?? [])
            .Distinct()
            .ToList();
        return pathways.Count == 0 ? Dimensions.Home : pathways;
    }

    /// <summary>Whether the head of an object that the write reaches carries its content along after it.</summary>
    public bool IsCached(string objectId, DateTimeOffset now) => LinksOf(added, objectId).Concat(heads[objectId].Links).Any(link => link.Caches(now));

    /// <summary>The number of the next version: the time, but above every number that any of the objects has.</summary>
    public long NextVersion(DateTimeOffset now) => Math.Max(VersionNumber.At(now), heads.Values.Max(head => head.Current.Version) + 1);

    /// <summary>
    /// Refuses a write that would reach the target of a one-way pair in any way but through that pair. A one-way pair that is added against one that is
    /// there is no such write: its source keeps its content.
    /// </summary>
    /// <exception cref="ApiException">409 <c>QUANTUM_CONFLICT</c>, naming the pair.</exception>
    public void RefuseConflicts(DateTimeOffset now)
    {
        foreach (var step in steps)
        {
            if (Head(step.ObjectId).Links.FirstOrDefault(link => link.Feeds(now) && link.PairId != step.Via?.PairId && !IsOpposite(step, link)) is { } feeding)
            {
                throw ApiException.QuantumConflict(
                    "The write would reach the target of a one-way entanglement, which takes writes from its source alone",
                    new Dictionary<string, object?>
                    {
                        ["entanglement_id"] = feeding.PairId,
                        ["source_id"] = feeding.OtherId,
                        ["target_id"] = step.ObjectId,
                    });
            }
        }

        if (steps.Count > ObjectLimits.ComponentObjectsMax)
        {
            throw ApiException.QuantumConflict(
                $"A write would move more than {ObjectLimits.ComponentObjectsMax} objects",
                new Dictionary<string, object?> { ["limit"] = ObjectLimits.ComponentObjectsMax });
        }
    }

    private bool IsOpposite(Step step, Link feeding) =>
        added is { IsBidirectional: false } && step.ObjectId == added.SourceId && feeding.OtherId == added.TargetId;

    /// <summary>Follows the entanglements from an object to every object that a write to it moves.</summary>
    /// <param name="origin">The object that is written.</param>
    /// <param name="added">An entanglement to follow although no object knows it yet; null means none.</param>
    /// <param name="now">The moment: expired entanglements carry nothing.</param>
    /// <param name="find">Reads heads, in the order of the given ids, in parallel; also of objects that do not exist.</param>
    public static async Task<ObjectGraph> LoadAsync(
        string origin,
        Pair? added,
        DateTimeOffset now,
        Func<IReadOnlyList<string>, Task<IReadOnlyList<ObjectHead>>> find)
    {
        // An added pair's target is read together with its source: they are known from the start, and this saves a round trip.
        var heads = await FindAsync(added is null ? [origin] : [origin, added.TargetId], find);
        return await FollowAsync([origin], heads, added, now, find);
    }

    /// <summary>Follows the entanglements from wherever a write under way has got to.</summary>
    /// <returns>The objects that it has moved, as origins, and all that it is still to move; null when newer writes have overtaken it everywhere.</returns>
    public static async Task<ObjectGraph?> LoadAsync(
        WriteUnderWay write, DateTimeOffset now, Func<IReadOnlyList<string>, Task<IReadOnlyList<ObjectHead>>> find)
    {
        var heads = await FindAsync(write.ObjectIds, find);
        var moved = write.ObjectIds
            .Where(id => heads[id].Current is { } current && current.Version == write.Version && current.Content.Sha256 == write.Sha256)
            .ToList();
        return moved.Count == 0 ? null : await FollowAsync(moved, heads, null, now, find);
    }

    private static async Task<ObjectGraph> FollowAsync(
        List<string> origins,
        Dictionary<string, ObjectHead> heads,
        Pair? added,
        DateTimeOffset now,
        Func<IReadOnlyList<string>, Task<IReadOnlyList<ObjectHead>>> find)
    {
        var steps = new List<Step>();
        List<Step> level = [.. origins.Select(id => new Step(id, null))];
        var reached = origins.ToHashSet(StringComparer.Ordinal);
        while (level.Count > 0 && steps.Count <= ObjectLimits.ComponentObjectsMax)
        {
            foreach (var (id, head) in await FindAsync([.. level.Select(step => step.ObjectId).Where(id => !heads.ContainsKey(id))], find))
            {
                heads[id] = head;
            }

            // The added pair goes first: both its objects then fit into the first transaction, which must write their links to it.
            steps.AddRange(level);
            level = [.. level
                .SelectMany(step => LinksOf(added, step.ObjectId).Concat(heads[step.ObjectId].Links))
                .Where(link => link.Carries(now) && reached.Add(link.OtherId))
                .Select(link => new Step(link.OtherId, link))];
        }

        return new ObjectGraph(origins[0], heads, steps, added);
    }

    private static async Task<Dictionary<string, ObjectHead>> FindAsync(
        IReadOnlyList<string> ids, Func<IReadOnlyList<string>, Task<IReadOnlyList<ObjectHead>>> find) =>
        ids.Count == 0
            ? []
            : ids.Zip(await find(ids)).ToDictionary(found => found.First, found => found.Second, StringComparer.Ordinal);

    private static IEnumerable<Link> LinksOf(Pair? added, string objectId) =>
        added is not null && (objectId == added.SourceId || objectId == added.TargetId) ? [added.LinkOf(objectId)] : [];
}
