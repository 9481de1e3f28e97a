namespace System.IO.Hashing;

/// <summary>A hash that is computed piece by piece: append, then read. Written from the public documentation of the type of this name.</summary>
public abstract class NonCryptographicHashAlgorithm
{
    // Bytes read from a stream at a time.
    private const int BufferBytes = 4096;

    /// <param name="hashLengthInBytes">The hash's size, at least 1 byte.</param>
    protected NonCryptographicHashAlgorithm(int hashLengthInBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hashLengthInBytes, 1);
        HashLengthInBytes = hashLengthInBytes;
    }

    /// <summary>The hash's size in bytes.</summary>
    public int HashLengthInBytes { get; }

    /// <summary>Adds data.</summary>
    public abstract void Append(ReadOnlySpan<byte> source);

    /// <summary>Forgets all data.</summary>
    public abstract void Reset();

    /// <summary>Writes the hash so far into a buffer of exactly its size, and changes nothing.</summary>
    protected abstract void GetCurrentHashCore(Span<byte> destination);

    /// <summary>Adds data.</summary>
    public void Append(byte[] source)
    {
        ArgumentNullException.ThrowIfNull(source);
        Append(source.AsSpan());
    }

    /// <summary>Adds what a stream holds from here to its end.</summary>
    public void Append(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);

        var buffer = new byte[BufferBytes];
        while (stream.Read(buffer) is > 0 and var count)
        {
            Append(buffer.AsSpan(0, count));
        }
    }

    /// <summary>Adds what a stream holds from here to its end.</summary>
    public async Task AppendAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);

        var buffer = new byte[BufferBytes];
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count)
        {
            Append(buffer.AsSpan(0, count));
        }
    }

    /// <summary>The hash of the data so far.</summary>
    public byte[] GetCurrentHash()
    {
        var hash = new byte[HashLengthInBytes];
        GetCurrentHashCore(hash);
        return hash;
    }

    /// <summary>Writes the hash of the data so far.</summary>
    /// <returns>The bytes written.</returns>
    /// <exception cref="ArgumentException">The buffer is too small.</exception>
    public int GetCurrentHash(Span<byte> destination) =>
        TryGetCurrentHash(destination, out var written) ? written : throw TooSmall(nameof(destination));

    /// <summary>Writes the hash of the data so far, unless the buffer is too small.</summary>
    public bool TryGetCurrentHash(Span<byte> destination, out int bytesWritten)
    {
        if (destination.Length < HashLengthInBytes)
        {
            bytesWritten = 0;
            return false;
        }

        GetCurrentHashCore(destination[..HashLengthInBytes]);
        bytesWritten = HashLengthInBytes;
        return true;
    }

    /// <summary>The hash of the data so far; forgets the data.</summary>
    public byte[] GetHashAndReset()
    {
        var hash = new byte[HashLengthInBytes];
        GetHashAndResetCore(hash);
        return hash;
    }

    /// <summary>Writes the hash of the data so far and forgets the data.</summary>
    /// <returns>The bytes written.</returns>
    /// <exception cref="ArgumentException">The buffer is too small; the data is kept.</exception>
    public int GetHashAndReset(Span<byte> destination) =>
        TryGetHashAndReset(destination, out var written) ? written : throw TooSmall(nameof(destination));

    /// <summary>Writes the hash of the data so far and forgets the data, unless the buffer is too small.</summary>
    public bool TryGetHashAndReset(Span<byte> destination, out int bytesWritten)
    {
        if (destination.Length < HashLengthInBytes)
        {
            bytesWritten = 0;
            return false;
        }

        GetHashAndResetCore(destination[..HashLengthInBytes]);
        bytesWritten = HashLengthInBytes;
        return true;
    }

    /// <summary>Writes the hash of the data so far into a buffer of exactly its size, and forgets the data.</summary>
    protected virtual void GetHashAndResetCore(Span<byte> destination)
    {
        GetCurrentHashCore(destination);
        Reset();
    }

    private static ArgumentException TooSmall(string parameter) => new("The buffer is smaller than the hash.", parameter);
}
