// filigree train
#include <fmt/format.h>

#include "attention/explain.h"
#include "core/error.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  std::string out, file;
  bool resume = false, quiet = false, explained = false;
  Options cli("train --out FOLDER --data.train FILE --data.dev FILE [--section.key VALUE ...]",
              "Trains a model for the task of its dataset. --resume goes on with a run that was "
              "interrupted.");
  cli.require("out", out, "folder of the run");
  cli.add("config", file, "INI file with settings; the command line wins");
  cli.flag("resume", resume, "go on from the newest whole checkpoint in the folder");
  cli.flag("quiet", quiet, "print the result only");
  cli.flag("explain", explained,
           "print which kernel computes the first batch's attention, and why");
  cli.take_settings(train_config_help);
  if (!cli.parse(words)) return 0;
  const std::string stored = out + "/config.ini";
  if (resume && file.empty()) {
    if (!std::filesystem::exists(stored)) {
      throw ConfigError("resume", fmt::format("{} holds no run", out),
                        "check the folder, or start without --resume");
    }
    file = stored;
  }
  const TrainConfig config = parse_train_config(cli.settings(), file);
  config.validate();
  const StopRequest stop;
  TrainObserver observer = print_progress(config.train.log_every);
  if (quiet) observer.step = nullptr, observer.evaluated = nullptr, observer.note = nullptr;
  if (explained) {
    observer.graphs = [](const LayerGraphs& graphs, DType dtype, int64_t head_dim) {
      fmt::print(stderr, "{}", to_text(explain(graphs, dtype, head_dim)));
    };
  }
  if (!quiet) {
    observer.settings = [](const TrainConfig& resolved) {
      fmt::print(stderr, "{}\n", resolved.to_ini());
    };
  }
  const TrainResult result = train(config, out, resume, observer);
  if (result.stopped) {
    fmt::print(
        "stopped after step {} of {}, all saved; go on with: filigree train --out {} "
        "--resume\n",
        result.state.step, result.steps, out);
    return 0;
  }
  fmt::print(
      "{} {:.4f} at step {} (density {:.2f}%, {} steps, {}, {:.0f} tokens/s); model: "
      "{}/best/model.safetensors\n",
      result.metric, result.state.best_metric, result.state.best_step, 100 * result.last.density,
      result.state.step, human_seconds(result.state.seconds), result.tokens_per_second, out);
  return 0;
}

const RegisterCommand registered{{"train", "train a model on a tokenized dataset", run}};

}  // namespace

}  // namespace filigree
