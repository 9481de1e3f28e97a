using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>Reads a filter, for <see cref="Filter.Parse"/>, which says what it may look like.</summary>
internal sealed class FilterParser(Faults faults)
{
    private const string Root = "filters";
    private const string FieldPrefix = "metadata.";
    private const string Scalar = "a string, a number, true, false or null";
    private const string Operators = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not";

    private static readonly string _tooDeep = Invariant($"must be nested no deeper than {Filter.DepthMax} levels");
    private static readonly string _tooMany = Invariant($"must have no more than {Filter.ConditionsMax} conditions");
    private static readonly string _tooLong = Invariant($"must have no more than {Filter.TextBytesMax} bytes in UTF-8");
    private static readonly string _filterList = Invariant($"must be a list of 1 to {Filter.ConditionsMax} filters");
    private static readonly string _valueList = Invariant($"must be a list of no more than {Filter.ValuesMax} values");
    private static readonly string _tooManyValues = Invariant($"must have, with the lists before it, no more than {Filter.ValuesMax} values");
    private static readonly string _longPath = Invariant($"must have no more than {MetadataFields.PathBytesMax} bytes in UTF-8 after {FieldPrefix}");

    private int _conditions;
    private int _values;

    public Filter Parse(JsonElement json) => json.ValueKind == JsonValueKind.Null ? Filter.Everything : Read(json, Root, depth: 0);

    private Filter Read(JsonElement json, string place, int depth)
    {
        if (!IsObject(json, place, depth, "must be an object of conditions"))
        {
            return Filter.Everything;
        }

        var filters = new List<Filter>();
        foreach (var member in json.EnumerateObject())
        {
            var inner = $"{place}.{member.Name}";
            switch (member.Name)
            {
                case "$and":
                    filters.Add(AllOf(ReadList(member.Value, inner, depth)));
                    break;
                case "$or":
                    filters.Add(new Filter.Any(ReadList(member.Value, inner, depth)));
                    break;
                case "$not":
                    filters.Add(new Filter.Not(Read(member.Value, inner, depth + 1)));
                    break;
                case var name when name.StartsWith(FieldPrefix, StringComparison.Ordinal):
                    filters.Add(ReadField(name[FieldPrefix.Length..], member.Value, inner, depth));
                    break;
                default:
                    faults.Add(inner, $"must be a field that begins with {FieldPrefix}, or one of: $and, $or, $not");
                    break;
            }
        }

        if (filters.Count == 0)
        {
            Count();
        }

        return AllOf(filters);
    }

    private List<Filter> ReadList(JsonElement json, string place, int depth)
    {
        if (json.ValueKind != JsonValueKind.Array || json.GetArrayLength() is < 1 or > Filter.ConditionsMax)
        {
            faults.Add(place, _filterList);
            return [];
        }

        return [.. json.EnumerateArray().Select((item, index) => Read(item, Item(place, index), depth + 1))];
    }

    private Filter ReadField(string name, JsonElement json, string place, int depth)
    {
        var path = Encoding.UTF8.GetBytes(name);
        if (path.Length > MetadataFields.PathBytesMax)
        {
            // What is below it would repeat its name in every place.
            faults.Add(place, _longPath);
            return Filter.Everything;
        }

        if (json.ValueKind == JsonValueKind.Object)
        {
            return ReadOperators(path, json, place, depth);
        }

        Count();
        return new Filter.In(path, [ReadValue(json, place, $"must be {Scalar}, or an object of operators")]);
    }

    private Filter ReadOperators(byte[] path, JsonElement json, string place, int depth)
    {
        if (!IsObject(json, place, depth, "must be an object of operators"))
        {
            return Filter.Everything;
        }

        var filters = new List<Filter>();
        foreach (var member in json.EnumerateObject())
        {
            filters.Add(ReadOperator(path, member, $"{place}.{member.Name}", depth));
        }

        if (filters.Count == 0)
        {
            faults.Add(place, $"must have at least one of: {Operators}");
        }

        return AllOf(filters);
    }

    private Filter ReadOperator(byte[] path, JsonProperty member, string place, int depth)
    {
        if (member.Name == "$not")
        {
            return new Filter.Not(ReadOperators(path, member.Value, place, depth + 1));
        }

        Count();
        switch (member.Name)
        {
            case "$eq":
                return new Filter.In(path, [ReadValue(member.Value, place)]);
            case "$ne":
                return new Filter.Not(new Filter.In(path, [ReadValue(member.Value, place)]));
            case "$gt":
                return new Filter.Range(path, FilterComparison.Greater, ReadBound(member.Value, place));
            case "$gte":
                return new Filter.Range(path, FilterComparison.GreaterOrEqual, ReadBound(member.Value, place));
            case "$lt":
                return new Filter.Range(path, FilterComparison.Less, ReadBound(member.Value, place));
            case "$lte":
                return new Filter.Range(path, FilterComparison.LessOrEqual, ReadBound(member.Value, place));
            case "$in":
                return new Filter.In(path, ReadValues(member.Value, place));
            case "$nin":
                return new Filter.Not(new Filter.In(path, ReadValues(member.Value, place)));
            case "$exists" when member.Value.ValueKind == JsonValueKind.True:
                return new Filter.Exists(path);
            case "$exists" when member.Value.ValueKind == JsonValueKind.False:
                return new Filter.Not(new Filter.Exists(path));
            case "$exists":
                faults.Add(place, "must be true or false");
                return Filter.Everything;
            default:
                faults.Add(place, $"must be one of: {Operators}");
                return Filter.Everything;
        }
    }

    private FilterValue[] ReadValues(JsonElement json, string place)
    {
        if (json.ValueKind != JsonValueKind.Array || json.GetArrayLength() > Filter.ValuesMax)
        {
            faults.Add(place, _valueList);
            return [];
        }

        _values += json.GetArrayLength();
        if (_values > Filter.ValuesMax)
        {
            faults.Add(place, _tooManyValues);
            return [];
        }

        return [.. json.EnumerateArray().Select((item, index) => ReadValue(item, Item(place, index)))];
    }

    private FilterValue ReadBound(JsonElement json, string place)
    {
        const string Expected = "must be a number or a string";
        if (json.ValueKind is not (JsonValueKind.Number or JsonValueKind.String))
        {
            faults.Add(place, Expected);
            return default;
        }

        return ReadValue(json, place, Expected);
    }

    private FilterValue ReadValue(JsonElement json, string place, string expected = $"must be {Scalar}")
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Null:
                return new FilterValue(MetadataKind.Null, 0, default);
            case JsonValueKind.False:
                return new FilterValue(MetadataKind.False, 0, default);
            case JsonValueKind.True:
                return new FilterValue(MetadataKind.True, 0, default);
            case JsonValueKind.Number:
                return new FilterValue(MetadataKind.Number, json.GetDouble(), default);
            case JsonValueKind.String when TryGetText(json, out var text):
                if (text.Length > Filter.TextBytesMax)
                {
                    faults.Add(place, _tooLong);
                }

                return new FilterValue(MetadataKind.Text, 0, text);
            case JsonValueKind.String:
                faults.Add(place, "must be a string of valid Unicode");
                return default;
            default:
                faults.Add(place, expected);
                return default;
        }
    }

    private bool IsObject(JsonElement json, string place, int depth, string expected)
    {
        if (json.ValueKind == JsonValueKind.Object && depth <= Filter.DepthMax)
        {
            return true;
        }

        faults.Add(place, json.ValueKind == JsonValueKind.Object ? _tooDeep : expected);
        return false;
    }

    private void Count()
    {
        if (++_conditions > Filter.ConditionsMax)
        {
            faults.Add(Root, _tooMany);
        }
    }

    // One level, so that an index sees all conditions that must hold together.
    private static Filter AllOf(List<Filter> filters)
    {
        List<Filter> flat = [.. filters.SelectMany(filter => filter is Filter.All all ? all.Filters : [filter])];
        return flat is [var only] ? only : new Filter.All(flat);
    }

    private static bool TryGetText(JsonElement json, [NotNullWhen(true)] out byte[]? text)
    {
        try
        {
            text = Encoding.UTF8.GetBytes(json.GetString()!);
            return true;
        }
        catch (InvalidOperationException)
        {
            // An escaped lone surrogate: well-formed JSON, but no text.
            text = null;
            return false;
        }
    }

    private static string Item(string place, int index) => Invariant($"{place}[{index}]");

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
