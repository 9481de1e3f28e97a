using System.Text;

namespace QuantumFlux.Vectors;

/// <summary>A vector, wherever it is: in a segment, or in the tail of the log.</summary>
/// <param name="Segment">The segment that has it, held by the caller; null when it comes from the log.</param>
/// <param name="Row">Its row there.</param>
/// <param name="Vector">The vector, when it comes from the log.</param>
public readonly record struct SegmentRow(Segment? Segment, int Row, StoredVector? Vector)
{
    public ReadOnlySpan<float> Values => Segment is null ? Vector!.Values : Segment.Vector(Row);

    public VectorFacts Facts => Segment is null ? Vector!.Facts : Segment.Facts(Row);

    public ReadOnlySpan<byte> IdBytes => Segment is null ? Encoding.UTF8.GetBytes(Vector!.Id) : Segment.IdBytes(Row);

    public string Id => Segment is null ? Vector!.Id : Segment.IdOf(Row);
}
