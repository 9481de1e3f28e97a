using System.Diagnostics;
using System.Numerics;

namespace QuantumFlux.VectorBenchmarks;

/// <summary>Keeps the program's first thread on one core, the last of those it may use, where the system allows that.</summary>
public sealed class PinnedThread : IDisposable
{
    private readonly nint _before;

    private PinnedThread(nint before) => _before = before;

    /// <summary>Pins until disposed. On Linux this is the calling thread only when that is the program's first; on Windows it is all of the program.</summary>
    /// <returns>Null where the system does not pin.</returns>
    public static PinnedThread? Pin()
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsWindows())
        {
            return null;
        }

        using var process = Process.GetCurrentProcess();
        var before = process.ProcessorAffinity;
        process.ProcessorAffinity = (nint)1 << BitOperations.Log2((nuint)before);
        return new PinnedThread(before);
    }

    public void Dispose()
    {
        if (OperatingSystem.IsLinux() || OperatingSystem.IsWindows())
        {
            using var process = Process.GetCurrentProcess();
            process.ProcessorAffinity = _before;
        }
    }
}
