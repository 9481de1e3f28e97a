using System.Buffers.Binary;
using System.Security.Cryptography;

namespace QuantumFlux.Tests.Proof;

/// <summary>Content of any length that is never in memory: each eight bytes are a hash of their place, so any part can be made at any time.</summary>
public sealed class HashedStream(long start, long length) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    /// <summary>The hash of all of it, in hex.</summary>
    public static async Task<string> Sha256Async(long length)
    {
        await using var content = new HashedStream(0, length);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(content));
    }

    public override int Read(Span<byte> buffer)
    {
        var count = (int)Math.Min(buffer.Length, length - _position);
        Span<byte> word = stackalloc byte[sizeof(ulong)];
        for (var done = 0; done < count;)
        {
            var place = start + _position + done;
            var within = (int)(place % sizeof(ulong));
            var some = Math.Min(count - done, sizeof(ulong) - within);
            var value = Mix((ulong)place / sizeof(ulong));
            if (some == sizeof(ulong))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(buffer[done..], value);
            }
            else
            {
                BinaryPrimitives.WriteUInt64LittleEndian(word, value);
                word.Slice(within, some).CopyTo(buffer[done..]);
            }

            done += some;
        }

        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        Task.FromResult(Read(buffer.AsSpan(offset, count)));

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    // SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    private static ulong Mix(ulong index)
    {
        var mixed = (index + 1) * 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
