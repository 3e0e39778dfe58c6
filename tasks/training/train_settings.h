// The one list of all settings of TrainConfig. Private to tasks/training.
#pragma once

#include "tasks/training/train_config.h"

namespace filigree {

/// Calls visit(name, field, help, bears_on_the_result) for every setting: the one list of them.
template <class Config, class Visit>
void each_setting(Config& c, Visit&& visit) {
  visit("data.train", c.data.train, "training dataset (of `filigree prepare`)", false);
  visit("data.dev", c.data.dev, "dataset to evaluate on", false);
  visit("data.tokenizer", c.data.tokenizer, "its tokenizer, kept with the run for `predict`",
        false);
  visit("model.layers", c.model.layers, "encoder layers L", true);
  visit("model.width", c.model.width, "width E of the hidden states", true);
  visit("model.heads", c.model.heads, "attention heads H; divides the width", true);
  visit("model.ffn", c.model.ffn, "width F of the feed-forward; 0: 4 x width", true);
  visit("model.dropout", c.model.dropout, "dropout of hidden states", true);
  visit("model.attention_dropout", c.model.attention_dropout, "dropout of attention weights", true);
  visit("model.norm", c.model.norm, "layer norm: post (BERT) or pre", true);
  visit("model.activation", c.model.activation, "gelu, gelu_tanh or relu", true);
  visit("model.pool", c.model.pool, "what is classified: first (token) or mean", true);
  visit("model.positions", c.model.positions, "position embeddings: learned or none", true);
  visit("model.max_positions", c.model.max_positions, "longest sequence; 0: from the data", true);
  visit("model.relative_bias", c.model.relative_bias, "reach of a learned bias a distance; 0: none",
        true);
  visit("model.init_std", c.model.init_std, "standard deviation of the initial weights", true);
  visit("model.recompute", c.model.recompute, "recompute activations: less memory, more time",
        false);
  visit("model.precision", c.model.precision,
        "f32; on CUDA tf32 (products alone) or bf16 (layers); or f64 to check", true);
  visit("model.init", c.model.init,
        "run or model file to start the encoder from, which gives its shape", false);
  visit("model.init_head", c.model.init_head,
        "start from its head as well: the task and the labels are the same", false);
  visit("model.head_seed", c.model.head_seed, "seed of the head's weights; -1: train.seed", true);
  visit("attention.pattern", c.attention.pattern, "what attends to what (`filigree info`)", true);
  visit("attention.layers", c.attention.layers, "where: all, none, first:k, last:k, only:l, 0,2-4",
        true);
  visit("attention.heads", c.attention.heads, "in which heads: all, or a list", true);
  visit("degrees.learner", c.degrees.learner,
        "learn how far heads look, by: degrees, adaptive_span, free_offsets or head_gates", true);
  visit("degrees.reach", c.degrees.reach, "no token looks further; 0: to the longest sample", true);
  visit("degrees.share", c.degrees.share, "what has degrees of its own: head, layer or model",
        true);
  visit("degrees.start", c.degrees.start, "where learning begins: dense, local or uniform", true);
  visit("degrees.globals", c.degrees.globals,
        "tokens that always see and are seen: none, global:cls, global:special ..", true);
  visit("degrees.draws", c.degrees.draws,
        "every token draws its own reach, instead of a soft gate (learner degrees)", true);
  visit("degrees.objective", c.degrees.objective,
        "target (the density is to come down to degrees.density), penalty, or loss (as sparse as a "
        "limit on the loss allows)",
        true);
  visit("degrees.density", c.degrees.density, "target: share of all pairs that is left, above 0",
        true);
  visit("degrees.beta", c.degrees.beta, "penalty and loss: what a density of 1 costs at most",
        true);
  visit("degrees.loss", c.degrees.loss, "loss: the limit on the task's loss", true);
  visit("degrees.anneal", c.degrees.anneal,
        "share of the steps over which target or price close in; 0: at once", true);
  visit("degrees.entropy", c.degrees.entropy,
        "weight of the entropy of the degrees, rising from 0 to this", true);
  visit("degrees.lr", c.degrees.lr, "learning rate of the degrees (AdamW)", true);
  visit("degrees.clip", c.degrees.clip, "largest gradient norm of the degrees; 0: no limit", true);
  visit("degrees.hold", c.degrees.hold, "share of the steps before degrees begin to move", true);
  visit(
      "degrees.irregular", c.degrees.irregular,
      "learn: steps in which every token draws its reach, after the soft ones, as a share of them",
      false);
  visit("degrees.harden", c.degrees.harden,
        "learn: argmax, median, mean, water_filling, exact (both to degrees.density) or irregular",
        false);
  visit("degrees.finetune", c.degrees.finetune,
        "learn: steps of the hardened model, as a share of the steps before", false);
  visit("degrees.finetune_lr", c.degrees.finetune_lr,
        "learn: its learning rate, as a share of train.lr", false);
  visit("degrees.one_schedule", c.degrees.one_schedule,
        "learn: one schedule of the learning rate over all stages, not one each", false);
  visit("train.task", c.train.task, "what is learned; by default what the dataset was prepared for",
        true);
  visit("train.device", c.train.device, "cpu, cuda or cuda:N (the N-th GPU)", false);
  visit("train.steps", c.train.steps, "optimizer steps; 0: from the epochs", true);
  visit("train.epochs", c.train.epochs, "passes over the training data", true);
  visit("train.batch_tokens", c.train.batch_tokens, "tokens of a batch at most", true);
  visit("train.max_sequences", c.train.max_sequences, "samples of a batch at most; 0: any", true);
  visit("train.accumulate", c.train.accumulate, "batches a step", true);
  visit("train.optimizer", c.train.optimizer, "adamw or sgd", true);
  visit("train.schedule", c.train.schedule, "constant, linear, cosine, inverse_sqrt or wsd", true);
  visit("train.lr", c.train.lr, "peak learning rate", true);
  visit("train.warmup", c.train.warmup, "share of the steps with rising rate", true);
  visit("train.floor", c.train.floor, "last rate, as a share of the peak", true);
  visit("train.decay", c.train.decay, "wsd: share of the steps with falling rate", true);
  visit("train.schedule_from", c.train.schedule_from,
        "this run is a part of a longer schedule, from this share of it on", true);
  visit("train.schedule_to", c.train.schedule_to, "and up to this one", true);
  visit("train.weight_decay", c.train.weight_decay, "decay of matrices", true);
  visit("train.beta1", c.train.beta1, "AdamW", true);
  visit("train.beta2", c.train.beta2, "AdamW", true);
  visit("train.eps", c.train.eps, "AdamW", true);
  visit("train.momentum", c.train.momentum, "SGD", true);
  visit("train.clip", c.train.clip, "largest gradient norm; 0: no limit", true);
  visit("train.smoothing", c.train.smoothing, "label smoothing", true);
  visit("train.mask_share", c.train.mask_share, "masked_lm: share of the tokens that is hidden",
        true);
  visit("train.mask_words", c.train.mask_words, "masked_lm: hide whole words", true);
  visit("train.mask_fixed", c.train.mask_fixed, "masked_lm: hide the same tokens in every epoch",
        true);
  visit("train.evaluate_every", c.train.evaluate_every, "steps; 0: every epoch", true);
  visit("train.save_every", c.train.save_every, "steps; 0: at every evaluation", false);
  visit("train.keep", c.train.keep, "checkpoints to keep, beside the best model", false);
  visit("train.patience", c.train.patience, "stop after so many evaluations without gain; 0: never",
        true);
  visit("train.metric", c.train.metric,
        "the best model has best: a metric of the task (its first by default), or loss", true);
  visit("train.layer_decay", c.train.layer_decay,
        "learning rate of a layer over that of the layer above", true);
  visit("train.freeze", c.train.freeze, "what does not learn: embeddings, first:k or encoder",
        true);
  visit("train.nan", c.train.nan, "on NaN or Inf: stop, or skip the step", true);
  visit("train.log_every", c.train.log_every, "steps between two lines of metrics.jsonl", false);
  visit("train.seed", c.train.seed, "seed of everything random", true);
  visit("train.order_seed", c.train.order_seed, "seed of the order of the samples; -1: train.seed",
        true);
  visit("train.threads", c.train.threads, "threads; 0: all cores", false);
}

}  // namespace filigree
