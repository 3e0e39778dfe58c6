#!/usr/bin/env python3
"""Accuracy against density: learned degrees, fixed patterns, and the controls, on one dataset.

Every method starts from the same model and takes the same number of optimizer steps; seeds are
paired. Densities are met on the training data (match:density, degrees.harden exact).

  neighbour  one window for all heads          learned   degrees, drawn reaches, hardened, finetuned
  bigbird-r  first token, window, r at random  soft      degrees behind a soft gate instead
  permuted   learned reaches, heads exchanged  span      adaptive span
  even       learned weights, one window       scattered learned counts of tokens, drawn at random
  dense      density 1

permuted, even and scattered go on from the learned model's weights as its own finetuning does.

    tools/bench/tradeoff.py FILIGREE OUT --init MODEL --train SET --dev SET [--steps 200] ..

A line of OUT/results.csv a run; what is there is not run again.
"""
import argparse
import concurrent.futures
import csv
import json
import pathlib
import random
import re
import subprocess
import threading

LEARNERS = {"learned": ["--degrees.draws"], "soft": [],
            "span": ["--degrees.learner", "adaptive_span"]}


class Runner:
    def __init__(self, options):
        self.o = options
        self.soft_steps = round(options.steps / (1 + options.finetune))
        self.lock = threading.Lock()
        self.learned = {}  # (density, seed): the future of what permuted and even go on from
        options.out.mkdir(parents=True, exist_ok=True)
        self.table = options.out / "results.csv"
        self.done = set()
        if self.table.exists():
            with self.table.open() as file:
                self.done = {(r["method"], r["density"], r["seed"]) for r in csv.DictReader(file)}
        else:
            self.table.write_text("method,density,seed,accuracy,dev_density\n")

    def call(self, *words):
        words = [str(word) for word in (self.o.filigree, *words)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}\n{done.stderr[-2000:]}")
        return done.stdout

    def common(self, seed, steps):
        o = self.o
        return ["--data.train", o.train, "--data.dev", o.dev, "--model.pool", o.pool,
                "--train.seed", seed, "--train.steps", steps, "--train.evaluate_every", steps,
                "--train.batch_tokens", o.batch_tokens, "--train.threads", 1, "--train.lr", o.lr,
                "--quiet"]

    def train(self, out, pattern, seed):
        return self.call("train", "--out", out, *self.common(seed, self.o.steps), "--model.init",
                         self.o.init, "--attention.pattern", pattern)

    def learn(self, out, density, seed, *settings):
        said = self.call("learn", "--out", out, *self.common(seed, self.soft_steps),
                         "--model.init", self.o.init, "--degrees.density", density,
                         "--degrees.globals", "global:cls", "--degrees.reach", self.o.reach,
                         "--degrees.finetune", self.o.finetune, "--degrees.finetune_lr",
                         self.o.finetune_lr, *settings)
        return next(line for line in said.splitlines() if line.startswith("finetuned"))

    def go_on(self, out, learned, pattern, seed):
        """As the finetuning of `filigree learn`, under another pattern."""
        steps = self.o.steps - self.soft_steps
        words = self.common(seed, steps)
        words[words.index("--train.lr") + 1] = self.o.lr * self.o.finetune_lr
        return self.call("train", "--out", out, *words, "--model.init", learned / "hard",
                         "--model.init_head", "--attention.pattern", pattern)

    def run(self, method, density, seed):
        out = self.o.out / f"{method}-{density}-{seed}"
        subprocess.run(["rm", "-rf", out], check=True)
        window = f"neighbour:?|global:cls match:density={density}"
        if method == "dense":
            return self.train(out, "dense", seed)
        if method == "neighbour":
            return self.train(out, window, seed)
        if method.startswith("bigbird"):
            r = method.split("-")[1]
            return self.train(out, f"global:cls|neighbour:?|random:{r} match:density={density}",
                              seed)
        if method in LEARNERS:
            return self.learn(out, density, seed, *LEARNERS[method])
        learned = self.o.out / f"learned-{density}-{seed}"
        pattern = window if method == "even" else self.control(method, learned, seed)
        return self.go_on(out, learned, pattern, seed)

    @staticmethod
    def control(method, learned, seed):
        """The learned plan with its heads exchanged, or with random tokens for neighbours."""
        heads = json.loads((learned / "degrees.json").read_text())["heads"]
        patterns = [head["hard"]["pattern"] for head in heads]
        if method == "permuted":
            random.Random(seed).shuffle(patterns)
        else:
            patterns = [f"random:{2 * head['hard']['reach']}" for head in heads]
        return "; ".join(f"{pattern}|global:cls @ layers={head['layer']} heads={head['head']}"
                         for pattern, head in zip(patterns, heads))

    def job(self, method, density, seed):
        key = (method, str(density), str(seed))
        if key in self.done:
            return
        if method in ("permuted", "even", "scattered"):
            self.learned[density, seed].result()
        said = self.run(method, density, seed)
        accuracy = re.search(r"accuracy (\S+)", said)[1]
        got = re.search(r"density (\S+)%", said)[1]
        with self.lock, self.table.open("a") as file:
            csv.writer(file).writerow([*key, accuracy, got])
            print(*key, f"accuracy {accuracy} density {got} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    for name in ("init", "train", "dev"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--finetune", type=float, default=0.4,
                        help="steps of the hardened model, as a share of those that learn degrees")
    parser.add_argument("--finetune-lr", type=float, default=0.5)
    parser.add_argument("--pool", default="mean")
    parser.add_argument("--reach", type=int, default=64)
    parser.add_argument("--densities", default="0.07,0.03,0.22")
    parser.add_argument("--methods",
                        default="learned,neighbour,bigbird-2,bigbird-4,span,permuted,even,"
                                "scattered,soft")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.filigree = options.filigree.resolve()
    runner = Runner(options)
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        futures = []
        for density in options.densities.split(","):
            for method in options.methods.split(","):
                for seed in range(options.first_seed, options.first_seed + options.seeds):
                    future = pool.submit(runner.job, method, density, seed)
                    futures.append(future)
                    if method == "learned":
                        runner.learned[density, seed] = future
        for future in futures:
            if future.exception():
                print(future.exception(), flush=True)


if __name__ == "__main__":
    main()
