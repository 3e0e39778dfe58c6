#!/usr/bin/env python3
"""Makes tests/tasks/data/tokenizers/: what published tokenizers make of nasty text.

Run once; the files are committed:
  pip install "transformers<5" sentencepiece xxhash protobuf
  python3 tests/tasks/make_tokenizer_fixture.py ../shared/data
Made with tokenizers 0.22.2, transformers 4.57.6, sentencepiece 0.2.3. `--check` compares with the
committed files instead (so that other versions can be tried) and writes nothing; `--speed` prints
MB/s of the `tokenizers` library's WordPiece.

Small vocabularies are trained on lines of the shared data. Stored are the lines made here, for the
first of them all ids and spans (bytes), for the others a hash a line, and for 10,000 lines of the
shared data, half of them with a nasty fragment put in, a hash for 100 lines (of SentencePiece without
ties). The data themselves
are not stored. Special pieces are not registered as such: Filigree never reads them from text.
"""

import argparse
import itertools
import json
import pathlib
import random
import struct
import time
import unicodedata

import sentencepiece
import tokenizers
import xxhash
from tokenizers import models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import ByteLevel as ByteLevelOffsets
from transformers.models.camembert.tokenization_camembert import CamembertTokenizer
from transformers.models.xlm_roberta.tokenization_xlm_roberta import XLMRobertaTokenizer

OUT = pathlib.Path(__file__).parent / "data" / "tokenizers"
# File, most lines; of each the lines that are not ASCII or hold "http", and every third.
FILES = [("wiki2015/valid.txt", 3500), ("wikitext2/valid.txt", 1800),
         ("ud_english_ewt/en_ewt-ud-dev.conllu", 1200), ("rte/train.tsv", 900),
         ("mnli/dev_matched_shared.tsv", 2000), ("cola/train.tsv", 3000)]
LINES = 10000
BLOCK = 100
WHOLE = 32  # lines with all ids and spans; of ids alone 12
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

FRAGMENTS = [
    "caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0130stanbul STRASSE stra\u00dfe \ufb01ne",
    "e\u0301e\u0327\u0301 a\u0323\u0301 a\u0301\u0323 q\u0307\u0323 \u1e69 s\u0307\u0323",
    "\u6771\u4eac\u90fd 2024\u5e74 \u304b\u304c\u304b\u3099 \u30ac\u30d1 \ud55c\uad6d\uc5b4 \uf900\ufa19",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd",
    "a\x00b\x01c\x7fd\x85e\u00adf\u200bg\ufeffh\ufffdi\x1b[0m\x0b\x0c",
    "https://www.example.org/a/b?c=d&e=%20f#g_h mailto:o'neil@x-y.co.uk",
    "x" * 99 + " " + "y" * 100 + " " + "z" * 101 + " " + "\u00e9" * 100 + " " + "e\u0301" * 101,
    "\t two  spaces\u00a0nbsp\u2003em\u3000wide\u2028line\u2029par\u202fnarrow\u1680ogham",
    "don't I'LL we've 'tis ''s 's'm ... --- \u2014 \u201cq\u201d \u00abg\u00bb \u00a1\u00bf\u00a7\u00b6",
    "\u0391\u03a3 \u03c3\u03c2 \u1fb3\u1fcd\u1fed \u037e \u2126\u212b \u01c5\u01f1 \u1e9e \u0345",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0928\u092e\u0938\u094d\u0924\u0947 \u0e44\u0e17\u0e22\u0e35\u0e48",
    "#hash ##ing [MASK] [UNK] $5.00 2^10 a_b x~y `c` <b> {d} |e| \\f =+-*/%&@!",
    "\U00020000\U0002a6d6\U0002b740\U0002b820\U0002b91f\U0002b920\U0002ceaf\u3400\u9fff\u9fff\u4dbf",
    "\U0001d15e\U0001d1c0 \u302e\u302f\ubc15\u302e \u1b44\u0334 \u0344\u0323 \u2260\u0338 \ud7a3\u11a8 \u1100\u1161",
    "1\u00bd \u2167 \u0663\u0664 \u2460 \U0001d7d8 x\u00b2 H\u2082O \u2116 \u338f",
    "\ue000\U000f0000\U0010fffd \u0378 \U000e0001 \ufdd0 \U0001fffe \u061c\u200e\u2066",
]
POOLS = [
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789.,;:!?'\"()-/@#$%&*_",
    "\u00e0\u00e9\u00ee\u00f5\u00fc\u00e7\u0153\u00df\u0130\u0131\u0141\u1ea5\u1e9b\u0323\u01d5",
    "\u0300\u0301\u0302\u0303\u0307\u0308\u0323\u0327\u0328\u0331\u0334\u0345\u035c\u0488",
    "\u4e2d\u6587\u5b57\u7b26\u65e5\u672c\u8a9e\u3042\u30a2\u304c\u309a\uc548\ub155\u1112\u1161\u11ab",
    "\U0001f600\U0001f680\u2764\ufe0f\u200d\U0001f3fb\u20e3", "     \t\n\r\u00a0\u2003\u3000",
    "\x00\x07\x1f\x7f\x85\u00ad\u200b\u200e\ufeff\ufffd\ue123",
    "\u0905\u093c\u094d\u0958\u09cb\u0b4b\u0f71\u0f72\u0f74\u0f73\u0e33\u05d0\u05b7\u064b\u0651",
]


def nasty_lines():
    """The fragments, some lines of one kind, and random mixtures."""
    lines = list(FRAGMENTS)
    lines += ["", " ", "\n", "\u3000", "\x00", "a", "\u00e9", "e\u0301", "\u0301", "\u4e2d", ".", "'", "##", "##a",
              "A" * 1000, "\u0301" * 300 + "a", "a" + "\u0323\u0301" * 150, "." * 200, " " * 50 + "x",
              "\U0001f600" * 120, "x \n y\n\n z\n", "a  b   c \t d ", "\u1e9b\u0323", "end ", "end  ",
              "\U0001d15e", "\U0001d15e\u0323", "a\U0001d15e\u0301", "\u302e\u0323", "\u0323\u302e\u0301", "\u302f\u0301\u0345 \u302e",
              "\U0001d1c0\u0334\u302e\u0323", "\U0001d15e\u0323x", "x\u302e\u0301\u0323\U0001d165\u1b44"]
    draw = random.Random(4)
    while len(lines) < 300:
        pools = draw.sample(POOLS, draw.randint(1, 4))
        words = []
        for _ in range(draw.randint(1, 9)):
            pool = draw.choice(pools)
            words.append("".join(draw.choice(draw.choice([pool, pool, POOLS[0]]))
                                 for _ in range(draw.randint(1, 7))))
        lines.append(draw.choice(["", " "]).join(words))
    return lines


def shared_lines(folder):
    """10,000 lines; every second one has a fragment before the first blank from some byte on."""
    lines = []
    for name, most in FILES:
        taken = 0
        data = (folder / name).read_bytes()
        for number, line in enumerate(data.split(b"\n")):
            if taken == most or len(lines) == LINES:
                break
            if not line or not (number % 3 == 0 or b"http" in line or max(line) >= 0x80):
                continue
            if len(lines) % 2 == 1:
                at = line.find(b" ", len(lines) * 31 % len(line))
                at = len(line) if at < 0 else at
                fragment = FRAGMENTS[len(lines) // 2 % len(FRAGMENTS)].encode()
                line = line[:at] + b" " + fragment + line[at:]
            lines.append(line.decode())
            taken += 1
    assert len(lines) == LINES, len(lines)
    return lines


def training_lines(folder):
    for name, most in FILES:
        yield from (folder / name).read_text(encoding="utf-8").split("\n")[:most]
    yield from FRAGMENTS


def byte_spans(text, spans):
    places = [0]
    for character in text:
        places.append(places[-1] + len(character.encode()))
    return [(places[begin], places[end]) for begin, end in spans]


class Fast:
    """Ids and spans of the `tokenizers` library."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, text):
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return [(i, *s) for i, s in zip(encoding.ids, byte_spans(text, encoding.offsets))]


def ids_only(encode):
    return lambda text: [(i,) for i in encode(text)]


def wordpiece(vocabulary, lower):
    tokenizer = tokenizers.Tokenizer(models.WordPiece(
        {piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]",
        max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def bytebpe(vocabulary, merges):
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = ByteLevelOffsets(trim_offsets=True, add_prefix_space=False)
    return tokenizer


def train(folder):
    """Writes the vocabularies."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name, lower in [("uncased", True), ("cased", False)]:
        tokenizer = wordpiece(BERT, lower)
        tokenizer.train_from_iterator(training_lines(folder), trainers.WordPieceTrainer(
            vocab_size=2200, limit_alphabet=500, special_tokens=["[PAD]", "[unused0]"] + BERT[1:],
            show_progress=False))
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        (OUT / f"wordpiece-{name}.txt").write_text(
            "".join(piece + "\n" for piece, _ in pieces), encoding="utf-8")
    tokenizer = bytebpe({}, [])
    tokenizer.train_from_iterator(training_lines(folder), trainers.BpeTrainer(
        vocab_size=1400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    (OUT / "bytebpe-vocab.json").write_text(
        json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    (OUT / "bytebpe-merges.txt").write_text(
        "#version: 0.2\n" + "".join(" ".join(merge) + "\n" for merge in model["merges"]),
        encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for line in training_lines(folder) if line.strip()),
        model_prefix=str(OUT / "unigram"), vocab_size=800, character_coverage=0.9995, split_digits=True,
        minloglevel=2)
    (OUT / "unigram.vocab").unlink()


def references():
    """What encodes for each kind of Filigree's import."""
    model = str(OUT / "unigram.model")
    found = {}
    for name, lower in [("uncased", True), ("cased", False)]:
        pieces = (OUT / f"wordpiece-{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]
        found[f"wordpiece-{name}"] = Fast(wordpiece(pieces, lower))
    vocabulary = json.loads((OUT / "bytebpe-vocab.json").read_text(encoding="utf-8"))
    merges = (OUT / "bytebpe-merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    found["bytebpe"] = Fast(bytebpe(vocabulary, [tuple(merge.split(" ")) for merge in merges]))
    plain = sentencepiece.SentencePieceProcessor(model_file=model)
    found["plain"] = ids_only(plain.encode)
    for name, kind in [("camembert", CamembertTokenizer), ("xlm-roberta", XLMRobertaTokenizer)]:
        slow = kind(model)
        found[name] = ids_only(
            lambda text, slow=slow: slow.convert_tokens_to_ids(slow._tokenize(text)))
    return found


def ties(lines):
    """Numbers of the lines whose two best divisions into pieces score the same up to rounding: which
    of them SentencePiece takes depends on its version."""
    plain = sentencepiece.SentencePieceProcessor(model_file=str(OUT / "unigram.model"))
    found = []
    for number, line in enumerate(lines):
        scores = [p.score for p in plain.nbest_encode(line, nbest_size=2, return_type="proto").nbests]
        if len(scores) > 1 and scores[0] - scores[1] < 2e-3:
            found.append(number)
    return found


def hashed(pieces):
    return xxhash.xxh3_64(b"".join(struct.pack(f"<{len(piece)}i", *piece) for piece in pieces))


def cleaned():
    """A hash for 4096 characters each of what BERT's cleaning makes of all that Unicode 14 knows."""
    result = {}
    for name, lower in [("uncased", True), ("cased", False)]:
        normalizer = normalizers.BertNormalizer(lowercase=lower)
        splitter = pre_tokenizers.BertPreTokenizer()
        result[name] = []
        for first in range(0, 0x110000, 4096):
            known = [chr(c) for c in range(first, first + 4096)
                     if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
            text = normalizer.normalize_str(" ".join(f"a{c}b {c}" for c in known))
            words = " ".join(word for word, _ in splitter.pre_tokenize_str(text))
            result[name].append(xxhash.xxh3_64_hexdigest(words.encode()))
    return result


def expected(folder):
    lines, shared = nasty_lines(), shared_lines(folder)
    result = {"lines": lines, "fragments": FRAGMENTS, "files": FILES, "block": BLOCK,
              "cleaned": cleaned(), "ties": ties(shared), "kinds": {}}
    print(f"{len(result['ties'])} of {LINES} lines have ties, the others: {ties(lines)}")
    for name, encode in references().items():
        pieces = [encode(line) for line in lines]
        blocks = []
        for first in range(0, len(shared), BLOCK):
            taken = [i for i in range(first, first + BLOCK)
                     if isinstance(encode, Fast) or i not in result["ties"]]
            block = itertools.chain.from_iterable(encode(shared[i]) for i in taken)
            blocks.append(hashed(block).hexdigest())
        whole = WHOLE if isinstance(encode, Fast) else 12
        result["kinds"][name] = {"whole": [sum(map(list, p), []) for p in pieces[:whole]],
                                 "hashes": [hashed(p).hexdigest()[:8] for p in pieces[whole:]],
                                 "blocks": blocks}
    return result


def speed(folder):
    lines = shared_lines(folder)
    plain = (folder / "wiki2015/valid.txt").read_text(encoding="utf-8").split("\n")
    for title, text in [("10,000 nasty lines", lines), ("wiki2015/valid.txt", plain)]:
        size = sum(len(line.encode()) for line in text) / 1e6
        for name in ["wordpiece-uncased", "wordpiece-cased", "bytebpe"]:
            encode = references()[name].tokenizer.encode
            start = time.perf_counter()
            for line in text:
                encode(line, add_special_tokens=False)
            print(f"{title}: {name} {size / (time.perf_counter() - start):.2f} MB/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        return speed(arguments.data)
    if not arguments.check:
        train(arguments.data)
    result = json.dumps(expected(arguments.data), separators=(",", ":"), ensure_ascii=False)
    if arguments.check:
        same = json.loads(result) == json.loads((OUT / "expected.json").read_text(encoding="utf-8"))
        print("equal" if same else "DIFFERENT")
        return None if same else 1
    (OUT / "expected.json").write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
