using System.Text;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class VectorTailTests
{
    [Theory]
    [InlineData(1, 1, 0, 0)]
    [InlineData(256, 1, 0, 0)]
    [InlineData(10, 768, 0, 0)]
    [InlineData(10, 1, 32, 0)]
    [InlineData(10, 1, 0, 1_000)]
    [InlineData(10, 64, 4, 100)]
    public void ItKnowsAboutHowMuchMemoryItTakes(int idLength, int dimension, int contexts, int members)
    {
        const int Rows = 500;
        var metadata = members == 0 ? "" : $"{{{string.Join(',', Enumerable.Range(0, members).Select(member => $"\"member{member}\":{member}"))}}}";
        var records = Enumerable.Range(0, Rows).Select(row => Record($"{row}".PadLeft(idLength, 'x'), dimension, contexts, metadata)).ToList();
        Fill(new VectorTail(), records);
        var tail = new VectorTail();

        var before = GC.GetAllocatedBytesForCurrentThread();
        Fill(tail, records);
        var taken = GC.GetAllocatedBytesForCurrentThread() - before;

        // The fields are made when a filter asks.
        var bytes = tail.Bytes - Enumerable.Range(0, Rows).Sum(row => tail[row].Change.Vector!.Facts.Metadata.IsEmpty ? 0 : tail[row].Fields.HeapBytes);
        Assert.True(bytes >= 0.8 * taken && bytes <= 1.6 * taken, $"{bytes} bytes are said to be taken, and {taken} are.");
    }

    private static void Fill(VectorTail tail, List<ReadOnlyMemory<byte>> records)
    {
        for (var row = 0; row < records.Count; row++)
        {
            tail.Add(row, VectorChange.Parse(records[row].Span));
        }
    }

    private static ReadOnlyMemory<byte> Record(string id, int dimension, int contexts, string metadata)
    {
        var names = Enumerable.Range(0, contexts).Select(context => new VectorContext($"{context}".PadLeft(VectorLimits.ContextCharactersMax, 'c'), 0.01)).ToList();
        var facts = new VectorFacts(names, null, TestVectors.Now, TestVectors.Now, Encoding.UTF8.GetBytes(metadata));
        return VectorChange.Written(new StoredVector(id, new float[dimension], facts), Metric.Cosine).ToBytes();
    }
}
