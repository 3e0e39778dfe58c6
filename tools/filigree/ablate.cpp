// filigree ablate: a grid over pattern x placement x seed, and its table.
#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/study/study.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

namespace filigree {

namespace {

std::vector<uint64_t> parse_seeds(const std::string& text) {
  std::vector<uint64_t> seeds;
  for (const std::string& part : split_list(text)) {
    if (part.find_first_not_of("0123456789") != std::string::npos || part.size() > 18) {
      throw ConfigError("seeds", fmt::format("expected whole numbers, got \"{}\"", part),
                        "for example --seeds 1,2,3");
    }
    seeds.push_back(std::stoull(part));
  }
  return seeds;
}

int run(std::span<const std::string> words) {
  std::string out, file, seeds = "1";
  StudyGrid grid;
  bool verbose = false;
  Options cli("ablate --out FOLDER --pattern P ... --data.train FILE --data.dev FILE [settings]",
              "Trains every pattern in every placement with every seed, and prints a table. The "
              "same command\ngoes on where it was interrupted.");
  cli.require("out", out, "folder of the study");
  cli.add("pattern", grid.patterns, "a pattern; may be given several times [dense]");
  cli.add("placement", grid.placements, "layers of the patterns; several times [all]");
  cli.add("seeds", seeds, "seeds, separated by commas [1]");
  cli.add("config", file, "INI file with settings; the command line wins");
  cli.flag("verbose", verbose, "show the progress of every run");
  cli.take_settings(train_config_help);
  if (!cli.parse(words)) return 0;
  for (const std::string& word : cli.settings()) {
    for (const char* own : {"--attention.pattern", "--attention.layers", "--train.seed"}) {
      if (word == own || word.starts_with(std::string(own) + "=")) {
        throw ConfigError("ablate", fmt::format("{} is what the grid sets", own),
                          "use --pattern, --placement and --seeds");
      }
    }
  }
  grid.seeds = parse_seeds(seeds);
  const TrainConfig base = parse_train_config(cli.settings(), file);
  const StopRequest stop;
  StudyObserver observer;
  observer.train = print_progress(base.train.log_every);
  if (!verbose) observer.train = {.stop = observer.train.stop};
  observer.begin = [](size_t number, size_t count, const TrainConfig& config, bool done) {
    fmt::print(stderr, "run {}/{}: {} in {} layers, seed {}{}\n", number + 1, count,
               config.attention.pattern, config.attention.layers, config.train.seed,
               done ? " (done before)" : "");
  };
  observer.end = [](const RunRecord& run) {
    fmt::print(stderr, "  {} {:.4f}, density {:.2f}%, {:.0f} tokens/s, {}\n", run.metric, run.value,
               100 * run.density, run.tokens_per_second, human_seconds(run.seconds));
  };
  int failed = 0;
  observer.failed = [&](const TrainConfig&, const std::string& error) {
    ++failed;
    fmt::print(stderr, "  failed: {}\n", error);
  };
  const std::vector<RunRecord> runs = run_study(base, grid, out, observer);
  if (StopRequest::requested() &&
      static_cast<size_t>(failed) + runs.size() < grid.runs(base).size()) {
    fmt::print("stopped after {} runs, all saved; the same command goes on\n", runs.size());
    return 0;
  }
  const std::vector<StudyRow> rows = summarise(runs);
  const std::string metric = runs.empty() ? base.train.metric : runs.front().metric;
  const std::string table = to_table(rows, metric);
  write_file(out + "/table.txt", table);
  write_file(out + "/table.csv", to_csv(rows, metric));
  fmt::print("{}", table);
  if (failed > 0) {
    fmt::print(stderr,
               "{} runs failed and are not in the table; the same command tries them again\n",
               failed);
    return 1;
  }
  return 0;
}

const RegisterCommand registered{{"ablate", "a grid of patterns, placements, seeds: a table", run}};

}  // namespace

}  // namespace filigree
