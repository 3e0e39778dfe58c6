#!/usr/bin/env python3
"""Makes tests/nn/data/encoder_fixture.safetensors: what PyTorch computes for a small encoder.

Run once; the file is committed:  python3 tests/nn/make_encoder_fixture.py
Needs torch (made with 2.15.0). The same torch makes the same bytes.

An implementation of its own on torch.nn.functional, in float64: dense (T, T) scores under a
boolean mask, nothing shared with Filigree but the names of the parameters. Parameters and edges
are drawn here and stored; every parameter is a float32 number, so that Filigree's float32 and
float64 models hold exactly what PyTorch held.
"""

import json
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

WIDTH, HEADS, LAYERS, FFN = 32, 4, 2, 24
VOCABULARY, POSITIONS, CLASSES, REACH = 11, 12, 3, 3
LENGTHS = [7, 1, 9, 3]

POST = {
    "vocabulary": VOCABULARY, "width": WIDTH, "layers": LAYERS, "heads": HEADS, "ffn": FFN,
    "max_positions": POSITIONS, "position_offset": 0, "segments": 2, "relative_bias": 0,
    "dropout": 0.0, "attention_dropout": 0.0, "norm_eps": 1e-12, "init_std": 0.02,
    "activation": "gelu", "norm": "post",
}
PRE = POST | {
    "position_offset": 2, "relative_bias": REACH, "norm_eps": 1e-5, "activation": "gelu_tanh",
    "norm": "pre",
}
# name: (configuration, pooling, whether the graph is the stored random one)
CASES = {
    "post_dense": (POST, "first", False),
    "post_sparse": (POST, "mean", True),
    "pre_sparse": (PRE, "mean", True),
}


def draw_parameters(generator):
    """Every parameter that any case has."""
    shapes = {
        "encoder.embeddings.token.weight": (VOCABULARY, WIDTH),
        "encoder.embeddings.position.weight": (POSITIONS, WIDTH),
        "encoder.embeddings.segment.weight": (2, WIDTH),
        "pooler.weight": (WIDTH, WIDTH), "pooler.bias": (WIDTH,),
        "classifier.weight": (CLASSES, WIDTH), "classifier.bias": (CLASSES,),
    }
    norms = ["encoder.embeddings.norm", "encoder.final_norm"]
    for l in range(LAYERS):
        layer = f"encoder.layers.{l}."
        norms += [layer + "attention_norm", layer + "feed_forward_norm"]
        shapes[layer + "attention.relative_bias"] = (HEADS, 2 * REACH + 1)
        for name, outputs, inputs in [
            ("attention.query_key_value", 3 * WIDTH, WIDTH), ("attention.output", WIDTH, WIDTH),
            ("feed_forward.input", FFN, WIDTH), ("feed_forward.output", WIDTH, FFN),
        ]:
            shapes[layer + name + ".weight"] = (outputs, inputs)
            shapes[layer + name + ".bias"] = (outputs,)
    for norm in norms:
        shapes[norm + ".weight"] = shapes[norm + ".bias"] = (WIDTH,)
    # Wide enough that attention is far from uniform and no gradient vanishes.
    parameters = {}
    for name in sorted(shapes):
        value = 0.2 * torch.randn(shapes[name], generator=generator, dtype=torch.float64)
        if "norm.weight" in name:
            value += 1
        parameters[name] = value.to(torch.float32)
    return parameters


def same_sequence():
    sequence = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    return sequence[:, None] == sequence[None, :]


def draw_mask(generator):
    """(H, T, T): a third of the pairs of a sequence; row 4 of head 1 sees nothing at all."""
    tokens = sum(LENGTHS)
    mask = (torch.rand((HEADS, tokens, tokens), generator=generator) < 0.35) & same_sequence()
    mask[1, 4, :] = False
    return mask


def encode(p, config, batch, mask):
    """States after the embeddings and after every layer, and the final ones."""
    eps, pre = config["norm_eps"], config["norm"] == "pre"
    tokens, dim = batch["ids"].numel(), WIDTH // HEADS
    distance = torch.arange(tokens)[None, :] - torch.arange(tokens)[:, None]

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), p[name + ".weight"], p[name + ".bias"], eps)

    def affine(x, name):
        return F.linear(x, p[name + ".weight"], p[name + ".bias"])

    def attention(x, name):
        q, k, v = affine(x, name + ".query_key_value").split(WIDTH, dim=1)
        q, k, v = (y.view(tokens, HEADS, dim).transpose(0, 1) for y in (q, k, v))
        scores = q @ k.transpose(1, 2) / math.sqrt(dim)
        if config["relative_bias"]:
            near = distance.abs() <= REACH  # no bias beyond
            column = (distance + REACH).clamp(0, 2 * REACH)
            scores = scores + p[name + ".relative_bias"][:, column] * near
        # A row without keys gives 0; masking it wholly would make NaNs of its gradients.
        alive = mask.any(dim=2, keepdim=True)
        weights = F.softmax(scores.masked_fill(~mask & alive, -math.inf), dim=2) * mask
        mixed = (weights @ v).transpose(0, 1).reshape(tokens, WIDTH)
        return affine(mixed, name + ".output")

    def feed_forward(x, name):
        shape = "tanh" if config["activation"] == "gelu_tanh" else "none"
        return affine(F.gelu(affine(x, name + ".input"), approximate=shape), name + ".output")

    x = F.embedding(batch["ids"].long(), p["encoder.embeddings.token.weight"])
    positions = batch["positions"].long() + config["position_offset"]
    x = x + F.embedding(positions, p["encoder.embeddings.position.weight"])
    x = x + F.embedding(batch["segments"].long(), p["encoder.embeddings.segment.weight"])
    if not pre:
        x = norm(x, "encoder.embeddings.norm")
    states = [x]
    for l in range(LAYERS):
        layer = f"encoder.layers.{l}."
        if pre:
            x = x + attention(norm(x, layer + "attention_norm"), layer + "attention")
            x = x + feed_forward(norm(x, layer + "feed_forward_norm"), layer + "feed_forward")
        else:
            x = norm(x + attention(x, layer + "attention"), layer + "attention_norm")
            x = norm(x + feed_forward(x, layer + "feed_forward"), layer + "feed_forward_norm")
        states.append(x)
    return states, norm(x, "encoder.final_norm") if pre else x


def classify(p, hidden, pool):
    sequences = hidden.split(LENGTHS)
    pooled = torch.stack([s[0] if pool == "first" else s.mean(dim=0) for s in sequences])
    pooled = torch.tanh(F.linear(pooled, p["pooler.weight"], p["pooler.bias"]))
    return F.linear(pooled, p["classifier.weight"], p["classifier.bias"])


def save(path, tensors, metadata):
    """A safetensors file, wide elements first so that all are aligned, keys sorted."""
    kinds = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.int32: "I32"}
    header, data = {"__metadata__": metadata}, b""
    for name in sorted(tensors, key=lambda n: (list(kinds).index(tensors[n].dtype), n)):
        tensor = tensors[name]
        start = len(data)
        data += tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [start, len(data)]}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    generator = torch.Generator().manual_seed(1)
    tokens = sum(LENGTHS)
    parameters = draw_parameters(generator)
    batch = {
        "ids": torch.randint(VOCABULARY, (tokens,), generator=generator).int(),
        "positions": torch.cat([torch.arange(n) for n in LENGTHS]).int(),
        "segments": torch.randint(2, (tokens,), generator=generator).int(),
        "labels": torch.randint(CLASSES, (len(LENGTHS),), generator=generator).int(),
        "offsets": torch.tensor([0] + LENGTHS).cumsum(0),
    }
    random_mask = draw_mask(generator)
    tensors = {"parameter." + name: value for name, value in parameters.items()}
    tensors |= {"batch." + name: value for name, value in batch.items()}
    tensors["edges"] = random_mask.nonzero().int()  # (N, 3): head, query, key, ascending
    metadata = {"cases": " ".join(CASES), "torch": torch.__version__}
    for name, (config, pool, sparse) in CASES.items():
        mask = random_mask if sparse else same_sequence().expand(HEADS, -1, -1)
        p = {n: v.double().requires_grad_() for n, v in parameters.items()}
        states, hidden = encode(p, config, batch, mask)
        logits = classify(p, hidden, pool)
        loss = F.cross_entropy(logits, batch["labels"].long())
        loss.backward()
        for k, state in enumerate(states):
            tensors[f"{name}.state.{k}"] = state.detach()
        tensors[f"{name}.hidden"] = hidden.detach()
        tensors[f"{name}.logits"] = logits.detach()
        tensors[f"{name}.loss"] = loss.detach()
        # What a case does not have, it does not touch.
        for n, v in p.items():
            if v.grad is not None:
                tensors[f"{name}.gradient.{n}"] = v.grad
        metadata |= {f"{name}.config": json.dumps(config), f"{name}.pool": pool,
                     f"{name}.graph": "edges" if sparse else "dense"}
    path = pathlib.Path(__file__).parent / "data" / "encoder_fixture.safetensors"
    save(path, tensors, metadata)
    print(f"{path}: {path.stat().st_size} bytes, {len(tensors)} tensors")


if __name__ == "__main__":
    main()
