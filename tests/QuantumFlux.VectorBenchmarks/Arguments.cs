using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The command line: a command, a folder, then options as <c>--name value</c> and switches as <c>--name</c>.</summary>
/// <exception cref="ArgumentException">An option is unknown to every command, has no value, or a wrong one.</exception>
public sealed class Arguments
{
    private static readonly string[] _switches = ["peers"];
    private static readonly string[] _options = ["count", "dimensions", "queries", "seed", "metric", "k", "python", "peers-from", "host"];

    private readonly Dictionary<string, string> _values = [];

    public Arguments(string[] args)
    {
        (Command, Folder) = args is [var command, var folder, ..] ? (command, folder) : ("", "");
        for (var index = 2; index < args.Length; index++)
        {
            var name = args[index].StartsWith("--", StringComparison.Ordinal) ? args[index][2..] : "";
            if (_switches.Contains(name))
            {
                _values[name] = "";
            }
            else if (_options.Contains(name) && index + 1 < args.Length)
            {
                _values[name] = args[++index];
            }
            else
            {
                throw new ArgumentException($"{args[index]} is no option, or has no value.");
            }
        }
    }

    public string Command { get; }

    public string Folder { get; }

    public Metric Metric => Text("metric", "l2") switch
    {
        "l2" => Metric.Euclidean,
        "cosine" => Metric.Cosine,
        "dot" => Metric.Dot,
        var other => throw new ArgumentException($"--metric is l2, cosine or dot, not {other}."),
    };

    public bool Has(string name) => _values.ContainsKey(name);

    public string Text(string name, string otherwise) => _values.GetValueOrDefault(name, otherwise);

    public int Number(string name, int otherwise, int min) =>
        !Has(name) ? otherwise
        : int.TryParse(_values[name], out var number) && number >= min ? number
        : throw new ArgumentException($"--{name} is a whole number from {min}, not {_values[name]}.");
}
