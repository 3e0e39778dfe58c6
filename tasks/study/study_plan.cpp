#include "tasks/study/study_plan.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

#include "attention/placement.h"
#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/dataset.h"
#include "tasks/training/model_file.h"

namespace filigree {

namespace {

/// Datasets that runs share, opened once.
class Datasets {
 public:
  const TokenDataset& open(const std::string& path) {
    const auto found = open_.find(path);
    if (found != open_.end()) return found->second;
    return open_.emplace(path, TokenDataset::open(path)).first->second;
  }

 private:
  std::map<std::string, TokenDataset> open_;
};

class Planner {
 public:
  Planner(const Study& study, std::span<const std::string> words)
      : study_(study), words_(words.begin(), words.end()) {
    expect_free_words();
  }

  std::vector<PlannedRun> plan() {
    std::vector<size_t> at(study_.axes.size(), 0);
    do {
      if (!excluded(at)) {
        for (const uint64_t seed : study_.seeds) add(at, seed);
      }
    } while (next(at));
    for (size_t k = 0; k < runs_.size(); ++k)
      place_.emplace(key(runs_[k].levels, runs_[k].seed), k);
    for (size_t k = 0; k < runs_.size(); ++k) link(k);
    return std::move(runs_);
  }

 private:
  /// Where a run is to come from another one, before that one is looked for.
  struct From {
    std::string axis, level;
  };

  void expect_free_words() const {
    for (const Axis& axis : study_.axes) {
      for (const Level& level : axis.levels) {
        for (const Setting& setting : level.settings) expect_free(setting.first, axis.name);
      }
    }
    expect_free("train.seed", "seeds");
  }

  void expect_free(const std::string& name, const std::string& axis) const {
    for (const std::string& word : words_) {
      if (word == "--" + name || word.starts_with("--" + name + "=")) {
        throw ConfigError("study", fmt::format("--{} is what the axis {} sets", name, axis),
                          "leave it out, or change the study");
      }
    }
  }

  bool next(std::vector<size_t>& at) const {
    for (size_t a = at.size(); a-- > 0;) {
      if (++at[a] < study_.axes[a].levels.size()) return true;
      at[a] = 0;
    }
    return false;
  }

  const Level& level(const std::vector<size_t>& at, size_t axis) const {
    return study_.axes[axis].levels[at[axis]];
  }

  bool excluded(const std::vector<size_t>& at) const {
    const auto condition_holds = [&](const Condition& condition) {
      for (size_t a = 0; a < at.size(); ++a) {
        if (study_.axes[a].name == condition.axis) return condition.holds(level(at, a).name);
      }
      return false;
    };
    return std::any_of(study_.excludes.begin(), study_.excludes.end(), [&](const auto& all) {
      return std::all_of(all.begin(), all.end(), condition_holds);
    });
  }

  /// The value with every {name} replaced.
  std::string filled_in(const std::string& value, const std::vector<size_t>& at) const {
    std::string text;
    for (size_t from = 0; from < value.size();) {
      const size_t open = value.find('{', from);
      const size_t close = value.find('}', open);
      text += value.substr(from, open - from);
      if (open == std::string::npos) break;
      if (close == std::string::npos) {
        throw ConfigError("study", fmt::format("a {{ without its }} in \"{}\"", value));
      }
      text += meaning(value.substr(open + 1, close - open - 1), value, at);
      from = close + 1;
    }
    return text;
  }

  std::string meaning(const std::string& name, const std::string& value,
                      const std::vector<size_t>& at) const {
    std::vector<std::string> names;
    for (size_t a = 0; a < study_.axes.size(); ++a) {
      if (study_.axes[a].name == name) return level(at, a).name;
      names.push_back(study_.axes[a].name);
    }
    for (const auto& [defined, text] : study_.defines) {
      if (defined == name) return text;
      names.push_back(defined);
    }
    throw ConfigError("study", fmt::format("\"{}\": nothing is named {{{}}}", value, name),
                      fmt::format("axes and definitions are: {}; --define {}=VALUE defines it",
                                  fmt::join(names, ", "), name));
  }

  /// Settings of a combination: later ones replace earlier ones.
  std::map<std::string, std::string> settings(const std::vector<size_t>& at) const {
    std::map<std::string, std::string> all;
    for (const auto& [name, value] : study_.settings) all[name] = value;
    for (size_t a = 0; a < at.size(); ++a) {
      for (const auto& [name, value] : level(at, a).settings) all[name] = value;
    }
    for (auto& [name, value] : all) value = filled_in(value, at);
    return all;
  }

  void add(const std::vector<size_t>& at, uint64_t seed) {
    PlannedRun run;
    for (size_t a = 0; a < at.size(); ++a) run.levels.push_back(level(at, a).name);
    run.seed = seed;
    auto all = settings(at);
    const std::string command = all.contains("run.command") ? all["run.command"] : "train";
    run.kind = &find_run_kind(command);
    from_.push_back(source_of(all, *run.kind));
    try {
      run.config = config_of(std::move(all), seed);
      if (!run.kind->of_another) check(run);
    } catch (const ConfigError& error) {
      throw ConfigError(name(run), error.what());
    }
    runs_.push_back(std::move(run));
  }

  static std::optional<From> source_of(const std::map<std::string, std::string>& all,
                                       const RunKind& kind) {
    const auto from = all.find("run.from");
    if ((from != all.end()) != kind.of_another) {
      throw ConfigError("run.from",
                        fmt::format("run.command = {} {}", kind.name,
                                    kind.of_another ? "is a null model of another run"
                                                    : "comes from no other run"),
                        kind.of_another ? "for example run.from = method=learned" : "leave it out");
    }
    if (from == all.end()) return std::nullopt;
    const auto [axis, level] = parse_assignment("run.from", from->second);
    return From{axis, level};
  }

  TrainConfig config_of(std::map<std::string, std::string> all, uint64_t seed) const {
    std::vector<std::string> given;
    for (const auto& [key, value] : all) {
      if (key == "run.command" || key == "run.from") continue;
      const std::string option = "--" + key;
      const bool overruled = std::any_of(words_.begin(), words_.end(), [&](const auto& word) {
        return word == option || word.starts_with(option + "=");
      });
      if (!overruled) given.push_back(fmt::format("--{}={}", key, value));
    }
    given.insert(given.end(), words_.begin(), words_.end());
    TrainConfig config = parse_train_config(given, "");
    config.train.seed = seed;
    return config;
  }

  void check(PlannedRun& run) {
    const TrainConfig& config = run.config;
    run.kind->check(config);
    const TokenDataset& train_data = datasets_.open(config.data.train);
    const TokenDataset& dev_data = datasets_.open(config.data.dev);
    const EncoderConfig encoder = config.model.init.empty()
                                      ? config.encoder(train_data, dev_data)
                                      : read_model_info(find_model(config.model.init)).encoder;
    (void)AttentionPlan(config.attention.pattern, config.attention.layers, config.attention.heads,
                        static_cast<int>(encoder.layers), static_cast<int>(encoder.heads));
    run.cost = cost_of(config, encoder, train_data, dev_data, run.kind->work(config));
    run.id = config.hash(train_data, dev_data);
    const std::string more = run.kind->identity(config);
    if (!more.empty()) run.id = to_hex(checksum(run.id + "\n" + more));
  }

  using Key = std::pair<std::vector<std::string>, uint64_t>;
  static Key key(std::vector<std::string> levels, uint64_t seed) {
    return {std::move(levels), seed};
  }

  /// Finds what a null model is of.
  void link(size_t k) {
    if (!from_[k]) return;
    PlannedRun& run = runs_[k];
    std::vector<std::string> levels = run.levels;
    for (size_t a = 0; a < study_.axes.size(); ++a) {
      if (study_.axes[a].name == from_[k]->axis) levels[a] = from_[k]->level;
    }
    const auto source = place_.find(key(levels, run.seed));
    if (source != place_.end() && runs_[source->second].kind->name == std::string("learn")) {
      const PlannedRun& learned = runs_[source->second];
      run.source = source->second;
      run.config = learned.config;
      run.cost = learned.cost;
      run.cost.operations *= run.kind->work(run.config) / learned.kind->work(run.config);
      run.id = to_hex(checksum(fmt::format("{} of {}", run.kind->name, learned.id)));
      return;
    }
    throw ConfigError("run.from",
                      fmt::format("the run {} has no learned run at {}={}", name(run),
                                  from_[k]->axis, from_[k]->level),
                      "name a level whose run.command is learn, and that is not excluded");
  }

  std::string name(const PlannedRun& run) const {
    std::vector<std::string> parts;
    for (size_t a = 0; a < run.levels.size(); ++a) {
      parts.push_back(study_.axes[a].name + "=" + run.levels[a]);
    }
    return fmt::format("{} seed={}", fmt::join(parts, " "), run.seed);
  }

  const Study& study_;
  std::vector<std::string> words_;
  Datasets datasets_;
  std::vector<PlannedRun> runs_;
  std::vector<std::optional<From>> from_;  // of every run
  std::map<Key, size_t> place_;            // of every run in the plan
};

}  // namespace

std::vector<PlannedRun> plan_runs(const Study& study, std::span<const std::string> words) {
  study.validate();
  std::vector<PlannedRun> plan = Planner(study, words).plan();
  if (plan.empty()) {
    throw ConfigError("study", "every combination is excluded", "see study.exclude");
  }
  return plan;
}

StudyRecord record_of(const Study& study, const std::vector<PlannedRun>& plan) {
  StudyRecord record;
  record.question = study.question;
  record.baseline = study.baseline;
  record.claims = study.claims;
  for (const Axis& axis : study.axes) {
    record.axes.push_back(axis.name);
    record.levels.emplace_back();
    for (const Level& level : axis.levels) record.levels.back().push_back(level.name);
  }
  for (const PlannedRun& run : plan) record.runs.push_back({run.id, run.levels, run.seed});
  return record;
}

}  // namespace filigree
