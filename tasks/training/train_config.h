// TrainConfig: every setting of a training run, under one name on the command line and in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/degrees/objective.h"
#include "nn/encoder_config.h"
#include "tasks/task/masking.h"

namespace filigree {

class TokenDataset;

/// Settings by section: `[model] layers = 4` in an INI file is `--model.layers 4`. The defaults are
/// here, the help texts in train_config.cpp.
struct TrainConfig {
  struct Data {
    std::string train, dev;  // datasets of `filigree prepare`
    std::string tokenizer;   // copied into the run, so that `predict` needs nothing else
  } data;
  struct Model {
    int64_t layers = 2, width = 128, heads = 4, ffn = 0;  // ffn 0: 4 x width
    double dropout = 0.1, attention_dropout = 0.1;
    std::string norm = "post", activation = "gelu", pool = "first", positions = "learned";
    int64_t max_positions = 0;  // 0: as long as the datasets may be
    int64_t relative_bias = 0;
    double init_std = 0.02;
    bool recompute = false;
    std::string precision = "f32";
    std::string init;        // model file or run whose encoder to start from
    bool init_head = false;  // its head, too
    int64_t head_seed = -1;  // -1: train.seed
  } model;
  struct Attention {
    std::string pattern = "dense", layers = "all", heads = "all";
  } attention;
  struct Degrees {
    std::string learner;  // "": degrees are not learned
    int64_t reach = 0;    // 0: as far as the longest sample
    std::string share = "head", start = "dense", globals = "none";
    bool draws = false;  // every token draws its own reach
    std::string objective = "target";
    double density = 0.1, beta = 1, loss = 0;  // of the objectives target, penalty and loss
    double anneal = 0.5;                       // share of the steps over which they close in
    double entropy = 0;                        // weight of the entropy at the last step
    double lr = 0.03, clip = 1;
    double hold = 0.05;  // share of the steps before degrees begin to move
    // Of what follows in `filigree learn`:
    double irregular = 0;  // share of the steps
    std::string harden = "exact";
    double finetune = 0.4, finetune_lr = 0.5;  // shares of the steps, and of train.lr
    bool one_schedule = false;                 // of all stages
  } degrees;
  struct Train {
    std::string task;  // "": the dataset's
    std::string device = "cpu";
    int64_t steps = 0;  // 0: as many as `epochs` take
    double epochs = 3;
    int64_t batch_tokens = 4096, max_sequences = 0, accumulate = 1;
    std::string optimizer = "adamw", schedule = "linear";
    double lr = 5e-4, warmup = 0.1, floor = 0, decay = 0.1;  // warmup, decay: shares of all steps
    double schedule_from = 0, schedule_to = 1;  // the part of the schedule that this run is
    double weight_decay = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, momentum = 0.9;
    double clip = 1, smoothing = 0;
    double mask_share = MaskingOptions().share;  // of masked_lm alone, like the next two
    bool mask_words = false, mask_fixed = false;
    int64_t evaluate_every = 0, save_every = 0;  // 0: at the end of every epoch
    int64_t keep = 2, patience = 0;
    std::string metric, nan = "stop";  // metric "": the task's first
    double layer_decay = 1;            // learning rate of a layer over that of the layer above
    std::string freeze;                // see Freeze in nn/finetuning.h
    int64_t log_every = 20;
    uint64_t seed = 1;
    int64_t order_seed = -1;  // -1: seed
    int threads = 0;
  } train;

  /// Names of the settings that were given, in a file or on the command line. No setting itself.
  std::vector<std::string> given;

  /// Seeds of the head's weights, and of the order of the samples.
  uint64_t head_seed() const {
    return model.head_seed < 0 ? train.seed : static_cast<uint64_t>(model.head_seed);
  }
  uint64_t order_seed() const {
    return train.order_seed < 0 ? train.seed : static_cast<uint64_t>(train.order_seed);
  }
  /// Of the density, over so many steps.
  DensityObjective objective(int64_t steps) const;
  MaskingOptions masking() const { return {train.mask_share, train.mask_words, train.mask_fixed}; }
  /// The value of model.activation.
  static std::string name_of(Activation activation);

  /// Throws ConfigError naming the first setting that makes no sense.
  void validate() const;
  /// The same with paths that are good in any working folder.
  TrainConfig with_absolute_paths() const;
  /// All settings as an INI file that parses back to the same.
  std::string to_ini() const;
  /// 16 hexadecimal digits of all settings that bear on the result (not: log_every, keep ...), and
  /// of what is in the datasets and in model.init, wherever they lie.
  std::string hash(const TokenDataset& train_data, const TokenDataset& dev_data) const;
  /// The settings that bear on the result and differ: "train.lr 0.1, not 0.2; ..." with `other`'s
  /// value second. Empty if none does.
  std::string difference(const TrainConfig& other) const;
  /// The encoder for these datasets (vocabulary, positions, segments). `base`: of a checkpoint, for
  /// all that is no setting; without a vocabulary there is none.
  EncoderConfig encoder(const TokenDataset& train, const TokenDataset& dev,
                        const EncoderConfig& base = {}) const;

 private:
  void validate_degrees() const;
  /// With `reach`; none if degrees are not learned.
  DegreeConfig degree_config(int64_t reach) const;
};

/// Reads settings from `--section.name value` words (of a setting that is true or false the value
/// may be left out: true) and the INI file `file` ("" for none); the
/// command line wins. Throws ConfigError: unknown name with the nearest known one, wrong value.
TrainConfig parse_train_config(std::span<const std::string> words, const std::string& file);

/// "--model.layers N  (2)  encoder layers", one line a setting.
std::string train_config_help();

}  // namespace filigree
