namespace QuantumFlux.Vectors;

/// <summary>What a vector may be.</summary>
public static class VectorLimits
{
    /// <summary>The longest id, in UTF-16 characters.</summary>
    public const int IdCharactersMax = 256;

    /// <summary>The most coordinates.</summary>
    public const int DimensionMax = 4096;

    /// <summary>The largest coordinate, either way: squares of the longest vectors of them can still be added up in single precision.</summary>
    public const float ValueMax = 1e15f;

    /// <summary>The most contexts of a vector.</summary>
    public const int ContextsMax = 32;

    /// <summary>The longest name of a context, in UTF-16 characters.</summary>
    public const int ContextCharactersMax = 128;

    /// <summary>The longest coherence time: a hundred years. Null is for longer.</summary>
    public const long CoherenceMillisecondsMax = 100L * 365 * 24 * 60 * 60 * 1000;

    /// <summary>The largest metadata, in bytes of JSON.</summary>
    public const int MetadataBytesMax = 32 * 1024;

    /// <summary>
    /// The longest paths of a metadata's members, all together, in bytes of UTF-8: the names that lead to each, joined by dots. A filter keeps them all, and each
    /// repeats the names above it, so 30 KB of JSON could make megabytes. Documents with an average path of 64 bytes have 2,000 members within it.
    /// </summary>
    public const int MetadataPathBytesMax = 128 * 1024;

    /// <summary>The most vectors of a batch.</summary>
    public const int BatchVectorsMax = 1000;

    /// <summary>The largest body of a request with one vector, and the longest vector of a batch: the most coordinates, written at length, and metadata.</summary>
    public const int BodyBytesMax = 256 * 1024;

    /// <summary>The largest body of a batch: what fits one transaction takes some 12 MB as text.</summary>
    public const int BatchBodyBytesMax = 16 * 1024 * 1024;

    /// <summary>The most results of a query.</summary>
    public const int TopKMax = 1000;

    /// <summary>The id that the path of a batch takes away.</summary>
    public const string ReservedId = "batch";
}
