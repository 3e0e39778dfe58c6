// Settings from words and INI files, through Boost.Program_options.
#include <algorithm>
#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <map>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "core/number.h"
#include "tasks/training/train_settings.h"

namespace filigree {

namespace {

namespace po = boost::program_options;

po::options_description description(TrainConfig& config) {
  po::options_description options;
  each_setting(config, [&](const char* name, auto& field, const char*, bool) {
    using Field = std::decay_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, uint64_t>) {  // Boost takes -1 for 2^64 - 1
      const auto take = [name, &field](const std::string& text) {
        field = parse_natural(name, text);
      };
      options.add_options()(name, po::value<std::string>()->notifier(take));
    } else {
      options.add_options()(name, po::value<Field>(&field));
    }
  });
  return options;
}

[[noreturn]] void throw_unknown(std::string name) {
  while (name.starts_with('-')) name.erase(0, 1);
  std::vector<std::string> names;
  TrainConfig config;
  each_setting(config,
               [&](const char* known, auto&, const char*, bool) { names.push_back(known); });
  std::string near = nearest_name(name, names);
  if (near.empty()) {  // the section was left out
    for (const std::string& known : names) {
      if (known.substr(known.find('.') + 1) == name) near = known;
    }
  }
  throw ConfigError("settings", fmt::format("unknown setting \"{}\"", name),
                    near.empty() ? "`filigree train --help` lists all settings"
                                 : fmt::format("did you mean \"{}\"?", near));
}

/// The words with every truth value written out: a setting that is true or false may stand alone,
/// `--name` is `--name=true`. Throws ConfigError for another one without a value; words that begin
/// with -- are none.
std::vector<std::string> with_all_values(std::span<const std::string> words) {
  TrainConfig config;
  std::map<std::string, bool> is_truth;  // of every setting
  each_setting(config, [&](const std::string& name, auto& field, const char*, bool) {
    is_truth["--" + name] = std::is_same_v<std::decay_t<decltype(field)>, bool>;
  });
  const std::vector<std::string> truths{"true", "false", "on", "off", "yes", "no", "1", "0"};
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) {
    result.push_back(words[i]);
    const auto setting = is_truth.find(words[i]);
    if (setting == is_truth.end()) continue;
    const std::string next = i + 1 < words.size() ? words[i + 1] : "--";
    if (setting->second) {
      const bool given = std::find(truths.begin(), truths.end(), next) != truths.end();
      result.back() += "=" + (given ? next : "true");
      i += given;
    } else if (next.starts_with("--")) {
      throw ConfigError(words[i].substr(2), "expected a value behind it, got none",
                        fmt::format("{} VALUE, or {}=VALUE", words[i], words[i]));
    }
  }
  return result;
}

/// Runs a parser of Boost, with its errors in our words.
template <class Parse>
void translate(Parse&& parse) {
  try {
    parse();
  } catch (const po::unknown_option& error) {
    throw_unknown(error.get_option_name());
  } catch (const po::error& error) {
    throw ConfigError("settings", error.what(), "`filigree train --help` lists all settings");
  }
}

}  // namespace

TrainConfig parse_train_config(std::span<const std::string> words, const std::string& file) {
  TrainConfig config;
  const po::options_description options = description(config);
  po::variables_map values;
  translate([&] {
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const po::positional_options_description no_words;
    auto parsed = po::command_line_parser(with_all_values(words))
                      .options(options)
                      .style(style)
                      .positional(no_words)
                      .run();
    po::store(parsed, values);
    if (!file.empty()) {
      std::istringstream text(read_file(file));
      po::store(po::parse_config_file(text, options), values);
    }
    po::notify(values);
  });
  for (const auto& value : values) config.given.push_back(value.first);
  return config;
}

std::string train_config_help() {
  std::string text;
  TrainConfig config;
  each_setting(config, [&](const char* name, auto& field, const char* help, bool) {
    const std::string standard = fmt::format("{}", field);
    text += fmt::format("  --{:<26}{}{}\n", name, help,
                        standard.empty() ? "" : fmt::format(" [{}]", standard));
  });
  return text;
}

}  // namespace filigree
