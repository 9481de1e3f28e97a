using System.Buffers;
using System.IO.Compression;
using System.Security.Cryptography;

namespace QuantumFlux.Cache;

/// <summary>Turns a value's JSON, piece by piece, into what is stored: compressed, then encrypted in chunks.</summary>
public sealed class ValueEncoder : IDisposable
{
    /// <summary>
    /// Measured over 1 KB, 100 KB and 10 MB of records in JSON: 3.6, 5.1 and 5.3 times smaller at 60 to 200 MB/s. Quality 3 is a little faster and up to
    /// 6 % worse, 5 takes twice as long for less than 1 %.
    /// </summary>
    private const int BrotliQuality = 4;

    /// <summary>A window of 256 KiB (2^18). One of 4 MiB made the 10 MB no smaller, and takes that much more memory on both ways.</summary>
    private const int BrotliWindowBits = 18;

    private const int ScratchBytes = 16 * 1024;

    private readonly CacheCompression _compression;
    private readonly ChunkCipher _cipher;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] _chunk = ArrayPool<byte>.Shared.Rent(ChunkCipher.PlainBytes);
    private readonly byte[] _scratch = ArrayPool<byte>.Shared.Rent(ScratchBytes);
    private BrotliEncoder _brotli = new(BrotliQuality, BrotliWindowBits);
    private int _chunkBytes;
    private long _chunkNumber;

    /// <summary>Begins a value.</summary>
    /// <param name="compression">How to compress it.</param>
    /// <param name="encryption">How to encrypt it.</param>
    /// <param name="outputBytes">The room to make for what there is to store; it grows at need, which leaves the smaller room to the collector.</param>
    public ValueEncoder(CacheCompression compression, CacheEncryption encryption, int outputBytes)
    {
        _compression = compression;
        Output = new ArrayBufferWriter<byte>(outputBytes);
        DataKey = CacheSecrets.NewDataKey(encryption);
        _cipher = new ChunkCipher(DataKey);
    }

    /// <summary>The value's own key.</summary>
    public byte[] DataKey { get; }

    /// <summary>What there is to store so far. The caller may take it away at any time with <see cref="ArrayBufferWriter{T}.ResetWrittenCount"/>.</summary>
    public ArrayBufferWriter<byte> Output { get; }

    /// <summary>The length of the JSON so far.</summary>
    public long OriginalBytes { get; private set; }

    /// <summary>Its length after compression, so far.</summary>
    public long CompressedBytes { get; private set; }

    /// <summary>Takes a piece of the JSON.</summary>
    public void Write(ReadOnlySpan<byte> original)
    {
        OriginalBytes += original.Length;
        _hash.AppendData(original);
        if (_compression == CacheCompression.None)
        {
            Append(original);
        }
        else
        {
            Compress(original, isEnd: false);
        }
    }

    /// <summary>Writes out what is left.</summary>
    /// <returns>The SHA-256 of the JSON.</returns>
    public byte[] End()
    {
        if (_compression != CacheCompression.None)
        {
            Compress(default, isEnd: true);
        }

        EncryptChunk(isLast: true);
        return _hash.GetHashAndReset();
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_chunk, clearArray: true);
        ArrayPool<byte>.Shared.Return(_scratch, clearArray: true);
        _brotli.Dispose();
        _hash.Dispose();
        _cipher.Dispose();
    }

    private void Compress(ReadOnlySpan<byte> original, bool isEnd)
    {
        OperationStatus status;
        do
        {
            status = _brotli.Compress(original, _scratch, out var consumed, out var written, isEnd);
            original = original[consumed..];
            Append(_scratch.AsSpan(0, written));
        }
        while (status == OperationStatus.DestinationTooSmall || !original.IsEmpty);
    }

    // A full chunk waits for the next byte, since only then it is known not to be the last.
    private void Append(ReadOnlySpan<byte> compressed)
    {
        CompressedBytes += compressed.Length;
        while (!compressed.IsEmpty)
        {
            if (_chunkBytes == ChunkCipher.PlainBytes)
            {
                EncryptChunk(isLast: false);
            }

            var count = Math.Min(compressed.Length, ChunkCipher.PlainBytes - _chunkBytes);
            compressed[..count].CopyTo(_chunk.AsSpan(_chunkBytes));
            _chunkBytes += count;
            compressed = compressed[count..];
        }
    }

    private void EncryptChunk(bool isLast)
    {
        var bytes = _chunkBytes + ChunkCipher.TagBytes;
        _cipher.Encrypt(_chunk.AsSpan(0, _chunkBytes), _chunkNumber++, isLast, Output.GetSpan(bytes));
        Output.Advance(bytes);
        _chunkBytes = 0;
    }
}
