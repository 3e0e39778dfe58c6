#!/usr/bin/env python3
"""Does learning of degrees find what is there?

The label of `filigree generate --labelling second` (fifth, ninth) is the token at distance d = 2
(5, 9) from [CLS]. For each distance and seed: an encoder of one layer is trained dense, then
`filigree learn` looks for the sparsest model that still solves the task. A run counts if at least
one head ends with a reach of d or d + 1, every other head closes (reach 0) or does, too, and the
accuracy is at most one point below the dense model's.

    tools/bench/recover_degrees.py build/release/bin/filigree OUT [--seeds 10] [--workers 2]
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess

DISTANCES = {"second": 2, "fifth": 5, "ninth": 9}
SHAPE = ("--model.layers 1 --model.width 64 --model.heads 4 --model.norm pre --model.init_std 0.1 "
         "--train.lr 2e-3 --train.epochs 6").split()
COMMON = ("--model.dropout 0 --model.attention_dropout 0 --train.batch_tokens 2048 "
          "--train.threads 1 --quiet").split()
LEARN = ("--train.lr 1e-3 --train.steps 1500 --train.evaluate_every 50 --train.save_every 1500 "
         "--degrees.objective loss --degrees.loss 0.05 --degrees.beta 10 --degrees.draws "
         "--degrees.harden median --degrees.finetune 0.2").split()


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def prepare(filigree, out, labelling, seed):
    text = out / "text"
    run(filigree, "generate", "--labelling", labelling, "--out", text, "--train", 8000, "--dev",
        1000, "--seed", seed)
    train = text / f"{labelling}.train.tsv"
    run(filigree, "tokenizer", "train", "--kind", "word", "--input", train, "--out",
        out / "tokenizer")
    for split in ("train", "dev"):
        run(filigree, "prepare", "--input", text / f"{labelling}.{split}.tsv", "--text",
            "sentence", "--label", "label", "--tokenizer", out / "tokenizer", "--out", out / split,
            "--max-length", 64)
    return ["--data.train", out / "train", "--data.dev", out / "dev", "--train.seed", seed]


def recover(filigree, folder, labelling, seed):
    out = folder / f"{labelling}-{seed}"
    out.mkdir(parents=True)
    data = prepare(filigree, out, labelling, seed)
    dense = run(filigree, "train", "--out", out / "dense", *data, *COMMON, *SHAPE)
    learned = run(filigree, "learn", "--out", out / "learned", "--model.init", out / "dense", *data,
                  *COMMON, *LEARN)
    before = float(re.search(r"accuracy (\S+)", dense)[1])
    last = next(line for line in learned.splitlines() if line.startswith("finetuned"))
    after = float(re.search(r"accuracy (\S+)", last)[1])
    heads = json.loads((out / "learned" / "degrees.json").read_text())["heads"]
    reaches = [head["hard"]["reach"] for head in heads]
    wanted = (DISTANCES[labelling], DISTANCES[labelling] + 1)
    found = any(r in wanted for r in reaches) and all(r == 0 or r in wanted for r in reaches)
    return labelling, seed, before, after, reaches, found and after >= before - 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    filigree = options.filigree.resolve()
    counts = dict.fromkeys(DISTANCES, 0)
    jobs = [(name, seed) for seed in range(1, options.seeds + 1) for name in DISTANCES]
    with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
        futures = [pool.submit(recover, filigree, options.out, *job) for job in jobs]
        for future in futures:
            labelling, seed, before, after, reaches, good = future.result()
            counts[labelling] += good
            print(f"{labelling:<7} seed {seed:<3} accuracy {before:.3f} -> {after:.3f}  reaches "
                  f"{reaches}  {'found' if good else 'not found'}", flush=True)
    for labelling, count in counts.items():
        print(f"{labelling}: {count} of {options.seeds}")


if __name__ == "__main__":
    main()
