// A subcommand of `filigree`: one file each, which registers itself.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace filigree {

struct Command {
  std::string name, summary;
  int (*run)(std::span<const std::string> words);  ///< exit status
};

/// All commands, by name.
std::vector<Command>& commands();

struct RegisterCommand {
  explicit RegisterCommand(Command command) { commands().push_back(std::move(command)); }
};

}  // namespace filigree
