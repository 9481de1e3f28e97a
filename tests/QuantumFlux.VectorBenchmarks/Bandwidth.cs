using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using QuantumFlux.Vectors;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>
/// How fast the flat scan reads the base vectors, beside a loop that only reads them: bytes a second on one thread, each in its fastest round, as what else the
/// machine does only slows them down.
/// </summary>
public sealed record Bandwidth(double Scan, double Read)
{
    private const int Rounds = 41;

    /// <summary>Measures both in turns, so that whatever else the machine does meets both.</summary>
    public static Bandwidth Measure(VectorData data, Metric metric, int k)
    {
        var scan = new FlatScan(data.Base, metric);
        var ids = new int[k];
        var bytes = (double)data.Base.Values.Length * sizeof(float);
        using var pinned = PinnedThread.Pin();
        var (scans, reads) = (new TimeSpan[Rounds], new TimeSpan[Rounds]);
        for (var round = 0; round < Rounds; round++)
        {
            var started = TimeProvider.System.GetTimestamp();
            scan.Search(data.Query[round % data.Query.Count], ids);
            scans[round] = TimeProvider.System.GetElapsedTime(started);
            started = TimeProvider.System.GetTimestamp();
            Sum(data.Base.Values);
            reads[round] = TimeProvider.System.GetElapsedTime(started);
        }

        return new Bandwidth(bytes / scans.Min().TotalSeconds, bytes / reads.Min().TotalSeconds);
    }

    public override string ToString() => $"{FlatScan.Name} reads {Scan / 1e9:F1} GB/s, a plain loop {Read / 1e9:F1} GB/s: {Scan / Read:F2}";

    /// <summary>The sum of all values: a read of all of them, and as little else as there can be.</summary>
    public static float Sum(ReadOnlySpan<float> values)
    {
        ref var start = ref MemoryMarshal.GetReference(values);
        nuint index = 0, width = (nuint)Vector256<float>.Count, length = (nuint)values.Length;
        Vector256<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        for (; index + (4 * width) <= length; index += 4 * width)
        {
            sum0 += Vector256.LoadUnsafe(ref start, index);
            sum1 += Vector256.LoadUnsafe(ref start, index + width);
            sum2 += Vector256.LoadUnsafe(ref start, index + (2 * width));
            sum3 += Vector256.LoadUnsafe(ref start, index + (3 * width));
        }

        var sum = Vector256.Sum(sum0 + sum1 + (sum2 + sum3));
        for (; index < length; index++)
        {
            sum += values[(int)index];
        }

        return sum;
    }
}
