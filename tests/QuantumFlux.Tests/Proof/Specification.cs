using System.Text.Json;
using System.Text.RegularExpressions;

namespace QuantumFlux.Tests.Proof;

/// <summary>The specifications' own text, and the samples in it.</summary>
public static partial class Specification
{
    private static readonly string _quantumFlux = Read("quantumflux-api.md");
    private static readonly string _qStore = Read("q-store-rest-api.md");

    /// <summary>A code block below a heading of the specification of version 3.</summary>
    /// <param name="heading">The heading's text.</param>
    /// <param name="language">What the block says it is.</param>
    /// <param name="index">Which of the blocks in that language; 0 is the first.</param>
    public static string Sample(string heading, string language, int index = 0) => Sample(_quantumFlux, heading, language, index);

    /// <summary>The same of the specification of Q-Store.</summary>
    public static string QStoreSample(string heading, string language, int index = 0) => Sample(_qStore, heading, language, index);

    private static string Read(string file) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Samples", file));

    private static string Sample(string text, string heading, string language, int index)
    {
        // What begins like a heading inside of a block is a comment.
        var blocks = Blocks().Matches(text);
        var headings = Headings().Matches(text).Where(match => !blocks.Any(block => match.Index > block.Index && match.Index < block.Index + block.Length)).ToList();
        var from = headings.FindIndex(match => match.Groups["text"].Value == heading);
        var (start, end) = (headings[from].Index, from + 1 < headings.Count ? headings[from + 1].Index : text.Length);
        return blocks
            .Where(block => block.Index > start && block.Index < end && block.Groups["language"].Value == language)
            .ElementAt(index).Groups["code"].Value;
    }

    /// <summary>Holds an answer against a sample of it: the same fields in the same order and nesting, the same types, the same formats.</summary>
    /// <param name="sample">The documented answer.</param>
    /// <param name="answer">The real one.</param>
    /// <param name="more">Fields that the answer may have beyond the documented ones, after them.</param>
    public static void Resembles(string sample, JsonElement answer, params string[] more) =>
        Resembles(JsonDocument.Parse(sample).RootElement, answer, "answer", more);

    private static void Resembles(JsonElement sample, JsonElement answer, string path, string[] more)
    {
        Assert.True(Kind(sample) == Kind(answer), $"{path} is {answer}, and {sample} in the specification");
        switch (sample.ValueKind)
        {
            case JsonValueKind.Object:
                Assert.Equal(sample.EnumerateObject().Select(field => field.Name).Concat(more), answer.EnumerateObject().Select(field => field.Name));
                foreach (var field in sample.EnumerateObject())
                {
                    Resembles(field.Value, answer.GetProperty(field.Name), $"{path}.{field.Name}", []);
                }

                break;
            case JsonValueKind.Array:
                Assert.NotEqual(0, answer.GetArrayLength());
                foreach (var item in answer.EnumerateArray())
                {
                    Resembles(sample[0], item, $"{path}[]", []);
                }

                break;
            case JsonValueKind.String:
                Assert.Matches(Form(sample.GetString()!), answer.GetString());
                break;
        }
    }

    private static string Kind(JsonElement element) =>
        element.ValueKind is JsonValueKind.True or JsonValueKind.False ? "Boolean" : element.ValueKind.ToString();

    // Ids in the samples are not all hexadecimal, though the data models say that they are.
    private static string Form(string sample) => sample switch
    {
        _ when Ids().Match(sample) is { Success: true } id => $"^{id.Groups["prefix"].Value}[0-9a-f]{{32}}$",
        _ when SampleTimes().IsMatch(sample) => Times().ToString(),
        _ when sample.EndsWith('%') => @"^\d{1,3}\.\d{3}%$",
        _ when sample.StartsWith("https://", StringComparison.Ordinal) => "^https://",
        _ => $"^{Regex.Escape(sample)}$",
    };

    [GeneratedRegex(@"^#{1,6} (?<text>.*)$", RegexOptions.Multiline)]
    private static partial Regex Headings();

    [GeneratedRegex(@"^```(?<language>\w*)\n(?<code>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex("^(?<prefix>(ent|qs|bak|req|cch|anc|tx)_)")]
    private static partial Regex Ids();

    // One of the two leaves the milliseconds out.
    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$")]
    private static partial Regex SampleTimes();

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    private static partial Regex Times();
}
