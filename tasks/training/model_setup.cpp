#include "tasks/training/model_setup.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/device_backend.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "nn/finetuning.h"
#include "tasks/training/degree_attention.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/model_input.h"

namespace filigree {

namespace {

/// Sets a setting to the checkpoint's value. `standard`: stands for "as it comes".
template <class T>
void take(TrainConfig& config, const char* name, T& field, const T& value, const T& standard) {
  const bool given =
      std::find(config.given.begin(), config.given.end(), name) != config.given.end();
  if (given && field != value && field != standard) {
    throw ConfigError(
        name,
        fmt::format("expected {}, as in model.init {}, got {}", value, config.model.init, field),
        "leave the setting out: the checkpoint gives the encoder's shape");
  }
  field = value;
}

void take_shape(TrainConfig& config, const EncoderConfig& from) {
  TrainConfig::Model& m = config.model;
  const auto number = [&](const char* name, int64_t& field, int64_t value, int64_t standard = -1) {
    take(config, name, field, value, standard);
  };
  const auto word = [&](const char* name, std::string& field, const std::string& value) {
    take(config, name, field, value, std::string());
  };
  number("model.layers", m.layers, from.layers);
  number("model.width", m.width, from.width);
  number("model.heads", m.heads, from.heads);
  number("model.ffn", m.ffn, from.ffn, 0);
  number("model.relative_bias", m.relative_bias, from.relative_bias);
  number("model.max_positions", m.max_positions, from.max_positions, 0);
  word("model.positions", m.positions, from.max_positions > 0 ? "learned" : "none");
  word("model.norm", m.norm, from.norm == NormPlacement::post ? "post" : "pre");
  word("model.activation", m.activation, TrainConfig::name_of(from.activation));
}

/// "a, b, c and 4 more", "none".
std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  if (names.empty()) return "none";
  const size_t shown = std::min(names.size(), kShown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

/// The encoder, and what a further model of whatever labels can go on with: the pooler, and the
/// head of the masked language model.
bool goes_on(const std::string& name) {
  return is_encoder_parameter(name) || name.starts_with("pooler.") ||
         name.starts_with("masked_lm.");
}

/// Copies what goes on and is there in both, says so in a note, and returns the names of what is
/// new.
std::vector<std::string> start_from(const std::filesystem::path& path, bool with_head, Model& model,
                                    std::vector<std::string>& notes) {
  SafetensorsFile(path).verify_checksum();
  const StateDict mine = model.state_dict();
  StateDict taken;
  std::vector<std::string> unused, misshapen;
  for (const auto& [name, tensor] : read_model_tensors(path).weights) {
    const auto place = mine.find(name);
    if (place == mine.end() || !(with_head || goes_on(name))) {
      unused.push_back(name);
    } else if (place->second.shape() != tensor.shape()) {
      misshapen.push_back(fmt::format("{}: expected {}, got {}", name,
                                      to_string(place->second.shape()), to_string(tensor.shape())));
    } else {
      taken[name] = tensor.to(place->second.dtype());
    }
  }
  if (!misshapen.empty()) {
    throw CheckpointError(path.string(), "does not fit the model:\n  " +
                                             fmt::format("{}", fmt::join(misshapen, "\n  ")));
  }
  std::vector<std::string> drawn = model.load_state_dict(taken, false);
  notes.push_back(fmt::format("model.init {}: {} parameters loaded; new: {}; unused: {}",
                              path.string(), taken.size(), list_of(drawn), list_of(unused)));
  return drawn;
}

std::string task_of(const TrainConfig& config, const TokenDataset& data) {
  if (!config.train.task.empty()) return config.train.task;
  if (data.info().task != kNoTask) return data.info().task;
  throw ConfigError("train.task",
                    fmt::format("{} holds text without targets", data.path().string()),
                    "prepare it with --label, or choose a task that needs none");
}

/// What the checkpoint was made of, if there is one, checked against the data.
EncoderConfig base_of(TrainConfig& config, const TokenDataset& data,
                      std::vector<std::string>& notes) {
  if (config.model.init.empty()) return {};
  const std::filesystem::path path = find_model(config.model.init);
  const ModelInfo from = read_model_info(path);
  const std::string where = data.path().string();
  if (from.tokenizer_hash.empty()) {
    expect_tokenizer(
        from, where, data.info().tokenizer_hash, data.info().vocabulary,
        fmt::format("prepare the data with the tokenizer of model.init {}", path.string()));
    notes.push_back(
        fmt::format("model.init {}: its tokenizer is not known; make sure that {} was prepared "
                    "with it (both have {} pieces)",
                    path.string(), where, from.encoder.vocabulary));
  } else if (from.tokenizer_hash != data.info().tokenizer_hash) {
    throw DataError(where,
                    fmt::format("made with tokenizer {}, but model.init {} with {}",
                                data.info().tokenizer_hash, path.string(), from.tokenizer_hash),
                    "prepare the data with the tokenizer of the checkpoint");
  }
  take_shape(config, from.encoder);
  if (config.model.init_head) {
    take(config, "model.pool", config.model.pool,
         std::string(from.pool == Pool::mean ? "mean" : "first"), std::string());
  }
  return from.encoder;
}

/// Throws ConfigError unless the head of model.init does what the new one is to do.
void expect_same_head(const TrainConfig& config, const ModelInfo& info) {
  if (!config.model.init_head) return;
  const ModelInfo from = read_model_info(find_model(config.model.init));
  if (from.task == info.task && from.label_names == info.label_names) return;
  throw ConfigError("model.init_head",
                    fmt::format("expected a model for {} of {}, got one for {} of {}", info.task,
                                list_of(info.label_names), from.task, list_of(from.label_names)),
                    "leave it out, and the head is drawn anew");
}

/// What a model with learned degrees may look at is not for the user to choose.
void expect_no_other_attention(const TrainConfig::Attention& a, const std::string& own) {
  if ((a.pattern == "dense" || a.pattern == own) && a.layers == "all" && a.heads == "all") return;
  throw ConfigError("attention.pattern",
                    fmt::format("degrees are learned under {}, not under {}", own, a.pattern),
                    "leave the [attention] section out; degrees.reach and degrees.globals say what "
                    "may be looked at");
}

ModelInfo describe(const TrainConfig& config, const EncoderConfig& base, const Task& task,
                   const TokenDataset& train, const TokenDataset& dev) {
  ModelInfo info;
  info.task = config.train.task;
  info.encoder = config.encoder(train, dev, base);
  info.pool = config.model.pool == "mean" ? Pool::mean : Pool::first;
  info.dtype = config.model.precision == "f64" ? DType::f64 : DType::f32;
  info.label_names = task.label_names(train);
  info.tokenizer_hash = train.info().tokenizer_hash;
  info.pairs = train.has_segments();
  info.pattern = config.attention.pattern;
  info.layers = config.attention.layers;
  info.heads = config.attention.heads;
  info.seed = config.train.seed;
  if (info.encoder.degrees.learned()) {
    const std::string own = attention_pattern(info.encoder.degrees);
    expect_no_other_attention(config.attention, own);
    info.pattern = own;
  }
  return info;
}

}  // namespace

ModelSetup set_up_model(const TrainConfig& config, const TokenDataset& train,
                        const TokenDataset& dev) {
  ModelSetup setup;
  setup.config = config;
  TrainConfig& c = setup.config;
  c.train.task = task_of(config, train);
  setup.task = make_task("train.task", c.train.task, {c.train.smoothing, c.masking()});
  setup.metric = find_metric(*setup.task, c.train.metric);
  c.train.metric = setup.metric.name;
  dev.expect_like(train);
  setup.task->expect_data(train);
  setup.info = describe(c, base_of(c, train, setup.notes), *setup.task, train, dev);
  expect_same_head(c, setup.info);
  expect_task_fits(*setup.task, setup.info, dev);
  setup.model = setup.task->make_model(setup.info);
  initialise(*setup.model, setup.info.encoder.init_std, [&](const std::string& name) {
    return is_encoder_parameter(name) ? c.train.seed : c.head_seed();
  });
  setup.task->start_from_data(*setup.model, train);
  std::vector<std::string> drawn;
  if (!c.model.init.empty()) {
    drawn = start_from(find_model(c.model.init), c.model.init_head, *setup.model, setup.notes);
  }
  for (NamedParameter& each : freeze(*setup.model, Freeze::parse(c.train.freeze), drawn)) {
    (is_degree_parameter(each.name) ? setup.degrees : setup.learning).push_back(std::move(each));
  }
  setup.model->encoder().set_recompute(c.model.recompute);
  if (c.model.precision == "bf16") setup.model->encoder().set_compute(DType::bf16);
  const Device device = parse_device(c.train.device);
  if (!device.is_cpu()) {
    backend_of(device).set_tf32(device.index, c.model.precision == "tf32");
  }
  setup.model->to(device);
  return setup;
}

std::unique_ptr<Optimizer> make_optimizer(const TrainConfig::Train& train,
                                          const ModelSetup& setup) {
  std::unique_ptr<Optimizer> optimizer =
      train.optimizer == "sgd"
          ? make_sgd(setup.learning, {train.momentum, train.weight_decay})
          : make_adamw(setup.learning, {train.beta1, train.beta2, train.eps, train.weight_decay});
  optimizer->set_rate_factors([&](const std::string& name) {
    return layer_rate(name, setup.info.encoder.layers, train.layer_decay);
  });
  return optimizer;
}

}  // namespace filigree
