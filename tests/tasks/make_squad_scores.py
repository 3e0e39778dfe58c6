#!/usr/bin/env python3
"""Writes tests/tasks/data/squad_scores.json: exact match and F1 of answers, by the definition that
was published with SQuAD v1.1, worked out by Python alone.

    python3 tests/tasks/make_squad_scores.py dev-v1.1-43articles.json

The predictions are the right answers, spoilt by a rule that tests/tasks/squad_scores_test.cpp knows,
too. Of the normalisation of single characters there is a checksum, and texts with what is left of
them. The fixture there was made by Python 3.11 (Unicode 14).
"""
import collections
import json
import pathlib
import re
import string
import struct
import sys

ROWS = 300  # questions whose scores are written out
SWEEP = 0x3000  # characters below are normalised one by one

TEXTS = [
    "", " ", "the", "The  A an", "a.n", "an-the", "_a_", "a_b", "U.S.A.", "U.S. a", "it's",
    "The Cat's pyjamas!", "1,234.5", "$5 (five)", "an\u00a0apple", "a\u2003b\u3000c", "x\u200by",
    "\u201cquoted\u201d", "\u2014a\u2014", "x\u2014the\u2014y", "the\u00b2", "\u00b2a", "a\u0301",
    "A\u0308n", "\u0130stanbul", "\u039f\u0394\u039f\u03a3", "\u03a3", "\u03a3a", "A\u03a3.B",
    "STRASSE stra\u00dfe", "\u01c5", "\u1e9e", "caf\u00e9 the\u00e9 th\u00e9", "\u65e5\u672ca",
    "the\u65e5", "\u0660a", "a\u0660", "\U0001d400A", "\U0001f600a", "the\U0001f600", "a\x1cb\x85c",
    "\x00a\x00", "a\u2028the\u2029b", "THE\tAN\nA", "\u216bthe", "the \u2160", "\ufb01ne",
    "\u0430 a \u0410n", "A'the", "thea the atheist", "an-a-the an.a.the", "\u1680a\u1680", "\u180ea",
]


def normalise(text):
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def score(prediction, right):
    exact = f1 = 0.0
    words = normalise(prediction).split()
    for answer in right:
        theirs = normalise(answer).split()
        exact = max(exact, float(words == theirs))
        shared = sum((collections.Counter(words) & collections.Counter(theirs)).values())
        if shared:
            precision, recall = shared / len(words), shared / len(theirs)
            f1 = max(f1, 2 * precision * recall / (precision + recall))
    return exact, f1


def spoil(number, answers, context, before):
    """The prediction for a question: `number` in the file, `before` the question before's answer."""
    first, parts = answers[0], answers[0].split(" ")
    return [
        lambda: first,
        lambda: "".join(c.upper() if c.isascii() else c for c in first),
        lambda: "The " + first + "!",
        lambda: " ".join(parts[:-1]) if len(parts) > 1 else first + first,
        lambda: first + context[:12],
        lambda: answers[-1],
        lambda: "",
        lambda: '\t\u00a0"' + first + '"\u2003\n',
        lambda: " ".join(reversed(parts)),
        lambda: before,
        lambda: "\u2014an " + first + " a\u2014",
        lambda: context[:40],
        lambda: first + " \u0130\u03a3 \u00c9A",
        lambda: first.replace(" ", "_"),
        lambda: first.replace(" ", "-the-"),
        lambda: "a\u0301 the\u00b2 " + first + " A\u0308n the",
    ][number % 16]()


def fnv(data, value=0xCBF29CE484222325):
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def main():
    scores, before = [], "a the an"
    for article in json.load(open(sys.argv[1], encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [answer["text"] for answer in question["answers"]]
                prediction = spoil(len(scores), answers, paragraph["context"], before)
                scores.append(score(prediction, answers))
                before = answers[0]
    sweep = 0xCBF29CE484222325
    for c in range(1, SWEEP):
        sweep = fnv((normalise(f"A{chr(c)}the {chr(c)}B{chr(c)}") + "\n").encode(), sweep)
    result = {
        "python": sys.version.split()[0],
        "questions": len(scores),
        "exact_match": 100 * sum(exact for exact, _ in scores) / len(scores),
        "f1": 100 * sum(f1 for _, f1 in scores) / len(scores),
        "checksum": f"{fnv(b''.join(struct.pack('<dd', *each) for each in scores)):016x}",
        "rows": scores[:ROWS],
        "texts": [[text, normalise(text)] for text in TEXTS],
        "characters": SWEEP,
        "sweep": f"{sweep:016x}",
    }
    path = pathlib.Path(__file__).parent / "data" / "squad_scores.json"
    path.write_text(json.dumps(result).replace("], [", "],\n["), encoding="utf-8")
    print(f"{len(scores)} questions: exact match {result['exact_match']}, F1 {result['f1']}")


if __name__ == "__main__":
    main()
