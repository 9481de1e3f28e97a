using QuantumFlux.Api;

namespace QuantumFlux.Objects;

/// <summary>The beginning of a request's content: all of it when it is of row size.</summary>
public sealed class ReceivedContent
{
    private ReceivedContent(ReadOnlyMemory<byte> small, bool isWhole)
    {
        Small = small;
        IsWhole = isWhole;
    }

    /// <summary>The first bytes, at most one more than <see cref="ObjectLimits.RowContentBytesMax"/>.</summary>
    public ReadOnlyMemory<byte> Small { get; }

    /// <summary>Whether these are all.</summary>
    public bool IsWhole { get; }

    /// <summary>Reads until the content ends or proves larger than a row takes.</summary>
    /// <exception cref="ApiException">411 without a length or chunks; 413 when the length is said to be too large.</exception>
    public static async Task<ReceivedContent> ReceiveAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        // Without either there is no body at all, and a client that forgot it must not empty an object.
        if (request.ContentLength is null && !request.Headers.ContainsKey("Transfer-Encoding") && HttpProtocol.IsHttp11(request.Protocol))
        {
            throw ApiException.LengthRequired();
        }

        if (request.ContentLength > ObjectLimits.ContentBytesMax)
        {
            throw ApiException.PayloadTooLarge(ObjectLimits.ContentBytesMax);
        }

        var buffer = new byte[Math.Min(request.ContentLength ?? long.MaxValue, ObjectLimits.RowContentBytesMax) + 1];
        var count = await request.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return new ReceivedContent(buffer.AsMemory(0, count), count <= ObjectLimits.RowContentBytesMax);
    }
}
