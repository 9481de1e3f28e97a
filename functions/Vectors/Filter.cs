using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.Json;
using QuantumFlux.Api;

namespace QuantumFlux.Vectors;

/// <summary>How a value must lie to the value of a filter.</summary>
public enum FilterComparison
{
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// <summary>Which vectors a query looks at, by their metadata.</summary>
/// <remarks>
/// <para>The meaning is that of MongoDB's query operators (its manual, "Query and Projection Operators"), on <see cref="MetadataFields"/>:</para>
/// <list type="bullet">
/// <item>Equality and ranges hold when any value under the path does, so each of several conditions on one array may be met by another element.</item>
/// <item>Values of different types are never equal: true is not 1, "1" is not 1. Numbers are doubles, so 1 is 1.0, and 0 is -0.</item>
/// <item>Ranges compare numbers with numbers and texts with texts, these by their UTF-8 bytes. Dates in ISO 8601 with one zone and one precision so
/// compare by time. There is no range over true, false and null.</item>
/// <item><c>$ne</c>, <c>$nin</c> and <c>$not</c> are the exact complements: they hold for vectors without the field.</item>
/// <item>Null equals null, and also a field that is missing. <c>$exists</c> asks whether the path is there, with whatever value, an empty object or
/// array included.</item>
/// </list>
/// <para>
/// It differs from MongoDB's where that looks at structure: a name that holds a dot is the same as nested names, elements of arrays within arrays count, a
/// path cannot name an array's element by its number, and a field is missing only when nothing of the vector lies under its path.
/// </para>
/// </remarks>
public abstract record Filter
{
    /// <summary>How deeply filters may be nested within <c>$and</c>, <c>$or</c> and <c>$not</c>.</summary>
    public const int DepthMax = 16;

    /// <summary>How many conditions a filter may have, at all depths together. An empty filter within a list counts as one.</summary>
    public const int ConditionsMax = 256;

    /// <summary>How many values the lists of <c>$in</c> and <c>$nin</c> may have, all lists of a filter together.</summary>
    public const int ValuesMax = 1000;

    /// <summary>How long a text may be that a filter compares with, in UTF-8.</summary>
    public const int TextBytesMax = 1024;

    private Filter()
    {
    }

    /// <summary>The filter that every vector passes.</summary>
    public static Filter Everything { get; } = new All([]);

    /// <summary>
    /// Reads the member <c>filters</c> of a request. Its members must all hold: <c>"metadata.PATH": VALUE</c> for equality;
    /// <c>"metadata.PATH": {OPERATOR: …}</c> with <c>$eq</c>, <c>$ne</c>, <c>$gt</c>, <c>$gte</c>, <c>$lt</c>, <c>$lte</c>, <c>$in</c>, <c>$nin</c>,
    /// <c>$exists</c> or <c>$not</c>, several of which must all hold; <c>$and</c> and <c>$or</c> with a list of filters; <c>$not</c> with a filter.
    /// </summary>
    /// <param name="json">The member's value, out of a body that was checked as <see cref="JsonBody"/> does. Null counts as absent; an empty object matches everything.</param>
    /// <param name="faults">Gets everything that is wrong, by names such as <c>filters.$or[0].metadata.date.$gte</c>.</param>
    /// <returns>The filter; it means nothing when there are faults.</returns>
    public static Filter Parse(JsonElement json, Faults faults) => new FilterParser(faults).Parse(json);

    /// <summary>Whether a vector passes. Looks at every field for every condition: <see cref="FieldIndex"/> does it for many rows at once.</summary>
    public abstract bool Matches(MetadataFields fields);

    /// <summary>Holds when all do; also when there are none.</summary>
    public sealed record All(IReadOnlyList<Filter> Filters) : Filter
    {
        public override bool Matches(MetadataFields fields) => Filters.All(filter => filter.Matches(fields));
    }

    /// <summary>Holds when one of them does.</summary>
    public sealed record Any(IReadOnlyList<Filter> Filters) : Filter
    {
        public override bool Matches(MetadataFields fields) => Filters.Any(filter => filter.Matches(fields));
    }

    /// <summary>Holds when the other does not.</summary>
    public sealed record Not(Filter Inner) : Filter
    {
        public override bool Matches(MetadataFields fields) => !Inner.Matches(fields);
    }

    /// <summary>Holds when the path is there.</summary>
    /// <param name="Path">The path in UTF-8, without <c>metadata.</c> in front.</param>
    public sealed record Exists(ReadOnlyMemory<byte> Path) : Filter
    {
        public override bool Matches(MetadataFields fields)
        {
            foreach (var field in fields)
            {
                if (field.Path.SequenceEqual(Path.Span))
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Holds when a value under the path is equal to one of these; none is never.</summary>
    /// <param name="Path">The path in UTF-8, without <c>metadata.</c> in front.</param>
    /// <param name="Values">The values. Null among them also stands for a missing field.</param>
    public sealed record In(ReadOnlyMemory<byte> Path, IReadOnlyList<FilterValue> Values) : Filter
    {
        // A list meets every value of an array, so it is not gone through for each.
        private readonly HashSet<FilterValue>.AlternateLookup<MetadataField> _values =
            new HashSet<FilterValue>(Values, FilterValueComparer.Instance).GetAlternateLookup<MetadataField>();

        /// <summary>Whether one of the values is null.</summary>
        public bool HasNull { get; } = Values.Any(value => value.Kind == MetadataKind.Null);

        public override bool Matches(MetadataFields fields)
        {
            var isMissing = true;
            foreach (var field in fields)
            {
                if (field.Path.SequenceEqual(Path.Span))
                {
                    isMissing = false;
                    if (_values.Contains(field))
                    {
                        return true;
                    }
                }
            }

            return isMissing && HasNull;
        }
    }

    /// <summary>Holds when a value under the path is of the bound's type and on the right side of it.</summary>
    /// <param name="Path">The path in UTF-8, without <c>metadata.</c> in front.</param>
    /// <param name="Comparison">On which side of the bound.</param>
    /// <param name="Bound">A number or a text.</param>
    public sealed record Range(ReadOnlyMemory<byte> Path, FilterComparison Comparison, FilterValue Bound) : Filter
    {
        /// <summary>Whether the bound is the lower end of the range.</summary>
        public bool IsLower => Comparison is FilterComparison.Greater or FilterComparison.GreaterOrEqual;

        public override bool Matches(MetadataFields fields)
        {
            foreach (var field in fields)
            {
                if (field.Kind == Bound.Kind && field.Path.SequenceEqual(Path.Span) && Holds(field))
                {
                    return true;
                }
            }

            return false;
        }

        private bool Holds(MetadataField field)
        {
            var order = field.Kind == MetadataKind.Number ? field.Number.CompareTo(Bound.Number) : field.Text.SequenceCompareTo(Bound.Text.Span);
            return Comparison switch
            {
                FilterComparison.Less => order < 0,
                FilterComparison.LessOrEqual => order <= 0,
                FilterComparison.Greater => order > 0,
                _ => order >= 0,
            };
        }
    }
}

/// <summary>A value that a filter compares with.</summary>
/// <param name="Kind">What it is; no container.</param>
/// <param name="Number">The value when it is a number, else zero.</param>
/// <param name="Text">The value in UTF-8 when it is a text, else empty.</param>
public readonly record struct FilterValue(MetadataKind Kind, double Number, ReadOnlyMemory<byte> Text);

/// <summary>Tells whether a value of a filter and one of a vector have the same type and value: 1 is 1.0, and 0 is -0.</summary>
internal sealed class FilterValueComparer : IEqualityComparer<FilterValue>, IAlternateEqualityComparer<MetadataField, FilterValue>
{
    public static FilterValueComparer Instance { get; } = new();

    public bool Equals(FilterValue x, FilterValue y) => AreEqual(x.Kind, x.Number, x.Text.Span, y);

    public bool Equals(MetadataField alternate, FilterValue other) => AreEqual(alternate.Kind, alternate.Number, alternate.Text, other);

    public int GetHashCode([DisallowNull] FilterValue obj) => Hash(obj.Kind, obj.Number, obj.Text.Span);

    public int GetHashCode(MetadataField alternate) => Hash(alternate.Kind, alternate.Number, alternate.Text);

    public FilterValue Create(MetadataField alternate) => new(alternate.Kind, alternate.Number, alternate.Text.ToArray());

    private static bool AreEqual(MetadataKind kind, double number, ReadOnlySpan<byte> text, FilterValue other) =>
        kind == other.Kind && number.Equals(other.Number) && text.SequenceEqual(other.Text.Span);

    // That of strings, for which nobody can prepare texts that collide; it takes pairs of bytes. Numbers may: there are never more than fit a filter.
    private static int Hash(MetadataKind kind, double number, ReadOnlySpan<byte> text) => text.IsEmpty
        ? HashCode.Combine(kind, number)
        : HashCode.Combine(string.GetHashCode(MemoryMarshal.Cast<byte, char>(text)), text.Length, text[^1]);
}
