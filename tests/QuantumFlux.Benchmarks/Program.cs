using System.Globalization;
using QuantumFlux.Benchmarks;
using QuantumFlux.Local;

// What a request costs on top of the storage requests that it cannot do without: each kind of request beside its bare storage requests, sent to the
// same Azurite in turns, so that whatever else the machine does meets both. An argument names another build's QuantumFlux.Local.dll to measure.
const int Connections = 32;
const int LatencySamples = 5_000;
const int WriteSamples = 2_000;
var loadTime = TimeSpan.FromSeconds(5);

// The last tier of compilation comes in the background, and late on a busy machine.
var warmUpTime = TimeSpan.FromSeconds(3);

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
await using var host = await HostProcess.StartAsync(args is [var build] ? build : typeof(LocalHost).Assembly.Location);
using var world = await World.CreateAsync(host);

Console.WriteLine($"{Environment.ProcessorCount} cores, .NET {Environment.Version}, host {host.Address}, storage {host.Storage.TableEndpoint}");
foreach (var request in new[] { world.RefusedAsync, world.UnknownAsync, world.ReadObjectAsync, world.GetHeadRowAsync, world.ReadCachedAsync, world.GetCachedRowAsync, world.ReadEntanglementAsync, world.GetPairRowsAsync })
{
    await Load.RunAsync(Connections, warmUpTime, host, request);
}

// Both are errors of the gate; the one has been authenticated and counted before.
var gate = await Latency.CompareAsync(LatencySamples, world.RefusedAsync, world.UnknownAsync);
Console.WriteLine();
Console.WriteLine($"A request that touches no storage: p50 {gate.Ours.At(50).TotalMicroseconds:F0} µs with authentication and metering, {gate.Bare.At(50).TotalMicroseconds:F0} µs without: they add {(gate.Ours.At(50) - gate.Bare.At(50)).TotalMicroseconds:F0} µs");

Console.WriteLine();
Console.WriteLine("Latency, one request at a time       p50 host   p50 storage   ratio   p99 host   p99 storage   samples");
Print("object read (1 GET)", await Latency.CompareAsync(LatencySamples, world.ReadObjectAsync, world.GetHeadRowAsync));
Print("cache read of 1 KB (1 GET)", await Latency.CompareAsync(LatencySamples, world.ReadCachedAsync, world.GetCachedRowAsync));
Print("entanglement read (2 GET at once)", await Latency.CompareAsync(LatencySamples, world.ReadEntanglementAsync, world.GetPairRowsAsync));

Console.WriteLine();
Console.WriteLine($"Load, {Connections} connections                requests/s   p50   p99   CPU ms per request: client   host");
Print("object read", await Load.RunAsync(Connections, loadTime, host, world.ReadObjectAsync));
Print("  its storage request alone", await Load.RunAsync(Connections, loadTime, host, world.GetHeadRowAsync));
Print("cache read of 1 KB", await Load.RunAsync(Connections, loadTime, host, world.ReadCachedAsync));
Print("  its storage request alone", await Load.RunAsync(Connections, loadTime, host, world.GetCachedRowAsync));
Print("entanglement read", await Load.RunAsync(Connections, loadTime, host, world.ReadEntanglementAsync));
Print("  its storage requests alone", await Load.RunAsync(Connections, loadTime, host, world.GetPairRowsAsync));

// Last, because every write leaves a row, and Azurite's reads slow down with the rows of a partition.
Console.WriteLine();
Console.WriteLine("Latency, one request at a time       p50 host   p50 storage   ratio   p99 host   p99 storage   samples");
Print("cache write of 1 KB (1 batch)", await Latency.CompareAsync(WriteSamples, world.WriteCachedAsync, world.WriteCachedRowsAsync));
Print("object write (1 GET, 1 batch)", await Latency.CompareAsync(WriteSamples, world.WriteObjectAsync, world.WriteRowsAsync));

static void Print(string name, object result) => Console.WriteLine($"{name,-34}{result}");
