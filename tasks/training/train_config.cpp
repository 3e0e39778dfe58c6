#include "tasks/training/train_config.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <sstream>

#include "attention/degrees/harden.h"
#include "core/error.h"
#include "core/file.h"
#include "core/number.h"
#include "core/safetensors.h"
#include "nn/degrees/degree_learner.h"
#include "nn/finetuning.h"
#include "nn/schedules.h"
#include "tasks/dataset/dataset.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

namespace po = boost::program_options;

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
  visit("model.precision", c.model.precision, "f32, or f64 to check", true);
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
  visit("train.task", c.train.task, "what is learned; by default what the dataset was prepared for",
        true);
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

template <class T>
std::string show(const T& value) {
  return fmt::format("{}", value);
}

po::options_description description(TrainConfig& config) {
  po::options_description options;
  each_setting(config, [&](const char* name, auto& field, const char*, bool) {
    using Field = std::decay_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, uint64_t>) {  // Boost takes -1 for 2^64 - 1
      const auto take = [name, &field](const std::string& text) {
        field = parse_natural(name, text);
      };
      options.add_options()(name, po::value<std::string>()->notifier(take));
    } else {
      options.add_options()(name, po::value<Field>(&field));
    }
  });
  return options;
}

[[noreturn]] void throw_unknown(std::string name) {
  while (name.starts_with('-')) name.erase(0, 1);
  std::vector<std::string> names;
  TrainConfig config;
  each_setting(config,
               [&](const char* known, auto&, const char*, bool) { names.push_back(known); });
  std::string near = nearest_name(name, names);
  if (near.empty()) {  // the section was left out
    for (const std::string& known : names) {
      if (known.substr(known.find('.') + 1) == name) near = known;
    }
  }
  throw ConfigError("settings", fmt::format("unknown setting \"{}\"", name),
                    near.empty() ? "`filigree train --help` lists all settings"
                                 : fmt::format("did you mean \"{}\"?", near));
}

/// The words with every truth value written out: a setting that is true or false may stand alone,
/// `--name` is `--name=true`. Throws ConfigError for another one without a value; words that begin
/// with -- are none.
std::vector<std::string> with_all_values(std::span<const std::string> words) {
  TrainConfig config;
  std::map<std::string, bool> is_truth;  // of every setting
  each_setting(config, [&](const std::string& name, auto& field, const char*, bool) {
    is_truth["--" + name] = std::is_same_v<std::decay_t<decltype(field)>, bool>;
  });
  const std::vector<std::string> truths{"true", "false", "on", "off", "yes", "no", "1", "0"};
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) {
    result.push_back(words[i]);
    const auto setting = is_truth.find(words[i]);
    if (setting == is_truth.end()) continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "--";
    if (setting->second) {
      const bool given = std::find(truths.begin(), truths.end(), next) != truths.end();
      result.back() += "=" + (given ? next : "true");
      i += given;
    } else if (next.starts_with("--")) {
      throw ConfigError(words[i].substr(2), "expected a value behind it, got none",
                        fmt::format("{} VALUE, or {}=VALUE", words[i], words[i]));
    }
  }
  return result;
}

/// Runs a parser of Boost, with its errors in our words.
template <class Parse>
void translate(Parse&& parse) {
  try {
    parse();
  } catch (const po::unknown_option& error) {
    throw_unknown(error.get_option_name());
  } catch (const po::error& error) {
    throw ConfigError("settings", error.what(), "`filigree train --help` lists all settings");
  }
}

void expect_range(std::string_view name, double value, double least, double most) {
  if (value >= least && value <= most) return;
  throw ConfigError(name, fmt::format("expected {} to {}, got {}", least, most, value));
}

void expect_one_of(std::string_view name, const std::string& value,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string list;
  for (const std::string& k : known) list += (list.empty() ? "" : ", ") + k;
  const std::string near = nearest_name(value, known);
  throw ConfigError(name, fmt::format("expected one of {}, got \"{}\"", list, value),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace

void TrainConfig::validate() const {
  constexpr double kMany = 1e15;
  each_setting(*this, [&](std::string_view name, const auto& field, const char*, bool) {
    // What an INI file cannot give back.
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, std::string>) {
      if (field.find_first_of("#\n\r") == std::string::npos && !field.starts_with(' ') &&
          !field.ends_with(' ')) {
        return;
      }
      throw ConfigError(name,
                        fmt::format("\"{}\" holds a #, a line end or a blank at its end", field),
                        "rename the file or folder");
    }
  });
  if (data.train.empty()) {
    throw ConfigError("data.train", "no training dataset is given",
                      "give --data.train FILE; `filigree prepare` makes one");
  }
  if (data.dev.empty()) {
    throw ConfigError("data.dev", "no dataset to evaluate on is given",
                      "give --data.dev FILE; `filigree prepare` makes one");
  }
  expect_range("model.ffn", static_cast<double>(model.ffn), 0, 1e9);
  expect_one_of("model.norm", model.norm, {"post", "pre"});
  expect_one_of("model.activation", model.activation, {"gelu", "gelu_tanh", "relu"});
  expect_one_of("model.pool", model.pool, {"first", "mean"});
  expect_one_of("model.positions", model.positions, {"learned", "none"});
  expect_one_of("model.precision", model.precision, {"f32", "f64"});
  expect_range("model.head_seed", static_cast<double>(model.head_seed), -1, kMany);
  if (model.init_head && model.init.empty()) {
    throw ConfigError("model.init_head", "there is no model to take a head from",
                      "give --model.init RUN");
  }
  validate_degrees();
  expect_range("train.steps", static_cast<double>(train.steps), 0, kMany);
  expect_range("train.epochs", train.epochs, 1e-6, 1e6);
  expect_range("train.batch_tokens", static_cast<double>(train.batch_tokens), 1, kMany);
  expect_range("train.max_sequences", static_cast<double>(train.max_sequences), 0, kMany);
  expect_range("train.accumulate", static_cast<double>(train.accumulate), 1, 1e6);
  expect_one_of("train.optimizer", train.optimizer, {"adamw", "sgd"});
  parse_schedule(train.schedule);
  expect_range("train.lr", train.lr, 0, 1e3);
  expect_range("train.warmup", train.warmup, 0, 1);
  expect_range("train.floor", train.floor, 0, 1);
  expect_range("train.decay", train.decay, 0, 1);
  expect_range("train.weight_decay", train.weight_decay, 0, 1e3);
  expect_range("train.beta1", train.beta1, 0, 1 - 1e-7);
  expect_range("train.beta2", train.beta2, 0, 1 - 1e-7);
  expect_range("train.eps", train.eps, 1e-30, 1);
  expect_range("train.momentum", train.momentum, 0, 1 - 1e-9);
  expect_range("train.clip", train.clip, 0, 1e9);
  expect_range("train.smoothing", train.smoothing, 0, 0.999);
  check(masking());
  expect_range("train.evaluate_every", static_cast<double>(train.evaluate_every), 0, kMany);
  expect_range("train.save_every", static_cast<double>(train.save_every), 0, kMany);
  expect_range("train.keep", static_cast<double>(train.keep), 1, 1e6);
  expect_range("train.patience", static_cast<double>(train.patience), 0, 1e6);
  expect_range("train.layer_decay", train.layer_decay, 1e-6, 1);
  Freeze::parse(train.freeze);
  expect_range("train.order_seed", static_cast<double>(train.order_seed), -1, kMany);
  expect_one_of("train.nan", train.nan, {"stop", "skip"});
  expect_range("train.log_every", static_cast<double>(train.log_every), 1, kMany);
  expect_range("train.threads", train.threads, 0, 4096);
}

void TrainConfig::validate_degrees() const {
  if (degrees.learner.empty()) return;
  expect_range("degrees.reach", static_cast<double>(degrees.reach), 0, 1 << 24);
  expect_range("degrees.entropy", degrees.entropy, 0, 1e3);
  expect_range("degrees.lr", degrees.lr, 0, 1e3);
  expect_range("degrees.clip", degrees.clip, 0, 1e9);
  expect_range("degrees.hold", degrees.hold, 0, 1);
  expect_range("degrees.irregular", degrees.irregular, 0, 100);
  expect_range("degrees.finetune", degrees.finetune, 0, 100);
  expect_range("degrees.finetune_lr", degrees.finetune_lr, 0, 100);
  expect_hardener(degrees.harden);
  objective(1).check();
  DegreeConfig config = degree_config(std::max<int64_t>(1, degrees.reach));
  expect_sound(config);
  if (train.patience > 0) {
    throw ConfigError("train.patience", "degrees are done at the last step, not before",
                      "leave it out");
  }
}

DegreeConfig TrainConfig::degree_config(int64_t reach) const {
  if (degrees.learner.empty()) return {};
  return {degrees.learner, reach, degrees.share, degrees.start, degrees.globals, degrees.draws};
}

DensityObjective TrainConfig::objective(int64_t steps) const {
  return {parse_objective(degrees.objective),
          degrees.beta,
          degrees.density,
          steps,
          degrees.anneal,
          degrees.loss};
}

TrainConfig TrainConfig::with_absolute_paths() const {
  TrainConfig config = *this;
  for (std::string* path :
       {&config.data.train, &config.data.dev, &config.data.tokenizer, &config.model.init}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal().string();
  }
  return config;
}

std::string TrainConfig::to_ini() const {
  std::string text, section;
  each_setting(*this, [&](std::string_view name, const auto& field, const char*, bool) {
    const size_t dot = name.find('.');
    if (name.substr(0, dot) != section) {
      section = name.substr(0, dot);
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{} = {}\n", name.substr(dot + 1), show(field));
  });
  return text;
}

std::string TrainConfig::hash(const TokenDataset& train_data, const TokenDataset& dev_data) const {
  std::string text = train_data.checksum() + "\n" + dev_data.checksum() + "\n";
  if (!model.init.empty()) {
    text += SafetensorsFile(find_model(model.init)).stored_checksum() + "\n";
  }
  if (model.init_head) text += "with its head\n";
  each_setting(*this, [&](std::string_view name, const auto& field, const char*, bool bears) {
    if (degrees.learner.empty() && name.starts_with("degrees.")) return;
    if (bears) text += fmt::format("{}={}\n", name, show(field));
  });
  return to_hex(checksum(text));
}

std::string TrainConfig::difference(const TrainConfig& other) const {
  std::map<std::string, std::string> theirs;
  each_setting(other, [&](std::string_view name, const auto& field, const char*, bool) {
    theirs[std::string(name)] = fmt::format("{}", show(field));
  });
  std::string text;
  each_setting(*this, [&](std::string_view name, const auto& field, const char*, bool bears) {
    const std::string mine = fmt::format("{}", show(field)), &before = theirs[std::string(name)];
    if (!bears || mine == before) return;
    text += fmt::format("{}{} {}, not {}", text.empty() ? "" : "; ", name, mine, before);
  });
  return text;
}

std::string TrainConfig::name_of(Activation activation) {
  return activation == Activation::relu        ? "relu"
         : activation == Activation::gelu_tanh ? "gelu_tanh"
                                               : "gelu";
}

EncoderConfig TrainConfig::encoder(const TokenDataset& train_data, const TokenDataset& dev_data,
                                   const EncoderConfig& base) const {
  EncoderConfig config = base;
  const bool fresh = base.vocabulary == 0;
  if (fresh) config.vocabulary = train_data.info().vocabulary;
  config.width = model.width;
  config.layers = model.layers;
  config.heads = model.heads;
  config.ffn = model.ffn == 0 ? 4 * model.width : model.ffn;
  int64_t longest = std::max(train_data.longest(), dev_data.longest());
  if (fresh) {
    longest = std::max({longest, train_data.info().max_length, dev_data.info().max_length});
  }
  config.max_positions = model.max_positions == 0 ? longest : model.max_positions;
  if (model.positions == "none") config.max_positions = 0;
  if (config.max_positions > 0 && config.longest_sequence() < longest) {
    throw ConfigError("model.max_positions",
                      fmt::format("expected at least {}, the longest that the datasets may hold, "
                                  "got {}",
                                  longest, config.longest_sequence()),
                      "leave it out, or prepare the data with a smaller --max-length");
  }
  if (train_data.has_segments() && config.segments == 0) config.segments = 2;
  const int64_t farthest = std::max(train_data.longest(), dev_data.longest()) - 1;
  config.degrees =
      degree_config(degrees.reach > 0 ? degrees.reach : std::max<int64_t>(1, farthest));
  config.relative_bias = model.relative_bias;
  config.dropout = model.dropout;
  config.attention_dropout = model.attention_dropout;
  config.init_std = model.init_std;
  config.activation = model.activation == "relu"        ? Activation::relu
                      : model.activation == "gelu_tanh" ? Activation::gelu_tanh
                                                        : Activation::gelu_erf;
  config.norm = model.norm == "pre" ? NormPlacement::pre : NormPlacement::post;
  config.validate();
  return config;
}

TrainConfig parse_train_config(std::span<const std::string> words, const std::string& file) {
  TrainConfig config;
  const po::options_description options = description(config);
  po::variables_map values;
  translate([&] {
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const po::positional_options_description no_words;
    auto parsed = po::command_line_parser(with_all_values(words))
                      .options(options)
                      .style(style)
                      .positional(no_words)
                      .run();
    po::store(parsed, values);
    if (!file.empty()) {
      std::istringstream text(read_file(file));
      po::store(po::parse_config_file(text, options), values);
    }
    po::notify(values);
  });
  for (const auto& value : values) config.given.push_back(value.first);
  return config;
}

std::string train_config_help() {
  std::string text;
  TrainConfig config;
  each_setting(config, [&](const char* name, auto& field, const char* help, bool) {
    const std::string standard = show(field);
    text += fmt::format("  --{:<26}{}{}\n", name, help,
                        standard.empty() ? "" : fmt::format(" [{}]", standard));
  });
  return text;
}

}  // namespace filigree
