// filigree bench crossover: measures what a kernel's work costs here, and shows what is then
// chosen.
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "attention/crossover.h"
#include "attention/kernels/choice.h"
#include "attention/placement.h"
#include "attention/sparse_attention.h"
#include "autograd/backward.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tools/filigree/bench.h"
#include "tools/filigree/options.h"
#include "tools/filigree/timing.h"

namespace filigree {

namespace {

using kernels::KernelWork;
using kernels::work_of;

constexpr int kHeads = 2;
constexpr int64_t kLength = 512;

/// From which the costs are found: narrow and wide intervals, few and many scattered edges.
const std::vector<std::string> kMeasured{
    "neighbour:1", "neighbour:4", "neighbour:16",        "neighbour:64", "neighbour:160",
    "dense",       "random:4",    "random:24",           "random:110",   "dilated:8,8",
    "block:32",    "global:cls",  "random:24 | block:64"};
/// On which the choice is tried, beside those.
const std::vector<std::string> kTried{"neighbour:8",
                                      "neighbour:32",
                                      "random:200",
                                      "dense & causal",
                                      "strided:16",
                                      "neighbour:16 | random:16",
                                      "neighbour:3 | global:cls | random:3",
                                      "block:64 | random:64"};

struct Case {
  std::string pattern;
  std::shared_ptr<const AttentionGraph> graph;
  std::map<AttentionKernel, std::vector<double>> times;  // ns a head

  KernelWork work(AttentionKernel kernel) const {
    KernelWork sum;
    for (int h = 0; h < kHeads; ++h) {
      const KernelWork one = work_of(*graph, graph->group_of_head(h), kernel);
      for (const auto part : {&KernelWork::pairs, &KernelWork::tile_rows, &KernelWork::edges,
                              &KernelWork::columns, &KernelWork::edge_rows}) {
        sum.*part += one.*part / kHeads;
      }
    }
    return sum;
  }
  double time(AttentionKernel kernel) const { return quantile(times.at(kernel), 0.5); }
};

Case make_case(const std::string& pattern) {
  SequenceBatch batch;
  batch.offsets = Tensor::from(std::vector<int64_t>{0, kLength});
  std::vector<uint8_t> special(kLength, 0);
  special.front() = special.back() = 1;
  batch.special = special;
  return {pattern, AttentionPlan(pattern, "all", "all", 1, kHeads).build(batch, 1, 0).front(), {}};
}

void measure(std::vector<Case>& cases, DType dtype, int64_t dim, int64_t rounds) {
  RandomStream random(1, Purpose::test);
  Tensor qkv({kLength, 3 * kHeads * dim}, DType::f64);
  for (double& value : qkv.span<double>()) value = random.normal();
  Variable input(qkv.to(dtype), true);
  const Tensor ones = Tensor::full({kLength, kHeads * dim}, 1, dtype);
  for (Case& c : cases) c.times.clear();
  for (int64_t round = -1; round < rounds; ++round) {  // one that does not count
    for (Case& c : cases) {
      for (const AttentionKernel kernel : kernels::kChoices) {
        AttentionOptions options;
        options.kernel = kernel;
        const double time =
            milliseconds([&] { backward(sparse_attention_qkv(input, c.graph, options), ones); });
        if (round >= 0) c.times[kernel].push_back(time * 1e6 / kHeads);
      }
    }
  }
}

/// Costs not below 0 of least squared relative error: the best of all subsets of parts, each solved
/// by its normal equations (at most three parts).
template <size_t N>
std::array<double, N> fit(const std::vector<std::array<double, N>>& work,
                          const std::vector<double>& times) {
  std::array<double, N> best{};
  double least = INFINITY;
  for (unsigned subset = 1; subset < 1u << N; ++subset) {
    std::array<std::array<double, N + 1>, N> a{};  // normal equations
    for (size_t i = 0; i < N; ++i) {
      if (!(subset >> i & 1)) {
        a[i][i] = 1;
        continue;
      }
      for (size_t m = 0; m < times.size(); ++m) {
        for (size_t j = 0; j < N; ++j) {
          if (subset >> j & 1) a[i][j] += work[m][i] * work[m][j] / (times[m] * times[m]);
        }
        a[i][N] += work[m][i] / times[m];
      }
    }
    std::array<double, N> found{};
    for (size_t p = 0; p < N; ++p) {  // symmetric, positive: no pivoting
      for (size_t i = p + 1; i < N; ++i) {
        const double factor = a[i][p] / a[p][p];
        for (size_t j = p; j <= N; ++j) a[i][j] -= factor * a[p][j];
      }
    }
    bool sound = true;
    for (size_t p = N; p-- > 0;) {
      found[p] = a[p][N];
      for (size_t j = p + 1; j < N; ++j) found[p] -= a[p][j] * found[j];
      found[p] /= a[p][p];
      sound &= std::isfinite(found[p]) && found[p] >= 0;
    }
    if (!sound) continue;
    double error = 0;
    for (size_t m = 0; m < times.size(); ++m) {
      double predicted = 0;
      for (size_t i = 0; i < N; ++i) predicted += found[i] * work[m][i];
      error += std::pow(predicted / times[m] - 1, 2);
    }
    if (error < least) {
      least = error;
      best = found;
    }
  }
  return best;
}

KernelCosts costs_from(const std::vector<Case>& cases) {
  std::vector<std::array<double, 2>> tile_work;
  std::vector<std::array<double, 3>> edge_work;
  std::vector<double> tile_times, edge_times;
  for (const Case& c : cases) {
    const KernelWork tiles = c.work(AttentionKernel::tiles), edges = c.work(AttentionKernel::edges);
    tile_work.push_back({tiles.pairs, tiles.tile_rows});
    tile_times.push_back(c.time(AttentionKernel::tiles));
    edge_work.push_back({edges.edges, edges.columns, edges.edge_rows});
    edge_times.push_back(c.time(AttentionKernel::edges));
  }
  const auto tile = fit(tile_work, tile_times);
  const auto edge = fit(edge_work, edge_times);
  return {tile[0], tile[1], edge[0], edge[1], edge[2]};
}

/// Times, forecasts and the choice; the worst ratio of the chosen kernel to the best.
double show(const std::vector<Case>& cases, const KernelCosts& costs) {
  double worst = 1;
  fmt::print("  {:<38} {:>8}  {:>16} {:>16} {:>16}  {:<7} {:>6}\n", "pattern", "density",
             "tiles us (cast)", "edges us (cast)", "mixed us (cast)", "chosen", "x best");
  for (const Case& c : cases) {
    fmt::print("  {:<38} {:>8.4f} ", c.pattern, c.graph->density());
    double best = INFINITY;
    for (const AttentionKernel kernel : kernels::kChoices) {
      // Without scattered edges mixed is tiles, measured twice.
      const bool same =
          kernel == AttentionKernel::mixed && c.graph->sequence(0, 0).intervals_only();
      if (!same) best = std::min(best, c.time(kernel));
      fmt::print(" {:>7.0f} ({:>6.0f})", c.time(kernel) / 1e3,
                 c.work(kernel).nanoseconds(costs) / 1e3);
    }
    const AttentionKernel chosen = kernels::choose_kernel(c.graph->sequence(0, 0), costs);
    const double ratio = c.time(chosen) / best;
    worst = std::max(worst, ratio);
    fmt::print("  {:<7} {:>6.2f}\n", name_of(chosen), ratio);
  }
  return worst;
}

}  // namespace

int bench_crossover(std::span<const std::string> words) {
  std::string sizes = "32,64,96,128", out;
  int64_t rounds = 5;
  bool save = false, check = false;
  Options cli("bench crossover [--save | --out FILE | --check]",
              "Measures what the work of each attention kernel costs on this machine, on one "
              "thread, and which kernel is then chosen for which pattern.");
  cli.add("dims", sizes, "sizes of heads [32,64,96,128]");
  cli.add("rounds", rounds, "measurements of each, after one that does not count [5]");
  cli.add("out", out, "write the table to this file");
  cli.flag("save", save, "write the table to where every command looks for it");
  cli.flag("check", check, "measure against the table in use instead of making one");
  if (!cli.parse(words)) return 0;
  if (rounds < 1 || rounds > 1000) throw ConfigError("--rounds", "expected 1 to 1000");
  if (save) out = crossover_path();
  if (save && out.empty()) {
    throw ConfigError("--save", "there is no place for the table",
                      "set HOME or FILIGREE_CROSSOVER, or use --out FILE");
  }
  set_thread_count(1);
  std::vector<Case> measured, tried;
  for (const std::string& pattern : kMeasured) measured.push_back(make_case(pattern));
  for (const std::string& pattern : kTried) tried.push_back(make_case(pattern));
  std::vector<CrossoverTable::Row> rows;
  double worst = 1;
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const std::string& text : split_list(sizes)) {
      const int64_t dim = std::atoll(text.c_str());
      if (dim < 1 || dim > 4096)
        throw ConfigError("--dims", fmt::format("\"{}\" is no size", text));
      measure(measured, dtype, dim, rounds);
      measure(tried, dtype, dim, rounds);
      const KernelCosts costs = check ? crossover_table().at(dtype, dim) : costs_from(measured);
      rows.push_back({dtype, dim, costs});
      fmt::print(
          "{} heads of {}: ns a pair {:.2f}, row of tiles {:.0f}, edge {:.2f}, column {:.1f}, row "
          "of edges {:.0f}\n",
          name_of(dtype), dim, costs.pair, costs.tile_row, costs.edge, costs.column,
          costs.edge_row);
      worst = std::max({worst, show(measured, costs), show(tried, costs)});
    }
  }
  fmt::print("worst choice: {:.2f} x the best kernel\n", worst);
  if (out.empty() || check) return 0;
  CrossoverTable(out, rows).save(out);
  fmt::print("wrote {}\n", out);
  return 0;
}

}  // namespace filigree
