using System.Diagnostics;
using System.Globalization;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>The libraries that others use, measured by <c>peers.py</c> on the same machine, one after the other.</summary>
public static class Peers
{
    /// <summary>Runs <c>peers.py</c>. Its table goes to this program's error output as it grows.</summary>
    /// <param name="python">A Python 3 that has NumPy, faiss and hnswlib.</param>
    /// <param name="folder">The data.</param>
    /// <param name="metric">What near means.</param>
    /// <param name="k">How many neighbours are asked for.</param>
    /// <exception cref="InvalidDataException">It failed, and has said why.</exception>
    public static IReadOnlyList<Measurement> Run(string python, string folder, Metric metric, int k)
    {
        var script = Path.Combine(AppContext.BaseDirectory, "peers.py");
        string[] arguments = [script, folder, "--metric", metric == Metric.Euclidean ? "l2" : metric.ToString().ToLowerInvariant(), "--k", k.ToString(CultureInfo.InvariantCulture)];
        using var process = Process.Start(new ProcessStartInfo(python, arguments) { RedirectStandardOutput = true })!;
        var measurements = Read(process.StandardOutput);
        process.WaitForExit();
        return process.ExitCode == 0 ? measurements : throw new InvalidDataException($"{script} ended with {process.ExitCode}.");
    }

    /// <summary>Reads what <c>peers.py</c> has written to its standard output.</summary>
    public static IReadOnlyList<Measurement> Read(TextReader lines)
    {
        var measurements = new List<Measurement>();
        while (lines.ReadLine() is { } line)
        {
            measurements.Add(Measurement.Parse(line));
        }

        return measurements;
    }
}
