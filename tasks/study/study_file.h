// Study: a question put as a grid of runs, and the file that it is written in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace filigree {

/// (name, value), "train.lr" and "0.001".
using Setting = std::pair<std::string, std::string>;

/// One place on an axis: its name, and what it sets.
struct Level {
  std::string name;
  std::vector<Setting> settings;
};

struct Axis {
  std::string name;
  std::vector<Level> levels;
};

/// "method=dense|soft" or "density!=0.07": levels of one axis.
struct Condition {
  std::string axis;
  std::vector<std::string> levels;
  bool other = false;  ///< all levels but these

  bool holds(const std::string& level) const;
};

/// What becomes of a run's folder once the store has the run.
enum class Keep { best, all };

/// Every combination of levels, with every seed.
struct Study {
  std::string question;
  std::vector<Axis> axes;
  std::vector<uint64_t> seeds{1};
  std::vector<Setting> settings;  ///< of all runs; levels win
  std::vector<Setting> defines;   ///< {name} in a value is replaced; so is the name of an axis
  std::vector<std::vector<Condition>> excludes;  ///< not run: where all conditions of one hold
  std::string baseline;                          ///< "axis=level", or empty
  double budget = 0;                             ///< seconds after which no run is begun; 0: none
  Keep keep = Keep::best;
  std::vector<Setting> claims;  ///< (name, text) of claims.h

  /// Throws ConfigError naming what is wrong: an axis or level named twice, a baseline or condition
  /// of what is not there.
  void validate() const;
  /// Throws ConfigError at `where` for an axis or a level that there is not.
  void expect_levels(const std::string& where, const Condition& condition) const;
};

/// Reads a study:
///
///     [study]
///     question = Which mask damages least, and in which layers?
///     seeds = 1, 2, 3
///     baseline = mask=dense
///     exclude = mask=dense placement!=all      (may be given several times)
///     budget = 2h                              (s, m, h or d; default: none)
///     keep = best                              (or all: checkpoints, too)
///     [define]
///     data = language
///     [axes]                                   the axes, in this order, and their levels
///     mask = dense, syntax
///     attention.layers = all, last:1           an axis named by a setting needs no more
///     [mask.syntax]                            what a level sets
///     attention.pattern = syntax:1|global:cls
///     [claims]                                 what the study is to decide (claims.h)
///     P2 = mask=dense > mask=syntax; syntax alone is too little
///     [data]                                   settings of all runs, as for `filigree train`
///     train = {data}/train.set
///
/// `run.command` says how a run is made (run_kind.h), "train" if nothing does; `run.from` names, as
/// "axis=level", the run that a null model is of. `defines` replace those of the file.
/// Throws FileError, ConfigError naming the line's setting and the nearest known name.
Study read_study(const std::filesystem::path& file, std::span<const Setting> defines = {});

/// The lines "name = value" of an INI file, in order. Throws FileError, ConfigError.
std::vector<Setting> read_settings(const std::filesystem::path& file);

/// "90s", "30m", "2h", "1d" in seconds. Throws ConfigError.
double parse_duration(const std::string& text);

/// Conditions with blanks between them. Throws ConfigError at `where`.
std::vector<Condition> parse_conditions(const std::string& where, const std::string& text);

/// "name=value" in two, without blanks around them. Throws ConfigError at `where`.
Setting parse_assignment(const std::string& where, const std::string& text);

}  // namespace filigree
