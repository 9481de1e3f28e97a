using System.Buffers.Binary;
using System.Security.Cryptography;

namespace QuantumFlux.Cache;

/// <summary>
/// Encrypts a value chunk by chunk with AES-GCM, so that each can be checked before any of it is used. A chunk's number, and whether it is the last, are
/// its nonce (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015): chunks that are changed, missing, swapped or added do not
/// decrypt. A nonce is never used twice, because a key belongs to one value.
/// </summary>
public sealed class ChunkCipher(byte[] dataKey) : IDisposable
{
    public const int TagBytes = 16;
    public const int NonceBytes = 12;

    /// <summary>The plain bytes of every chunk but the last, which has at least one and at most as many.</summary>
    public const int PlainBytes = 64 * 1024;

    private readonly AesGcm _aes = new(dataKey, TagBytes);

    /// <summary>The length of a value after encryption.</summary>
    public static long SealedBytes(long plainBytes) => plainBytes + (ChunkCount(plainBytes) * TagBytes);

    /// <summary>How many chunks a value has.</summary>
    public static long ChunkCount(long plainBytes) => (plainBytes + PlainBytes - 1) / PlainBytes;

    /// <summary>Encrypts a chunk.</summary>
    /// <param name="plain">The chunk.</param>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="isLast">Whether no other follows.</param>
    /// <param name="destination">Receives the chunk and its tag.</param>
    public void Encrypt(ReadOnlySpan<byte> plain, long number, bool isLast, Span<byte> destination)
    {
        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, number, isLast);
        _aes.Encrypt(nonce, plain, destination[..plain.Length], destination.Slice(plain.Length, TagBytes));
    }

    /// <summary>Decrypts a chunk.</summary>
    /// <param name="chunk">The chunk and its tag.</param>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="isLast">Whether no other follows.</param>
    /// <param name="plain">Receives what it says, without the tag.</param>
    /// <returns>False when it is not what was encrypted under this number; nothing of it may be used then.</returns>
    public bool TryDecrypt(ReadOnlySpan<byte> chunk, long number, bool isLast, Span<byte> plain)
    {
        if (chunk.Length < TagBytes)
        {
            return false;
        }

        Span<byte> nonce = stackalloc byte[NonceBytes];
        WriteNonce(nonce, number, isLast);
        try
        {
            _aes.Decrypt(nonce, chunk[..^TagBytes], chunk[^TagBytes..], plain[..(chunk.Length - TagBytes)]);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    /// <summary>Decrypts a whole value; null when any chunk of it is not as it was encrypted.</summary>
    /// <param name="stored">The chunks.</param>
    /// <param name="plainBytes">The length of the value before encryption.</param>
    public byte[]? DecryptAll(ReadOnlySpan<byte> stored, long plainBytes)
    {
        if (stored.Length != SealedBytes(plainBytes))
        {
            return null;
        }

        var plain = new byte[plainBytes];
        var count = ChunkCount(plainBytes);
        for (var number = 0; number < count; number++)
        {
            var chunk = stored[..Math.Min(stored.Length, PlainBytes + TagBytes)];
            if (!TryDecrypt(chunk, number, number == count - 1, plain.AsSpan(number * PlainBytes)))
            {
                return null;
            }

            stored = stored[chunk.Length..];
        }

        return plain;
    }

    /// <summary>Encrypts a whole value.</summary>
    public byte[] EncryptAll(ReadOnlySpan<byte> plain)
    {
        var stored = new byte[SealedBytes(plain.Length)];
        var count = ChunkCount(plain.Length);
        for (var number = 0; number < count; number++)
        {
            var start = number * PlainBytes;
            Encrypt(
                plain.Slice(start, Math.Min(PlainBytes, plain.Length - start)), number, number == count - 1, stored.AsSpan(number * (PlainBytes + TagBytes)));
        }

        return stored;
    }

    public void Dispose() => _aes.Dispose();

    private static void WriteNonce(Span<byte> nonce, long number, bool isLast)
    {
        nonce.Clear();
        BinaryPrimitives.WriteInt64BigEndian(nonce[3..], number);
        nonce[^1] = isLast ? (byte)1 : (byte)0;
    }
}
