#include "tasks/training/train_config.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "attention/degrees/harden.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"
#include "nn/degrees/degree_learner.h"
#include "nn/finetuning.h"
#include "nn/schedules.h"
#include "tasks/dataset/dataset.h"
#include "tasks/training/model_file.h"
#include "tasks/training/train_settings.h"

namespace filigree {

namespace {

template <class T>
std::string show(const T& value) {
  return fmt::format("{}", value);
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
  expect_one_of("model.precision", model.precision, {"f32", "tf32", "f64", "bf16"});
  const bool device_alone = model.precision == "bf16" || model.precision == "tf32";
  if (device_alone && parse_device(train.device).is_cpu()) {
    throw ConfigError("model.precision", model.precision + " is computed on CUDA alone",
                      "give --device cuda, or leave it at f32");
  }
  expect_range("model.head_seed", static_cast<double>(model.head_seed), -1, kMany);
  if (model.init_head && model.init.empty()) {
    throw ConfigError("model.init_head", "there is no model to take a head from",
                      "give --model.init RUN");
  }
  if (const Device device = parse_device(train.device); !device.is_cpu()) backend_of(device);
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
  expect_range("train.schedule_from", train.schedule_from, 0, 1);
  expect_range("train.schedule_to", train.schedule_to, 0, 1);
  if (train.schedule_to - train.schedule_from < 1e-6) {
    throw ConfigError("train.schedule_to",
                      fmt::format("expected more than train.schedule_from, {}, got {}",
                                  train.schedule_from, train.schedule_to),
                      "0 and 1 are the whole schedule");
  }
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

}  // namespace filigree
