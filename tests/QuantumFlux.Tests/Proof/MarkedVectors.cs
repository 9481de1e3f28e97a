using System.Net;
using System.Text.Json;
using QuantumFlux.Tests.Vectors;

namespace QuantumFlux.Tests.Proof;

/// <summary>Vectors that tell, by their coordinates and by their metadata, which write they are of: its mark, a number that no other write has.</summary>
public static class MarkedVectors
{
    private const int Base = 1000;

    /// <summary>What a vector is written with.</summary>
    public static TestVector Of(string id, long mark) => new(id, Values(mark), $"\"metric\":\"euclidean\",\"metadata\":{Metadata(mark)}");

    /// <summary>What does not fit beside them.</summary>
    public static TestVector Misfit(string id) => new(id, [1, 2]);

    /// <summary>The body of a request that changes one.</summary>
    public static string Change(long mark) => $"{{\"vector\":{Coordinates(mark)},\"metadata\":{Metadata(mark)}}}";

    /// <summary>The coordinates, as JSON. Nothing is as near to them as what has the same mark.</summary>
    public static string Coordinates(long mark) => VectorClient.Json(Values(mark));

    /// <summary>The mark of a vector in an answer; coordinates and metadata must tell the same.</summary>
    public static long MarkOf(JsonElement vector)
    {
        var mark = vector.GetProperty("metadata").GetProperty("mark").GetInt64();
        Assert.Equal(Coordinates(mark), vector.GetProperty("vector").GetRawText());
        return mark;
    }

    /// <summary>The marks of all vectors of a list, or of what a query found, by id.</summary>
    public static Dictionary<string, long> Marks(this Answer answer) =>
        answer.Expect(HttpStatusCode.OK).Json.GetProperty("results").EnumerateArray().ToDictionary(vector => vector.GetProperty("id").GetString()!, MarkOf);

    /// <summary>Fails unless two say the same of every vector.</summary>
    public static void AssertSame(IReadOnlyDictionary<string, long> expected, IReadOnlyDictionary<string, long> found, string where) => Assert.True(
        IsSame(expected, found),
        $"{where}: expected {string.Join(' ', expected.Except(found).Order())}, found {string.Join(' ', found.Except(expected).Order())}");

    public static bool IsSame(IReadOnlyDictionary<string, long> one, IReadOnlyDictionary<string, long> other) => one.Count == other.Count && !one.Except(other).Any();

    private static float[] Values(long mark) => [mark / Base, mark % Base, 1];

    private static string Metadata(long mark) => $"{{\"mark\":{mark}}}";
}
