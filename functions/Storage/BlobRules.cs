using System.Text;

namespace QuantumFlux.Storage;

/// <summary>What Blob Storage takes, checked before anything is sent, so that every implementation refuses the same things in the same way.</summary>
public static class BlobRules
{
    /// <summary>The longest name of a blob, in UTF-16 characters.</summary>
    public const int NameCharactersMax = 1024;

    /// <summary>The longest block id, in bytes before Base64.</summary>
    public const int BlockIdBytesMax = 64;

    /// <summary>The name of the metadata in which implementations keep the id of the write, to recognise it when its answer was lost.</summary>
    public const string OperationMetadata = "operation";

    // Before a block id that is not text; see IBlobs.ListStagedBlocksAsync.
    private const string RawPrefix = "base64:";

    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Checks a blob's name.</summary>
    /// <exception cref="StorageException">Status 400: empty, too long, a control character or half a surrogate pair.</exception>
    public static void CheckName(string name)
    {
        if (name.Length is 0 or > NameCharactersMax || name.AsSpan().ContainsAnyInRange('\0', '\u001f') || name.AsSpan().ContainsAnyInRange('\u007f', '\u009f')
            || !IsUnicode(name))
        {
            throw new StorageException($"A blob's name has 1 to {NameCharactersMax} characters, none of them a control character.", 400, "InvalidResourceName");
        }
    }

    /// <summary>Checks type, metadata and condition of a write.</summary>
    /// <exception cref="ArgumentException">A header that is not printable ASCII, a bad or reserved name, or an ETag without the condition that needs it.</exception>
    public static void Check(BlobOptions options)
    {
        if (options.ContentType.Length == 0 || !IsPrintableAscii(options.ContentType))
        {
            throw new ArgumentException("A content type is printable ASCII.", nameof(options));
        }

        foreach (var (name, value) in options.Metadata ?? Empty)
        {
            if (name.Length == 0 || !char.IsAsciiLetter(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')
                || string.Equals(name, OperationMetadata, StringComparison.OrdinalIgnoreCase))
            {
                throw new ArgumentException($"'{name}' cannot be the name of metadata.", nameof(options));
            }

            if (value.Length == 0 || !IsPrintableAscii(value) || value.Trim().Length != value.Length)
            {
                throw new ArgumentException($"The metadata {name} must be printable ASCII, not empty and without blanks at its ends.", nameof(options));
            }
        }

        if ((options.Condition == BlobCondition.Unchanged) != (options.ETag is not null))
        {
            throw new ArgumentException("An ETag belongs to the condition Unchanged, and only to it.", nameof(options));
        }
    }

    /// <summary>The form in which the service knows a block id: Base64.</summary>
    /// <exception cref="ArgumentException">The id is empty, too long or not Base64 after its prefix.</exception>
    public static string BlockName(string blockId)
    {
        var bytes = blockId.StartsWith(RawPrefix, StringComparison.Ordinal) ? FromRaw(blockId) : _strictUtf8.GetBytes(blockId);
        return bytes.Length is > 0 and <= BlockIdBytesMax
            ? Convert.ToBase64String(bytes)
            : throw new ArgumentException($"A block id has 1 to {BlockIdBytesMax} bytes.", nameof(blockId));
    }

    /// <summary>The block id that <see cref="BlockName"/> turns into this name; <c>base64:</c> and the name when the id is not text.</summary>
    public static string BlockId(string blockName)
    {
        try
        {
            var text = _strictUtf8.GetString(Convert.FromBase64String(blockName));
            return text.StartsWith(RawPrefix, StringComparison.Ordinal) || text.Length == 0 ? RawPrefix + blockName : text;
        }
        catch (Exception e) when (e is FormatException or DecoderFallbackException)
        {
            return RawPrefix + blockName;
        }
    }

    private static IReadOnlyDictionary<string, string> Empty { get; } = new Dictionary<string, string>();

    private static byte[] FromRaw(string blockId)
    {
        try
        {
            return Convert.FromBase64String(blockId[RawPrefix.Length..]);
        }
        catch (FormatException e)
        {
            throw new ArgumentException("The block id is not Base64 after its prefix.", nameof(blockId), e);
        }
    }

    private static bool IsPrintableAscii(string text) => !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    private static bool IsUnicode(string text)
    {
        for (var index = 0; index < text.Length; index++)
        {
            if (char.IsSurrogate(text[index]) && (index + 1 == text.Length || !char.IsSurrogatePair(text[index], text[++index])))
            {
                return false;
            }
        }

        return true;
    }
}
