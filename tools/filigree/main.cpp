// The `filigree` command: finds the subcommand, prints every error, gives the exit status.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fmt/format.h>
#include <new>

#include "attention/crossover.h"
#include "core/error.h"
#include "tools/filigree/command.h"

namespace filigree {

std::vector<Command>& commands() {
  static std::vector<Command> all;
  return all;
}

namespace {

constexpr int kWrongUse = 2, kFailure = 1;

int print_help() {
  std::vector<Command> all = commands();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  fmt::print(
      "Filigree trains transformers with sparse attention.\n\n"
      "usage: filigree COMMAND [options]    (filigree COMMAND --help)\n\n");
  for (const Command& command : all) fmt::print("  {:<10} {}\n", command.name, command.summary);
  return 0;
}

/// This machine's crossover table, if one was measured.
void load_crossover() {
  const std::filesystem::path path = crossover_path();
  if (path.empty()) return;
  if (!std::filesystem::exists(path)) {
    if (!std::getenv("FILIGREE_CROSSOVER")) return;
    fmt::print(stderr, "note: {} is not there yet; the shipped crossover table holds\n",
               path.string());
    return;
  }
  set_crossover_table(CrossoverTable::load(path));
}

int run(const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    return print_help();
  }
  load_crossover();
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == words[0]) return command.run(std::span(words).subspan(1));
    names.push_back(command.name);
  }
  const std::string near = nearest_name(words[0], names);
  throw ConfigError("filigree", fmt::format("unknown command \"{}\"", words[0]),
                    near.empty() ? "`filigree --help` lists the commands"
                                 : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace

}  // namespace filigree

int main(int count, char** arguments) {
  try {
    const int status = filigree::run({arguments + 1, arguments + count});
    if (std::fflush(stdout) != 0) throw filigree::FileError("stdout", "cannot write");
    return status;
  } catch (const filigree::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.exit_status() == 2 ? filigree::kWrongUse : filigree::kFailure;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\nhint: use a smaller batch or model\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
  }
  return filigree::kFailure;
}
