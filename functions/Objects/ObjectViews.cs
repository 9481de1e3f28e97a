using System.Text.Json.Serialization;
using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>The answer to a write, and an entry of a list.</summary>
/// <param name="ObjectId">The object.</param>
/// <param name="Version">Its current version, see <see cref="VersionNumber"/>.</param>
/// <param name="Type">What kind of thing it is; all stored objects are datasets.</param>
/// <param name="ContentType">The media type that it was written with.</param>
/// <param name="SizeBytes">The length of its content.</param>
/// <param name="Sha256">The hash of its content, 64 hex digits.</param>
/// <param name="CreatedAt">When its first version was written.</param>
/// <param name="LastModified">When its current version was written.</param>
/// <param name="SyncedTo">In the answer to a write: the entangled objects that it moved along. Left out of lists.</param>
public sealed record ObjectView(
    string ObjectId,
    long Version,
    string Type,
    string ContentType,
    long SizeBytes,
    string Sha256,
    DateTimeOffset CreatedAt,
    DateTimeOffset LastModified,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? SyncedTo)
{
    /// <summary>The word for a stored object in answers, from the specification's sample.</summary>
    public const string Dataset = "quantum_dataset";

    public static ObjectView From(ObjectHead head) => From(head.Current, head.FirstVersion, null);

    public static ObjectView From(ObjectVersion version, long firstVersion, IReadOnlyList<string>? syncedTo) => new(
        version.ObjectId,
        version.Version,
        Dataset,
        version.ContentType,
        version.Content.SizeBytes,
        version.Content.Sha256,
        VersionNumber.ToMoment(firstVersion),
        version.WrittenAt,
        syncedTo);

    /// <summary>The answer to a write.</summary>
    public static JsonAnswer Answer(Changed changed) =>
        Answer(From(changed.Version, changed.FirstVersion, changed.SyncedTo), changed.Version, changed.IsNew);

    /// <summary>The same for one of which more or less is known.</summary>
    public static JsonAnswer Answer(ObjectView view, ObjectVersion version, bool isNew) =>
        Json.Result(view, isNew ? StatusCodes.Status201Created : StatusCodes.Status200OK, ("ETag", version.ETag));
}

/// <summary>A page of objects.</summary>
public sealed record ObjectListView(IReadOnlyList<ObjectView> Objects, bool HasMore);

/// <summary>One version in a list.</summary>
public sealed record ObjectVersionView(long Version, string ContentType, long SizeBytes, string Sha256, DateTimeOffset CreatedAt)
{
    public static ObjectVersionView From(ObjectVersion version) =>
        new(version.Version, version.ContentType, version.Content.SizeBytes, version.Content.Sha256, version.WrittenAt);
}

/// <summary>A page of an object's versions, newest first.</summary>
public sealed record ObjectVersionListView(string ObjectId, IReadOnlyList<ObjectVersionView> Versions, bool HasMore);

/// <summary>The answer to a removal.</summary>
public sealed record DeletedObjectView(string ObjectId, string Status, DateTimeOffset DeletedAt);

/// <summary>The answer to a new upload.</summary>
/// <param name="UploadId">Its id.</param>
/// <param name="UploadUrl">Where the content goes, in blocks (<c>&amp;comp=block&amp;blockid=…</c>) or whole.</param>
/// <param name="ExpiresAt">Until when.</param>
/// <param name="BlockBytesMax">The largest block.</param>
public sealed record UploadView(string UploadId, Uri UploadUrl, DateTimeOffset ExpiresAt, long BlockBytesMax);
