#!/usr/bin/env python3
"""Makes tests/tasks/data/hugging_face: small random models of transformers, and what they compute.

Run once; the files are committed:  python3 tests/tasks/make_hugging_face_fixture.py
Needs torch, transformers and safetensors (made with torch 2.15.0, transformers 5.24.0). The same
versions make the same bytes.

A folder a case holds config.json and model.safetensors as save_pretrained() writes them; then some
are given the forms that are met in the wild: old names (gamma, beta), half precision, several
files. outputs.safetensors holds, of the weights as they stand in the files, what float64 gives:
"CASE.state.K" (T, E), the hidden states after the embeddings and after every layer, and
"CASE.logits". Each sequence is computed alone, so that there is no padding.
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).parent / "data" / "hugging_face"
LENGTHS = [9, 1, 12, 4]
SHAPE = {
    "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.05,
}
BERT = SHAPE | {"max_position_embeddings": 20, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
ROBERTA = SHAPE | {"max_position_embeddings": 22, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
                   "pad_token_id": 1}
LABELS = {"id2label": {0: "contradiction", 1: "neutral", 2: "entailment"},
          "label2id": {"contradiction": 0, "neutral": 1, "entailment": 2}}

# name: (class, settings, dtype of the file, form of the file)
CASES = {
    "bert_pretraining": ("BertForPreTraining", BERT, torch.float32, "plain"),
    "bert_classifier": ("BertForSequenceClassification",
                        BERT | LABELS | {"hidden_act": "gelu_new"}, torch.float32, "old names"),
    "bert_span": ("BertForQuestionAnswering", BERT, torch.bfloat16, "several files"),
    "bert_tags": ("BertForTokenClassification", BERT | LABELS | {"hidden_act": "relu"},
                  torch.float16, "plain"),
    "bert_body": ("BertModel", BERT, torch.float16, "plain"),
    "roberta_masked_lm": ("RobertaForMaskedLM", ROBERTA, torch.float32, "plain"),
    "roberta_classifier": ("RobertaForSequenceClassification", ROBERTA | LABELS, torch.float16,
                           "plain"),
    "roberta_span": ("RobertaForQuestionAnswering", ROBERTA, torch.bfloat16, "plain"),
    "camembert_masked_lm": ("CamembertForMaskedLM", ROBERTA, torch.float16, "plain"),
    "xlm_roberta_tags": ("XLMRobertaForTokenClassification", ROBERTA | LABELS, torch.float16,
                         "several files"),
}


def randomise(model, generator):
    """Every parameter, so that none is left out unnoticed."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "layernorm" in name.lower() or "layer_norm" in name
            if parameter.dim() == 1:
                centre, width = (1.0 if norm and name.endswith("weight") else 0.0), 0.3
            else:
                centre, width = 0.0, 0.25
            parameter.copy_(centre + width * torch.randn(parameter.shape, generator=generator))


def draw_batch(generator):
    total = sum(LENGTHS)
    return {  # ids from 5: no token is RoBERTa's padding
        "ids": torch.randint(5, SHAPE["vocab_size"], (total,), generator=generator),
        "segments": torch.randint(0, 2, (total,), generator=generator),
    }


def compute(model, batch):
    """Hidden states and logits of the packed batch, in float64."""
    model = model.double().eval()
    states, logits, begin = [], [], 0
    for length in LENGTHS:
        rows = slice(begin, begin + length)
        begin += length
        inputs = {"input_ids": batch["ids"][None, rows]}
        if model.config.type_vocab_size > 1:
            inputs["token_type_ids"] = batch["segments"][None, rows]
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
        states.append(torch.stack([state[0] for state in out.hidden_states]))
        if "start_logits" in out:
            logits.append(torch.stack([out.start_logits[0], out.end_logits[0]], dim=1))
        elif "prediction_logits" in out:
            logits.append(out.prediction_logits[0])
        elif "logits" in out:
            logits.append(out.logits if out.logits.dim() == 2 else out.logits[0])
    states = torch.cat(states, dim=1)
    results = {f"state.{k}": state.contiguous() for k, state in enumerate(states)}
    if logits:
        results["logits"] = torch.cat(logits).contiguous()
    return results


def old_names(folder):
    """LayerNorm.gamma and .beta, as in the files of 2018, and their buffer of positions."""
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("LayerNorm.weight", "LayerNorm.gamma")
                   .replace("LayerNorm.bias", "LayerNorm.beta"): tensor
               for name, tensor in tensors.items()}
    renamed["bert.embeddings.position_ids"] = torch.arange(20)[None]
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})


def several_files(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[: len(names) // 2],
             "model-00002-of-00002.safetensors": names[len(names) // 2:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
    weight_map = {name: file for file, part in parts.items() for name in part}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    generator = torch.Generator().manual_seed(2)
    batch = draw_batch(generator)
    offsets = torch.tensor([0] + LENGTHS).cumsum(0)
    positions = torch.cat([torch.arange(length) for length in LENGTHS])
    outputs = {"batch.ids": batch["ids"].int(), "batch.segments": batch["segments"].int(),
               "batch.positions": positions.int(), "batch.offsets": offsets}
    for name, (class_name, settings, dtype, form) in CASES.items():
        model_class = getattr(transformers, class_name)
        model = model_class(model_class.config_class(**settings))
        randomise(model, generator)
        model.to(dtype)
        model.save_pretrained(FOLDER / name)
        (FOLDER / name / "generation_config.json").unlink(missing_ok=True)
        for key, tensor in compute(model, batch).items():
            outputs[f"{name}.{key}"] = tensor
        if form == "old names":
            old_names(FOLDER / name)
        elif form == "several files":
            several_files(FOLDER / name)
    save_file(outputs, FOLDER / "outputs.safetensors", {"cases": " ".join(CASES)})
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    print(f"{FOLDER}: {len(CASES)} models, {size} bytes")


if __name__ == "__main__":
    main()
