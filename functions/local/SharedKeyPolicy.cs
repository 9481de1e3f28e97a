using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Azure.Core;
using Azure.Core.Pipeline;

namespace QuantumFlux.Local;

/// <summary>Signs every try of a request with the account's key.</summary>
/// <remarks>"Authorize with Shared Key" in the documentation of the storage REST API.</remarks>
public abstract class SharedKeyPolicy(string account, string accountKey) : HttpPipelineSynchronousPolicy
{
    private readonly byte[] _key = Convert.FromBase64String(accountKey);

    // The date has a resolution of a second; most requests of one second share the text.
    private static DateText _lastDate = new(0, "");

    protected string Account { get; } = account;

    public override void OnSendingRequest(HttpMessage message)
    {
        // The service compares with its own clock, so this is the one place where a clock that tests can move would be wrong.
        var now = TimeProvider.System.GetUtcNow();
        var date = _lastDate;
        if (now.ToUnixTimeSeconds() != date.UnixSeconds)
        {
            _lastDate = date = new DateText(now.ToUnixTimeSeconds(), now.ToString("R", CultureInfo.InvariantCulture));
        }

        message.Request.Headers.SetValue("x-ms-date", date.Text);
        message.Request.Headers.SetValue("Authorization", $"{Scheme} {Account}:{Sign(_key, TextToSign(message.Request, date.Text))}");
    }

    /// <summary>The Base64 HMAC-SHA256 of a text.</summary>
    public static string Sign(byte[] key, string text)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text), hash);
        return Convert.ToBase64String(hash);
    }

    protected abstract string Scheme { get; }

    protected abstract string TextToSign(Request request, string now);

    private sealed record DateText(long UnixSeconds, string Text);
}

/// <summary>The lighter scheme, which the table service takes: it covers the date and the path.</summary>
public sealed class TableSharedKeyPolicy(string account, string accountKey) : SharedKeyPolicy(account, accountKey)
{
    protected override string Scheme => "SharedKeyLite";

    // The query would count only if it had "comp", which no request here has.
    protected override string TextToSign(Request request, string now) => $"{now}\n/{Account}{request.Uri.ToUri().AbsolutePath}";
}

/// <summary>The full scheme, which covers the headers and the query too.</summary>
public sealed class BlobSharedKeyPolicy(string account, string accountKey) : SharedKeyPolicy(account, accountKey)
{
    protected override string Scheme => "SharedKey";

    protected override string TextToSign(Request request, string now)
    {
        var text = new StringBuilder(512);
        text.Append(request.Method.Method).Append('\n');
        Append("Content-Encoding");
        Append("Content-Language");
        if (request.Content is { } content && content.TryComputeLength(out var length) && length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"{length}");
        }

        text.Append('\n');
        Append("Content-MD5");
        Append("Content-Type");

        // Instead of Date there is x-ms-date, among the headers below.
        text.Append('\n');
        Append("If-Modified-Since");
        Append("If-Match");
        Append("If-None-Match");
        Append("If-Unmodified-Since");
        Append("Range");
        foreach (var (name, value) in request.Headers
            .Where(header => header.Name.StartsWith("x-ms-", StringComparison.OrdinalIgnoreCase))
            .Select(header => (Name: header.Name.ToLowerInvariant(), header.Value))
            // The service sorts by a culture's rules, where an underscore comes before digits and letters.
            .OrderBy(header => header.Name.Replace('_', '/'), StringComparer.Ordinal))
        {
            text.Append(name).Append(':').Append(value).Append('\n');
        }

        var address = request.Uri.ToUri();
        text.Append('/').Append(Account).Append(address.AbsolutePath);
        foreach (var (name, value) in address.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=', 2))
            .Select(pair => (Name: pair[0].ToLowerInvariant(), Value: Uri.UnescapeDataString(pair[1])))
            .OrderBy(pair => pair.Name, StringComparer.Ordinal))
        {
            text.Append('\n').Append(name).Append(':').Append(value);
        }

        return text.ToString();

        void Append(string header) =>
            text.Append(request.Headers.TryGetValue(header, out var value) ? value : null).Append('\n');
    }
}
