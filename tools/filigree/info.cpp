// filigree info: build, devices, patterns; or what is in a file.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

#include "attention/crossover.h"
#include "attention/pattern.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/safetensors.h"
#include "tasks/dataset/dataset.h"
#include "tasks/syntax/link_parser.h"
#include "tasks/task/task.h"
#include "tools/filigree/build_info.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"

namespace filigree {

namespace {

/// One line a device, or why there is none.
std::string describe_devices() {
  DeviceBackend* cuda = cuda_backend();
  if (!cuda) return "cpu (a build without CUDA)";
  std::string text = "cpu";
  for (int index = 0; index < cuda->count(); ++index) {
    text += fmt::format("\n           cuda:{}: {}", index, cuda->description(index));
  }
  return cuda->count() > 0 ? text : text + " (no CUDA device was found)";
}

/// Where the costs of kernels come from, and of which devices there are some.
std::string describe_crossover() {
  const CrossoverTable& table = crossover_table();
  std::set<std::string> devices;
  for (const auto& row : table.devices()) devices.insert(row.device);
  const std::string names = fmt::format("{}", fmt::join(devices, "; "));
  if (table.rows().empty()) {
    return fmt::format("{} (CPU), {} ({})", table.cpu_source(), table.source(), names);
  }
  return fmt::format("{} (CPU{}{})", table.source(), names.empty() ? "" : "; ", names);
}

void describe_build() {
  fmt::print(
      "filigree   {}\ncompiler   {}\nBLAS       {}\nCUDA       {}\ndevices    {}\nparser     "
      "{}\nthreads    {}\ncrossover  {}\n\npatterns:\n",
      kVersion, kCompiler, kBlas, kCuda, describe_devices(),
      link_grammar_version().empty() ? "none" : link_grammar_version(), thread_count(),
      describe_crossover());
  for (const PatternHelp& help : pattern_help()) {
    fmt::print("  {:<32} {}\n", help.syntax, help.meaning);
  }
  fmt::print("  {:<32} {}\n", "a | b, a - b, a & b, (a)", "union, difference, intersection");
  fmt::print("  {:<32} {}\n", "a*x", "a keyed share of the edges of a, 0 to 1");
  fmt::print("\ntasks:\n");
  for (const TaskKind& kind : task_kinds()) {
    fmt::print("  {:<32} {}\n", kind.name, kind.summary);
  }
  fmt::print(
      "\nplans:\n"
      "  PATTERN @ layers=0-1 heads=0,2; PATTERN @ layers=3   a pattern a layer and a head\n"
      "  neighbour:?|global:cls match:density=0.22            the number is solved on the data\n");
}

void describe_file(const std::string& path) {
  const SafetensorsFile file(path);
  file.verify_checksum(Unsealed::accept);
  int64_t numbers = 0;
  for (const auto& [key, value] : file.metadata()) fmt::print("{:<16} {}\n", key, value);
  for (const auto& [name, entry] : file.entries()) {
    fmt::print("{:<60} {:<4} {}\n", name, entry.dtype, to_string(entry.shape));
    numbers += entry.shape.numel();
  }
  fmt::print("{} arrays, {} numbers\n", file.entries().size(), numbers);
}

int run(std::span<const std::string> words) {
  std::string path;
  Options cli("info [--file FILE]",
              "The build, its patterns and tasks, or what a safetensors file holds.");
  cli.add("file", path, "dataset, model or checkpoint file");
  if (!cli.parse(words)) return 0;
  if (path.empty()) {
    describe_build();
  } else {
    describe_file(path);
  }
  return 0;
}

const RegisterCommand registered{{"info", "the build, the patterns, what a file holds", run}};

}  // namespace

}  // namespace filigree
