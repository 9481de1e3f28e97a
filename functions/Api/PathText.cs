using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace QuantumFlux.Api;

/// <summary>Text at the end of a request's path that may hold anything, so that its slashes and percent signs must be told apart from those of the path.</summary>
public static class PathText
{
    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The text at the end of a request's path, percent-decoded once; null when the path ends before it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="name">The name of the route's last part, a catch-all.</param>
    /// <param name="before">What stands before it in every path.</param>
    /// <exception cref="ApiException">400 when the path is not UTF-8.</exception>
    public static string? Of(HttpRequest request, string name, string before) =>
        Of(request.RouteText(name), request.HttpContext.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "", name, before);

    /// <summary>The same from the path's parts.</summary>
    /// <param name="routeText">What the router found. The server has decoded it, all but <c>%2F</c>, so that <c>%2F</c> and <c>%252F</c> look the same.</param>
    /// <param name="rawTarget">The target as it stood in the request, which tells the two apart.</param>
    /// <param name="name">The name of the parameter.</param>
    /// <param name="before">What stands before it in every path.</param>
    /// <remarks>
    /// The raw path counts only where it says the same as the router: a proxy before the server may have decoded it, and the server itself follows <c>..</c>.
    /// Without it, <c>%2F</c> is taken for a slash.
    /// </remarks>
    /// <exception cref="ApiException">400 when the path is not UTF-8.</exception>
    public static string? Of(string? routeText, string rawTarget, string name, string before)
    {
        if (string.IsNullOrEmpty(routeText))
        {
            return null;
        }

        var end = rawTarget.IndexOf('?', StringComparison.Ordinal);
        var path = end < 0 ? rawTarget : rawTarget[..end];
        var start = path.IndexOf(before, StringComparison.OrdinalIgnoreCase);
        if (start >= 0)
        {
            // A router may leave out a slash at the end.
            var raw = path[(start + before.Length)..];
            if (Decode(raw, name, keepSlashes: true).TrimEnd('/').Equals(routeText.TrimEnd('/'), StringComparison.Ordinal))
            {
                return Decode(raw, name, keepSlashes: false);
            }
        }

        return routeText.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
    }

    private static string Decode(string text, string name, bool keepSlashes)
    {
        var bytes = new List<byte>(text.Length);
        for (var index = 0; index < text.Length; index++)
        {
            if (text[index] == '%'
                && index + 2 < text.Length
                && byte.TryParse(text.AsSpan(index + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
                && !(keepSlashes && value == '/'))
            {
                bytes.Add(value);
                index += 2;
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(text, index, 1));
            }
        }

        try
        {
            return _strictUtf8.GetString([.. bytes]);
        }
        catch (DecoderFallbackException)
        {
            throw ApiException.InvalidParameter(name, "must be UTF-8, percent-encoded");
        }
    }
}
