#!/usr/bin/env python3
"""Is a target density met after hardening? `filigree learn` at every sparsity of the grid.

A small encoder (2 layers, 4 heads, from scratch) on each dataset; the density of the hardened model
on the training data, on which it is set, and on the other data.

    tools/bench/density_targets.py FILIGREE OUT --data NAME:TRAIN:DEV [--data ..]
"""
import argparse
import json
import pathlib
import subprocess

SPARSITIES = (50, 70, 78, 85, 90, 93, 95, 97, 98.5)


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def density_on(filigree, model, data):
    return 100 * json.loads(run(filigree, "evaluate", "--model", model, "--data", data,
                                "--json"))["density"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    filigree = options.filigree.resolve()
    for data in options.data:
        name, train, dev = data.split(":")
        for sparsity in SPARSITIES:
            target = round(1 - sparsity / 100, 6)
            out = options.out / f"{name}-{sparsity}"
            run(filigree, "learn", "--out", out, "--data.train", train,
                "--data.dev", dev, "--model.layers", 2, "--model.width", 64, "--model.heads", 4,
                "--model.pool", "mean", "--train.steps", options.steps, "--train.evaluate_every",
                options.steps, "--train.batch_tokens", 4096, "--degrees.density", target,
                "--degrees.draws", "--degrees.finetune", 0, "--train.threads", 1, "--quiet")
            got = [density_on(filigree, out, where) for where in (train, dev)]
            print(f"{name:<8} target {100 * target:5.2f} %  training data {got[0]:6.3f} %  other "
                  f"data {got[1]:6.3f} %", flush=True)


if __name__ == "__main__":
    main()
