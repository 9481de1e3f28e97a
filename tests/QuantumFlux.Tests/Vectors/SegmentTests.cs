using System.Text;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class SegmentTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(31, 3)]
    [InlineData(999, 16)]
    [InlineData(3000, 20)]
    [InlineData(40, 4096)]
    public void EverythingWrittenIsReadBack(int count, int dimension)
    {
        var vectors = TestVectors.Clustered(count, count, dimension);
        using var segment = TestVectors.ToSegment(vectors, Metric.Cosine);

        var read = segment.Order.ToArray().Select(segment.Read).ToList();

        Assert.Equal((count, dimension, 5L, 9L), (segment.Rows, segment.Header.Dimension, segment.Header.FirstSequence, segment.Header.LastSequence));
        Assert.Equal(vectors.Select(vector => vector.Id), read.Select(vector => vector.Id));
        Assert.Equal(vectors.Select(vector => vector.Values), read.Select(vector => vector.Values));
        foreach (var (expected, found) in vectors.Zip(read, (a, b) => (a.Facts, b.Facts)))
        {
            Assert.Equal(expected.Contexts, found.Contexts);
            Assert.Equal((expected.Coherence, expected.PreparedAt, expected.WrittenAt), (found.Coherence, found.PreparedAt, found.WrittenAt));
            Assert.Equal(Encoding.UTF8.GetString(expected.Metadata.Span), Encoding.UTF8.GetString(found.Metadata.Span));
        }
    }

    [Fact]
    public void EveryIdIsFoundAndNoOther()
    {
        var vectors = TestVectors.Clustered(1, 5000, 8);
        using var segment = TestVectors.ToSegment(vectors, Metric.Euclidean);

        Assert.All(vectors, vector => Assert.Equal(vector.Id, segment.IdOf(segment.Find(Encoding.UTF8.GetBytes(vector.Id)))));
        Assert.All(Enumerable.Range(5000, 1000), index => Assert.Equal(-1, segment.Find(Encoding.UTF8.GetBytes($"id {index}"))));
        Assert.Equal(-1, segment.Find([]));
    }

    [Fact]
    public void AContextHasItsRowsAndTheirWeights()
    {
        var vectors = TestVectors.Clustered(2, 1000, 8);
        using var segment = TestVectors.ToSegment(vectors, Metric.Cosine);

        var entries = ContextIndex.Find(segment.Contexts, "even").ToArray();

        var expected = vectors.Where(vector => vector.Facts.Contexts.Count > 0).ToDictionary(vector => vector.Id);
        Assert.Equal(expected.Count, entries.Length);
        foreach (var entry in entries)
        {
            var facts = expected[segment.IdOf(entry.Row)].Facts;
            Assert.Equal((float)facts.Contexts[0].Weight, entry.Weight);
            Assert.Equal(facts.CoherentUntil?.UtcTicks ?? long.MaxValue, entry.Until);
        }

        Assert.Equal(entries.Select(entry => entry.Row).Order(), entries.Select(entry => entry.Row));
        Assert.Equal(1, ContextIndex.Find(segment.Contexts, "own 33").Length);
        Assert.True(ContextIndex.Find(segment.Contexts, "own").IsEmpty);
        Assert.True(ContextIndex.Find(segment.Contexts, "zzz").IsEmpty);
    }

    [Fact]
    public void AnEmptySegmentHasNothing()
    {
        using var segment = TestVectors.ToSegment([], Metric.Dot);

        Assert.Equal(0, segment.Rows);
        Assert.Equal(-1, segment.Find("id"u8));
        Assert.True(segment.Order.IsEmpty);
        Assert.True(ContextIndex.Find(segment.Contexts, "even").IsEmpty);
        var search = new SegmentSearch(new QueryVector(Metric.Dot, [1]), [new SearchPart(segment, null, null)], 3, () => false);
        search.FindExactly();
        Assert.True(search.Found(out _).IsEmpty);
    }

    [Fact]
    public void GoneRowsOfOneSegmentAreKnownToAnother()
    {
        var vectors = TestVectors.Clustered(3, 300, 4);
        using var old = TestVectors.ToSegment(vectors, Metric.Cosine);
        var alive = new RowSet(300);
        alive.Fill();
        foreach (var row in new[] { 0, 17, 299 })
        {
            alive.Remove(row);
        }

        var gone = GoneRows.Write([LiveSegment.Of(old, alive)]);
        using var newer = new Segment("newer", SegmentWriter.Write(new SegmentContent(Metric.Cosine, 4, [], gone, 10, 11), CancellationToken.None));

        var live = VectorState.Alive(old, newer);

        Assert.Equal(297, live.Count);
        Assert.False(live.Alive.Contains(17));
        Assert.Equal(0, VectorState.Alive(newer, newer).Count);
    }

    [Fact]
    public void WhatIsNoSegmentIsRefused()
    {
        using var zeros = new MappedBytes(1000);
        using var tiny = new MappedBytes(10);

        Assert.Throws<InvalidDataException>(() => new Segment("a", zeros));
        Assert.Throws<InvalidDataException>(() => new Segment("a", tiny));
    }

    [Fact]
    public void MemoryStaysWhileItIsHeld()
    {
        var bytes = new MappedBytes(4096);
        bytes.Span(0, 4096).Fill(7);
        Assert.True(bytes.TryHold());

        bytes.Dispose();

        Assert.Equal(7, bytes.Span(4095, 1)[0]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bytes.Span(4095, 2));
        bytes.Release();
        Assert.False(bytes.TryHold());
    }
}
