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
//   tunnel FOLDER [--metric l2|cosine|dot] [--k 10]
//       what tunneling finds, beside a plain search that computes as many distances
//   filter FOLDER [--metric l2|cosine|dot] [--k 10]
//       what filters leave to find that keep 0.01 %, 1 %, 10 % and 50 %, and what they cost
//   scale FOLDER [--metric l2|cosine|dot] [--k 10]
//       what a query costs among the first 1,000 vectors, the first 10,000 …
//   cold FOLDER [--metric l2|cosine|dot] [--k 10]
//       what an instance that has nothing in reach reads before it answers a query
//   http FOLDER [--metric l2|cosine|dot] [--k 10]
//       a host of our own: inserts, then queries beside what they are made of
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
        case "tunnel":
            var (set, k) = Read(arguments, 10);
            TunnelReport.Print(set, arguments.Metric, k, RecallOf(set, arguments.Metric, k), Console.Out);
            break;
        case "filter":
            (set, k) = Read(arguments, 10);
            FilterReport.Print(set, arguments.Metric, k, Console.Out);
            break;
        case "scale":
            (set, k) = Read(arguments, 10);
            ScaleReport.Print(set, arguments.Metric, k, Console.Out);
            break;
        case "cold":
            (set, k) = Read(arguments, 10);
            ColdReport.Print(set, arguments.Metric, k, RecallOf(set, arguments.Metric, k), Console.Out);
            break;
        case "http":
            (set, k) = Read(arguments, 10);
            await HttpReport.PrintAsync(set, arguments.Metric, k, RecallOf(set, arguments.Metric, k), Console.Out);
            break;
        default:
            throw new ArgumentException("Say generate, truth, run, tunnel, filter, scale, cold or http, and a folder. Program.cs says the rest.");
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

static Recall RecallOf(VectorData data, Metric metric, int k) => new(data, metric, k, GroundTruth.Find(data, metric, k));

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

    var recall = RecallOf(data, arguments.Metric, k);
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
