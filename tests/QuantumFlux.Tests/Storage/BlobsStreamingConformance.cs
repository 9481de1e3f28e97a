using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Tests that measure the process, so nothing else may run beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuredAlone
{
    public const string Name = "measured alone";
}

/// <summary>That large blobs pass through in constant memory. Subclasses say <c>[Collection(MeasuredAlone.Name)]</c>.</summary>
public abstract class BlobsStreamingConformance
{
    private const int Blocks = 8;

    // Sockets, parsers and the test itself; a sixth of the blob, so one buffered copy would show.
    private const long AllocatedBytesMax = 10 * 1024 * 1024;

    protected abstract Task<IBlobs> OpenAsync();

    [Fact]
    public async Task SixtyFourMebibytesPassThroughInConstantMemory()
    {
        var blobs = await OpenAsync();
        var container = $"c{Guid.NewGuid():N}";
        var block = new byte[IBlobs.BlockBytesMax];
        new Random(1).NextBytes(block);
        await blobs.PutAsync(container, "warm", block, new BlobOptions(), CancellationToken.None);

        var before = GC.GetTotalAllocatedBytes(precise: true);
        var ids = Enumerable.Range(0, Blocks).Select(number => $"{number:d4}").ToList();
        for (var index = 0; index < Blocks; index++)
        {
            block[0] = (byte)index;
            await blobs.StageBlockAsync(container, "large", ids[index], block, CancellationToken.None);
        }

        var committed = await blobs.CommitBlocksAsync(container, "large", ids, new BlobOptions(), CancellationToken.None);
        var buffer = new byte[64 * 1024];
        var offset = 0;
        await using (var content = await blobs.GetAsync(container, "large", 0, null, committed!.ETag, CancellationToken.None))
        {
            while (await content!.Stream.ReadAsync(buffer) is var count and > 0)
            {
                block[0] = (byte)(offset / block.Length);
                var expected = block.AsSpan(offset % block.Length);
                var first = Math.Min(count, expected.Length);
                Assert.True(buffer.AsSpan(0, first).SequenceEqual(expected[..first]));
                block[0] = (byte)((offset + first) / block.Length);
                Assert.True(buffer.AsSpan(first, count - first).SequenceEqual(block.AsSpan(0, count - first)));
                offset += count;
            }
        }

        var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        Assert.Equal(Blocks * IBlobs.BlockBytesMax, offset);
        Assert.Equal(offset, committed.Length);
        Assert.InRange(allocated, 0, AllocatedBytesMax);
    }
}
