using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace QuantumFlux.Api;

/// <summary>
/// A request's JSON object, read member by member. Wrong types, missing members, values out of range and members that nobody asked for
/// are collected and answered together.
/// </summary>
/// <remarks>An optional member that is null counts as absent. Call <see cref="ThrowIfInvalid"/> after the last member was read.</remarks>
public sealed class JsonBody
{
    /// <summary>The largest body that is read, unless a call says otherwise. 64 KiB is far more than most requests need.</summary>
    public const int BytesMaxDefault = 64 * 1024;

    private readonly JsonElement _object;
    private readonly string _path;
    private readonly Faults _faults;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);
    private readonly List<JsonBody> _nested = [];

    private JsonBody(JsonElement json, string path, Faults faults)
    {
        _object = json;
        _path = path;
        _faults = faults;
    }

    /// <summary>Where further faults of the request can be noted.</summary>
    public Faults Faults => _faults;

    /// <summary>Reads the body.</summary>
    /// <param name="request">The request.</param>
    /// <param name="isRequired">When false, a request without any body counts as an empty object.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <param name="bytesMax">The largest body that is read.</param>
    /// <exception cref="ApiException">400 when it is not a JSON object; 413 when it is too large; 415 when it is not said to be JSON in UTF-8.</exception>
    public static async Task<JsonBody> ReadAsync(
        HttpRequest request, bool isRequired, CancellationToken cancellationToken, int bytesMax = BytesMaxDefault)
    {
        var bytes = await JsonText.ReceiveAsync(request, bytesMax, cancellationToken);
        if (bytes.Length > 0)
        {
            JsonText.RequireJson(request);
        }

        return Parse(request, bytes, isRequired);
    }

    /// <summary>Reads a body that has been received.</summary>
    /// <param name="request">The request that it came with, whose query must be empty.</param>
    /// <param name="bytes">The body.</param>
    /// <param name="isRequired">When false, an empty body counts as an empty object.</param>
    /// <exception cref="ApiException">400 when it is not a JSON object.</exception>
    public static JsonBody Parse(HttpRequest request, ReadOnlyMemory<byte> bytes, bool isRequired)
    {
        var faults = UnknownQuery(request);
        if (bytes.Length == 0)
        {
            return isRequired
                ? throw ApiException.InvalidParameter(JsonText.Parameter, "is required: a JSON object")
                : new JsonBody(JsonElement.Parse("{}"u8), "", faults);
        }

        var root = JsonText.Parse(bytes.Span);
        return root.ValueKind == JsonValueKind.Object
            ? new JsonBody(root, "", faults)
            : throw ApiException.InvalidParameter(JsonText.Parameter, "must be a JSON object");
    }

    /// <summary>
    /// Reads a body that is mostly one list of objects, which are handed out as they were written, to be read one at a time by <see cref="ParseItem"/>: parsed
    /// as a whole, a body of short numbers would take ten times its text.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="list">The name of the list, which must be there.</param>
    /// <param name="countMax">The most objects; there must be one at least.</param>
    /// <param name="bytesMax">The largest body that is read. Beside the list it has <see cref="BytesMaxDefault"/> at most.</param>
    /// <param name="cancellationToken">Ends the call early.</param>
    /// <returns>The body, the list taken as read; and its objects, of which none is to be read when the list is at fault.</returns>
    /// <exception cref="ApiException">400 when it is not a JSON object; 413 when it is too large; 415 when it is not said to be JSON in UTF-8.</exception>
    public static async Task<(JsonBody Body, IReadOnlyList<ReadOnlyMemory<byte>> Items)> ReadListAsync(
        HttpRequest request, string list, int countMax, int bytesMax, CancellationToken cancellationToken)
    {
        var bytes = await JsonText.ReceiveAsync(request, bytesMax, cancellationToken);
        if (bytes.Length == 0)
        {
            return (Parse(request, bytes, isRequired: true), []);
        }

        JsonText.RequireJson(request);
        var (kind, place, items) = JsonText.FindList(bytes, list, countMax);
        var (before, after) = (bytes[..place.Start], bytes[place.End..]);
        if (before.Length + after.Length > BytesMaxDefault)
        {
            throw ApiException.InvalidParameter(JsonText.Parameter, string.Create(CultureInfo.InvariantCulture, $"must have no more than {BytesMaxDefault} bytes beside {list}"));
        }

        var body = Parse(request, kind == JsonTokenType.None ? bytes : (byte[])[.. before.Span, .. "null"u8, .. after.Span], isRequired: true);
        body._read.Add(list);
        if (kind is JsonTokenType.None or JsonTokenType.Null)
        {
            body._faults.Add(list, "is required");
        }
        else if (items.Count == 0)
        {
            body._faults.Add(list, string.Create(CultureInfo.InvariantCulture, $"must be a list of 1 to {countMax} objects"));
        }

        return (body, items);
    }

    /// <summary>Reads one object of a list that <see cref="ReadListAsync"/> found.</summary>
    /// <param name="json">The object.</param>
    /// <param name="path">What comes before the names of its members in faults, which are its own.</param>
    /// <exception cref="ApiException">400 when it holds a member twice.</exception>
    public static JsonBody ParseItem(ReadOnlyMemory<byte> json, string path) => new(JsonText.Parse(json.Span), path, new Faults());

    /// <summary>A nested object; absent reads as empty.</summary>
    public JsonBody Object(string name)
    {
        var nested = TryGet(name, out var value) && value.ValueKind != JsonValueKind.Object
            ? Fault<JsonBody>(name, "must be an object")
            : null;
        nested ??= new JsonBody(value.ValueKind == JsonValueKind.Object ? value : default, _path + name + ".", _faults);
        _nested.Add(nested);
        return nested;
    }

    /// <summary>A text that must be there; empty when it is at fault.</summary>
    public string RequiredText(string name, Func<string, string?> check) =>
        OptionalText(name, check) ?? Missing(name, "");

    /// <summary>A text that may be absent.</summary>
    /// <param name="name">The member's name.</param>
    /// <param name="check">Says what the text must be when it is wrong, else null.</param>
    public string? OptionalText(string name, Func<string, string?> check)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.String || !TryGetText(value, out var text))
        {
            return Fault<string>(name, "must be a string of valid Unicode");
        }

        return check(text) is { } reason ? Fault<string>(name, reason) : text;
    }

    /// <summary>One of a few words; absent gives the default.</summary>
    public string Choice(string name, string absent, params string[] choices) => OptionalText(name, Among(choices)) ?? absent;

    /// <summary>One of a few words, which must be there; empty when it is at fault.</summary>
    public string RequiredChoice(string name, params string[] choices) => RequiredText(name, Among(choices));

    /// <summary>A moment in ISO 8601 with a zone, which must be there; the default when it is at fault.</summary>
    public DateTimeOffset RequiredMoment(string name)
    {
        DateTimeOffset moment = default;
        RequiredText(name, text => Moments.TryParse(text, out moment) ? null : Moments.Expected);
        return moment;
    }

    /// <summary>A whole number in a range, ends included; null when it is absent or at fault.</summary>
    public long? Whole(string name, long from, long to)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= from && number <= to)
        {
            return number;
        }

        _ = Fault<string>(name, string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {from} to {to}"));
        return null;
    }

    /// <summary>A number that must be there and lie in a range, ends included; NaN when it is at fault.</summary>
    public double RequiredNumber(string name, double from, double to)
    {
        if (!TryGet(name, out var value))
        {
            return Missing(name, double.NaN);
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= from && number <= to)
        {
            return number;
        }

        _ = Fault<string>(name, FormattableString.Invariant($"must be a number from {from:0.0###} to {to:0.0###}"));
        return double.NaN;
    }

    /// <summary>Any JSON value as it was written, byte for byte, also <c>null</c>; null when the member is absent.</summary>
    public ReadOnlyMemory<byte>? Raw(string name)
    {
        _read.Add(name);
        return _object.ValueKind == JsonValueKind.Object && _object.TryGetProperty(name, out var value)
            ? new ReadOnlyMemory<byte>(JsonMarshal.GetRawUtf8Value(value).ToArray())
            : default(ReadOnlyMemory<byte>?);
    }

    /// <summary>A Boolean; absent gives the default.</summary>
    public bool Flag(string name, bool absent)
    {
        if (!TryGet(name, out var value))
        {
            return absent;
        }

        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }

        _ = Fault<string>(name, "must be true or false");
        return absent;
    }

    /// <summary>A list of whole numbers in a range, without repeats; null when it is absent or at fault.</summary>
    public IReadOnlyList<int>? Integers(string name, int from, int to, int countMax)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        var reason = string.Create(CultureInfo.InvariantCulture, $"must be a list of 1 to {countMax} different whole numbers from {from} to {to}");
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() < 1 || value.GetArrayLength() > countMax)
        {
            return Fault<IReadOnlyList<int>>(name, reason);
        }

        var numbers = new List<int>();
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out var number) || number < from || number > to || numbers.Contains(number))
            {
                return Fault<IReadOnlyList<int>>(name, reason);
            }

            numbers.Add(number);
        }

        return numbers;
    }

    /// <summary>A list of texts; null when it is absent or at fault.</summary>
    public IReadOnlyList<string>? Texts(string name, int countMax, Func<string, string?> check)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > countMax)
        {
            return Fault<IReadOnlyList<string>>(name, string.Create(CultureInfo.InvariantCulture, $"must be a list of at most {countMax} strings"));
        }

        var texts = new List<string>();
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.String || !TryGetText(item, out var text))
            {
                return Fault<IReadOnlyList<string>>(name, "must hold only strings of valid Unicode");
            }

            if (check(text) is { } reason)
            {
                return Fault<IReadOnlyList<string>>(name, reason);
            }

            texts.Add(text);
        }

        return texts;
    }

    /// <summary>A list of numbers in single precision, which must be there; empty when it is at fault.</summary>
    /// <param name="name">The member's name.</param>
    /// <param name="countMax">The most numbers; there must be one at least.</param>
    /// <param name="magnitudeMax">The largest number, either way.</param>
    public float[] RequiredNumbers(string name, int countMax, float magnitudeMax) =>
        TryGet(name, out _) ? OptionalNumbers(name, countMax, magnitudeMax) ?? [] : Missing<float[]>(name, []);

    /// <summary>A list of numbers in single precision; null when it is absent or at fault. A fault names the number.</summary>
    public float[]? OptionalNumbers(string name, int countMax, float magnitudeMax)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() < 1 || value.GetArrayLength() > countMax)
        {
            return Fault<float[]>(name, string.Create(CultureInfo.InvariantCulture, $"must be a list of 1 to {countMax} numbers"));
        }

        var numbers = new float[value.GetArrayLength()];
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            // What is too large for single precision reads as infinite.
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetSingle(out numbers[index]) || !(Math.Abs(numbers[index]) <= magnitudeMax))
            {
                return Fault<float[]>(
                    string.Create(CultureInfo.InvariantCulture, $"{name}[{index}]"),
                    string.Create(CultureInfo.InvariantCulture, $"must be a number from {-magnitudeMax:0.###e+0} to {magnitudeMax:0.###e+0}"));
            }

            index++;
        }

        return numbers;
    }

    /// <summary>An object as it was written, byte for byte; null when it is absent or at fault.</summary>
    public ReadOnlyMemory<byte>? RawObject(string name, int bytesMax)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        var bytes = value.ValueKind == JsonValueKind.Object ? JsonMarshal.GetRawUtf8Value(value).ToArray() : null;
        if (bytes is null || bytes.Length > bytesMax)
        {
            _faults.Add(_path + name, string.Create(CultureInfo.InvariantCulture, $"must be an object of at most {bytesMax} bytes"));
            return null;
        }

        return bytes;
    }

    /// <summary>Any JSON value, for readers of their own; null when it is absent.</summary>
    public JsonElement? Value(string name) => TryGet(name, out var value) ? value : null;

    /// <summary>One of a few words; null when it is absent or at fault.</summary>
    public string? OptionalChoice(string name, params string[] choices) => OptionalText(name, Among(choices));

    /// <summary>A list of objects, which may be empty; null when it is absent or at fault. Their faults are the request's.</summary>
    public IReadOnlyList<JsonBody>? Objects(string name, int countMax)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Array
            || value.GetArrayLength() > countMax
            || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Object))
        {
            return Fault<IReadOnlyList<JsonBody>>(name, string.Create(CultureInfo.InvariantCulture, $"must be a list of at most {countMax} objects"));
        }

        JsonBody[] items = [.. value.EnumerateArray().Select((item, index) =>
            new JsonBody(item, string.Create(CultureInfo.InvariantCulture, $"{_path}{name}[{index}]."), _faults))];
        _nested.AddRange(items);
        return items;
    }

    /// <summary>Notes a further fault of a member.</summary>
    public void Note(string name, string reason) => _faults.Add(_path + name, reason);

    /// <summary>A list of objects that must be there; empty when it is at fault. Each has faults of its own, so that one may fail and the others not.</summary>
    /// <param name="name">The member's name.</param>
    /// <param name="countMax">The most objects; there must be one at least.</param>
    public IReadOnlyList<JsonBody> RequiredObjects(string name, int countMax)
    {
        if (!TryGet(name, out var value))
        {
            return Missing<IReadOnlyList<JsonBody>>(name, []);
        }

        if (value.ValueKind != JsonValueKind.Array
            || value.GetArrayLength() < 1
            || value.GetArrayLength() > countMax
            || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Object))
        {
            return Fault<IReadOnlyList<JsonBody>>(name, string.Create(CultureInfo.InvariantCulture, $"must be a list of 1 to {countMax} objects")) ?? [];
        }

        return [.. value.EnumerateArray().Select(item => new JsonBody(item, "", new Faults()))];
    }

    /// <summary>Ends the request when anything read so far was at fault, or a member was never asked for.</summary>
    /// <exception cref="ApiException">400 with all faults.</exception>
    public void ThrowIfInvalid()
    {
        NoteUnknown();
        _faults.ThrowIfAny();
    }

    private static Func<string, string?> Among(string[] choices) =>
        text => choices.Contains(text, StringComparer.Ordinal) ? null : $"must be one of: {string.Join(", ", choices)}";

    // Whoever sends a body sends every parameter in it.
    private static Faults UnknownQuery(HttpRequest request)
    {
        var faults = new Faults();
        foreach (var name in request.Query.Keys)
        {
            faults.Add(name, "is not a parameter of this request");
        }

        return faults;
    }

    private static bool TryGetText(JsonElement value, out string text)
    {
        try
        {
            text = value.GetString()!;
            return true;
        }
        catch (InvalidOperationException)
        {
            // An escaped lone surrogate: well-formed JSON, but no text.
            text = "";
            return false;
        }
    }

    private bool TryGet(string name, out JsonElement value)
    {
        _read.Add(name);
        value = default;
        return _object.ValueKind == JsonValueKind.Object
            && _object.TryGetProperty(name, out value)
            && value.ValueKind != JsonValueKind.Null;
    }

    private T Missing<T>(string name, T value)
    {
        _faults.Add(_path + name, "is required");
        return value;
    }

    private T? Fault<T>(string name, string reason)
        where T : class
    {
        _faults.Add(_path + name, reason);
        return null;
    }

    private void NoteUnknown()
    {
        if (_object.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in _object.EnumerateObject())
            {
                if (!_read.Contains(member.Name))
                {
                    _faults.Add(_path + member.Name, "is not a parameter of this request");
                }
            }
        }

        foreach (var nested in _nested)
        {
            nested.NoteUnknown();
        }
    }
}
