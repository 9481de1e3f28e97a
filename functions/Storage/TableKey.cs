using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace QuantumFlux.Storage;

/// <summary>The one place where text from outside becomes part of a table key.</summary>
/// <remarks>
/// Table Storage forbids <c>/ \ # ?</c>, U+0000 to U+001F and U+007F to U+009F in keys, and handles <c>%</c> badly; lone surrogates do not survive
/// the way there. Azurite misreads an apostrophe before a comma, and line separators, in the keys of a transaction. Such characters, our own
/// separator <c>:</c> and the escape sign <c>!</c> become <c>!</c> and four hex digits. Order is kept among texts without escapes, and different
/// texts never share a key.
/// </remarks>
public static class TableKey
{
    /// <summary>The longest key, in UTF-16 characters: Table Storage takes 1 KiB.</summary>
    public const int CharactersMax = 512;

    // The separator and a SHA-256 in hex.
    private const int HashCharacters = 2 + 64;

    // The sign and four hex digits.
    private const int EscapeCharacters = 5;

    /// <summary>Text as part of a key.</summary>
    /// <exception cref="ArgumentException">The escaped text is longer than a key may be.</exception>
    public static string Escape(string text)
    {
        var index = 0;
        while (index < text.Length && IsPlain(text, index))
        {
            index++;
        }

        if (index < text.Length)
        {
            var escaped = new StringBuilder(text.Length + 16).Append(text, 0, index);
            for (; index < text.Length; index++)
            {
                if (IsPlain(text, index))
                {
                    escaped.Append(text[index]);
                }
                else
                {
                    escaped.Append(CultureInfo.InvariantCulture, $"!{(int)text[index]:x4}");
                }
            }

            text = escaped.ToString();
        }

        return text.Length <= CharactersMax
            ? text
            : throw new ArgumentException($"The escaped key is longer than {CharactersMax} characters.", nameof(text));
    }

    /// <summary>
    /// Text of any length as part of a key: escaped, or, where that is longer than a limit, the beginning of it with the text's SHA-256 after <c>!~</c>, which
    /// no escaped text holds. The text itself cannot be had back from it. Order among texts with a common beginning that long is lost.
    /// </summary>
    /// <param name="text">The text, of valid Unicode.</param>
    /// <param name="charactersMax">The longest part, in UTF-16 characters; more than the 66 that the hash takes.</param>
    public static string EscapeLong(string text, int charactersMax)
    {
        if (text.Length <= charactersMax / EscapeCharacters)
        {
            return Escape(text);
        }

        var beginning = EscapeBeginning(text, charactersMax);
        return beginning.IsWhole
            ? beginning.Key
            : EscapeBeginning(text, charactersMax - HashCharacters).Key + "!~" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>What all keys have in common that <see cref="EscapeLong"/> makes of texts with a prefix, as far as that reaches.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="charactersMax">The same limit.</param>
    public static string EscapeLongPrefix(string prefix, int charactersMax) => EscapeBeginning(prefix, charactersMax - HashCharacters).Key;

    /// <summary>The text that <see cref="Escape"/> was given.</summary>
    /// <exception cref="FormatException">The key was not made by <see cref="Escape"/>.</exception>
    public static string Unescape(string key)
    {
        if (!key.Contains('!', StringComparison.Ordinal))
        {
            return key;
        }

        var text = new StringBuilder(key.Length);
        for (var index = 0; index < key.Length; index++)
        {
            if (key[index] != '!')
            {
                text.Append(key[index]);
            }
            else if (index + 4 < key.Length
                && ushort.TryParse(key.AsSpan(index + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            {
                text.Append((char)code);
                index += 4;
            }
            else
            {
                throw new FormatException("The key has an escape sign without four hex digits.");
            }
        }

        return text.ToString();
    }

    /// <summary>A number, at least 0, as a key part that sorts with the largest first: 19 digits.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static string Descending(long number)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        return (long.MaxValue - number).ToString("D19", CultureInfo.InvariantCulture);
    }

    // Whole characters: half of a pair would be escaped, and could not be found by a prefix.
    private static (string Key, bool IsWhole) EscapeBeginning(string text, int charactersMax)
    {
        var key = new StringBuilder(Math.Min(text.Length, charactersMax));
        for (var index = 0; index < text.Length;)
        {
            var length = char.IsSurrogatePair(text, index) ? 2 : 1;
            var part = Escape(text.Substring(index, length));
            if (key.Length + part.Length > charactersMax)
            {
                return (key.ToString(), false);
            }

            key.Append(part);
            index += length;
        }

        return (key.ToString(), true);
    }

    private static bool IsPlain(string text, int index) => text[index] switch
    {
        '/' or '\\' or '#' or '?' or '%' or ':' or '!' or '\'' or '\u2028' or '\u2029' => false,
        < ' ' or (>= '\u007f' and <= '\u009f') => false,
        var c when char.IsHighSurrogate(c) => index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]),
        var c when char.IsLowSurrogate(c) => index > 0 && char.IsHighSurrogate(text[index - 1]),
        >= '\ufffe' => false,
        _ => true,
    };
}
