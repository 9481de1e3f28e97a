using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

namespace QuantumFlux.Entanglements;

/// <summary>A request to entangle two objects: to keep them in lock-step from now on.</summary>
public sealed record CreateEntanglement(
    string SourceId,
    string TargetId,
    double Strength,
    IReadOnlyList<int> Pathway,
    bool IsTemporal,
    bool IsBidirectional,
    bool IsVerified,
    bool IsCrystalCached)
{
    /// <summary>Reads and checks the request.</summary>
    /// <param name="body">The body.</param>
    /// <param name="isRouted">Whether the request lets dimensional routing be: without it, only the default pathway is open.</param>
    /// <exception cref="ApiException">400 with every fault.</exception>
    public static CreateEntanglement From(JsonBody body, bool isRouted)
    {
        var source = body.RequiredText("source_id", ObjectLimits.CheckId);
        var target = body.RequiredText("target_id", ObjectLimits.CheckId);
        if (source.Length > 0 && source == target)
        {
            body.Faults.Add("target_id", "must differ from source_id");
        }

        var strength = body.RequiredNumber("entanglement_strength", 0, 1);
        var pathway = body.Integers("dimensional_pathway", 1, StorageAccounts.DimensionMax, StorageAccounts.DimensionMax) ?? Dimensions.DefaultPathway;
        if (!isRouted && !pathway.SequenceEqual(Dimensions.DefaultPathway))
        {
            body.Faults.Add("dimensional_pathway", "must be absent or the default while X-Dimensional-Routing is disabled");
        }

        var persistence = body.Choice("persistence", "eternal", "temporal", "eternal");
        var options = body.Object("options");
        var create = new CreateEntanglement(
            source,
            target,
            strength,
            pathway,
            persistence == "temporal",
            options.Flag("bidirectional", true),
            options.Flag("quantum_verify", true),
            options.Flag("crystal_cache", false));
        body.ThrowIfInvalid();
        return create;
    }

    /// <summary>The entanglement that the request describes. One that is too weak to hold is only pending.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="keyId">The key that makes it.</param>
    /// <param name="now">When it is made.</param>
    public Pair ToPair(string id, string keyId, DateTimeOffset now) => new(
        id,
        keyId,
        SourceId,
        TargetId,
        Strength < Pair.CoherenceMin ? PairStatus.Pending : PairStatus.Active,
        Strength,
        Pathway,
        IsBidirectional,
        IsVerified,
        IsCrystalCached,
        now,
        IsTemporal ? now + Pair.TemporalLifetime : null,
        0,
        0,
        PairStatistics.None,
        null,
        null);
}

/// <summary>The rules of entanglements.</summary>
public static class Entanglement
{
    public const string Prefix = "ent_";

    /// <summary>
    /// The pairs that wait for a write under way, each with the oldest such write: those that hang together with an object that has it, and have an
    /// older version themselves.
    /// </summary>
    public static IReadOnlyDictionary<string, WriteUnderWay> Lagging(IReadOnlyList<Pair> pairs, IReadOnlyList<WriteUnderWay> underWay, DateTimeOffset now)
    {
        var lagging = new Dictionary<string, WriteUnderWay>(StringComparer.Ordinal);
        if (underWay.Count == 0)
        {
            return lagging;
        }

        var byObject = pairs
            .Where(pair => pair.StatusAt(now) == PairStatus.Active)
            .SelectMany(pair => new[] { (Id: pair.SourceId, pair), (Id: pair.TargetId, pair) })
            .ToLookup(entry => entry.Id, entry => entry.pair, StringComparer.Ordinal);
        foreach (var write in underWay.OrderBy(write => write.Version))
        {
            var reached = write.ObjectIds
                .Where((id, index) => index == 0 || byObject[id].Any(pair => pair.SyncedVersion >= write.Version))
                .ToHashSet(StringComparer.Ordinal);
            var open = new Queue<string>(reached);
            while (open.TryDequeue(out var id))
            {
                foreach (var pair in byObject[id])
                {
                    if (pair.SyncedVersion < write.Version)
                    {
                        lagging.TryAdd(pair.Id, write);
                    }

                    var other = pair.SourceId == id ? pair.TargetId : pair.SourceId;
                    if ((pair.IsBidirectional || pair.SourceId == id) && reached.Add(other))
                    {
                        open.Enqueue(other);
                    }
                }
            }
        }

        return lagging;
    }

    /// <summary>The word for a status on the wire.</summary>
    public static string Word(PairStatus status) => status switch
    {
        PairStatus.Pending => "pending",
        PairStatus.Active => "active",
        PairStatus.Collapsed => "collapsed",
        _ => "dissolved",
    };

    /// <summary>What a signature of an entanglement is over: what it is and between what.</summary>
    public static IEnumerable<string> SignedParts(string tenant, Pair pair) =>
    [
        tenant,
        pair.Id,
        pair.SourceId,
        pair.TargetId,
        pair.Strength.ToString("R", System.Globalization.CultureInfo.InvariantCulture),
        string.Join(',', pair.Pathway),
        Json.Format(pair.CreatedAt),
    ];
}
