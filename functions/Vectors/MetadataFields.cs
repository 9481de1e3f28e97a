using System.Runtime.CompilerServices;
using System.Text.Json;

namespace QuantumFlux.Vectors;

/// <summary>What lies under a path of the metadata. The order is that of the values of an index.</summary>
public enum MetadataKind : byte
{
    /// <summary>An object or an array, whatever it holds: it says that the path is there, and equals no value.</summary>
    Container,
    Null,
    False,
    True,
    Number,
    Text,
}

/// <summary>One value of a vector's metadata and the path under which it lies.</summary>
public readonly ref struct MetadataField
{
    internal MetadataField(ReadOnlySpan<byte> path, MetadataKind kind, double number, ReadOnlySpan<byte> text)
    {
        Path = path;
        Kind = kind;
        Number = number;
        Text = text;
    }

    /// <summary>The names that lead to the value, joined by dots, in UTF-8.</summary>
    public ReadOnlySpan<byte> Path { get; }

    /// <summary>What the value is.</summary>
    public MetadataKind Kind { get; }

    /// <summary>The value when it is a number, else zero.</summary>
    public double Number { get; }

    /// <summary>The value in UTF-8 when it is a text, else empty.</summary>
    public ReadOnlySpan<byte> Text { get; }
}

/// <summary>What the fields of a vector's metadata take.</summary>
/// <param name="PathBytes">All paths together, in bytes of UTF-8. It can be much more than the JSON: each member's path repeats the names above it.</param>
/// <param name="HeapBytes">The memory of the <see cref="MetadataFields"/>, once trimmed, in bytes.</param>
public readonly record struct MetadataSize(long PathBytes, long HeapBytes);

/// <summary>A vector's metadata as a list of paths and values, which is what filters look at.</summary>
/// <remarks>
/// <para>
/// Names of nested objects are joined by dots, so <c>{"a":{"b":1}}</c> and <c>{"a.b":1}</c> both have 1 under <c>a.b</c>. The elements of an array lie
/// under the path of the array, those of arrays and objects within it too: <c>{"a":[1,[2],{"b":3}]}</c> has 1 and 2 under <c>a</c> and 3 under <c>a.b</c>.
/// An object or array that is a member also gives a field of its own, a <see cref="MetadataKind.Container"/>, so that its path exists even when it is empty.
/// </para>
/// <para>
/// Numbers are doubles, as JSON's are to most readers: whole numbers beyond 2^53 are rounded, and what is too large is infinite. What lies under a path
/// of more than <see cref="PathBytesMax"/> bytes is left out, and so is what lies under a name that is no valid Unicode (an escaped lone surrogate): no
/// filter can name it. A text that is no valid Unicode counts as a container: it is there, but no filter can ask for it.
/// </para>
/// </remarks>
public sealed class MetadataFields
{
    /// <summary>The longest path that filters can name. Longer ones would let a small object blow up: each of its names repeats those before it.</summary>
    public const int PathBytesMax = 1024;

    // Three objects, and what they say beside the bytes and the entries.
    private const int ObjectBytes = 112;

    private readonly bool _isMeasure;
    private byte[] _bytes;
    private int _bytesUsed;
    private long _pathBytes;
    private Entry[] _entries;

    private MetadataFields(int jsonBytes) => (_bytes, _entries) = (new byte[jsonBytes], new Entry[16]);

    // Counts what would be kept, and keeps nothing.
    private MetadataFields() => (_isMeasure, _bytes, _entries) = (true, [], []);

    /// <summary>The fields of a vector without metadata.</summary>
    public static MetadataFields Empty { get; } = new(0);

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>One of them, in the order of the JSON.</summary>
    public MetadataField this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
            ref readonly var entry = ref _entries[index];
            return new MetadataField(Bytes(entry.Path), entry.Kind, entry.Number, Bytes(entry.Text));
        }
    }

    /// <summary>Reads the fields of an object.</summary>
    /// <param name="json">The object in UTF-8, nested no deeper than 64 levels.</param>
    /// <exception cref="JsonException">It is not valid JSON.</exception>
    public static MetadataFields Parse(ReadOnlySpan<byte> json) => new MetadataFields(json.Length).Read(json);

    /// <summary>What the fields of an object take, told without making them.</summary>
    /// <param name="json">The object in UTF-8, nested no deeper than 64 levels.</param>
    /// <exception cref="JsonException">It is not valid JSON.</exception>
    public static MetadataSize Measure(ReadOnlySpan<byte> json) => new MetadataFields().Read(json).Size;

    /// <summary>What these take, once trimmed.</summary>
    public MetadataSize Size => new(_pathBytes, HeapBytesOf(_bytesUsed, Count));

    /// <summary>The memory that they take now, in bytes.</summary>
    public long HeapBytes => HeapBytesOf(_bytes.Length, _entries.Length);

    /// <summary>Gives back the memory that was taken to grow into; for fields that are kept.</summary>
    /// <returns>The same fields.</returns>
    public MetadataFields Trim()
    {
        Array.Resize(ref _bytes, _bytesUsed);
        Array.Resize(ref _entries, Count);
        return this;
    }

    private MetadataFields Read(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("The metadata is not an object.");
        }

        ReadObject(ref reader, null);
        return this;
    }

    /// <summary>All of them, in the order of the JSON.</summary>
    public Enumerator GetEnumerator() => new(this);

    private void ReadObject(ref Utf8JsonReader reader, Slice? parent)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (Path(ref reader, parent) is { } path)
            {
                reader.Read();
                ReadValue(ref reader, path, isElement: false);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadValue(ref Utf8JsonReader reader, Slice path, bool isElement)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
            case JsonTokenType.StartArray:
                if (!isElement)
                {
                    Add(path, MetadataKind.Container);
                }

                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    ReadObject(ref reader, path);
                    break;
                }

                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    ReadValue(ref reader, path, isElement: true);
                }

                break;
            case JsonTokenType.String:
                var start = _bytesUsed;
                if (TryAppendText(ref reader))
                {
                    Add(path, MetadataKind.Text, text: new Slice(start, _bytesUsed - start));
                }
                else
                {
                    Add(path, MetadataKind.Container);
                }

                break;
            case JsonTokenType.Number:
                Add(path, MetadataKind.Number, reader.GetDouble());
                break;
            case JsonTokenType.True:
                Add(path, MetadataKind.True);
                break;
            case JsonTokenType.False:
                Add(path, MetadataKind.False);
                break;
            default:
                Add(path, MetadataKind.Null);
                break;
        }
    }

    // The path of the member that was reached; null when no filter can name it.
    private Slice? Path(ref Utf8JsonReader reader, Slice? parent)
    {
        var start = _bytesUsed;
        if (parent is { } prefix)
        {
            if (!_isMeasure)
            {
                Reserve(prefix.Length + 1);
                Bytes(prefix).CopyTo(_bytes.AsSpan(start));
                _bytes[start + prefix.Length] = (byte)'.';
            }

            _bytesUsed += prefix.Length + 1;
        }

        if (TryAppendText(ref reader) && _bytesUsed - start <= PathBytesMax)
        {
            _pathBytes += _bytesUsed - start;
            return new Slice(start, _bytesUsed - start);
        }

        _bytesUsed = start;
        return null;
    }

    private bool TryAppendText(ref Utf8JsonReader reader)
    {
        if (_isMeasure && !reader.ValueIsEscaped)
        {
            _bytesUsed += reader.ValueSpan.Length;
            return true;
        }

        try
        {
            if (_isMeasure)
            {
                _bytesUsed += reader.CopyString(new byte[reader.ValueSpan.Length]);
                return true;
            }

            Reserve(reader.ValueSpan.Length);
            _bytesUsed += reader.CopyString(_bytes.AsSpan(_bytesUsed));
            return true;
        }
        catch (InvalidOperationException)
        {
            // An escaped lone surrogate: well-formed JSON, but no text.
            return false;
        }
    }

    private void Reserve(int count)
    {
        if (count > _bytes.Length - _bytesUsed)
        {
            Array.Resize(ref _bytes, Math.Max(_bytesUsed + count, 2 * _bytes.Length));
        }
    }

    private void Add(Slice path, MetadataKind kind, double number = 0, Slice text = default)
    {
        if (_isMeasure)
        {
            Count++;
            return;
        }

        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, 2 * Count);
        }

        _entries[Count++] = new Entry(path, kind, number, text);
    }

    private static long HeapBytesOf(int bytes, int entries) => ObjectBytes + bytes + ((long)entries * Unsafe.SizeOf<Entry>());

    private ReadOnlySpan<byte> Bytes(Slice slice) => _bytes.AsSpan(slice.Start, slice.Length);

    /// <summary>Goes through the fields.</summary>
    public struct Enumerator
    {
        private readonly MetadataFields _fields;
        private int _index;

        internal Enumerator(MetadataFields fields)
        {
            _fields = fields;
            _index = -1;
        }

        /// <summary>The field reached.</summary>
        public readonly MetadataField Current => _fields[_index];

        /// <summary>Goes to the next field; false when there is none.</summary>
        public bool MoveNext() => ++_index < _fields.Count;
    }

    private readonly record struct Slice(int Start, int Length);

    private readonly record struct Entry(Slice Path, MetadataKind Kind, double Number, Slice Text);
}
