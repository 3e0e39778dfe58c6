#!/usr/bin/env python3
"""Does the study of masks find, for each labelling, the connection that it needs?

Repetitions of tasks/studies/masks_minutes.ini (all layers) with data and weights of other seeds.
A repetition counts if in every labelling the mask that it needs (docs/language.md) is better than
every other one without that connection, each with p < 0.05 of the paired t-test after Holm over all
of them. The masks of "global" all have the global token but for `window`. Random edges are left out:
they hold some of the needed ones by chance.

    tools/bench/find_connections.py FILIGREE FOLDER [--repetitions 5] [--seeds 5]
"""
import argparse
import csv
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MASKS = ["global", "near", "syntax", "lexical", "window"]
NEEDS = {"local": "near", "syntactic": "syntax", "lexical": "lexical"}


def study_text():
    """The study's file with all layers alone, without `dense`, and a claim a pair of masks."""
    text = (ROOT / "tasks/studies/masks_minutes.ini").read_text()
    text = re.sub(r"\nexclude = .*", "", text)  # of placements
    text = text.replace("mask = dense, ", "mask = ").replace("lexical, random, window", "lexical, window").replace("attention.layers = all, last:1\n", "")
    text = text.replace("[mask.random]\nattention.pattern = random:2|global:cls\n", "")
    claims = [f"{labelling}-{other} = mask={need} > mask={other} @ labelling={labelling}"
              for labelling, need in NEEDS.items() for other in MASKS if other != need]
    claims.append("global-window = mask=global > mask=window @ labelling=global")
    return re.sub(r"\[claims\]\n(.+\n)*", "[claims]\n" + "\n".join(claims) + "\n", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=11, help="seed of the first one's data")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "study.ini").write_text(study_text())
    filigree = options.filigree.resolve()
    for repetition in range(options.first, options.first + options.repetitions):
        folder = options.out / str(repetition)
        data = folder / "language"
        if not (data / "fifth.dev").exists():
            subprocess.run([ROOT / "tools/language", data, "3000", str(repetition)], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, "FILIGREE": str(filigree)})
        # Three in a row, the next three a hundred further on: more seeds keep the runs of fewer.
        first = 1 + (repetition - 1) * 3
        seeds = ",".join(str(first + k + k // 3 * 100) for k in range(options.seeds))
        subprocess.run([filigree, "ablate", options.out / "study.ini", "--out", folder / "study",
                        "--define", f"data={data}", "--seeds", seeds, "--workers",
                        str(options.workers)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with (folder / "study" / "claims.csv").open() as file:
            claims = list(csv.DictReader(file))
        missed = [claim["name"] for claim in claims if claim["verdict"] != "confirmed"]
        worst = max(float(claim["holm_p"] or 1) for claim in claims)
        print(f"repetition {repetition}: {len(claims) - len(missed)} of {len(claims)} confirmed, "
              f"largest p {worst:.2g} {' '.join(missed)}", flush=True)


if __name__ == "__main__":
    main()
