#!/usr/bin/env python3
"""Wall-clock of a hardened model against a dense one: whole model, forward and training step.

For 512 and 4,096 tokens a sequence: degrees are learned for a few steps and hardened to DENSITY; then
the plan that came out and `dense` take turns, at `filigree train` (masked language model, 4 layers,
width 256, 4 heads) and `evaluate`. Tokens a second; ratios are medians [least, most] of the rounds.

    tools/bench/hardened_speed.py FILIGREE OUT --tokenizer TOKENIZER --text TEXT [--density 0.07]

TEXT: plain text of about 2.5 MB; its last 50 kB are what `evaluate` reads.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess

SHAPE = "--model.layers 4 --model.width 256 --model.heads 4 --train.batch_tokens 4096".split()
LEARN = ("--train.steps 12 --train.evaluate_every 12 --degrees.start local --degrees.hold 0 "
         "--degrees.lr 0.3 --degrees.finetune 0 --quiet").split()
TRAIN = "--train.steps 6 --train.evaluate_every 6 --quiet".split()


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


def prepare(options, length):
    text = " ".join(options.text.read_text(errors="replace").split())
    words = []
    for name, part in (("train", text[:-50_000]), ("dev", text[-50_000:])):
        path = options.out / f"{name}.txt"
        path.write_text(part)
        run(options.filigree, "prepare", "--task", "masked_lm", "--input", f"lines:{path}",
            "--tokenizer", options.tokenizer, "--max-length", length, "--out",
            options.out / f"{name}{length}")
        words += [f"--data.{name}", options.out / f"{name}{length}"]
    return words


def learn(options, length, data):
    out = options.out / f"learned{length}"
    run(options.filigree, "learn", "--out", out, *data, *SHAPE, *LEARN, "--degrees.density",
        options.density)
    return json.loads((out / "degrees.json").read_text())["pattern"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--density", type=float, default=0.07)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.filigree = options.filigree.resolve()
    options.out.mkdir(parents=True)
    for length in (512, 4096):
        data = prepare(options, length)
        plans = {"dense": "dense", "hard": learn(options, length, data)}
        speed = {(what, name): [] for what in ("training step", "forward") for name in plans}
        for number in range(options.rounds):
            for name, plan in plans.items():
                out = options.out / f"{name}{length}-{number}"
                said = run(options.filigree, "train", "--out", out, *data, *SHAPE, *TRAIN,
                           "--attention.pattern", plan)
                speed["training step", name].append(float(re.search(r"(\d+) tokens/s", said)[1]))
                said = run(options.filigree, "evaluate", "--model", out, "--data", data[3])
                speed["forward", name].append(float(re.search(r"tokens/s +(\d+)", said)[1]))
        for what in ("training step", "forward"):
            dense, hard = speed[what, "dense"], speed[what, "hard"]
            ratios = sorted(h / d for h, d in zip(hard, dense))
            print(f"{length} {what}: dense {statistics.median(dense):.0f}, hard "
                  f"{statistics.median(hard):.0f} tokens/s, {statistics.median(ratios):.2f} x "
                  f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]", flush=True)


if __name__ == "__main__":
    main()
