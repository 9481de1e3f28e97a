#!/usr/bin/env python3
"""What others' libraries come to on a folder of vectors, one thread, one query per call.

    peers.py FOLDER [--metric l2|cosine|dot] [--k 10] [--only TEXT]

The folder is one that VectorData.cs reads. Standard output gets one JSON object for each setting, with the members of Measurement.cs; error output
the builds, which any ratio must name, and a table. --only leaves out contenders without this text in their names. Needs NumPy, faiss and hnswlib. What is missing is left out aloud.
"""
import argparse
import glob
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

# Before NumPy and faiss load their BLAS.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

BOUNDS_QUERIES = 50  # at once, as all their distances are in memory
PASSES = 3
PASS_SECONDS_MAX = 5.0  # a slow contender is asked so many of the queries as it answers in this time
ENOUGH_RECALL = 0.9995  # a more thorough setting is not measured
RELATIVE_ERROR_MAX = 1e-6  # of the query's squared length: distances that differ by less are the same to sums of float32


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def read(folder, name, extension="fvecs"):
    found = [path for pattern in (f"{name}.npy", f"{name}.{extension}", f"*_{name}.{extension}") for path in glob.glob(os.path.join(glob.escape(folder), pattern))]
    if len(found) != 1:
        sys.exit(f"{folder} has {len(found)} files of {name} vectors.")
    if found[0].endswith(".npy"):
        return np.ascontiguousarray(np.load(found[0]), dtype=np.float32)
    words = np.fromfile(found[0], dtype=np.int32)
    return np.ascontiguousarray(words.reshape(-1, words[0] + 1)[:, 1:]).view(np.float32)


def exact_distances(metric, query, rows):
    query, rows = query.astype(np.float64), rows.astype(np.float64)
    return ((rows - query) ** 2).sum(axis=1) if metric == "l2" else -(rows @ query)


def find_bounds(metric, base, queries, k):
    """How far away an answer to each query may be: as far as its k-th neighbour. Candidates by float32, and with a margin, as that is not exact."""
    candidates = min(len(base), 4 * k + 50)
    squares = np.einsum("ij,ij->i", base, base) if metric == "l2" else np.float32(0)
    bounds = []
    for start in range(0, len(queries), BOUNDS_QUERIES):
        block = queries[start:start + BOUNDS_QUERIES]
        near = squares - 2 * (block @ base.T)
        for query, distances in zip(block, near):
            ids = np.argpartition(distances, candidates - 1)[:candidates]
            bound = np.partition(exact_distances(metric, query, base[ids]), k - 1)[k - 1]
            bounds.append(bound + RELATIVE_ERROR_MAX * float(query @ query))
    return bounds


class Bench:
    def __init__(self, metric, k, base, queries, only):
        self.metric, self.k, self.base, self.queries, self.only = metric, k, base, queries, only
        self.bounds = find_bounds(metric, base, queries, k)

    def takes(self, contender):
        return self.only in contender

    def measure(self, contender, setting, search, built):
        """Of search, the first asks query i, and the second gives the ids that answered it. Returns the recall, or None when the library crashed.

        In a process of its own, where there is fork: an assertion in faiss 1.7.3's fast scan ends the process on some data."""
        if not hasattr(os, "fork"):
            return self.measure_here(contender, setting, search, built)
        sys.stdout.flush()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, str(self.measure_here(contender, setting, search, built)).encode())
            except Exception:  # the finally below would hide it
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            recall = answer.read()
        os.waitpid(child, 0)
        if not recall:
            say(f"{contender:<32}{setting:<24}ended the process")
        return float(recall) if recall else None

    def measure_here(self, contender, setting, search, built):
        run, answer = search
        queries = self.warm_up(run)
        found = 0
        for query in range(queries):
            run(query)
            ids = np.unique(answer())
            ids = ids[ids >= 0]
            found += int((exact_distances(self.metric, self.queries[query], self.base[ids]) <= self.bounds[query]).sum())
        passes = [self.time(run, queries) for _ in range(PASSES)]
        median = statistics.median
        build_seconds, processor_seconds, size, size_is = built
        result = {
            "contender": contender,
            "setting": setting,
            "recall": found / (self.k * queries),
            "per_second_p50": median(1e9 / times[queries // 2] for times in passes),
            "per_second_mean": median(1e9 * queries / sum(times) for times in passes),
            "p99_milliseconds": median(times[queries * 99 // 100] / 1e6 for times in passes),
            "queries": queries,
            "build_seconds": build_seconds,
            "build_processor_seconds": processor_seconds,
            "bytes_per_vector": size / len(self.base),
            "bytes_are": size_is,
        }
        print(json.dumps(result), flush=True)
        say(f"{contender:<32}{setting:<24}{result['recall']:8.4f}{result['per_second_p50']:10.0f}{result['per_second_mean']:10.0f}"
            f"{result['p99_milliseconds']:9.3f}{build_seconds:9.1f}{processor_seconds:8.1f}{size / len(self.base):10.0f}  {size_is}")
        return result["recall"]

    def warm_up(self, run):
        started, queries = time.perf_counter(), 0
        while queries < len(self.queries) and time.perf_counter() - started < PASS_SECONDS_MAX:
            run(queries)
            queries += 1
        return queries

    @staticmethod
    def time(run, queries):
        clock, times = time.perf_counter_ns, []
        for query in range(queries):
            started = clock()
            run(query)
            times.append(clock() - started)
        return sorted(times)


def build(action):
    started, processor = time.perf_counter(), time.process_time()
    index = action()
    return index, (time.perf_counter() - started, time.process_time() - processor)


def instructions(path):
    """The widest vectors that a library was compiled for. Code that is chosen at run time counts too."""
    if not shutil.which("objdump"):
        return "vector width unknown, as there is no objdump"
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    return f"uses of 512-bit registers {code.count('%zmm')}, 256-bit {code.count('%ymm')}, 128-bit {code.count('%xmm')}"


class Faiss:
    def __init__(self, bench):
        import faiss

        self.faiss, self.bench = faiss, bench
        faiss.omp_set_num_threads(1)
        options = faiss.get_compile_options() if hasattr(faiss, "get_compile_options") else "unknown"
        say(f"faiss {faiss.__version__}, compile options: {options.strip()}; {instructions(faiss.swigfaiss._swigfaiss.__file__)}")

    def run(self):
        count, dimensions = self.bench.base.shape
        lists = 2 ** round(math.log2(math.sqrt(count)))
        # Unit vectors have the same neighbours by L2 and by inner product. L2 is what the clusters and graphs below are made for.
        metric = self.faiss.METRIC_INNER_PRODUCT if self.bench.metric == "dot" else self.faiss.METRIC_L2
        probes = [probe for probe in (1, 2, 4, 8, 16, 32, 64, 128, 256) if probe <= lists]

        index = self.build("Flat", metric, "faiss Flat")
        self.sweep(index, "faiss Flat", [("exact", lambda: None)])
        if self.bench.metric == "cosine":
            index = self.build("Flat", self.faiss.METRIC_INNER_PRODUCT, "faiss Flat (inner product)")
            self.sweep(index, "faiss Flat (inner product)", [("exact", lambda: None)])

        name = f"IVF{lists},Flat"
        index = self.build(name, metric, f"faiss {name}")
        self.sweep(index, f"faiss {name}", [(f"nprobe={probe}", lambda probe=probe: setattr(index[0], "nprobe", probe)) for probe in probes])

        index = self.build("HNSW32", metric, "faiss HNSW32 efC200", lambda hnsw: setattr(hnsw.hnsw, "efConstruction", 200))
        self.sweep(index, "faiss HNSW32 efC200", [(f"ef={ef}", lambda ef=ef: setattr(index[0].hnsw, "efSearch", ef)) for ef in GRAPH_WIDTHS])

        name = f"IVF{lists},PQ{parts(dimensions, 8)}x4fs,RFlat"
        index = self.build(name, metric, f"faiss {name}")
        if index:
            scan = self.faiss.downcast_index(index[0].base_index)
            for probe in probes[2:]:
                scan.nprobe = probe
                self.sweep(index, f"faiss {name}", self.reranks(index, (2, 4, 8, 16, 32, 64), f"nprobe={probe} "), scan)

        name = f"PQ{parts(dimensions, 4)}x4fs,RFlat"
        index = self.build(name, metric, f"faiss {name}")
        if index:
            self.sweep(index, f"faiss {name}", self.reranks(index, (1, 2, 4, 8, 16, 32, 64)), self.faiss.downcast_index(index[0].base_index))

    def reranks(self, index, factors, prefix=""):
        return [(f"{prefix}R={factor * self.bench.k}", lambda factor=factor: setattr(index[0], "k_factor", factor)) for factor in factors]

    def build(self, factory, metric, name, prepare=lambda index: None):
        def action():
            index = self.faiss.index_factory(self.bench.base.shape[1], factory, metric)
            prepare(index)
            index.train(self.bench.base)
            index.add(self.bench.base)
            return index

        if not self.bench.takes(name):
            return None
        try:
            index, times = build(action)
        except RuntimeError as error:
            say(f"{name}: not in this build: {str(error).strip().splitlines()[-1]}")
            return None
        return index, (*times, self.faiss.serialize_index(index).nbytes, "serialised")

    def sweep(self, index, name, settings, scan=None):
        """Measures settings until one is as good as exact. scan is a fast scan, whose other implementation is tried when it crashes."""
        if not index:
            return
        # Past the Python wrapper, which checks and allocates on each call.
        distances, ids = np.empty((1, self.bench.k), np.float32), np.empty((1, self.bench.k), np.int64)
        to_distances, to_ids = self.faiss.swig_ptr(distances), self.faiss.swig_ptr(ids)
        queries = [self.faiss.swig_ptr(query) for query in self.bench.queries]
        search, k = index[0].search_c, self.bench.k

        def measure(setting):
            setting += " heap" if scan and scan.implem == HEAP else ""
            return self.bench.measure(name, setting, (lambda query: search(1, queries[query], k, to_distances, to_ids), lambda: ids), index[1])

        for setting, prepare in settings:
            prepare()
            recall = measure(setting)
            if recall is None and scan and scan.implem != HEAP:
                scan.implem = HEAP
                recall = measure(setting)
            if recall is not None and recall >= ENOUGH_RECALL:
                break


class Hnswlib:
    def __init__(self, bench):
        import hnswlib

        self.hnswlib, self.bench = hnswlib, bench
        say(f"hnswlib {version('python3-hnswlib')}; {instructions(hnswlib.__file__)}")

    def run(self):
        for links in (16, 32):
            if not self.bench.takes(f"hnswlib M{links} efC200"):
                continue
            index, times = build(lambda links=links: self.build(links))
            size = self.file_bytes(index)
            answer = [None]

            def search(query):
                answer[0] = index.knn_query(self.bench.queries[query], self.bench.k)[0]

            for ef in (ef for ef in GRAPH_WIDTHS if ef >= self.bench.k):
                index.set_ef(ef)
                recall = self.bench.measure(f"hnswlib M{links} efC200", f"ef={ef}", (search, lambda: answer[0].astype(np.int64)), (*times, size, "file"))
                if recall is not None and recall >= ENOUGH_RECALL:
                    break

    def build(self, links):
        count, dimensions = self.bench.base.shape
        index = self.hnswlib.Index("ip" if self.bench.metric == "dot" else "l2", dimensions)
        index.init_index(max_elements=count, M=links, ef_construction=200, random_seed=1)
        index.set_num_threads(1)
        index.add_items(self.bench.base, num_threads=1)
        return index

    @staticmethod
    def file_bytes(index):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index")
            index.save_index(path)
            return os.path.getsize(path)


# faiss's number for a fast scan that keeps the best in a heap. It chooses a reservoir for more than 20, which in 1.7.3 without AVX2 fails an assertion.
HEAP = 12

GRAPH_WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)


def parts(dimensions, each):
    """How many parts of a vector a product quantizer codes: of so many dimensions each, or of the next larger number that divides the vector."""
    return next(dimensions // width for width in range(each, dimensions + 1) if dimensions % width == 0)


def version(package):
    if not shutil.which("dpkg-query"):
        return "of unknown version"
    asked = subprocess.run(["dpkg-query", "--show", "--showformat", "${Version}", package], capture_output=True, text=True, check=False)
    return f"{asked.stdout} of the system's packages" if asked.returncode == 0 else "of unknown version"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--metric", choices=("l2", "cosine", "dot"), default="l2")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()

    base, queries = read(arguments.folder, "base"), read(arguments.folder, "query")
    if arguments.metric == "cosine":
        for rows in (base, queries):
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    bench = Bench(arguments.metric, min(arguments.k, len(base)), base, queries, arguments.only)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    missing = []
    libraries = []
    for library in (Faiss, Hnswlib):
        try:
            libraries.append(library(bench))
        except ModuleNotFoundError as error:
            missing.append(error.name)
            say(f"{error.name} is not installed for {sys.executable}: left out.")
    if not libraries:
        sys.exit(f"Nothing to measure: neither {' nor '.join(missing)}.")

    say(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, one thread, one query per call; {len(base)} vectors of {base.shape[1]} dimensions, "
        f"{len(queries)} queries, {arguments.metric}, k = {bench.k}")
    say(f"{'contender':<32}{'setting':<24}{'recall':>8}{'1000/p50':>10}{'mean':>10}{'p99 ms':>9}{'build s':>9}{'(CPU)':>8}{'B/vector':>10}  size")
    for library in libraries:
        library.run()


if __name__ == "__main__":
    main()
