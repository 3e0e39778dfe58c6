// filigree bench step: training steps of an encoder, their speed and what they ask of a device.
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "attention/placement.h"
#include "autograd/backward.h"
#include "autograd/ops/arithmetic.h"
#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/kernels/matmul.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/readback.h"
#include "nn/masked_lm.h"
#include "nn/optimizer.h"
#include "tools/filigree/bench.h"
#include "tools/filigree/options.h"
#include "tools/filigree/timing.h"

namespace filigree {

namespace {

struct Settings {
  int64_t layers = 4, width = 256, heads = 4, vocabulary = 16'000, length = 256, tokens = 16'384;
  int64_t rounds = 5, steps = 10;
  double dropout = 0;
  int64_t reach = 128;
  bool mixed = false;
  std::string pattern = "dense", degrees = "none", precision = "f32", device = "cpu";

  bool learns_degrees() const { return degrees != "none"; }
};

constexpr double kHiddenShare = 0.15;

DType compute_dtype(const Settings& settings) {
  if (settings.precision == "f64") return DType::f64;
  return settings.precision == "bf16" ? DType::bf16 : DType::f32;
}

/// Random tokens in packed sequences, some of them to be found again.
struct StepBatch {
  TokenBatch tokens;
  Tensor targets;  // of the tokens that are wanted: the hidden ones
  std::vector<uint8_t> special;
  int64_t hidden() const { return targets.numel(); }
};

StepBatch random_batch(const Settings& settings, uint64_t number) {
  RandomStream random(number, Purpose::test);
  std::vector<int32_t> ids, positions, hidden, targets;
  std::vector<int64_t> offsets{0};
  StepBatch batch;
  while (true) {
    const int64_t least =
        settings.mixed ? std::max<int64_t>(1, settings.length / 8) : settings.length;
    const int64_t length =
        least +
        static_cast<int64_t>(random.below(static_cast<uint64_t>(settings.length - least + 1)));
    if (offsets.size() > 1 && offsets.back() + length > settings.tokens) break;
    for (int64_t p = 0; p < length; ++p) {
      const auto id =
          static_cast<int32_t>(random.below(static_cast<uint64_t>(settings.vocabulary)));
      if (random.uniform() < kHiddenShare) {
        hidden.push_back(static_cast<int32_t>(ids.size()));
        targets.push_back(id);
      }
      ids.push_back(id);
      positions.push_back(static_cast<int32_t>(p));
      batch.special.push_back(p == 0 || p + 1 == length ? 1 : 0);
    }
    offsets.push_back(offsets.back() + length);
  }
  batch.tokens.ids = Tensor::from(ids);
  batch.tokens.positions = Tensor::from(positions);
  batch.tokens.offsets = Tensor::from(offsets);
  batch.tokens.wanted = Tensor::from(hidden);
  batch.targets = Tensor::from(targets);
  return batch;
}

/// Floating-point operations of a step that a model of this shape must do, forward and backward:
/// 6 a weight and token of the products (of the hidden tokens alone behind the last layer's
/// attention), 12 an edge and element of a head. What is computed again in the backward pass is not
/// counted.
double work_of(const Settings& settings, const StepBatch& batch, const LayerGraphs& graphs) {
  const auto width = static_cast<double>(settings.width);
  const auto tokens = static_cast<double>(batch.tokens.ids.numel());
  const auto layers = static_cast<double>(settings.layers);
  double work = 6 * tokens * (12 * layers - 9) * width * width +
                6 * static_cast<double>(batch.hidden()) *
                    (10 * width * width + static_cast<double>(settings.vocabulary) * width);
  for (const auto& graph : graphs) {
    for (int h = 0; h < graph->heads(); ++h) {
      work +=
          12 * static_cast<double>(graph->edges(h)) * width / static_cast<double>(settings.heads);
    }
  }
  return work;
}

/// A model under training, one step after the other.
class Run {
 public:
  explicit Run(const Settings& settings)
      : settings_(settings),
        device_(parse_device(settings.device)),
        plan_(settings.pattern, "all", "all", static_cast<int>(settings.layers),
              static_cast<int>(settings.heads)),
        model_(shape_of(settings), settings.precision == "f64" ? DType::f64 : DType::f32) {
    initialise(model_, 0.02, 1);
    if (settings.precision == "bf16") model_.encoder().set_compute(DType::bf16);
    model_.to(device_);
    NamedParameters learning;
    for (NamedParameter& each : model_.named_parameters()) {
      (is_degree_parameter(each.name) ? degrees_ : learning).push_back(std::move(each));
    }
    optimizer_ = make_adamw(std::move(learning));
  }

  int64_t parameters() const { return model_.parameter_count(); }
  int64_t tokens() const { return tokens_; }
  double work() const { return work_; }

  /// As the trainer does it: the step before is looked at behind this one's passes.
  void step() {
    const StepBatch batch = random_batch(settings_, ++number_);
    SequenceBatch sequences;
    sequences.offsets = batch.tokens.offsets;
    sequences.ids = std::as_const(batch.tokens.ids).span<int32_t>();
    sequences.special = batch.special;
    const LayerGraphs graphs = plan_.build(sequences, 1, number_);
    for (const auto& graph : graphs) {
      graph->prepare_for(device_, model_.encoder().attention_use());
    }
    const ForwardContext context{true, 1, number_};
    const Variable hidden = model_.forward(batch.tokens, graphs, context);
    const Variable loss = scale(model_.loss(hidden, batch.targets),
                                1.0 / static_cast<double>(std::max<int64_t>(1, batch.hidden())));
    backward(loss);
    if (numbers_) numbers_->get();
    const Tensor losses[] = {loss.value()};
    const Tensor numbers = optimizer_->judge(losses, 1.0);
    if (!numbers_) numbers_.emplace(numbers.shape(), numbers.dtype(), numbers.device());
    numbers_->start(numbers);
    optimizer_->step(1e-4, numbers);
    optimizer_->zero_grad();
    for (NamedParameter& each : degrees_) each.value.zero_grad();
    tokens_ += batch.tokens.ids.numel();
    work_ += work_of(settings_, batch, graphs);
  }

 private:
  static EncoderConfig shape_of(const Settings& settings) {
    EncoderConfig config;
    config.vocabulary = settings.vocabulary;
    config.width = settings.width;
    config.layers = settings.layers;
    config.heads = settings.heads;
    config.ffn = 4 * settings.width;
    config.max_positions = settings.length;
    config.dropout = config.attention_dropout = settings.dropout;
    if (settings.learns_degrees()) {
      config.degrees = {"degrees", settings.reach, "head",
                        "uniform", "none",         settings.degrees == "draws"};
    }
    return config;
  }

  Settings settings_;
  Device device_;
  AttentionPlan plan_;
  MaskedLm model_;
  std::unique_ptr<Optimizer> optimizer_;
  NamedParameters degrees_;  // which get gradients, and stand still
  std::optional<Readback> numbers_;
  uint64_t number_ = 0;
  int64_t tokens_ = 0;
  double work_ = 0;
};

/// Floating-point operations a second of large square products of random numbers, several in a row:
/// what the machine can do.
double peak_of(const Settings& settings, Device device) {
  const int64_t n = device.is_cpu() ? 1024 : 8192;
  const int products = device.is_cpu() ? 1 : 10;
  RandomStream random(3, Purpose::test);
  Tensor numbers({n, n}, DType::f32);
  for (float& value : numbers.span<float>()) value = static_cast<float>(random.uniform() - 0.5);
  const Tensor a = numbers.to(compute_dtype(settings)).to(device);
  Tensor c(a.shape(), a.dtype(), device);
  std::vector<double> times;
  for (int round = 0; round < 6; ++round) {
    synchronize(device);
    const double time = milliseconds([&] {
      for (int k = 0; k < products; ++k) kernels::matmul(a, a, {false, true, false}, c);
      synchronize(device);
    });
    if (round > 0) times.push_back(time);
  }
  const auto size = static_cast<double>(n);
  return products * 2 * size * size * size / quantile(times, 0.5) * 1e3;
}

DeviceCounters counters_of(Device device) {
  return device.is_cpu() ? DeviceCounters{} : backend_of(device).counters(device.index);
}

void measure(const Settings& settings) {
  const Device device = parse_device(settings.device);
  Run run(settings);
  for (int64_t k = 0; k < settings.steps; ++k) run.step();  // sizes, plans, graphs
  synchronize(device);
  std::vector<double> times;
  const DeviceCounters before = counters_of(device);
  const int64_t tokens = run.tokens(), allocated = memory_stats(device).system_calls;
  const double work = run.work();
  double total = 0;
  for (int64_t round = 0; round < settings.rounds; ++round) {
    const double time = milliseconds([&] {
      for (int64_t k = 0; k < settings.steps; ++k) run.step();
      synchronize(device);
    });
    total += time;
    times.push_back(time / static_cast<double>(settings.steps));
  }
  const DeviceCounters after = counters_of(device);
  const MemoryStats memory = memory_stats(device);  // before the large product
  const auto steps = static_cast<double>(settings.rounds * settings.steps);
  const auto trained = static_cast<double>(run.tokens() - tokens);
  const double speed = (run.work() - work) / total * 1e3, peak = peak_of(settings, device);
  fmt::print(
      "{}, {}, {} threads; {} layers, width {}, {} heads, vocabulary {}: {} parameters; {}{}, "
      "dropout {}\n"
      "{:.0f} tokens a step in sequences of {}{}\n\n"
      "step      {:.3f} ms [{:.3f}, {:.3f}], median of {} rounds of {} steps [quartiles]\n"
      "speed     {:.0f} tokens/s, {:.3f} TFLOP/s of the model's work: {:.0f} % of a large "
      "product's "
      "{:.3f}\n"
      "memory    {} at most\n",
      name_of(device), settings.precision, thread_count(), settings.layers, settings.width,
      settings.heads, settings.vocabulary, run.parameters(), settings.pattern,
      settings.learns_degrees() ? ", degrees " + settings.degrees : "", settings.dropout,
      trained / steps, settings.mixed ? fmt::format("{} to ", settings.length / 8) : "",
      settings.length, quantile(times, 0.5), quantile(times, 0.25), quantile(times, 0.75),
      settings.rounds, settings.steps, trained / total * 1e3, speed * 1e-12, 100 * speed / peak,
      peak * 1e-12, human_bytes(memory.peak));
  if (device.is_cpu()) return;
  // The waits that are counted are those at the end of the rounds.
  fmt::print("a step    {:.1f} kernels of ours, {:.1f} uploads, {:.2f} waits, {:.2f} allocations\n",
             static_cast<double>(after.launches - before.launches) / steps,
             static_cast<double>(after.uploads - before.uploads) / steps,
             static_cast<double>(after.waits - before.waits - settings.rounds) / steps,
             static_cast<double>(memory.system_calls - allocated) / steps);
  fmt::print("products  {:.1f} with their bias or its gradient in one, {:.1f} in two\n",
             static_cast<double>(after.fused - before.fused) / steps,
             static_cast<double>(after.unfused - before.unfused) / steps);
}

/// Those of learned degrees go on their way: a window of the reach.
void settle_pattern(Settings& settings, bool pattern_given) {
  const auto& names = {"none", "soft", "draws"};
  if (std::find(names.begin(), names.end(), settings.degrees) == names.end()) {
    throw ConfigError("--degrees",
                      fmt::format("expected none, soft or draws, got \"{}\"", settings.degrees));
  }
  if (!settings.learns_degrees()) return;
  if (pattern_given) {
    throw ConfigError("--pattern", "degrees are learned within a window of --reach",
                      "leave it out");
  }
  settings.pattern = fmt::format("neighbour:{}", settings.reach);
}

void expect_sound(const Settings& settings) {
  for (const int64_t value :
       {settings.layers, settings.width, settings.heads, settings.vocabulary, settings.length,
        settings.tokens, settings.rounds, settings.steps, settings.reach}) {
    if (value >= 1 && value <= int64_t{1} << 24) continue;
    throw ConfigError("bench step", fmt::format("expected sizes and rounds from 1, got {}", value));
  }
  const bool known = settings.precision == "f32" || settings.precision == "tf32" ||
                     settings.precision == "f64" || settings.precision == "bf16";
  if (!known) {
    throw ConfigError("--precision", fmt::format("expected f32, tf32, f64 or bf16, got \"{}\"",
                                                 settings.precision));
  }
  const Device device = parse_device(settings.device);
  const bool device_alone = settings.precision == "bf16" || settings.precision == "tf32";
  if (device.is_cpu() && device_alone) {
    throw ConfigError("--precision", settings.precision + " is computed on CUDA alone",
                      "give --device cuda");
  }
  if (!device.is_cpu()) backend_of(device).set_tf32(device.index, settings.precision == "tf32");
}

}  // namespace

int bench_step(std::span<const std::string> words) {
  Settings settings;
  int threads = 0;
  Options cli("bench step [--layers L --width E --heads H --length n --tokens T] [options]",
              "Times training steps of a masked language model on random tokens: packed sequences, "
              "AdamW, clipping.");
  cli.add("layers", settings.layers, "layers [4]");
  cli.add("width", settings.width, "model dimension [256]");
  cli.add("heads", settings.heads, "heads [4]");
  cli.add("vocabulary", settings.vocabulary, "classes of the output [16000]");
  cli.add("length", settings.length, "tokens a sequence [256]");
  cli.flag("mixed", settings.mixed, "lengths from an eighth of that, evenly");
  cli.add("tokens", settings.tokens, "tokens a step, at most [16384]");
  cli.add("pattern", settings.pattern, "attention [dense]");
  cli.add("degrees", settings.degrees,
          "learned degrees, all reaches alike: none, soft, or draws of every token [none]");
  cli.add("reach", settings.reach, "the largest that is learned [128]");
  cli.add("dropout", settings.dropout, "probability, of attention too [0]");
  cli.add("steps", settings.steps, "steps a round [10]");
  cli.add("rounds", settings.rounds, "rounds, after one that does not count [5]");
  cli.add("threads", threads, "threads [all]");
  cli.add("precision", settings.precision, "f32, f64, or on CUDA tf32 or bf16 [f32]");
  cli.add("device", settings.device, "where to compute: cpu, cuda or cuda:N [cpu]");
  if (!cli.parse(words)) return 0;
  if (cli.given("threads") && threads < 1) {
    throw ConfigError("--threads", fmt::format("expected 1 or more, got {}", threads));
  }
  settle_pattern(settings, cli.given("pattern"));
  expect_sound(settings);
  if (threads > 0) set_thread_count(threads);
  measure(settings);
  return 0;
}

}  // namespace filigree
