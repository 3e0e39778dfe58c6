// Options of a subcommand, through Boost.Program_options.
#pragma once

#include <boost/program_options.hpp>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/number.h"

namespace filigree {

/// Collects a command's options, then reads its words. `--help` prints and ends the command.
class Options {
 public:
  /// `usage`: what stands behind "filigree ", e.g. "train --data.train FILE [options]".
  Options(std::string usage, std::string about);

  /// `--name VALUE` (a comma and a letter behind the name give its short form).
  template <class T>
  void add(const char* name, T& field, const char* help) {
    namespace po = boost::program_options;
    if constexpr (std::is_same_v<T, uint64_t>) {  // Boost takes -1 for 2^64 - 1
      const auto take = [name, &field](const std::string& text) {
        field = parse_natural(name, text);
      };
      options_.add_options()(name, po::value<std::string>()->notifier(take), help);
    } else {
      options_.add_options()(name, po::value<T>(&field), help);
    }
    names_.push_back(name);
  }
  /// `--name`, no value.
  void flag(const char* name, bool& field, const char* help);
  /// `--name VALUE`, which must be there.
  template <class T>
  void require(const char* name, T& field, const char* help) {
    add(name, field, help);
    required_.push_back(name);
  }
  /// A word that stands behind no option; `name` is how messages call it.
  void word(const char* name, std::string& field, const char* help) {
    add(name, field, help);
    words_.add(name, 1);
  }
  /// Words `--section.key VALUE` are kept for settings(); `help` lists them. A value that begins
  /// with -- needs the form `--section.key=VALUE`.
  void take_settings(std::function<std::string()> help) { settings_help_ = std::move(help); }

  /// False if --help was asked for (and printed). Throws ConfigError: unknown option with the
  /// nearest name, missing or wrong value, a word that belongs to no option.
  bool parse(std::span<const std::string> words);
  const std::vector<std::string>& settings() const { return settings_; }
  bool given(const char* name) const { return values_.count(name) > 0; }

 private:
  [[noreturn]] void throw_unknown(std::string name) const;

  std::string usage_, about_;
  boost::program_options::options_description options_;
  boost::program_options::positional_options_description words_;
  boost::program_options::variables_map values_;
  std::vector<std::string> names_, required_, settings_;
  std::function<std::string()> settings_help_;
};

/// "a, b,c" in parts, without blanks around them; none for "".
std::vector<std::string> split_list(const std::string& text, char separator = ',');

/// Throws ConfigError naming `--name` unless least <= value <= most.
void expect_in(std::string_view name, int64_t value, int64_t least, int64_t most);

}  // namespace filigree
