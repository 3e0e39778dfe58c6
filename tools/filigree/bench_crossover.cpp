// filigree bench crossover: measures what a kernel's work costs here, and shows what is then
// chosen.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <optional>

#include "attention/crossover.h"
#include "attention/kernels/choice.h"
#include "attention/kernels/device_choice.h"
#include "attention/kernels/schedule.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "tools/filigree/bench.h"
#include "tools/filigree/cost_fit.h"
#include "tools/filigree/crossover_cases.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

using kernels::DeviceWork;
using kernels::KernelWork;

struct Settings {
  std::vector<int64_t> dims;
  Device device = kCpu;
  int64_t rounds = 5, length = 0, sequences = 0, heads = 0;
};

/// Costs of heads of one size.
template <class Costs>
struct SizedCosts {
  DType dtype;
  int64_t dim;
  Costs costs;
};

/// What is measured, how costs are found from it, and what the engine does by them. Times, work and
/// forecasts are of one head, in the mean over the heads.
struct OnCpu {
  using Costs = KernelCosts;
  static constexpr std::span<const DType> kDTypes{kCpuDTypes};
  static constexpr std::span<const AttentionKernel> kKernels{kernels::kChoices};
  /// Narrow and wide intervals, few and many scattered edges.
  static inline const std::vector<std::string> kMeasured{
      "neighbour:1", "neighbour:4", "neighbour:16",        "neighbour:64", "neighbour:160",
      "dense",       "random:4",    "random:24",           "random:110",   "dilated:8,8",
      "block:32",    "global:cls",  "random:24 | block:64"};
  /// On which the choice is tried, beside those.
  static inline const std::vector<std::string> kTried{"neighbour:8",
                                                      "neighbour:32",
                                                      "random:200",
                                                      "dense & causal",
                                                      "strided:16",
                                                      "neighbour:16 | random:16",
                                                      "neighbour:3 | global:cls | random:3",
                                                      "block:64 | random:64"};

  static KernelWork work(const CrossoverCase& c, AttentionKernel kernel) {
    KernelWork sum;
    const int heads = c.graph->heads();
    for (int h = 0; h < heads; ++h) {
      const KernelWork one = kernels::work_of(*c.graph, c.graph->group_of_head(h), kernel);
      for (const auto part : {&KernelWork::pairs, &KernelWork::tile_rows, &KernelWork::edges,
                              &KernelWork::columns, &KernelWork::edge_rows}) {
        sum.*part += one.*part / heads;
      }
    }
    return sum;
  }
  static Costs fitted(const std::vector<CrossoverCase>& cases) {
    std::vector<std::array<double, 2>> tile_work;
    std::vector<std::array<double, 3>> edge_work;
    for (const CrossoverCase& c : cases) {
      const KernelWork tiles = work(c, AttentionKernel::tiles);
      const KernelWork edges = work(c, AttentionKernel::edges);
      tile_work.push_back({tiles.pairs, tiles.tile_rows});
      edge_work.push_back({edges.edges, edges.columns, edges.edge_rows});
    }
    const auto tile = fit(tile_work, times_of(cases, AttentionKernel::tiles));
    const auto edge = fit(edge_work, times_of(cases, AttentionKernel::edges));
    return {tile[0], tile[1], edge[0], edge[1], edge[2]};
  }
  static double forecast(const CrossoverCase& c, AttentionKernel kernel, const Costs& costs) {
    return work(c, kernel).nanoseconds(costs);
  }
  static AttentionKernel choice(const CrossoverCase& c, const Costs& costs) {
    return kernels::choose_kernel(c.graph->sequence(0, 0), costs);
  }
  static std::string text(const Costs& costs) {
    return fmt::format(
        "pair {:.2f}, row of tiles {:.0f}, edge {:.2f}, column {:.1f}, row of edges {:.0f}",
        costs.pair, costs.tile_row, costs.edge, costs.column, costs.edge_row);
  }
};

/// The same for devices, whose tiles have 64 x 64 pairs.
struct OnDevice {
  using Costs = DeviceCosts;
  static constexpr std::span<const DType> kDTypes{kDeviceDTypes};
  static constexpr std::array kBoth{AttentionKernel::tiles, AttentionKernel::edges};
  static constexpr std::span<const AttentionKernel> kKernels{kBoth};
  static inline const std::vector<std::string> kMeasured{
      "neighbour:1", "neighbour:8", "neighbour:64", "neighbour:256", "dense",      "random:1",
      "random:4",    "random:16",   "random:64",    "dilated:8,8",   "strided:64", "block:64"};
  static inline const std::vector<std::string> kTried{
      "random:2",      "random:8", "random:32", "global:cls", "neighbour:4 | random:4",
      "dense & causal"};

  static Costs fitted(const std::vector<CrossoverCase>& cases) {
    std::vector<std::array<double, 3>> tile_work;
    std::vector<std::array<double, 2>> edge_work;
    for (const CrossoverCase& c : cases) {
      const DeviceWork work = kernels::device_work(*c.graph);
      const double heads = c.graph->heads();
      tile_work.push_back({work.tiles / heads, work.parts / heads, work.tile_rows / heads});
      edge_work.push_back({work.edges / heads, work.edge_rows / heads});
    }
    const auto tile = fit(tile_work, times_of(cases, AttentionKernel::tiles));
    const auto edge = fit(edge_work, times_of(cases, AttentionKernel::edges));
    return {tile[0], tile[1], tile[2], edge[0], edge[1]};
  }
  static double forecast(const CrossoverCase& c, AttentionKernel kernel, const Costs& costs) {
    return kernels::device_work(*c.graph).nanoseconds(kernel, costs) / c.graph->heads();
  }
  static AttentionKernel choice(const CrossoverCase& c, const Costs& costs) {
    return kernels::faster(kernels::device_work(*c.graph), costs);
  }
  static std::string text(const Costs& costs) {
    return fmt::format(
        "tile {:.2f}, one that is not full {:.2f} more, row of tiles {:.1f}, edge {:.3f}, row of "
        "edges {:.2f}",
        costs.tile, costs.part, costs.tile_row, costs.edge, costs.edge_row);
  }
};

/// Measures and prints heads of all dtypes and sizes, and what is chosen by known(dtype, dim), or
/// by new costs where that is nothing. Returns the costs.
template <class Side, class Known>
std::vector<SizedCosts<typename Side::Costs>> measure_all(const Settings& settings, Known known) {
  using Costs = typename Side::Costs;
  const auto make = [&](const std::vector<std::string>& patterns) {
    return make_cases(patterns, settings.sequences, settings.length,
                      static_cast<int>(settings.heads));
  };
  std::vector<CrossoverCase> measured = make(Side::kMeasured), tried = make(Side::kTried);
  std::vector<SizedCosts<Costs>> all;
  double worst = 1;
  for (const DType dtype : Side::kDTypes) {
    for (const int64_t dim : settings.dims) {
      for (auto* cases : {&measured, &tried}) {
        measure(*cases, Side::kKernels, {dtype, dim}, settings.device, settings.rounds);
      }
      const std::optional<Costs> old = known(dtype, dim);
      const Costs costs = old ? *old : Side::fitted(measured);
      all.push_back({dtype, dim, costs});
      fmt::print("{} heads of {}: ns a {}\n", name_of(dtype), dim, Side::text(costs));
      for (const auto* cases : {&measured, &tried}) {
        const double ratio = show(
            *cases, Side::kKernels,
            [&](const CrossoverCase& c, AttentionKernel kernel) {
              return Side::forecast(c, kernel, costs);
            },
            [&](const CrossoverCase& c) { return Side::choice(c, costs); });
        worst = std::max(worst, ratio);
      }
    }
  }
  fmt::print("worst choice: {:.2f} x the best kernel\n", worst);
  return all;
}

/// What is measured here; with `checked`, its costs are what the choice goes by.
std::vector<CrossoverTable::Row> measured_on_cpu(const Settings& settings,
                                                 const CrossoverTable* checked) {
  set_thread_count(1);
  std::vector<CrossoverTable::Row> rows;
  for (const auto& [dtype, dim, costs] :
       measure_all<OnCpu>(settings, [&](DType dtype, int64_t dim) {
         return checked ? std::optional(checked->at(dtype, dim)) : std::nullopt;
       })) {
    rows.push_back({dtype, dim, costs});
  }
  return rows;
}

std::vector<CrossoverTable::DeviceRow> measured_on_device(const Settings& settings,
                                                          const CrossoverTable* checked) {
  const std::string device = backend_of(settings.device).description(settings.device.index);
  for (const DType dtype : OnDevice::kDTypes) {
    if (!checked || checked->at(device, dtype, 64)) continue;
    throw ConfigError("--check",
                      fmt::format("the table has no costs of {}, {}", device, name_of(dtype)),
                      fmt::format("measure them: filigree bench crossover --device {} --save",
                                  name_of(settings.device)));
  }
  fmt::print("{}; {} x {} tokens, {} heads\n", device, settings.sequences, settings.length,
             settings.heads);
  std::vector<CrossoverTable::DeviceRow> rows;
  for (const auto& [dtype, dim, costs] :
       measure_all<OnDevice>(settings, [&](DType dtype, int64_t dim) {
         return checked ? checked->at(device, dtype, dim) : std::nullopt;
       })) {
    rows.push_back({device, dtype, dim, costs});
  }
  return rows;
}

/// Throws ConfigError unless these are different numbers from 1 to `most`, and some.
std::vector<int64_t> parse_dims(const std::string& text, int64_t most) {
  std::vector<int64_t> dims;
  for (const std::string& each : split_list(text)) {
    const uint64_t dim = parse_natural("--dims", each);
    if (dim < 1 || dim > static_cast<uint64_t>(most)) {
      throw ConfigError("--dims", fmt::format("\"{}\" is no size from 1 to {}", each, most));
    }
    dims.push_back(static_cast<int64_t>(dim));
    if (std::ranges::count(dims, dims.back()) > 1) {
      throw ConfigError("--dims", fmt::format("{} stands there twice", dim));
    }
  }
  if (dims.empty())
    throw ConfigError("--dims", "there is no size", "leave it out for the usual ones");
  return dims;
}

/// Where the table goes: nowhere if it is empty.
std::string place_of_table(const Options& cli, bool save, bool check, const std::string& out) {
  if (save + check + cli.given("out") > 1) {
    throw ConfigError("bench crossover", "--save, --out and --check exclude each other",
                      "--check measures against the table in use, and writes none");
  }
  if (cli.given("out") && out.empty()) throw ConfigError("--out", "there is no file");
  if (!save) return out;
  const std::string place = crossover_path();
  if (!place.empty()) return place;
  throw ConfigError("--save", "there is no place for the table",
                    std::getenv("FILIGREE_CROSSOVER")
                        ? "FILIGREE_CROSSOVER names no file: unset it, or use --out FILE"
                        : "set HOME or FILIGREE_CROSSOVER, or use --out FILE");
}

/// The table in a file, an empty one if there is no file.
CrossoverTable table_in(const std::filesystem::path& file) {
  return std::filesystem::exists(file) ? CrossoverTable::load(file)
                                       : CrossoverTable(file.string(), {});
}

}  // namespace

int bench_crossover(std::span<const std::string> words) {
  std::string sizes, out, device = "cpu";
  Settings settings;
  bool save = false, check = false;
  Options cli(
      "bench crossover [--device cuda] [--save | --out FILE | --check]",
      "Measures what the work of each attention kernel costs, on one thread of this machine (f32, "
      "f64) or on a device (bf16, f32), and which kernel is then chosen for which pattern.");
  cli.add("device", device, "what to measure: cpu, cuda or cuda:N [cpu]");
  cli.add("dims", sizes, "sizes of heads [32,64,96,128; on a device 64,128]");
  cli.add("length", settings.length, "tokens a sequence [512; on a device 2048]");
  cli.add("sequences", settings.sequences, "sequences [1; on a device 8]");
  cli.add("heads", settings.heads, "heads [2; on a device 12]");
  cli.add("rounds", settings.rounds, "measurements of each, after one that does not count [5]");
  cli.add(
      "out", out,
      "write the costs into the table in this file; what it has of other sizes and devices stays");
  cli.flag("save", save, "the same with the table that every command looks for");
  cli.flag("check", check, "measure against the table in use, and write nothing");
  if (!cli.parse(words)) return 0;
  settings.device = parse_device(device);
  const bool on_cpu = settings.device.is_cpu();
  const auto by_default = [&](const char* name, auto& value, auto on_the_cpu, auto on_a_device) {
    if (!cli.given(name)) value = on_cpu ? on_the_cpu : on_a_device;
  };
  by_default("dims", sizes, "32,64,96,128", "64,128");
  by_default("length", settings.length, 512, 2048);
  by_default("sequences", settings.sequences, 1, 8);
  by_default("heads", settings.heads, 2, 12);
  settings.dims = parse_dims(sizes, on_cpu ? 4096 : 256);
  expect_in("rounds", settings.rounds, 1, 1000);
  expect_in("length", settings.length, 1, 1 << 20);
  expect_in("sequences", settings.sequences, 1, 1 << 20);
  expect_in("heads", settings.heads, 1, 4096);
  out = place_of_table(cli, save, check, out);
  if (!out.empty()) {  // whatever is wrong there is said before the work
    const std::filesystem::path parent = std::filesystem::path(out).parent_path();
    if (!parent.empty()) make_folders(parent);
    expect_writable(out);
    table_in(out);
  }
  const CrossoverTable* const checked = check ? &crossover_table() : nullptr;
  std::vector<CrossoverTable::Row> rows;
  std::vector<CrossoverTable::DeviceRow> devices;
  if (on_cpu) {
    rows = measured_on_cpu(settings, checked);
  } else {
    devices = measured_on_device(settings, checked);
  }
  if (out.empty()) return 0;
  table_in(out).with(rows, devices).save(out);  // others may have added to it meanwhile
  fmt::print("wrote {}\n", out);
  return 0;
}

}  // namespace filigree
