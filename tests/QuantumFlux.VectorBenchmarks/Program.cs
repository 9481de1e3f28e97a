using System.ComponentModel;
using System.Globalization;
using QuantumFlux.VectorBenchmarks;
using QuantumFlux.Vectors;

// How well and how fast vectors are searched, beside the libraries that others use. Nothing is downloaded: a folder holds the vectors.
//
//   generate FOLDER [--count 100000] [--dimensions 128] [--queries 1000] [--seed 1]
//       makes vectors in clusters: base.npy and query.npy
//   truth FOLDER [--metric l2|cosine|dot] [--k 100]
//       finds the nearest base vectors of each query: groundtruth.npy, so that no run has to
//   run FOLDER [--metric l2|cosine|dot] [--k 10] [--peers] [--python python3] [--peers-from FILE]
//       measures our contenders; --peers then the libraries too, with a Python 3 that has NumPy, faiss and hnswlib; --peers-from takes what
//       `peers.py FOLDER > FILE` has measured before. Ratios are worth something when both ran on one machine at about the same time.
//
// No file is replaced. What takes part is listed in Contender.All.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
try
{
    var arguments = new Arguments(args);
    switch (arguments.Command)
    {
        case "generate":
            new VectorGenerator(arguments.Number("count", 100_000, 1), arguments.Number("dimensions", 128, 2), arguments.Number("queries", 1_000, 1), arguments.Number("seed", 1, 0))
                .Write(arguments.Folder);
            break;
        case "truth":
            WriteTruth(arguments);
            break;
        case "run":
            Run(arguments);
            break;
        default:
            throw new ArgumentException("Say generate, truth or run, and a folder. Program.cs says the rest.");
    }

    return 0;
}
catch (Exception exception) when (exception is InvalidDataException or IOException or ArgumentException or UnauthorizedAccessException or Win32Exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

static (VectorData Data, int K) Read(Arguments arguments, int otherwise)
{
    var data = VectorData.Read(arguments.Folder, arguments.Metric);
    return (data, Math.Min(arguments.Number("k", otherwise, 1), data.Base.Count));
}

static void WriteTruth(Arguments arguments)
{
    var (data, k) = Read(arguments, 100);
    var truth = GroundTruth.Compute(data.Base, data.Query, arguments.Metric, k);
    using var file = new NpyWriter<int>(Path.Combine(arguments.Folder, "groundtruth.npy"), data.Query.Count, k);
    foreach (var row in truth.Chunk(k))
    {
        file.Write(row);
    }
}

static void Run(Arguments arguments)
{
    var (data, k) = Read(arguments, 10);
    Console.WriteLine($"{data.Base.Count} vectors of {data.Base.Dimensions} dimensions, {data.Query.Count} queries, {arguments.Metric}, k = {k}; .NET {Environment.Version}, {Environment.ProcessorCount} cores");

    var recall = new Recall(data, arguments.Metric, k, GroundTruth.Find(data, arguments.Metric, k));
    var harness = new Harness(data, arguments.Metric, k, recall);
    var ours = new List<Measurement>();
    Console.WriteLine(Measurement.Heading);
    foreach (var measurement in Contender.All.SelectMany(harness.Measure))
    {
        Console.WriteLine(measurement);
        ours.Add(measurement);
    }

    Console.WriteLine();
    Console.WriteLine(Bandwidth.Measure(data, arguments.Metric, k));

    IReadOnlyList<Measurement> peers = [];
    if (arguments.Text("peers-from", "") is { Length: > 0 } file)
    {
        using var lines = File.OpenText(file);
        peers = Peers.Read(lines);
    }
    else if (arguments.Has("peers"))
    {
        peers = Peers.Run(arguments.Text("python", "python3"), arguments.Folder, arguments.Metric, k);
    }

    Console.WriteLine();
    new Comparison(ours, peers).Print(Console.Out);
}
