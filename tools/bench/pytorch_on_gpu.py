#!/usr/bin/env python3
"""What PyTorch reaches on a GPU: the figures that CUDA kernels of attention are to be held against.

bf16, forward + backward, 16,384 tokens and 2,048 columns of heads in all: FlashAttention (SDPA) on
dense attention, compiled FlexAttention on a window of 256 and on a random graph of one tenth of all
pairs, the making of its mask apart. Medians [quartiles] of 15.
"""
import statistics
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

TOKENS, WIDTH = 16384, 2048


def timed(step, rounds=15):
    for _ in range(3):
        step()
    times = []
    for _ in range(rounds):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    times.sort()
    return statistics.median(times), times[rounds // 4], times[3 * rounds // 4]


def inputs(n, dim):
    shape = (TOKENS // n, WIDTH // dim, n, dim)
    q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)
               for _ in range(3))
    return q, k, v, torch.randn_like(q)


def dense():
    for dim in (64, 128):
        for n in (2048, 4096, 8192, 16384):
            q, k, v, grad = inputs(n, dim)

            def both():
                with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                    F.scaled_dot_product_attention(q, k, v).backward(grad)

            median, low, high = timed(both)
            rate = 14 * TOKENS * n * WIDTH / median / 1e9
            print(f"dense D={dim} n={n}: {median:.3f} [{low:.3f}, {high:.3f}] ms, {rate:.0f} TFLOP/s",
                  flush=True)


def flex(name, n, dim, keep):
    attention = torch.compile(flex_attention, dynamic=False)
    q, k, v, grad = inputs(n, dim)
    create_block_mask(keep, None, None, n, n, device="cuda")  # the first one compiles
    torch.cuda.synchronize()
    start = time.perf_counter()
    mask = create_block_mask(keep, None, None, n, n, device="cuda")
    torch.cuda.synchronize()
    made = 1e3 * (time.perf_counter() - start)
    median, low, high = timed(lambda: attention(q, k, v, block_mask=mask).backward(grad))
    print(f"{name} D={dim} n={n}: {median:.3f} [{low:.3f}, {high:.3f}] ms, mask {made:.0f} ms",
          flush=True)


def main():
    torch.manual_seed(1)
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    dense()
    for dim in (64, 128):
        flex("window 256", 16384, dim, lambda b, h, i, j: (i - j).abs() <= 256)
    graph = torch.rand(4096, 4096, device="cuda") < 0.1
    graph.fill_diagonal_(True)
    flex("random 10 %", 4096, 64, lambda b, h, i, j: graph[i, j])


if __name__ == "__main__":
    main()
