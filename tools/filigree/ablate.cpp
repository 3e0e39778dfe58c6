// filigree ablate: a study, every combination of its levels with every seed.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "core/allocator.h"
#include "core/error.h"
#include "core/file.h"
#include "core/number.h"
#include "tasks/study/claims.h"
#include "tasks/study/study.h"
#include "tasks/study/study_table.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/build_info.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"
#include "tools/filigree/worker_processes.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

/// What the command line says.
struct Flags {
  std::string file, out, seeds, config, budget;
  std::vector<std::string> patterns, placements, defines;
  uint64_t workers = 1;
  bool plan_only = false, verbose = false, worker = false;
};

void add_options(Options& cli, Flags& flags) {
  cli.word("study", flags.file, "file of the study (docs/studies.md)");
  cli.require("out", flags.out, "folder of the study's runs");
  cli.add("pattern", flags.patterns, "without a file: a pattern; several times [dense]");
  cli.add("placement", flags.placements, "without a file: layers of the patterns; several times");
  cli.add("seeds", flags.seeds, "separated by commas [1, or the file's]");
  cli.add("define", flags.defines, "name=value for {name} in the file; several times");
  cli.add("config", flags.config, "INI file with settings of all runs; the command line wins");
  cli.add("workers", flags.workers, "processes at work on it [1]");
  cli.add("budget", flags.budget, "begin no run after this time: 90s, 30m, 2h");
  cli.flag("plan", flags.plan_only, "print what would be run, and end");
  cli.flag("verbose", flags.verbose, "show the progress of every run");
  cli.flag("worker", flags.worker, "as one of --workers: no plan, no table");
  cli.take_settings(train_config_help);
}

std::vector<uint64_t> parse_seeds(const std::string& text) {
  std::vector<uint64_t> seeds;
  for (const std::string& part : split_list(text)) seeds.push_back(parse_natural("seeds", part));
  return seeds;
}

/// Without a file: pattern x placement. A dense pattern is run once, whatever the placements.
Study grid_of(Flags flags) {
  if (flags.patterns.empty()) flags.patterns = {"dense"};
  if (flags.placements.empty()) flags.placements = {"all"};
  Study study;
  study.axes = {{"pattern", {}}, {"placement", {}}};
  for (const std::string& pattern : flags.patterns) {
    study.axes[0].levels.push_back({pattern, {{"attention.pattern", pattern}}});
    if (pattern != "dense") continue;
    study.excludes.push_back(
        {{"pattern", {"dense"}, false}, {"placement", {flags.placements[0]}, true}});
    study.axes[0].levels.back().settings.emplace_back("attention.layers", "all");
  }
  for (const std::string& placement : flags.placements) {
    study.axes[1].levels.push_back({placement, {{"attention.layers", placement}}});
  }
  return study;
}

Study study_of(const Flags& flags) {
  if (!flags.file.empty() && !(flags.patterns.empty() && flags.placements.empty())) {
    throw ConfigError("ablate", "--pattern and --placement are for studies without a file",
                      "name the levels in the file's section [axes]");
  }
  std::vector<Setting> defines;
  for (const std::string& text : flags.defines) defines.push_back(parse_assignment("define", text));
  Study study = flags.file.empty() ? grid_of(flags) : read_study(flags.file, defines);
  if (!flags.config.empty()) {
    std::vector<Setting> settings = read_settings(flags.config);
    std::erase_if(settings, [](const Setting& each) { return each.first == "train.seed"; });
    study.settings.insert(study.settings.end(), settings.begin(), settings.end());
  }
  if (!flags.seeds.empty()) study.seeds = parse_seeds(flags.seeds);
  if (!flags.budget.empty()) study.budget = parse_duration(flags.budget);
  return study;
}

std::string name_of(const PlannedRun& run) {
  return fmt::format("{}, seed {}", fmt::join(run.levels, ", "), run.seed);
}

void print_plan(const std::vector<PlannedRun>& plan, const fs::path& folder, uint64_t workers) {
  const bool begun = fs::exists(store_path(folder));
  StudyState state;
  StudyEstimate expected;
  if (begun) {
    const RunStore store(store_path(folder));
    state = study_state(plan, store);
    expected = estimate(plan, &store, static_cast<int>(workers));
  } else {
    std::set<std::string> ids;
    for (const PlannedRun& run : plan) ids.insert(run.id);
    state.left = ids.size();
    expected = estimate(plan, nullptr, static_cast<int>(workers));
  }
  const size_t left = state.left + state.failed;
  fmt::print(stderr, "{} runs, {} done before, {} to do", state.done + left, state.done, left);
  if (left > 0) {
    fmt::print(stderr, ": about {} ({}), {} on disk", human_seconds(expected.seconds),
               expected.measured ? "by the runs that are done" : "a first guess",
               human_bytes(expected.bytes));
  }
  fmt::print(stderr, "\n");
}

void list_plan(const std::vector<PlannedRun>& plan) {
  for (const PlannedRun& run : plan) {
    fmt::print("{}  {:<8}  {}\n", run.id, run.kind->name, name_of(run));
  }
}

StudyObserver observer_of(const Flags& flags, const std::vector<PlannedRun>& plan) {
  StudyObserver observer;
  observer.train = print_progress(20);
  if (!flags.verbose) observer.train = {.stop = observer.train.stop};
  observer.begin = [&plan](size_t place, const PlannedRun& run) {
    fmt::print(stderr, "run {}/{}: {}\n", place + 1, plan.size(), name_of(run));
  };
  observer.end = [](const PlannedRun& run, const RunRecord& record) {
    fmt::print(stderr, "  {}: {} {:.4f}, density {:.2f}%, {:.0f} tokens/s, {}\n", name_of(run),
               record.metric, record.value, 100 * record.density, record.tokens_per_second,
               human_seconds(record.seconds));
  };
  observer.failed = [](const PlannedRun& run, const std::string& error) {
    fmt::print(stderr, "  {} failed: {}\n", name_of(run), error);
  };
  observer.waiting = [](const PlannedRun& run) {
    fmt::print(stderr, "  waiting: another process is at {}\n", name_of(run));
  };
  return observer;
}

/// The tables of what is done, printed and as files.
void write_tables(const fs::path& folder) {
  const RunStore store(store_path(folder));
  const StudyTable table = study_table(store);
  write_file(folder / "table.txt", to_text(table));
  write_file(folder / "table.csv", to_csv(table));
  fmt::print("{}", to_text(table));
  const std::optional<StudyRecord> study = store.study();
  if (!study || study->claims.empty()) return;
  const std::vector<Finding> findings = judge(claims_of(*study), table);
  write_file(folder / "claims.csv", to_csv(findings));
  fmt::print("\n{}", to_text(findings));
}

/// Says how it ended; the exit status.
int conclude(const StudyState& state, const fs::path& folder) {
  if (state.done > 0) write_tables(folder);
  if (state.left > 0) {
    fmt::print("{}: {} runs done, {} left; the same command goes on\n",
               state.out_of_budget ? "the budget is spent" : "stopped", state.done, state.left);
  }
  if (state.failed == 0) return 0;
  fmt::print(stderr, "{} runs failed and are not in the table; the same command tries them again\n",
             state.failed);
  return 1;
}

int run(std::span<const std::string> words) {
  Flags flags;
  Options cli("ablate [STUDY.ini] --out FOLDER [--pattern P ..] [--section.key VALUE ..]",
              "Runs a study: every combination of the levels of its axes, with every seed; then "
              "prints\na table. The same command goes on where it was interrupted, also in several "
              "processes\nat once. Without a file the axes are --pattern and --placement.");
  add_options(cli, flags);
  if (!cli.parse(words)) return 0;
  if (flags.workers == 0) throw ConfigError("workers", "expected at least 1, got 0");
  const Study study = study_of(flags);
  const std::vector<PlannedRun> plan = plan_runs(study, cli.settings());
  const fs::path folder = flags.out;
  const StopRequest stop;
  if (!flags.worker) {
    print_plan(plan, folder, flags.workers);
    if (flags.plan_only) return list_plan(plan), 0;
    start_study(study, plan, folder);
  }
  if (flags.workers > 1 && !flags.worker) {
    const bool whole = run_worker_processes(static_cast<int>(flags.workers), words);
    StudyState state = study_state(plan, RunStore(store_path(folder)));
    const int status = conclude(state, folder);
    return whole ? status : 1;
  }
  const StudyState state =
      run_study(study, plan, folder, std::string(kVersion), observer_of(flags, plan));
  return flags.worker ? 0 : conclude(state, folder);
}

const RegisterCommand registered{{"ablate", "a study: a grid of runs, and its table", run}};

}  // namespace

}  // namespace filigree
