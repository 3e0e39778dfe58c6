// filigree runs: what a study's store holds, as a table, CSV or JSON.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"
#include "core/file.h"
#include "tasks/study/study.h"
#include "tasks/study/study_table.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

/// A run, and the levels that it has in the study: none for a run of an earlier plan.
struct Listed {
  RunRecord run;
  std::vector<std::string> levels;
};

struct Listing {
  std::vector<std::string> axes;
  std::vector<Listed> runs;
};

Listing listing_of(const RunStore& store) {
  Listing listing;
  const std::optional<StudyRecord> study = store.study();
  std::unordered_map<std::string, const PlannedRecord*> planned;
  if (study) {
    listing.axes = study->axes;
    for (const PlannedRecord& run : study->runs) planned.emplace(run.id, &run);
  }
  for (RunRecord& run : store.all()) {
    const auto found = planned.find(run.id);
    std::vector<std::string> levels(listing.axes.size());
    if (found != planned.end()) levels = found->second->levels;
    listing.runs.push_back({std::move(run), std::move(levels)});
  }
  return listing;
}

/// The value that a run has under a name: an axis, or one of these.
std::string field(const Listing& listing, const Listed& listed, const std::string& name) {
  for (size_t a = 0; a < listing.axes.size(); ++a) {
    if (listing.axes[a] == name) return listed.levels[a];
  }
  const RunRecord& run = listed.run;
  if (name == "id") return run.id;
  if (name == "command") return run.command;
  if (name == "pattern") return run.pattern;
  if (name == "layers") return run.layers;
  if (name == "seed") return std::to_string(run.seed);
  if (name == "metric") return run.metric;
  if (name == "version") return run.version;
  if (name == "machine") return run.machine;
  std::vector<std::string> names = listing.axes;
  names.insert(names.end(),
               {"id", "command", "pattern", "layers", "seed", "metric", "version", "machine"});
  throw ConfigError("where", fmt::format("runs have no \"{}\"", name),
                    fmt::format("they have: {}", fmt::join(names, ", ")));
}

void keep_where(Listing& listing, const std::vector<std::string>& conditions) {
  for (const std::string& text : conditions) {
    const Setting condition = parse_assignment("where", text);
    const bool other = condition.first.ends_with('!');
    const std::string asked = condition.first.substr(0, condition.first.size() - (other ? 1 : 0));
    if (listing.runs.empty()) (void)field(listing, {{}, listing.axes}, asked);
    std::erase_if(listing.runs, [&](const Listed& each) {
      return (field(listing, each, asked) == condition.second) == other;
    });
  }
}

std::string to_csv(const Listing& listing) {
  std::string text = "id,command,";
  for (const std::string& axis : listing.axes) text += csv_field(axis) + ",";
  // An axis may be called pattern, layers or heads.
  text +=
      "seed,metric,value,density,best_step,steps,seconds,tokens_per_second,memory_peak,"
      "attention_pattern,attention_layers,attention_heads,version,machine,finished\n";
  for (const auto& [run, levels] : listing.runs) {
    text += fmt::format("{},{},", run.id, run.command);
    for (const std::string& level : levels) text += csv_field(level) + ",";
    text += fmt::format("{},{},{},{},{},{},{},{},{},", run.seed, csv_field(run.metric),
                        csv_number(run.value), run.density, run.best_step, run.steps, run.seconds,
                        run.tokens_per_second, run.memory_peak);
    text += fmt::format("{},{},{},{},{},{}\n", csv_field(run.pattern), csv_field(run.layers),
                        csv_field(run.heads), csv_field(run.version), csv_field(run.machine),
                        run.finished);
  }
  return text;
}

std::string to_json(const Listing& listing) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& [run, levels] : listing.runs) {
    nlohmann::json axes = nlohmann::json::object();
    for (size_t a = 0; a < levels.size(); ++a) axes[listing.axes[a]] = levels[a];
    all.push_back({{"id", run.id},
                   {"command", run.command},
                   {"levels", axes},
                   {"seed", run.seed},
                   {"metric", run.metric},
                   {"value", run.value},  // null where it is not finite
                   {"density", run.density},
                   {"layer_density", run.layer_density},
                   {"best_step", run.best_step},
                   {"steps", run.steps},
                   {"seconds", run.seconds},
                   {"tokens_per_second", run.tokens_per_second},
                   {"memory_peak", run.memory_peak},
                   {"pattern", run.pattern},
                   {"layers", run.layers},
                   {"heads", run.heads},
                   {"version", run.version},
                   {"machine", run.machine},
                   {"finished", run.finished}});
  }
  return all.dump(2) + "\n";
}

std::string to_text(const Listing& listing) {
  std::string text;
  for (const auto& [run, levels] : listing.runs) {
    text += fmt::format("{}  {:<8}  {} {:.4f}  density {:6.2f}%  seed {}  {:>7}  {}\n", run.id,
                        run.command, run.metric, run.value, 100 * run.density, run.seed,
                        human_seconds(run.seconds),
                        levels.empty() || levels.front().empty()
                            ? fmt::format("{} in {} layers", run.pattern, run.layers)
                            : fmt::format("{}", fmt::join(levels, ", ")));
  }
  return text + fmt::format("{} runs\n", listing.runs.size());
}

/// One run with all that is known of it.
std::string details_of(const RunStore& store, const std::string& id) {
  const std::optional<RunRecord> run = store.find(id);
  if (!run) {
    throw ConfigError("run", fmt::format("the store has no run {}", id),
                      "`filigree runs FOLDER` lists those that there are");
  }
  std::string text = fmt::format(
      "{} {}\n{} {:.4f} at step {} of {}, density {:.2f}%, {:.0f} tokens/s, {}\n{}, version {}, "
      "finished {}\n\n{}\nstep  loss  {}  density\n",
      run->id, run->command, run->metric, run->value, run->best_step, run->steps,
      100 * run->density, run->tokens_per_second, human_seconds(run->seconds), run->machine,
      run->version, run->finished, run->details.config, run->metric);
  for (const EvaluationRecord& each : run->details.evaluations) {
    text += fmt::format("{}  {:.4f}  {:.4f}  {:.2f}%\n", each.step, each.loss, each.metric,
                        100 * each.density);
  }
  return text;
}

int run(std::span<const std::string> words) {
  std::string folder, out, id;
  std::vector<std::string> conditions;
  bool csv = false, json = false;
  Options cli("runs FOLDER [--where AXIS=LEVEL ..] [--csv | --json] [--out FILE]",
              "The runs that a study's folder holds.");
  cli.word("folder", folder, "folder of `filigree ablate`");
  cli.add("where", conditions, "name=value or name!=value, of an axis, seed, command ..; several");
  cli.add("run", id, "this run alone, with its settings and evaluations");
  cli.flag("csv", csv, "as CSV, with every column");
  cli.flag("json", json, "as JSON");
  cli.add("out", out, "into this file");
  if (!cli.parse(words)) return 0;
  if (folder.empty()) {
    throw ConfigError("runs", "which study?", "name its folder: filigree runs FOLDER");
  }
  if (csv && json) throw ConfigError("runs", "--csv and --json at once", "give one of them");
  if (!out.empty()) expect_writable(out);
  const RunStore store(store_path(folder), true);
  std::string text;
  if (!id.empty()) {
    text = details_of(store, id);
  } else {
    Listing listing = listing_of(store);
    keep_where(listing, conditions);
    text = csv ? to_csv(listing) : json ? to_json(listing) : to_text(listing);
  }
  if (out.empty()) {
    fmt::print("{}", text);
  } else {
    write_file(out, text);
  }
  return 0;
}

const RegisterCommand registered{{"runs", "the runs of a study: list, filter, export", run}};

}  // namespace

}  // namespace filigree
