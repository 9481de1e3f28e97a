using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace QuantumFlux.Api;

/// <summary>Every id that the service gives out is made here.</summary>
public static partial class Ids
{
    /// <summary>How many bytes of an id are random, but for two bits.</summary>
    public const int RandomBytes = 8;

    /// <summary>
    /// A new id: a prefix such as <c>ent_</c> and 32 hex digits, which sort by age (UUID version 7, RFC 9562 section 5.7): the first 12 are the moment in
    /// milliseconds, 12 bits are the fraction of the millisecond (section 6.2, method 3), so that one request after another sorts too, and 62 are random.
    /// </summary>
    public static string New(string prefix, DateTimeOffset now) => New(prefix, now, RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>The same with bits of the caller's choice for the random ones, so that the same moment and bits give the same id.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="now">The moment.</param>
    /// <param name="random"><see cref="RandomBytes"/> bytes, of which two bits are not used.</param>
    public static string New(string prefix, DateTimeOffset now, ReadOnlySpan<byte> random)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, now.ToUnixTimeMilliseconds() << 16);
        random[..RandomBytes].CopyTo(bytes[^RandomBytes..]);
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3f));
        var fraction = (now.UtcTicks % TimeSpan.TicksPerMillisecond << 12) / TimeSpan.TicksPerMillisecond;
        bytes[6] = (byte)(0x70 | (fraction >> 8));
        bytes[7] = (byte)fraction;
        return prefix + Convert.ToHexStringLower(bytes);
    }

    /// <summary>True for an id that the service may have given out: the prefix and 32 of <c>a-z0-9</c>, since the specification's samples are not all hex.</summary>
    public static bool IsWellFormed(string id, string prefix) =>
        id.StartsWith(prefix, StringComparison.Ordinal) && Tail().IsMatch(id.AsSpan(prefix.Length));

    [GeneratedRegex("^[a-z0-9]{32}\\z")]
    private static partial Regex Tail();
}
