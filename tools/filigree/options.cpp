#include "tools/filigree/options.h"

#include <fmt/format.h>
#include <sstream>

#include "core/error.h"

namespace filigree {

namespace po = boost::program_options;

Options::Options(std::string usage, std::string about)
    : usage_(std::move(usage)), about_(std::move(about)), options_("options", 100) {
  options_.add_options()("help,h", "print this");
  names_.push_back("help");
}

void Options::flag(const char* name, bool& field, const char* help) {
  options_.add_options()(name, po::bool_switch(&field), help);
  names_.push_back(name);
}

void Options::throw_unknown(std::string name) const {
  while (name.starts_with('-')) name.erase(0, 1);
  const std::string near = nearest_name(name, names_);
  const std::string command = usage_.substr(0, usage_.find(' '));
  throw ConfigError(command, fmt::format("unknown option \"--{}\"", name),
                    near.empty() ? fmt::format("`filigree {} --help` lists all options", command)
                                 : fmt::format("did you mean \"--{}\"?", near));
}

bool Options::parse(std::span<const std::string> words) {
  const std::string command = usage_.substr(0, usage_.find(' '));
  std::vector<std::string> own;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string name = words[i].substr(0, words[i].find('='));
    if (!settings_help_ || !name.starts_with("--") || name.find('.') == std::string::npos) {
      own.push_back(words[i]);
      continue;
    }
    settings_.push_back(words[i]);
    const bool has_value = name.size() < words[i].size();
    if (!has_value && i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      settings_.push_back(words[++i]);
    }
  }
  try {
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(own).options(options_).style(style).positional(words_).run(),
              values_);
    if (values_.count("help") > 0) {
      std::ostringstream list;
      list << options_;
      fmt::print("usage: filigree {}\n\n{}\n\n{}", usage_, about_, list.str());
      if (settings_help_) {
        fmt::print("\nsettings [default], also in an INI file by --config:\n{}", settings_help_());
      }
      return false;
    }
    po::notify(values_);
  } catch (const po::unknown_option& error) {
    throw_unknown(error.get_option_name());
  } catch (const po::too_many_positional_options_error&) {
    throw ConfigError(command, "a word stands behind no option",
                      "options begin with --; a text with blanks needs quotation marks");
  } catch (const po::error& error) {
    throw ConfigError(command, error.what(),
                      fmt::format("`filigree {} --help` lists all options", command));
  }
  for (const std::string& name : required_) {
    if (values_.count(name) == 0) {
      throw ConfigError(command, fmt::format("the option --{} is missing", name),
                        fmt::format("usage: filigree {}", usage_));
    }
  }
  return true;
}

std::vector<std::string> split_list(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream rest(text);
  for (std::string part; std::getline(rest, part, separator);) {
    const size_t first = part.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    parts.push_back(part.substr(first, part.find_last_not_of(" \t") - first + 1));
  }
  return parts;
}

void expect_in(std::string_view name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  throw ConfigError(fmt::format("--{}", name),
                    fmt::format("expected {} to {}, got {}", least, most, value));
}

}  // namespace filigree
