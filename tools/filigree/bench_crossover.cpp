// filigree bench crossover: measures what a kernel's work costs here, and shows what is then
// chosen.
#include <array>
#include <fmt/format.h>

#include "attention/crossover.h"
#include "attention/kernels/choice.h"
#include "attention/kernels/device_choice.h"
#include "attention/kernels/schedule.h"
#include "core/device_backend.h"
#include "core/error.h"
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
  std::vector<DType> dtypes;
  Device device = kCpu;
  int64_t rounds = 5, length = 0, sequences = 0, heads = 0;
  bool check = false;
};

/// From which the costs of the CPU are found: narrow and wide intervals, few and many scattered
/// edges.
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
/// The same for devices, whose tiles have 64 x 64 pairs.
const std::vector<std::string> kMeasuredOnDevice{
    "neighbour:1", "neighbour:8", "neighbour:64", "neighbour:256", "dense",      "random:1",
    "random:4",    "random:16",   "random:64",    "dilated:8,8",   "strided:64", "block:64"};
const std::vector<std::string> kTriedOnDevice{
    "random:2", "random:8", "random:32", "global:cls", "neighbour:4 | random:4", "dense & causal"};
constexpr std::array kDeviceKernels{AttentionKernel::tiles, AttentionKernel::edges};

KernelWork cpu_work(const CrossoverCase& c, AttentionKernel kernel) {
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

KernelCosts costs_on_cpu(const std::vector<CrossoverCase>& cases) {
  std::vector<std::array<double, 2>> tile_work;
  std::vector<std::array<double, 3>> edge_work;
  std::vector<double> tile_times, edge_times;
  for (const CrossoverCase& c : cases) {
    const KernelWork tiles = cpu_work(c, AttentionKernel::tiles);
    const KernelWork edges = cpu_work(c, AttentionKernel::edges);
    tile_work.push_back({tiles.pairs, tiles.tile_rows});
    tile_times.push_back(c.time(AttentionKernel::tiles));
    edge_work.push_back({edges.edges, edges.columns, edges.edge_rows});
    edge_times.push_back(c.time(AttentionKernel::edges));
  }
  const auto tile = fit(tile_work, tile_times);
  const auto edge = fit(edge_work, edge_times);
  return {tile[0], tile[1], edge[0], edge[1], edge[2]};
}

DeviceCosts costs_on_device(const std::vector<CrossoverCase>& cases) {
  std::vector<std::array<double, 3>> tile_work;
  std::vector<std::array<double, 2>> edge_work;
  std::vector<double> tile_times, edge_times;
  for (const CrossoverCase& c : cases) {
    const DeviceWork work = kernels::device_work(*c.graph);
    const double heads = c.graph->heads();
    tile_work.push_back({work.tiles / heads, work.parts / heads, work.tile_rows / heads});
    tile_times.push_back(c.time(AttentionKernel::tiles));
    edge_work.push_back({work.edges / heads, work.edge_rows / heads});
    edge_times.push_back(c.time(AttentionKernel::edges));
  }
  const auto tile = fit(tile_work, tile_times);
  const auto edge = fit(edge_work, edge_times);
  return {tile[0], tile[1], tile[2], edge[0], edge[1]};
}

/// Measures, prints, and returns the table with what was measured in place of what it had.
CrossoverTable measure_cpu(const Settings& settings, const CrossoverTable& table) {
  set_thread_count(1);
  const auto make = [&](const std::vector<std::string>& patterns) {
    return make_cases(patterns, settings.sequences, settings.length,
                      static_cast<int>(settings.heads));
  };
  std::vector<CrossoverCase> measured = make(kMeasured), tried = make(kTried);
  std::vector<CrossoverTable::Row> rows;
  double worst = 1;
  for (const DType dtype : settings.dtypes) {
    for (const int64_t dim : settings.dims) {
      for (auto* cases : {&measured, &tried}) {
        measure(*cases, kernels::kChoices, {dtype, dim}, kCpu, settings.rounds);
      }
      const KernelCosts costs = settings.check ? table.at(dtype, dim) : costs_on_cpu(measured);
      rows.push_back({dtype, dim, costs});
      fmt::print(
          "{} heads of {}: ns a pair {:.2f}, row of tiles {:.0f}, edge {:.2f}, column {:.1f}, row "
          "of edges {:.0f}\n",
          name_of(dtype), dim, costs.pair, costs.tile_row, costs.edge, costs.column,
          costs.edge_row);
      for (const auto* cases : {&measured, &tried}) {
        const double ratio = show(
            *cases, kernels::kChoices,
            [&](const CrossoverCase& c, AttentionKernel kernel) {
              return cpu_work(c, kernel).nanoseconds(costs);
            },
            [&](const CrossoverCase& c) {
              return kernels::choose_kernel(c.graph->sequence(0, 0), costs);
            });
        worst = std::max(worst, ratio);
      }
    }
  }
  fmt::print("worst choice: {:.2f} x the best kernel\n", worst);
  return {table.source(), rows, table.devices()};
}

CrossoverTable measure_device(const Settings& settings, const CrossoverTable& table) {
  const std::string device = backend_of(settings.device).description(settings.device.index);
  const auto make = [&](const std::vector<std::string>& patterns) {
    return make_cases(patterns, settings.sequences, settings.length,
                      static_cast<int>(settings.heads));
  };
  std::vector<CrossoverCase> measured = make(kMeasuredOnDevice), tried = make(kTriedOnDevice);
  std::vector<CrossoverTable::DeviceRow> rows;
  for (const CrossoverTable::DeviceRow& row : table.devices()) {
    if (row.device != device) rows.push_back(row);
  }
  fmt::print("{}; {} x {} tokens, {} heads\n", device, settings.sequences, settings.length,
             settings.heads);
  double worst = 1;
  for (const DType dtype : settings.dtypes) {
    for (const int64_t dim : settings.dims) {
      for (auto* cases : {&measured, &tried}) {
        measure(*cases, kDeviceKernels, {dtype, dim}, settings.device, settings.rounds);
      }
      const auto known = table.at(device, dtype, dim);
      if (settings.check && !known) {
        throw ConfigError("--check", fmt::format("the table has no costs of {}", device),
                          "leave --check out to measure them");
      }
      const DeviceCosts costs = settings.check ? *known : costs_on_device(measured);
      rows.push_back({device, dtype, dim, costs});
      fmt::print(
          "{} heads of {}: ns a tile {:.2f}, one that is not full {:.2f} more, row of tiles "
          "{:.1f}, "
          "edge {:.3f}, row of edges {:.2f}\n",
          name_of(dtype), dim, costs.tile, costs.part, costs.tile_row, costs.edge, costs.edge_row);
      const auto forecast = [&](const CrossoverCase& c, AttentionKernel kernel) {
        return kernels::device_work(*c.graph).nanoseconds(kernel, costs) / c.graph->heads();
      };
      for (const auto* cases : {&measured, &tried}) {
        const double ratio = show(*cases, kDeviceKernels, forecast, [&](const CrossoverCase& c) {
          return kernels::faster(kernels::device_work(*c.graph), costs);
        });
        worst = std::max(worst, ratio);
      }
    }
  }
  fmt::print("worst choice: {:.2f} x the best kernel\n", worst);
  return {table.source(), table.rows(), rows};
}

std::vector<int64_t> parse_dims(const std::string& text, int64_t most) {
  std::vector<int64_t> dims;
  for (const std::string& each : split_list(text)) {
    const int64_t dim = std::atoll(each.c_str());
    if (dim < 1 || dim > most) {
      throw ConfigError("--dims", fmt::format("\"{}\" is no size from 1 to {}", each, most));
    }
    dims.push_back(dim);
  }
  return dims;
}

}  // namespace

int bench_crossover(std::span<const std::string> words) {
  std::string sizes, out, device = "cpu";
  Settings settings;
  bool save = false;
  Options cli(
      "bench crossover [--device cuda] [--save | --out FILE | --check]",
      "Measures what the work of each attention kernel costs, on one thread of this machine "
      "or on a device, and which kernel is then chosen for which pattern.");
  cli.add("device", device, "what to measure: cpu, cuda or cuda:N [cpu]");
  cli.add("dims", sizes, "sizes of heads [32,64,96,128; on a device 64,128]");
  cli.add("length", settings.length, "tokens a sequence [512; on a device 2048]");
  cli.add("sequences", settings.sequences, "sequences [1; on a device 8]");
  cli.add("heads", settings.heads, "heads [2; on a device 12]");
  cli.add("rounds", settings.rounds, "measurements of each, after one that does not count [5]");
  cli.add("out", out, "write the table to this file; what it knows of other devices stays");
  cli.flag("save", save, "write the table to where every command looks for it");
  cli.flag("check", settings.check, "measure against the table in use instead of making one");
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
  settings.dtypes =
      on_cpu ? std::vector{DType::f32, DType::f64} : std::vector{DType::bf16, DType::f32};
  expect_in("rounds", settings.rounds, 1, 1000);
  expect_in("length", settings.length, 1, 1 << 20);
  expect_in("sequences", settings.sequences, 1, 1 << 20);
  expect_in("heads", settings.heads, 1, 4096);
  if (save) out = crossover_path();
  if (save && out.empty()) {
    throw ConfigError("--save", "there is no place for the table",
                      "set HOME or FILIGREE_CROSSOVER, or use --out FILE");
  }
  const bool keeps = !settings.check && !out.empty() && std::filesystem::exists(out);
  const CrossoverTable before = settings.check ? crossover_table()
                                : keeps        ? CrossoverTable::load(out)
                                               : CrossoverTable::shipped();
  const CrossoverTable made =
      on_cpu ? measure_cpu(settings, before) : measure_device(settings, before);
  if (out.empty() || settings.check) return 0;
  made.save(out);
  fmt::print("wrote {}\n", out);
  return 0;
}

}  // namespace filigree
