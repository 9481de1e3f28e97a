using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;

namespace QuantumFlux.Api;

/// <summary>The secret of the deployment.</summary>
public sealed class MasterKeyOptions
{
    /// <summary>32 random bytes in Base64. There is no default: a host without one does not start.</summary>
    [Required]
    public string MasterKey { get; set; } = "";

    /// <summary>
    /// Master keys of before, each like <see cref="MasterKey"/>: what was encrypted or signed under them stays readable and valid, and nothing new is
    /// made with them. Default: none.
    /// </summary>
    public IList<string> PreviousMasterKeys { get; set; } = [];
}

/// <summary>
/// The secret from which every other key of the service is derived, so that none of them serves two purposes. It can be replaced: the new one becomes
/// the current one, and the old one a previous one for as long as anything made under it is to be of use.
/// </summary>
public sealed class MasterKey
{
    /// <summary>Its length in bytes, and that of the keys derived from it.</summary>
    public const int Bytes = 32;

    private const int IdBytes = 8;

    private readonly Dictionary<string, byte[]> _keys = new(StringComparer.Ordinal);
    private readonly List<string> _ids = [];

    public MasterKey(IOptions<MasterKeyOptions> options)
    {
        foreach (var text in options.Value.PreviousMasterKeys.Prepend(options.Value.MasterKey))
        {
            var key = Convert.FromBase64String(text);
            var id = Convert.ToHexStringLower(Derive(key, "id"u8).AsSpan(0, IdBytes));
            if (_keys.TryAdd(id, key))
            {
                _ids.Add(id);
            }
        }
    }

    /// <summary>
    /// Which master key is the current one: 16 hex digits, for what is kept to say under which it was made. Derived from the key, of which it
    /// tells nothing.
    /// </summary>
    public string CurrentId => _ids[0];

    /// <summary>The ids of the previous master keys.</summary>
    public IEnumerable<string> PreviousIds => _ids.Skip(1);

    /// <summary>A key of its own for one purpose (HKDF-SHA-256, RFC 5869), from the current master key: 32 bytes, the same each time.</summary>
    /// <param name="purpose">What the key is for. Different purposes have unrelated keys.</param>
    public byte[] Derive(ReadOnlySpan<byte> purpose) => Derive(_keys[CurrentId], purpose);

    /// <summary>The key for a purpose from the master key of an id; null when that is neither the current nor a previous one.</summary>
    public byte[]? Derive(string id, ReadOnlySpan<byte> purpose) => _keys.TryGetValue(id, out var key) ? Derive(key, purpose) : null;

    /// <summary>The keys for a purpose from all master keys, the current one's first.</summary>
    public IReadOnlyList<byte[]> DeriveAll(ReadOnlySpan<byte> purpose)
    {
        var derived = new List<byte[]>(_ids.Count);
        foreach (var id in _ids)
        {
            derived.Add(Derive(_keys[id], purpose));
        }

        return derived;
    }

    /// <summary>Whether a setting holds a master key.</summary>
    public static bool IsValid(string text)
    {
        var bytes = new byte[Bytes + 1];
        return Convert.TryFromBase64String(text, bytes, out var count) && count == Bytes;
    }

    private static byte[] Derive(byte[] key, ReadOnlySpan<byte> purpose)
    {
        var derived = new byte[Bytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, key, derived, salt: default, purpose);
        return derived;
    }
}
