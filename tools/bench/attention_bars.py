#!/usr/bin/env python3
"""Attention on the CPU against itself: what the figures of docs/results.md are made by.

  density   scattered edges against dense tiles at 512 tokens: at 78 % and 95 % sparsity, and where
            the two cross
  edges     cost an edge of a window, and memory, from 1,024 to 65,536 tokens
  graphs    making a graph, and finding it again, against one forward pass of the same attention
  threads   one thread against two at 4,096 tokens, every kernel

Everything goes through `filigree bench --json`; what is compared takes turns. Medians [quartiles].
"""
import argparse
import json
import os
import statistics
import subprocess


def quartiles(values):
    values = sorted(values)
    at = lambda q: values[round(q * (len(values) - 1))]
    return f"{statistics.median(values):.3g} [{at(0.25):.3g}, {at(0.75):.3g}]"


def bench(args, patterns, **options):
    """The rows of one call, and the memory of its process in MiB."""
    words = [args.filigree, "bench", "--patterns", ";".join(patterns), "--json"]
    for name, value in {"threads": args.threads, "rounds": args.rounds, **options}.items():
        words += [f"--{name}", str(value)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {' '.join(words)}")
    return json.loads(out)["rows"], usage.ru_maxrss / 1024


def density(args):
    print("\ndensity: 512 tokens, 12 heads of 64; dense / pattern, forward + backward")
    degrees = (25, 60, 112, 180, 230, 256, 282, 307, 333, 358)
    rows, _ = bench(args, ["dense"] + [f"random:{r}" for r in degrees], kernels="tiles,edges")
    dense = next(r for r in rows if r["pattern"] == "dense" and r["kernel"] == "tiles")
    for row in rows:
        if row["kernel"] != "edges" or row["pattern"] == "dense":
            continue
        ratios = [a / b for a, b in
                  zip(dense["forward_backward_ms"], row["forward_backward_ms"])]
        print(f"  {row['pattern']:<12} density {row['density']:.3f}   {quartiles(ratios)} x")


def edges(args):
    print("\nedges: neighbour:256, 2 heads of 64; ns an edge, forward + backward")
    lengths = (1024, 4096, 16384, 65536)
    costs = {n: [] for n in lengths}
    memory = {}
    for _ in range(args.rounds):
        for n in lengths:
            [row], memory[n] = bench(args, ["neighbour:256"], length=n, heads=2, rounds=1)
            count = row["density"] * n * n * 2
            costs[n].append(row["forward_backward_ms"][0] * 1e6 / count)
    medians = [statistics.median(costs[n]) for n in lengths]
    for n in lengths:
        print(f"  {n:>6} tokens   {quartiles(costs[n])} ns   {memory[n]:.0f} MiB resident")
    print(f"  largest / smallest median {max(medians) / min(medians):.3f}")
    _, resident = bench(args, ["neighbour:256"], length=16384, heads=12, rounds=1)
    print(f"  16,384 tokens, 12 heads: {resident:.0f} MiB resident")


def graphs(args):
    print("\ngraphs: 12 heads of 64; making and finding in % of one forward pass")
    window = ["dense", "neighbour:32", "dilated:8,8", "block:64", "strided:16",
              "neighbour:8|global:cls", "random:24", "random:112", "bigbird:2,3,8",
              "random:24,per=step"]
    cases = [("512 tokens", bench(args, window)[0])]
    if args.data:
        text = ["syntax:1", "syntax:1|global:cls", "lexical:same"]
        cases.append((f"{args.sequences} samples",
                      bench(args, text, data=args.data, sequences=args.sequences)[0]))
    for name, rows in cases:
        for row in rows:
            share = {key: [100 * a / b for a, b in zip(row[key], row["forward_ms"])]
                     for key in ("graph_ms", "graph_again_ms")}
            print(f"  {name:<12} {row['pattern']:<24} forward {quartiles(row['forward_ms'])} ms   "
                  f"made {quartiles(share['graph_ms'])} %   "
                  f"found {quartiles(share['graph_again_ms'])} %")


def threads(args):
    print("\nthreads: 4,096 tokens, 12 heads of 64; one thread / two, forward + backward")
    cases = (("dense", "tiles"), ("neighbour:256", "tiles"), ("random:64", "edges"),
             ("neighbour:64|random:32", "mixed"), ("random:16", "rows"))
    for pattern, kernel in cases:
        ratios = []
        for _ in range(args.rounds):
            times = [bench(args, [pattern], kernels=kernel, length=4096, threads=t,
                           rounds=1)[0][0]["forward_backward_ms"][0] for t in (1, 2)]
            ratios.append(times[0] / times[1])
        print(f"  {pattern:<24} {kernel:<6} {quartiles(ratios)} x")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filigree", default="build/release/bin/filigree")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", help="a dataset with trees, for the graphs of text")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--cases", default="density,edges,graphs,threads")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for case in args.cases.split(","):
        {"density": density, "edges": edges, "graphs": graphs, "threads": threads}[case](args)


if __name__ == "__main__":
    main()
