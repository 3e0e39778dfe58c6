#!/usr/bin/env python3
"""Checks that transformers loads what Filigree writes, and computes the same.

    python3 tests/tasks/check_hugging_face_export.py build/release/bin/filigree

Needs torch, transformers and safetensors. Every model of tests/tasks/data/hugging_face goes to
Filigree and back with `filigree convert`; then from_pretrained() must report no missing, unexpected
or misshapen name and give no warning, and in float64 the hidden states and logits must be those of
outputs.safetensors (computed before, from the original files). A model that Filigree trained itself
goes to transformers too: its probabilities must be those of `filigree predict`.
"""

import io
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

DATA = pathlib.Path(__file__).parent / "data" / "hugging_face"


def run(*words, text=None):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                            input=text, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(str(word) for word in words)}\n{result.stdout}{result.stderr}")
    return result.stdout


def load(folder):
    """The model of the class that config.json names, and everything that was said on the way."""
    config = json.loads((folder / "config.json").read_text())
    model_class = getattr(transformers, config["architectures"][0])
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    transformers.utils.logging.set_verbosity_warning()
    logger = transformers.utils.logging.get_logger("transformers")
    logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, info = model_class.from_pretrained(folder, output_loading_info=True,
                                                  dtype=torch.float32)
    logger.removeHandler(handler)
    faults = {key: value for key, value in info.items() if value}
    text = said.getvalue() + "".join(str(warning.message) for warning in caught)
    return model.double().eval(), faults, text.strip()


def compute(model, batch):
    """As in make_hugging_face_fixture.py: every sequence alone."""
    states, logits = [], []
    offsets = batch["offsets"].tolist()
    for begin, end in zip(offsets, offsets[1:]):
        inputs = {"input_ids": batch["ids"][None, begin:end].long()}
        if model.config.type_vocab_size > 1:
            inputs["token_type_ids"] = batch["segments"][None, begin:end].long()
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
        states.append(torch.stack([state[0] for state in out.hidden_states]))
        if "start_logits" in out:
            logits.append(torch.stack([out.start_logits[0], out.end_logits[0]], dim=1))
        elif "logits" in out:
            logits.append(out.logits if out.logits.dim() == 2 else out.logits[0])
    results = {f"state.{k}": state for k, state in enumerate(torch.cat(states, dim=1))}
    if logits:
        results["logits"] = torch.cat(logits)
    return results


def check_case(filigree, name, wanted, folder):
    ours, theirs = folder / f"{name}.ours", folder / f"{name}.theirs"
    run(filigree, "convert", DATA / name, ours)
    model_type = json.loads((DATA / name / "config.json").read_text())["model_type"]
    run(filigree, "convert", ours, theirs, "--type", model_type)
    model, faults, said = load(theirs)
    batch = {key: wanted.get_tensor(f"batch.{key}") for key in ("ids", "segments", "offsets")}
    worst = 0.0
    computed = compute(model, batch)
    expected = [key for key in wanted.keys() if key.startswith(name + ".")]
    assert sorted(computed) == sorted(key[len(name) + 1:] for key in expected), name
    for key, value in computed.items():
        want = wanted.get_tensor(f"{name}.{key}")
        worst = max(worst, ((value - want).abs().max() / want.abs().max()).item())
    print(f"{name:<22} {type(model).__name__:<36} largest deviation {worst:.1e}  "
          f"{faults or 'no name amiss'}  {'warned: ' + said if said else 'no warning'}")
    return not faults and not said and worst < 1e-12


def check_the_check(filigree, folder):
    """A name too few and a name too many are seen."""
    run(filigree, "convert", DATA / "bert_tags", folder / "spoilt.ours")
    run(filigree, "convert", folder / "spoilt.ours", folder / "spoilt")
    tensors = load_file(folder / "spoilt" / "model.safetensors")
    tensors["bert.extra.weight"] = tensors.pop("classifier.weight")
    save_file(tensors, folder / "spoilt" / "model.safetensors", {"format": "pt"})
    _, faults, said = load(folder / "spoilt")
    print(f"{'spoilt on purpose':<22} seen: {sorted(faults)}, {'warned' if said else 'no warning'}")
    return len(faults) == 2 and bool(said)


def check_trained(filigree, folder):
    """A small classifier trained here, under dense attention."""
    run(filigree, "generate", "--labelling", "local", "--out", folder / "text", "--train", 400,
        "--dev", 100)
    files = {path.name: path for path in (folder / "text").iterdir()}
    train = next(path for name, path in files.items() if name.endswith("train.tsv"))
    dev = next(path for name, path in files.items() if name.endswith("dev.tsv"))
    header = train.read_text().splitlines()[0].split("\t")
    tokenizer = folder / "tok"
    run(filigree, "tokenizer", "train", "--input", train, "--column", header[0], "--out", tokenizer,
        "--kind", "word", "--vocabulary", 200)
    for source, name in ((train, "train"), (dev, "dev")):
        run(filigree, "prepare", "--input", source, "--text", header[0], "--label", header[1],
            "--tokenizer", tokenizer, "--out", folder / f"{name}.safetensors")
    run(filigree, "train", "--out", folder / "run", "--data.train", folder / "train.safetensors",
        "--data.dev", folder / "dev.safetensors", "--data.tokenizer", tokenizer,
        "--model.layers", 2, "--model.width", 32, "--model.heads", 2, "--train.epochs", 2)
    run(filigree, "convert", folder / "run", folder / "trained")
    model, faults, said = load(folder / "trained")
    texts = [line.split("\t")[0] for line in dev.read_text().splitlines()[1:21]]
    worst = 0.0
    for text in texts:
        ids = run(filigree, "tokenizer", "encode", "--tokenizer", tokenizer, "--text", text)
        tokens = [2] + [int(word) for word in ids.split()] + [3]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens])).logits[0]
        answer = json.loads(run(filigree, "predict", "--model", folder / "run", "--text", text))
        for number, probability in enumerate(torch.softmax(logits, 0).tolist()):
            label = model.config.id2label[number]
            worst = max(worst, abs(probability - answer["probabilities"][label]))
    print(f"{'trained by Filigree':<22} {type(model).__name__:<36} largest difference of a "
          f"probability {worst:.1e}  {faults or 'no name amiss'}  {said or 'no warning'}")
    return not faults and not said and worst < 1e-5


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    filigree = pathlib.Path(sys.argv[1]).resolve()
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    with safe_open(DATA / "outputs.safetensors", "pt") as wanted, \
            tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        good = [check_case(filigree, case, wanted, folder)
                for case in wanted.metadata()["cases"].split()]
        good.append(check_trained(filigree, folder))
        good.append(check_the_check(filigree, folder))
    print(f"{sum(good)} of {len(good)} are right")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
