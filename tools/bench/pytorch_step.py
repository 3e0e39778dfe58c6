#!/usr/bin/env python3
"""Training steps of an encoder in PyTorch on a GPU: what `filigree train --device cuda` is to be held
against. Masked-language modelling of packed sequences without padding, bf16 autocast, SDPA,
torch.compile, fused AdamW; random token ids.

    tools/bench/pytorch_step.py --layers 12 --width 768 --heads 12 --length 512 --tokens 16384
"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, dropout):
        b, n, width = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
        x = self.norm1(x + F.dropout(self.out(attended), dropout, self.training))
        return self.norm2(x + F.dropout(self.down(F.gelu(self.up(x))), dropout, self.training))


class Encoder(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.tokens = nn.Embedding(o.vocabulary, o.width)
        self.positions = nn.Embedding(o.length, o.width)
        self.norm = nn.LayerNorm(o.width)
        self.layers = nn.ModuleList(Layer(o.width, o.heads) for _ in range(o.layers))
        self.transform, self.norm2 = nn.Linear(o.width, o.width), nn.LayerNorm(o.width)
        self.bias = nn.Parameter(torch.zeros(o.vocabulary))
        self.dropout = o.dropout

    def forward(self, ids, hidden, targets):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        x = F.dropout(self.norm(x), self.dropout, self.training)
        for layer in self.layers:
            x = layer(x, self.dropout)
        x = x.flatten(0, 1)[hidden]  # the hidden tokens alone
        x = self.norm2(F.gelu(self.transform(x)))
        return F.cross_entropy((x @ self.tokens.weight.T + self.bias).float(), targets)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("layers", 12), ("width", 768), ("heads", 12), ("length", 512),
                        ("tokens", 16384), ("vocabulary", 16000), ("steps", 30)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--dropout", type=float, default=0.0)
    o = parser.parse_args()
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    model = Encoder(o).cuda().train()
    step_of = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    hidden_count = o.tokens * 15 // 100

    def step():
        ids = torch.randint(o.vocabulary, (o.tokens // o.length, o.length), device="cuda")
        hidden = torch.randperm(o.tokens, device="cuda")[:hidden_count].sort().values
        with torch.autocast("cuda", torch.bfloat16):
            loss = step_of(ids, hidden, ids.flatten()[hidden])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(5):
        step()
    torch.cuda.synchronize()
    times = []
    for _ in range(o.steps):
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    times.sort()
    median = statistics.median(times)
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, layers {o.layers}, width "
          f"{o.width}, {o.tokens} tokens of {o.length}: {1e3 * median:.2f} ms "
          f"[{1e3 * times[o.steps // 4]:.2f}, {1e3 * times[3 * o.steps // 4]:.2f}], "
          f"{o.tokens / median:,.0f} tokens/s")


if __name__ == "__main__":
    main()
