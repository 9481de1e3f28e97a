using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace QuantumFlux.Objects;

/// <summary>The limits of objects.</summary>
public static partial class ObjectLimits
{
    /// <summary>The largest content, in bytes: the specification's 2.7 GB.</summary>
    public const long ContentBytesMax = 2_700_000_000;

    /// <summary>
    /// The largest content that lies in table rows, in bytes; larger content lies in blobs. Seven copies (one a dimension) in Base64 still fit
    /// into one transaction of 4 MiB with room for the rows that point to them.
    /// </summary>
    public const int RowContentBytesMax = 384 * 1024;

    /// <summary>
    /// The largest content, in bytes, that the heads of entangled objects carry along (<c>crystal_cache</c>). As many heads as a transaction has rows for,
    /// 33 with their versions and pairs, and a copy for each dimension then still fit into its 4 MiB, unless they have thousands of links.
    /// </summary>
    public const int CrystalBytesMax = 32 * 1024;

    /// <summary>The longest content type, in characters.</summary>
    public const int ContentTypeCharactersMax = 256;

    /// <summary>The most entanglements of one object: as many as a key may have active, and as a row holds with the longest ids.</summary>
    public const int LinksMax = 847;

    /// <summary>The most objects that a write may move together, however they are entangled.</summary>
    public const int ComponentObjectsMax = 2_000;

    /// <summary>What an object id must be.</summary>
    public const string IdExpected = "must be 1 to 128 letters, digits, _, - or ., starting with a letter or digit";

    /// <summary>Says what a content type must be when a text is none, else null.</summary>
    public static string? CheckContentType(string text) =>
        text.Length <= ContentTypeCharactersMax && text.All(c => c is >= ' ' and <= '~') && MediaTypeHeaderValue.TryParse(text, out _)
            ? null
            : $"must be a media type of at most {ContentTypeCharactersMax} ASCII characters";

    /// <summary>Whether a text can be an object's id.</summary>
    public static bool IsId(string text) => IdForm().IsMatch(text);

    /// <summary>Says what an object id must be when a text is none, else null.</summary>
    public static string? CheckId(string text) => IsId(text) ? null : IdExpected;

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\z")]
    private static partial Regex IdForm();
}

/// <summary>
/// The numbers of versions: microseconds since 1970-01-01 UTC, rising with every write. The objects that one write moves together get the same
/// number, so equal numbers mean equal content, and a number is also the moment of its write.
/// </summary>
/// <remarks>Below 2^53 until the year 2255, so that JavaScript reads them exactly.</remarks>
public static class VersionNumber
{
    public static long At(DateTimeOffset moment) => (moment.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) / TimeSpan.TicksPerMicrosecond;

    public static DateTimeOffset ToMoment(long version) => DateTimeOffset.UnixEpoch.AddTicks(version * TimeSpan.TicksPerMicrosecond);
}

/// <summary>Where content lies.</summary>
/// <param name="Sha256">What it is: its SHA-256 in 64 lowercase hex digits.</param>
/// <param name="SizeBytes">Its length.</param>
/// <param name="Dimensions">The dimensions that hold a copy, in the order in which they are tried.</param>
/// <param name="Blob">The blob's name in each dimension's container; null when the content lies in rows, or is empty and lies nowhere.</param>
public sealed record ContentPointer(string Sha256, long SizeBytes, IReadOnlyList<int> Dimensions, string? Blob)
{
    /// <summary>SHA-256 of no bytes at all.</summary>
    public static readonly string EmptySha256 = Convert.ToHexStringLower(SHA256.HashData([]));

    /// <summary>Content of length zero, which needs no place.</summary>
    public static ContentPointer Empty { get; } = new(EmptySha256, 0, [], null);

    public bool IsEmpty => SizeBytes == 0;
}

/// <summary>One immutable version of an object: a pointer to content.</summary>
/// <param name="ObjectId">The object.</param>
/// <param name="Version">Its number, see <see cref="VersionNumber"/>.</param>
/// <param name="Content">What it holds.</param>
/// <param name="ContentType">The media type that it was written with.</param>
public sealed record ObjectVersion(string ObjectId, long Version, ContentPointer Content, string ContentType)
{
    /// <summary>When it was written.</summary>
    public DateTimeOffset WrittenAt => VersionNumber.ToMoment(Version);

    /// <summary>
    /// The strong entity tag, in quotes: a hash of the content and its type, not of the version, so that a conditional write that is repeated
    /// because its answer was lost can tell that the content is the one it meant.
    /// </summary>
    public string ETag => $"\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Content.Sha256} {ContentType}")).AsSpan(0, 16))}\"";
}

/// <summary>Which way writes go between an object and the other one of a pair, seen from the object.</summary>
public enum LinkDirection
{
    Both,

    /// <summary>This object is the source of a one-way pair.</summary>
    Out,

    /// <summary>This object is the target of a one-way pair.</summary>
    In,
}

/// <summary>A pair as one of its objects knows it.</summary>
/// <param name="PairId">The entanglement's id.</param>
/// <param name="OtherId">The other object.</param>
/// <param name="Direction">Which way writes go.</param>
/// <param name="IsCoupled">False while the entanglement is only pending: it then carries no writes.</param>
/// <param name="ExpiresAt">When it stops; null means never.</param>
/// <param name="Pathway">The dimensions that hold the pair's content.</param>
/// <param name="IsCrystalCached">Whether the pair asks for its content to be cached.</param>
public sealed record Link(
    string PairId,
    string OtherId,
    LinkDirection Direction,
    bool IsCoupled,
    DateTimeOffset? ExpiresAt,
    IReadOnlyList<int> Pathway,
    bool IsCrystalCached = false)
{
    public bool IsExpired(DateTimeOffset now) => ExpiresAt <= now;

    /// <summary>Whether a write to this object moves the other one.</summary>
    public bool Carries(DateTimeOffset now) => IsCoupled && Direction != LinkDirection.In && !IsExpired(now);

    /// <summary>Whether this object is the target of a one-way pair, and so takes writes from nowhere else.</summary>
    public bool Feeds(DateTimeOffset now) => IsCoupled && Direction == LinkDirection.In && !IsExpired(now);

    /// <summary>Whether the object's head carries its content along.</summary>
    public bool Caches(DateTimeOffset now) => IsCoupled && IsCrystalCached && !IsExpired(now);
}

/// <summary>The current state of an object.</summary>
/// <param name="Current">The version that reads answer with.</param>
/// <param name="FirstVersion">
/// The number of its first version, which all its versions carry: those with another one belong to a deleted object of the same name that is still being
/// removed. Numbers alone would not tell them apart, since an instance whose clock is behind may give a new object lower ones.
/// </param>
/// <param name="Links">Its entanglements.</param>
/// <param name="RowETag">The state of its row in storage; null when it has none.</param>
/// <param name="HasLocks">Whether anything has ever locked a version of it: only then does a deletion have to look for locks.</param>
/// <param name="Crystal">
/// The content of the current version, carried along for entanglements that ask for it to be cached; empty when none does, or it is too large. It is
/// written and read with the row that says what the current version is, so it cannot be behind.
/// </param>
public sealed record ObjectHead(
    ObjectVersion Current,
    long FirstVersion,
    IReadOnlyList<Link> Links,
    string? RowETag,
    bool HasLocks = false,
    ReadOnlyMemory<byte> Crystal = default)
{
    public string Id => Current.ObjectId;

    /// <summary>Whether there is such an object.</summary>
    public bool Exists => RowETag is not null;

    /// <summary>The cached content, when an entanglement still keeps it and it is what its hash says; empty otherwise.</summary>
    public ReadOnlyMemory<byte> CrystalAt(DateTimeOffset now) =>
        !Crystal.IsEmpty
        && Links.Any(link => link.Caches(now))
        && Convert.ToHexStringLower(SHA256.HashData(Crystal.Span)) == Current.Content.Sha256
            ? Crystal
            : default;

    /// <summary>An object that nobody has written: empty, and not stored yet.</summary>
    public static ObjectHead Unwritten(string id) => new(new ObjectVersion(id, 0, ContentPointer.Empty, "application/octet-stream"), 0, [], null);
}
