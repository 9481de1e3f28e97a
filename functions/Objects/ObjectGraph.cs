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

    /// <summary>The number of the next version: the time, but above every number that any of the objects has.</summary>
    public long NextVersion(DateTimeOffset now) => Math.Max(VersionNumber.At(now), heads.Values.Max(head => head.Current.Version) + 1);

    /// <summary>
    /// Refuses a write that would reach the target of a one-way pair in any way but through that pair.
    /// </summary>
    /// <exception cref="ApiException">409 <c>QUANTUM_CONFLICT</c>, naming the pair.</exception>
    public void RefuseConflicts(DateTimeOffset now)
    {
        foreach (var step in steps)
        {
            if (Head(step.ObjectId).Links.FirstOrDefault(link => link.Feeds(now) && link.PairId != step.Via?.PairId) is { } feeding)
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

    /// <summary>Follows the entanglements from an object to every object that a write to it moves.</summary>
    /// <param name="origin">The object that is written.</param>
    /// <param name="added">An entanglement to follow although no object knows it yet; null means none.</param>
    /// <param name="now">The moment: expired entanglements carry nothing.</param>
    /// <param name="find">Reads heads, in the order of the given ids, in parallel; null for an object that does not exist.</param>
    public static async Task<ObjectGraph> LoadAsync(
        string origin,
        Pair? added,
        DateTimeOffset now,
        Func<IReadOnlyList<string>, Task<IReadOnlyList<ObjectHead?>>> find)
    {
        var heads = new Dictionary<string, ObjectHead>(StringComparer.Ordinal);
        var steps = new List<Step>();
        List<Step> level = [new(origin, null)];
        var reached = new HashSet<string>(StringComparer.Ordinal) { origin };

        // An added pair's target is read together with its source: they are known from the start, and this saves a round trip.
        string[] first = added is null ? [origin] : [origin, added.TargetId];
        foreach (var (id, head) in first.Zip(await find(first)))
        {
            heads[id] = head ?? ObjectHead.Unwritten(id);
        }

        while (level.Count > 0 && steps.Count <= ObjectLimits.ComponentObjectsMax)
        {
            var missing = level.Select(step => step.ObjectId).Where(id => !heads.ContainsKey(id)).ToList();
            if (missing.Count > 0)
            {
                foreach (var (id, head) in missing.Zip(await find(missing)))
                {
                    heads[id] = head ?? ObjectHead.Unwritten(id);
                }
            }

            // An added entanglement comes first: its target gets to know it in the first transaction, whatever else must wait for another.
            steps.AddRange(level);
            level = [.. level
                .SelectMany(step => LinksOf(added, step.ObjectId).Concat(heads[step.ObjectId].Links))
                .Where(link => link.Carries(now) && reached.Add(link.OtherId))
                .Select(link => new Step(link.OtherId, link))];
        }

        return new ObjectGraph(origin, heads, steps, added);
    }

    private static IEnumerable<Link> LinksOf(Pair? added, string objectId) =>
        added is not null && (objectId == added.SourceId || objectId == added.TargetId) ? [added.LinkOf(objectId)] : [];
}
