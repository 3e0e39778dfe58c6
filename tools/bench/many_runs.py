#!/usr/bin/env python3
"""Time and size of listing and reporting a store with many runs.

    tools/bench/many_runs.py FILIGREE STUDY_FOLDER [--runs 100000] [--opened 2000]

STUDY_FOLDER is a finished study; its first run is copied under new ids, levels and seeds into a
store of its own. Chromium, where it is installed, opens the report with `--opened` runs.
"""
import argparse
import json
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time


def fill(source, folder, count, seeds=5):
    """A store with `count` runs on a square grid of two axes, copied from the source's first run."""
    folder.mkdir(parents=True)
    shutil.copy(source / "runs.sqlite", folder / "runs.sqlite")
    store = sqlite3.connect(folder / "runs.sqlite")
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    run = store.execute("SELECT * FROM runs LIMIT 1").fetchone()
    columns = [column[1] for column in store.execute("PRAGMA table_info(runs)")]
    details = store.execute("SELECT * FROM details WHERE id = ?", (run[0],)).fetchone()
    evaluations = store.execute("SELECT * FROM evaluations WHERE id = ?", (run[0],)).fetchall()
    for table in ("runs", "details", "evaluations", "planned", "failures"):
        store.execute(f"DELETE FROM {table}")
    side = max(1, round((count / seeds) ** 0.5))
    axes = [[f"m{k}" for k in range(side)], [f"s{k}" for k in range(side)]]
    store.execute("UPDATE study SET axes = ?, levels = ?, baseline = 'mask=m0', claims = '[]'",
                  (json.dumps(["mask", "size"]), json.dumps(axes)))
    marks = ",".join("?" * len(run))
    place = {name: k for k, name in enumerate(columns)}
    made = 0
    for mask in axes[0]:
        for size in axes[1]:
            for seed in range(1, seeds + 1):
                row = list(run)
                row[0] = f"{made:016x}"
                row[place["seed"]] = seed
                row[place["value"]] = 0.5 + 0.0001 * (made % 997)
                row[place["density"]] = 0.01 + 0.9 * int(size[1:]) / side
                store.execute(f"INSERT INTO runs VALUES ({marks})", row)
                store.execute("INSERT INTO details VALUES (?,?,?,?)", [row[0], *details[1:]])
                store.executemany("INSERT INTO evaluations VALUES (?,?,?,?,?)",
                                  [[row[0], *each[1:]] for each in evaluations])
                store.execute("INSERT INTO planned (id, levels, seed) VALUES (?,?,?)",
                              (row[0], json.dumps([mask, size]), seed))
                made += 1
    store.commit()
    store.close()
    return made


def timed(words, repeats=3):
    seconds = []
    for _ in range(repeats):
        begun = time.monotonic()
        subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        seconds.append(time.monotonic() - begun)
    return f"{statistics.median(seconds):.2f} s [{min(seconds):.2f}, {max(seconds):.2f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filigree", type=pathlib.Path)
    parser.add_argument("study", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--opened", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for count in (options.opened, options.runs):
            folder = pathlib.Path(scratch) / str(count)
            made = fill(options.study, folder, count)
            print(f"{made} runs, store of {(folder / 'runs.sqlite').stat().st_size / 2**20:.0f} MiB")
            print("  runs         ", timed([options.filigree, "runs", folder]))
            print("  runs --csv   ", timed([options.filigree, "runs", folder, "--csv"]))
            print("  report       ", timed([options.filigree, "report", folder]))
            page = folder / "report.html"
            print(f"  page          {page.stat().st_size / 1e6:.2f} MB")
            if shutil.which("chromium"):
                empty = pathlib.Path(scratch) / "empty.html"
                empty.write_text("<!DOCTYPE html><title>empty</title>")
                for name, file in (("in Chromium", page), ("an empty page", empty)):
                    print(f"  {name:<14}", timed(["chromium", "--headless", "--no-sandbox",
                                                  "--disable-gpu", f"--user-data-dir={scratch}/p",
                                                  "--dump-dom", file.as_uri()]))


if __name__ == "__main__":
    main()
