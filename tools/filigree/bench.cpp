// filigree bench: times of kernels, interleaved in one run.
#include "tools/filigree/bench.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "attention/explain.h"
#include "attention/kernels/schedule.h"
#include "attention/placement.h"
#include "attention/sparse_attention.h"
#include "attention/token_vectors.h"
#include "autograd/backward.h"
#include "core/allocator.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tasks/dataset/batch.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/timing.h"

namespace filigree {

namespace {

struct Settings {
  std::vector<std::string> patterns;
  std::vector<AttentionKernel> kernels;
  std::string data;
  int64_t length = 512, sequences = 1, heads = 12, dim = 64, rounds = 7, gate = -1;
  DType dtype = DType::f32;
  Device device = kCpu;
  double dropout = 0;
};

/// A pattern under a kernel, and its times.
struct Contender {
  std::string pattern;
  AttentionKernel kernel;
  std::shared_ptr<const AttentionGraph> graph;
  std::vector<double> build, again, forward, both;  // milliseconds

  void clear() {
    for (auto* times : {&build, &again, &forward, &both}) times->clear();
  }
};

/// A soft gate that falls from 1 to 1 / (R + 1) at distance R, in every head.
AttentionGate falling_gate(const Settings& settings) {
  Tensor g({settings.heads, settings.gate + 1}, DType::f64);
  for (int64_t e = 0; e < g.numel(); ++e) {
    g.data<double>()[e] =
        1 - static_cast<double>(e % (settings.gate + 1)) / static_cast<double>(settings.gate + 1);
  }
  return {Variable(g.to(settings.dtype).to(settings.device), true), nullptr};
}

AttentionUse use_of(const Settings& settings, AttentionKernel kernel) {
  return {settings.dtype, settings.dim, settings.gate >= 0, kernel};
}

/// One measurement: make the graph and its schedule, find them again, forward, forward and
/// backward.
void measure(Contender& contender, const Settings& settings, const SequenceBatch& batch,
             const std::shared_ptr<const TokenVectors>& vectors, const AttentionGate& gate,
             const Tensor& qkv) {
  AttentionOptions options;
  options.kernel = contender.kernel;
  options.dropout = settings.dropout;
  // A new plan each time: one remembers the graphs of sequences.
  AttentionPlan plan(contender.pattern, "all", "all", 1, static_cast<int>(settings.heads));
  plan.set_vectors(vectors);
  const auto build = [&] {
    contender.graph = plan.build(batch, 1, 0).front();
    const AttentionGraph& graph = *contender.graph;
    if (settings.device.is_cpu()) {
      graph.schedules().get(graph, contender.kernel, settings.dtype, settings.dim);
    } else {
      graph.prepare_for(settings.device, use_of(settings, contender.kernel));
    }
  };
  contender.build.push_back(milliseconds_on(settings.device, build));
  contender.again.push_back(milliseconds_on(settings.device, build));
  const auto attend = [&](const Variable& input) {
    return settings.gate < 0 ? sparse_attention_qkv(input, contender.graph, options)
                             : gated_attention_qkv(input, contender.graph, gate, options);
  };
  contender.forward.push_back(milliseconds_on(settings.device, [&] {
    const NoGrad no_grad;
    attend(Variable(qkv));
  }));
  Variable input(qkv, true);
  const Tensor ones = Tensor::full({qkv.size(0), qkv.size(1) / 3}, 1, qkv.dtype(), qkv.device());
  contender.both.push_back(
      milliseconds_on(settings.device, [&] { backward(attend(input), ones); }));
}

double milliseconds_of(const std::vector<double>& times) { return quantile(times, 0.5); }

void print(const std::vector<Contender>& contenders, const Settings& settings,
           const Tensor& offsets) {
  fmt::print(
      "{}, {}, {} threads, {} sequence(s), {} tokens, {} heads of {}; milliseconds, median of {} "
      "rounds [quartiles]\n\"graph\": made and scheduled, or sent to the device, for the first "
      "time; \"again\": found; "
      "TFLOP/s: "
      "14 edges x dim, of the edges asked for\n\n",
      name_of(settings.device), name_of(settings.dtype), thread_count(), offsets.numel() - 1,
      offsets.span<int64_t>().back(), settings.heads, settings.dim, settings.rounds);
  fmt::print("{:<28} {:<10} {:>8} {:>9} {:>9} {:>9} {:>22} {:>8} {:>8} {:>8}\n", "pattern",
             "kernel", "density", "graph", "again", "forward", "forward + backward", "ns/edge",
             "TFLOP/s", "x first");
  const double first = milliseconds_of(contenders.front().both);
  for (const Contender& c : contenders) {
    double edges = 0;
    for (int h = 0; h < static_cast<int>(settings.heads); ++h) {
      edges += static_cast<double>(c.graph->edges(h));
    }
    const double both = milliseconds_of(c.both);
    fmt::print(
        "{:<28} {:<10} {:>8.4f} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f} [{:.2f}, {:.2f}] {:>8.2f} "
        "{:>8.3f} {:>8.2f}\n",
        c.pattern, name_of(c.kernel), c.graph->density(), milliseconds_of(c.build),
        milliseconds_of(c.again), milliseconds_of(c.forward), both, quantile(c.both, 0.25),
        quantile(c.both, 0.75), both * 1e6 / std::max(1.0, edges),
        14 * edges * static_cast<double>(settings.dim) / both * 1e-9, first / both);
  }
}

void print_json(const std::vector<Contender>& contenders, Device device) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Contender& c : contenders) {
    rows.push_back({{"pattern", c.pattern},
                    {"kernel", name_of(c.kernel)},
                    {"density", c.graph->density()},
                    {"graph_ms", c.build},
                    {"graph_again_ms", c.again},
                    {"forward_ms", c.forward},
                    {"forward_backward_ms", c.both}});
  }
  fmt::print(
      "{}\n",
      nlohmann::json{{"rows", rows}, {"peak_bytes_of_all", memory_stats(device).peak}}.dump());
}

/// What is measured on: sequences of one length, or the first samples of a dataset.
struct Input {
  Batch batch;
  std::shared_ptr<const TokenVectors>
      vectors;  // by chance: what `lexical` costs, not what it finds
};

Input make_input(const Settings& settings) {
  RandomStream random(1, Purpose::test);
  Input input;
  if (settings.data.empty()) {
    std::vector<int64_t> bounds{0};
    for (int64_t b = 0; b < settings.sequences; ++b) {
      bounds.push_back(bounds.back() + settings.length);
    }
    input.batch.offsets = Tensor::from(bounds);
    return input;
  }
  const TokenDataset data = TokenDataset::open(settings.data);
  std::vector<int64_t> samples(static_cast<size_t>(std::min(settings.sequences, data.size())));
  std::iota(samples.begin(), samples.end(), 0);
  input.batch = make_batch(data, samples);
  Tensor table({data.info().vocabulary, settings.dim}, DType::f32);
  for (float& value : table.span<float>()) value = static_cast<float>(random.normal());
  input.vectors = std::make_shared<const TokenVectors>(table);
  return input;
}

/// Rounds over all patterns under all kernels, after one round that does not count.
std::vector<Contender> measure_all(const Settings& settings, const Input& input) {
  SequenceBatch batch;
  batch.offsets = input.batch.offsets;
  if (!settings.data.empty()) batch = sequence_view(input.batch);
  RandomStream random(2, Purpose::test);
  Tensor qkv({batch.offsets.span<int64_t>().back(), 3 * settings.heads * settings.dim}, DType::f64);
  for (double& value : qkv.span<double>()) value = random.normal();
  qkv = qkv.to(settings.dtype).to(settings.device);
  const AttentionGate gate = settings.gate < 0 ? AttentionGate{} : falling_gate(settings);
  std::vector<Contender> contenders;
  for (const std::string& pattern : settings.patterns) {
    for (const AttentionKernel kernel : settings.kernels) {
      contenders.push_back({pattern, kernel, nullptr, {}, {}, {}, {}});
    }
  }
  for (int64_t round = -1; round < settings.rounds; ++round) {
    for (Contender& contender : contenders) {
      measure(contender, settings, batch, input.vectors, gate, qkv);
      if (round < 0) contender.clear();
    }
  }
  return contenders;
}

int bench_attention(std::span<const std::string> words) {
  Settings settings;
  std::string patterns = "dense;neighbour:16;random:16", kernels = "automatic", precision = "f32";
  std::string device = "cpu";
  int threads = 0;
  bool json = false, explained = false;
  Options cli("bench [crossover|loss|step] [--patterns \"P;P\"] [--kernels K,K] [options]",
              "Times attention, forward and backward: every pattern under every kernel, in turn, "
              "round after round. `bench crossover --help`: which kernel when.");
  cli.add("patterns", patterns, "patterns, separated by ; [dense;neighbour:16;random:16]");
  cli.add("kernels", kernels, "automatic, tiles, edges, and on the CPU rows, mixed [automatic]");
  cli.add("data", settings.data,
          "dataset whose first samples are the sequences: for syntax and lexical []");
  cli.add("length", settings.length, "tokens a sequence, without --data [512]");
  cli.add("sequences", settings.sequences, "sequences [1]");
  cli.add("heads", settings.heads, "heads [12]");
  cli.add("dim", settings.dim, "size of a head [64]");
  cli.add("gate", settings.gate,
          "a soft gate of distances up to so many tokens, as degrees are learned by [none]");
  cli.add("dropout", settings.dropout, "probability [0]");
  cli.add("rounds", settings.rounds, "measurements of each, after one that does not count [7]");
  cli.add("threads", threads, "threads [all]");
  cli.add("precision", precision, "f32, f64, or bf16 on CUDA [f32]");
  cli.add("device", device, "where to compute: cpu, cuda or cuda:N [cpu]");
  cli.flag("json", json, "all times as JSON");
  cli.flag("explain", explained, "which kernel computes what, and why");
  if (!cli.parse(words)) return 0;
  constexpr int64_t kMost = int64_t{1} << 24;
  expect_in("length", settings.length, 1, kMost);
  expect_in("sequences", settings.sequences, 1, kMost);
  expect_in("heads", settings.heads, 1, 4096);
  expect_in("dim", settings.dim, 1, 4096);
  expect_in("rounds", settings.rounds, 1, kMost);
  if (cli.given("gate")) expect_in("gate", settings.gate, 0, kMost);
  if (cli.given("threads")) expect_in("threads", threads, 1, 4096);
  settings.device = parse_device(device);
  settings.dtype = precision == "f64" ? DType::f64 : precision == "bf16" ? DType::bf16 : DType::f32;
  if (name_of(settings.dtype) != precision) {
    throw ConfigError("--precision",
                      fmt::format("expected f32, f64 or bf16, got \"{}\"", precision));
  }
  if (settings.device.is_cpu() && settings.dtype == DType::bf16) {
    throw ConfigError("--precision", "bf16 is computed on CUDA alone", "give --device cuda");
  }
  settings.patterns = split_list(patterns, ';');
  for (const auto& name : split_list(kernels)) settings.kernels.push_back(parse_kernel(name));
  if (settings.patterns.empty() || settings.kernels.empty()) {
    throw ConfigError("bench", "nothing to measure", "give --patterns and --kernels");
  }
  if (json && explained) throw ConfigError("bench", "--json and --explain exclude each other");
  if (threads > 0) set_thread_count(threads);
  const Input input = make_input(settings);
  const std::vector<Contender> contenders = measure_all(settings, input);
  json ? print_json(contenders, settings.device) : print(contenders, settings, input.batch.offsets);
  for (const Contender& c : contenders) {
    if (!explained) break;
    fmt::print("\n{}, {}:\n{}", c.pattern, name_of(c.kernel),
               to_text(explain({c.graph}, use_of(settings, c.kernel), settings.device)));
  }
  return 0;
}

int run(std::span<const std::string> words) {
  if (!words.empty() && words[0] == "crossover") return bench_crossover(words.subspan(1));
  if (!words.empty() && words[0] == "loss") return bench_loss(words.subspan(1));
  if (!words.empty() && words[0] == "step") return bench_step(words.subspan(1));
  return bench_attention(words);
}

const RegisterCommand registered{
    {"bench", "times of attention kernels and training steps; the crossover table", run}};

}  // namespace

}  // namespace filigree
