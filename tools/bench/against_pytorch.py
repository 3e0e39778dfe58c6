#!/usr/bin/env python3
"""Attention, forward and backward: `filigree bench` against PyTorch on the CPU.

Rounds alternate between the two, so that both meet the same machine. Prints medians
[quartiles] of the times, and of the ratio of every PyTorch form to Filigree in the same round. Needs PyTorch (pip install torch); the build's command
is found in build/release/bin/filigree, or give it with --filigree.

PyTorch forms:
  sdpa         scaled_dot_product_attention without a mask (its CPU flash kernel)
  sdpa-mask    the same with a boolean mask (n, n) of the pattern
  chunks       Longformer's: keys of overlapping chunks of 2 w, for windows
  blocks       each block of w queries against its own and the two neighbouring blocks, for windows
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F


def window_mask(n, w):
    i = torch.arange(n)
    return (i[:, None] - i[None, :]).abs() <= w


def sdpa(q, k, v, mask=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def chunks(q, k, v, w):
    """Chunks of 2 w queries and keys that overlap by w, as in Longformer's code: scores of every
    chunk, of which the band is kept."""
    b, h, n, d = q.shape
    count = n // w - 1

    def overlapping(x):
        return x.unfold(2, 2 * w, w).transpose(-1, -2)  # (b, h, count, 2w, d)

    scores = overlapping(q) @ overlapping(k).transpose(-1, -2) * d**-0.5  # (b, h, count, 2w, 2w)
    band = scores.new_full((b, h, count + 1, w, 2 * w + 1), float("-inf"))
    padded = F.pad(scores, (0, 0, 0, 1))  # Longformer's skew: rows shifted by one column each
    skewed = padded.reshape(b, h, count, 2 * w, 2 * w + 1)
    band[:, :, :-1, :, w:] = skewed[:, :, :, :w, : w + 1]
    band[:, :, -1, :, w:] = skewed[:, :, -1, w:, : w + 1]
    band[:, :, 1:, :, :w] = skewed[:, :, :, -(w + 1) : -1, w + 1 :]
    band[:, :, 0, 1:, 1:w] = skewed[:, :, 0, : w - 1, w + 2 :]
    r, distance = torch.arange(w)[:, None], torch.arange(2 * w + 1)[None, :] - w
    band[:, :, 0].masked_fill_(distance < -r, float("-inf"))
    band[:, :, -1].masked_fill_(distance > w - 1 - r, float("-inf"))
    a = band.softmax(-1)
    values = F.pad(v, (0, 0, w, w)).unfold(2, 3 * w, w).transpose(-1, -2)
    spread = F.pad(a, (0, w)).flatten(-2)[..., :-w].reshape(b, h, count + 1, w, 3 * w)
    return (spread @ values).reshape(b, h, n, d)


def blocks(q, k, v, w):
    """Blocks of w queries against three blocks of keys, masked to the window."""
    b, h, n, d = q.shape

    def three(x):
        return F.pad(x, (0, 0, w, w)).unfold(2, 3 * w, w).transpose(-1, -2)

    qb = q.reshape(b, h, n // w, w, d)
    scores = qb @ three(k).transpose(-1, -2) * d**-0.5
    i = torch.arange(w)[:, None] + w
    j = torch.arange(3 * w)[None, :]
    at = torch.arange(n // w)[:, None, None] * w - w + j
    seen = ((i - j).abs() <= w) & (at >= 0) & (at < n)
    a = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return (a @ three(v)).reshape(b, h, n, d)


def torch_time(form, q, k, v, grad):
    start = time.perf_counter()
    form(q, k, v).backward(grad)
    elapsed = (time.perf_counter() - start) * 1e3
    for x in (q, k, v):
        x.grad = None
    return elapsed


def filigree_time(command, pattern, args, length):
    words = [command, "bench", "--patterns", pattern, "--length", str(length), "--heads",
             str(args.heads), "--dim", str(args.dim), "--threads", str(args.threads), "--rounds",
             "1", "--json"]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    row = json.loads(out)["rows"][0]
    return row["forward_backward_ms"][0], row["density"]


def quartiles(values):
    values = sorted(values)
    at = lambda q: values[round(q * (len(values) - 1))]
    return at(0.25), statistics.median(values), at(0.75)


def compare(args, length, pattern, forms):
    shape = (1, args.heads, length, args.dim)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    grad = torch.ones(shape)
    for form in forms.values():
        torch_time(form, q, k, v, grad)  # does not count
    times = {name: [] for name in forms}
    ours = []
    for _ in range(args.rounds):
        elapsed, density = filigree_time(args.filigree, pattern, args, length)
        ours.append(elapsed)
        for name, form in forms.items():
            times[name].append(torch_time(form, q, k, v, grad))
    low, median, high = quartiles(ours)
    print(f"n {length:6d}  {pattern:<16} density {density:.3f}")
    print(f"    filigree   {median:9.2f} ms [{low:.2f}, {high:.2f}]")
    for name, values in times.items():
        low, other, high = quartiles(values)
        ratios = quartiles(b / a for a, b in zip(ours, values))
        print(f"    {name:<10} {other:9.2f} ms [{low:.2f}, {high:.2f}]  "
              f"{ratios[1]:6.2f} x  [{ratios[0]:.2f}, {ratios[2]:.2f}]")
    sys.stdout.flush()


def check_forms():
    """The window forms equal the masked form."""
    q, k, v = (torch.randn(1, 2, 64, 8, dtype=torch.float64) for _ in range(3))
    want = sdpa(q, k, v, window_mask(64, 8))
    for form in (chunks, blocks):
        assert torch.allclose(form(q, k, v, 8), want, atol=1e-9), form.__name__


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filigree", default="build/release/bin/filigree")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--cases", default="dense,band,random")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.heads} heads of {args.dim}, "
          f"float32, forward + backward, {args.rounds} rounds")
    check_forms()
    if "dense" in args.cases:
        for length in (512, 1024, 2048, 4096):
            compare(args, length, "dense", {"sdpa": sdpa})
    if "band" in args.cases:
        w = 256
        compare(args, 4096, f"neighbour:{w}", {
            "sdpa": sdpa,
            "chunks": lambda q, k, v: chunks(q, k, v, w),
            "blocks": lambda q, k, v: blocks(q, k, v, w)})
    if "random" in args.cases:
        for degree in (112, 24):
            torch.manual_seed(1)
            scores = torch.rand(1, args.heads, 512, 512)
            mask = torch.zeros(1, args.heads, 512, 512, dtype=torch.bool)
            mask.scatter_(-1, scores.topk(degree + 1, -1).indices, True)
            compare(args, 512, f"random:{degree}",
                    {"sdpa": sdpa, "sdpa-mask": lambda q, k, v: sdpa(q, k, v, mask)})


if __name__ == "__main__":
    main()
