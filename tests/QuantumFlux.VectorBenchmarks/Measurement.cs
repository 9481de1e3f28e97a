using System.Text.Json;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>What one setting of a contender came to. <c>peers.py</c> prints the same as JSON, with names in snake case.</summary>
/// <param name="Contender">Who.</param>
/// <param name="Setting">With which parameters of the search.</param>
/// <param name="Recall">The part of the k nearest that was found, 0 to 1.</param>
/// <param name="PerSecondP50">Queries a second by the median time of a query: 1000 / p50 ms.</param>
/// <param name="PerSecondMean">Queries a second by the mean time.</param>
/// <param name="P99Milliseconds">The time that 99 of 100 queries do not exceed.</param>
/// <param name="Queries">How many different queries a pass asked.</param>
/// <param name="BuildSeconds">How long the build took.</param>
/// <param name="BuildProcessorSeconds">The processor time of all threads in it.</param>
/// <param name="BytesPerVector">The size of what was built.</param>
/// <param name="BytesAre">How that was found out.</param>
public sealed record Measurement(
    string Contender,
    string Setting,
    double Recall,
    double PerSecondP50,
    double PerSecondMean,
    double P99Milliseconds,
    int Queries,
    double BuildSeconds,
    double BuildProcessorSeconds,
    double BytesPerVector,
    string BytesAre)
{
    private static readonly JsonSerializerOptions _json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    public static string Heading => $"{"contender",-32}{"setting",-24}{"recall",8}{"1000/p50",10}{"mean",10}{"p99 ms",9}{"build s",9}{"(CPU)",8}{"B/vector",10}  size";

    /// <summary>Reads a line that <c>peers.py</c> printed.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static Measurement Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<Measurement>(line, _json)!;
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"This is no measurement: {line}", exception);
        }
    }

    public override string ToString() =>
        $"{Contender,-32}{Setting,-24}{Recall,8:F4}{PerSecondP50,10:F0}{PerSecondMean,10:F0}{P99Milliseconds,9:F3}{BuildSeconds,9:F1}{BuildProcessorSeconds,8:F1}{BytesPerVector,10:F0}  {BytesAre}";
}
