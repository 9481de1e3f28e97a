using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace QuantumFlux.Tests.Vectors;

/// <summary>
/// Random metadata and filters as JSON text. Both draw from the same few names and values, so that filters match, and these are the ones that
/// could go wrong: names with dots, texts about as long as an index keeps, numbers at the edges of doubles.
/// </summary>
public sealed class RandomMetadata
{
    private static readonly string[] _allNames = ["a", "b", "a.b", "", "b.", "ä\"\\", "😀", "$eq", "metadata.a", new('n', 1024), new('n', 1025)];
    private static readonly string[] _allNumbers =
    [
        "0", "-0.0", "1", "1.0", "1e0", "2.5", "-1", "-2.5", "5e-324", "-5e-324", "1e308", "-1e308", "1e999", "-1e999", "9007199254740992", "9007199254740993",
    ];

    private static readonly JsonSerializerOptions _raw = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Random _random;
    private readonly string[] _names;
    private readonly string[] _numbers;
    private readonly string[] _texts;
    private readonly bool _hasArrays;

    public RandomMetadata(Random random)
    {
        _random = random;
        _names = [.. random.GetItems(_allNames, random.Next(1, 7))];
        _numbers = [.. random.GetItems(_allNumbers, random.Next(1, 12))];
        _texts = [.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => NewText())];
        _hasArrays = random.Next(3) > 0;
    }

    /// <summary>An object of metadata.</summary>
    public string Metadata() => Object(0);

    /// <summary>An object of conditions.</summary>
    public string Filter(int depth = 0) => Members(_random.Next(_random.Next(4)) + (depth > 0 || _random.Next(20) > 0 ? 1 : 0), () => _random.Next(depth > 2 ? 8 : 12) switch
    {
        8 => ("$and", FilterList(depth)),
        9 => ("$or", FilterList(depth)),
        10 => ("$not", Filter(depth + 1)),
        _ => ($"metadata.{Path()}", _random.Next(3) == 0 ? Scalar(isOperand: true) : Operators(0)),
    });

    private string FilterList(int depth) => $"[{string.Join(',', Enumerable.Range(0, _random.Next(1, 4)).Select(_ => Filter(depth + 1)))}]";

    private string Operators(int depth) => Members(_random.Next(1, 4), () => _random.Next(depth > 1 ? 12 : 13) switch
    {
        0 => ("$eq", Scalar(isOperand: true)),
        1 => ("$ne", Scalar(isOperand: true)),
        2 => ("$in", ScalarList()),
        3 => ("$nin", ScalarList()),
        4 => ("$exists", _random.Next(2) == 0 ? "true" : "false"),
        5 or 6 => ("$gt", Bound()),
        7 or 8 => ("$gte", Bound()),
        9 => ("$lt", Bound()),
        10 or 11 => ("$lte", Bound()),
        _ => ("$not", Operators(depth + 1)),
    });

    private string ScalarList() => $"[{string.Join(',', Enumerable.Range(0, _random.Next(4)).Select(_ => Scalar(isOperand: true)))}]";

    private string Object(int depth) => Members(_random.Next(5), () => (Name(isPath: false), Value(depth)));

    private string Value(int depth) => _random.Next(10) switch
    {
        0 when depth < 3 => Object(depth + 1),
        1 or 2 when depth < 3 && _hasArrays => $"[{string.Join(',', Enumerable.Range(0, _random.Next(4)).Select(_ => Value(depth + 1)))}]",
        _ => Scalar(isOperand: false),
    };

    private string Scalar(bool isOperand) => _random.Next(12) switch
    {
        0 => "null",
        1 => "true",
        2 => "false",
        3 when !isOperand => "\"\\ud800\"",
        4 or 5 or 6 => _random.GetItems(_numbers, 1)[0],
        _ => Text(isOperand),
    };

    private string Bound() => _random.Next(2) == 0 ? _random.GetItems(_numbers, 1)[0] : Text(isOperand: true);

    // An operand may be a beginning of a text that is there, and no longer than a filter allows.
    private string Text(bool isOperand)
    {
        var text = _random.Next(10) == 0 ? NewText() : _texts[_random.Next(_texts.Length)];
        if (isOperand)
        {
            text = text[..Math.Min(text.Length, _random.Next(4) == 0 ? _random.Next(300) : 1000)];
        }

        return Json(text);
    }

    private string Path() => string.Join('.', Enumerable.Range(0, _random.Next(4) == 0 ? 2 : 1).Select(_ => Name(isPath: true)));

    private string Name(bool isPath)
    {
        var name = _random.GetItems(_names, 1)[0];
        return isPath && name.Length > 500 ? name[..500] : name;
    }

    private string NewText() => _random.Next(8) switch
    {
        0 => "",
        1 => "true",
        2 => "1",
        3 => new DateTime(2025, 1, 1).AddHours(_random.Next(9000)).ToString("s", CultureInfo.InvariantCulture),
        4 => _random.GetItems(["ä", "\uff5e", "😀", "\0", "a\0", "a", "a\0\0"], 1)[0],
        5 => Long(_random.GetItems([63, 64, 65, 66, 255, 256, 257], 1)[0]),
        6 => Long(_random.Next(60, 270)),
        _ => Long(_random.GetItems([1023, 1024, 1025, 2000], 1)[0]),
    };

    // Much alike, but for a character somewhere.
    private string Long(int length)
    {
        var characters = new string('x', length).ToCharArray();
        if (_random.Next(3) > 0)
        {
            characters[_random.Next(length)] = (char)_random.Next('w', 'z');
        }

        return new string(characters);
    }

    private string Json(string text) => JsonSerializer.Serialize(text, _random.Next(2) == 0 ? _raw : JsonSerializerOptions.Default);

    // No name twice, as in requests.
    private string Members(int count, Func<(string Name, string Value)> member)
    {
        var members = Enumerable.Range(0, count).Select(_ => member()).DistinctBy(one => one.Name).Select(one => $"{Json(one.Name)}:{one.Value}");
        return $"{{{string.Join(',', members)}}}";
    }
}
