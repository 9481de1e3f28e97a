namespace QuantumFlux.Api;

/// <summary>JSON text in pieces: however long it gets, it is never moved to make room, and is sent from where it lies.</summary>
public sealed class JsonPages
{
    // The largest is still no large object to the runtime's memory manager, which would keep it for long.
    private const int PageBytesMin = 4 * 1024;
    private const int PageBytesMax = 64 * 1024;

    private readonly List<ReadOnlyMemory<byte>> _full = [];
    private byte[] _page = [];
    private int _used;

    /// <summary>The length of the text in bytes.</summary>
    public int Length { get; private set; }

    /// <summary>The text written so far.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Pages => _used == 0 ? _full : [.. _full, _page.AsMemory(0, _used)];

    /// <summary>Adds text.</summary>
    public void Append(ReadOnlySpan<byte> text)
    {
        Length += text.Length;
        while (text.Length > 0)
        {
            if (_used == _page.Length)
            {
                if (_used > 0)
                {
                    _full.Add(_page);
                }

                _page = GC.AllocateUninitializedArray<byte>(Math.Clamp(2 * _used, PageBytesMin, PageBytesMax));
                _used = 0;
            }

            var count = Math.Min(text.Length, _page.Length - _used);
            text[..count].CopyTo(_page.AsSpan(_used));
            _used += count;
            text = text[count..];
        }
    }

    /// <summary>The text in one piece, and nothing more.</summary>
    public byte[] ToArray()
    {
        var bytes = GC.AllocateUninitializedArray<byte>(Length);
        var length = 0;
        foreach (var page in Pages)
        {
            page.Span.CopyTo(bytes.AsSpan(length));
            length += page.Length;
        }

        return bytes;
    }
}
