#include "tasks/study/study_file.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/file.h"
#include "core/number.h"
#include "tasks/study/claims.h"

namespace filigree {

namespace {

namespace po = boost::program_options;

const std::vector<std::string> kSections{"data", "model", "attention", "degrees", "train", "run"};

/// The parts of a text between separators, without blanks around them; none that are empty.
std::vector<std::string> parts_of(const std::string& text, const char* separators) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    std::string part = text.substr(at, end - at);
    part.erase(0, std::min(part.find_first_not_of(" \t"), part.size()));
    part.erase(part.find_last_not_of(" \t") + 1);
    if (!part.empty()) parts.push_back(part);
    at = end + 1;
  }
  return parts;
}

/// Reads the lines of one file into a Study.
class Reader {
 public:
  Reader(const std::filesystem::path& file, std::span<const Setting> defines)
      : file_(file.string()), lines_(read_settings(file)) {
    study_.defines.assign(defines.begin(), defines.end());
  }

  Study read() {
    for (const auto& [key, value] : lines_) {
      if (key.starts_with("axes.")) read_axis(key.substr(5), value);
    }
    if (study_.axes.empty()) {
      throw ConfigError(file_, "no axes",
                        "a study needs a section [axes], for example mask = a, b");
    }
    for (const auto& [key, value] : lines_) read_line(key, value);
    study_.validate();
    return std::move(study_);
  }

 private:
  void read_axis(const std::string& name, const std::string& value) {
    const bool is_setting = name.find('.') != std::string::npos;
    Axis axis{is_setting ? name.substr(name.rfind('.') + 1) : name, {}};
    for (const std::string& level : parts_of(value, ",")) {
      axis.levels.push_back({level, {}});
      if (is_setting) axis.levels.back().settings.emplace_back(name, level);
    }
    study_.axes.push_back(std::move(axis));
  }

  void read_line(const std::string& key, const std::string& value) {
    const std::string section = key.substr(0, key.find('.'));
    const std::string rest = section.size() < key.size() ? key.substr(section.size() + 1) : "";
    const auto axis = std::find_if(study_.axes.begin(), study_.axes.end(),
                                   [&](const Axis& each) { return each.name == section; });
    const auto known = std::find(kSections.begin(), kSections.end(), section);
    if (section == "axes") return;
    if (section == "study") return read_head(rest, value);
    if (section == "define") return read_define(rest, value);
    if (section == "claims") return study_.claims.emplace_back(rest, value), void();
    if (axis != study_.axes.end() && std::count(rest.begin(), rest.end(), '.') >= 2) {
      return read_level(*axis, rest, value);
    }
    if (known != kSections.end()) return study_.settings.emplace_back(key, value), void();
    throw_unknown(key, section);
  }

  /// "LEVEL.section.name", where the level may hold points.
  void read_level(Axis& axis, const std::string& rest, const std::string& value) {
    const size_t setting = rest.rfind('.', rest.rfind('.') - 1);
    const std::string name = rest.substr(0, setting);
    for (Level& level : axis.levels) {
      if (level.name == name) {
        return level.settings.emplace_back(rest.substr(setting + 1), value), void();
      }
    }
    std::vector<std::string> names;
    for (const Level& level : axis.levels) names.push_back(level.name);
    const std::string near = nearest_name(name, names);
    throw ConfigError(file_, fmt::format("the axis {} has no level \"{}\"", axis.name, name),
                      near.empty() ? fmt::format("name it in [axes]: {} = {}, {}", axis.name,
                                                 fmt::join(names, ", "), name)
                                   : fmt::format("did you mean [{}.{}]?", axis.name, near));
  }

  void read_define(const std::string& name, const std::string& value) {
    for (const Setting& define : study_.defines) {
      if (define.first == name) return;  // given outside of the file
    }
    study_.defines.emplace_back(name, value);
  }

  void read_head(const std::string& name, const std::string& value) {
    if (name == "question") {
      study_.question = value;
    } else if (name == "seeds") {
      study_.seeds.clear();
      for (const std::string& seed : parts_of(value, ", ")) {
        study_.seeds.push_back(parse_natural("study.seeds", seed));
      }
    } else if (name == "baseline") {
      const auto [axis, level] = parse_assignment("study.baseline", value);
      study_.baseline = axis + "=" + level;
    } else if (name == "exclude") {
      study_.excludes.push_back(parse_conditions("study.exclude", value));
    } else if (name == "budget") {
      study_.budget = parse_duration(value);
    } else if (name == "keep") {
      if (value != "best" && value != "all") {
        throw ConfigError("study.keep", fmt::format("expected best or all, got \"{}\"", value));
      }
      study_.keep = value == "all" ? Keep::all : Keep::best;
    } else {
      const std::vector<std::string> known{"question", "seeds",  "baseline",
                                           "exclude",  "budget", "keep"};
      const std::string near = nearest_name(name, known);
      throw ConfigError(
          file_, fmt::format("unknown setting \"study.{}\"", name),
          near.empty() ? "see docs/studies.md" : fmt::format("did you mean \"{}\"?", near));
    }
  }

  [[noreturn]] void throw_unknown(const std::string& key, const std::string& section) const {
    std::vector<std::string> names = kSections;
    names.insert(names.end(), {"study", "define", "axes", "claims"});
    for (const Axis& axis : study_.axes) names.push_back(axis.name);
    const std::string near = nearest_name(section, names);
    throw ConfigError(
        file_, fmt::format("\"{}\": no section or axis is named \"{}\"", key, section),
        near.empty() ? "levels of an axis that is named in [axes] have sections [axis.level]"
                     : fmt::format("did you mean \"{}\"?", near));
  }

  std::string file_;
  std::vector<Setting> lines_;
  Study study_;
};

void expect_no_seed(const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (setting.first == "train.seed") {
      throw ConfigError("study", "train.seed is no setting of a study",
                        "name the seeds in [study]: seeds = 1, 2, 3");
    }
  }
}

void expect_distinct(const std::vector<std::string>& names, const std::string& what) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      throw ConfigError("study", fmt::format("the {} \"{}\" is named twice", what, name),
                        "name each once");
    }
  }
}

}  // namespace

void Study::validate() const {
  expect_no_seed(settings);
  std::vector<std::string> names;
  for (const Axis& axis : axes) {
    names.push_back(axis.name);
    std::vector<std::string> levels;
    for (const Level& level : axis.levels) levels.push_back(level.name);
    expect_distinct(levels, "level of " + axis.name);
    for (const Level& level : axis.levels) expect_no_seed(level.settings);
    if (levels.empty()) {
      throw ConfigError("study", fmt::format("the axis {} has no levels", axis.name),
                        "name them in [axes], separated by commas");
    }
  }
  expect_distinct(names, "axis");
  std::vector<std::string> numbers;
  for (const uint64_t seed : seeds) numbers.push_back(std::to_string(seed));
  expect_distinct(numbers, "seed");
  if (seeds.empty()) throw ConfigError("study.seeds", "no seeds", "for example seeds = 1, 2, 3");
  if (!baseline.empty()) {
    const auto [axis, level] = parse_assignment("study.baseline", baseline);
    expect_levels("study.baseline", {axis, {level}, false});
  }
  for (const auto& conditions : excludes) {
    for (const Condition& condition : conditions) expect_levels("study.exclude", condition);
  }
  for (const auto& [name, text] : claims) expect_fits(parse_claim(name, text), *this);
}

void Study::expect_levels(const std::string& where, const Condition& condition) const {
  std::vector<std::string> names;
  for (const Axis& axis : axes) names.push_back(axis.name);
  const auto axis = std::find(names.begin(), names.end(), condition.axis);
  if (axis == names.end()) {
    throw ConfigError(where, fmt::format("there is no axis \"{}\"", condition.axis),
                      fmt::format("the axes are: {}", fmt::join(names, ", ")));
  }
  std::vector<std::string> levels;
  for (const Level& level : axes[static_cast<size_t>(axis - names.begin())].levels) {
    levels.push_back(level.name);
  }
  for (const std::string& level : condition.levels) {
    if (std::find(levels.begin(), levels.end(), level) != levels.end()) continue;
    throw ConfigError(where, fmt::format("the axis {} has no level \"{}\"", condition.axis, level),
                      fmt::format("it has: {}", fmt::join(levels, ", ")));
  }
}

bool Condition::holds(const std::string& level) const {
  return (std::find(levels.begin(), levels.end(), level) != levels.end()) != other;
}

Study read_study(const std::filesystem::path& file, std::span<const Setting> defines) {
  return Reader(file, defines).read();
}

std::vector<Setting> read_settings(const std::filesystem::path& file) {
  std::vector<Setting> lines;
  try {
    std::istringstream text(read_file(file));
    const po::options_description none;
    for (const auto& line : po::parse_config_file(text, none, true).options) {
      lines.emplace_back(line.string_key, line.value.empty() ? "" : line.value.front());
    }
  } catch (const po::error& error) {
    throw ConfigError(file.string(), error.what(), "lines are \"name = value\" below a [section]");
  }
  return lines;
}

double parse_duration(const std::string& text) {
  const std::string units = "smhd";
  const double seconds[] = {1, 60, 3600, 86400};
  const size_t unit = text.empty() ? std::string::npos : units.find(text.back());
  const std::string number = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const bool digits = !number.empty() && number.size() < 10 &&
                      number.find_first_not_of("0123456789") == std::string::npos;
  if (unit == std::string::npos || !digits) {
    throw ConfigError("budget", fmt::format("expected a time, got \"{}\"", text),
                      "for example 90s, 30m, 2h or 1d");
  }
  return static_cast<double>(std::stoull(number)) * seconds[unit];
}

std::vector<Condition> parse_conditions(const std::string& where, const std::string& text) {
  std::vector<Condition> conditions;
  for (const std::string& part : parts_of(text, " \t")) {
    const auto [axis, levels] = parse_assignment(where, part);
    const bool other = axis.ends_with('!');
    conditions.push_back(
        {axis.substr(0, axis.size() - (other ? 1 : 0)), parts_of(levels, "|"), other});
  }
  return conditions;
}

Setting parse_assignment(const std::string& where, const std::string& text) {
  const size_t equal = text.find('=');
  const std::vector<std::string> left = parts_of(text.substr(0, equal), "");
  const std::vector<std::string> right = equal == std::string::npos
                                             ? std::vector<std::string>{}
                                             : parts_of(text.substr(equal + 1), "");
  if (left.empty() || right.empty()) {
    throw ConfigError(where, fmt::format("expected name=value, got \"{}\"", text),
                      "an equals sign between the two");
  }
  return {left.front(), right.front()};
}

}  // namespace filigree
