// filigree train
#include <fmt/format.h>

#include "attention/explain.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/run_flags.h"

namespace filigree {

namespace {

int run(std::span<const std::string> words) {
  bool explained = false;
  Options cli("train --out FOLDER --data.train FILE --data.dev FILE [--section.key VALUE ...]",
              "Trains a model for the task of its dataset. --resume goes on with a run that was "
              "interrupted.");
  RunFlags flags(cli);
  cli.flag("explain", explained,
           "print which kernel computes the first batch's attention, and why");
  if (!cli.parse(words)) return 0;
  const TrainConfig config = flags.config();
  config.validate();
  const StopRequest stop;
  TrainObserver observer = flags.observer(config);
  if (explained) {
    observer.graphs = [](const LayerGraphs& graphs, const AttentionUse& use, Device device) {
      fmt::print(stderr, "{}", to_text(explain(graphs, use, device)));
    };
  }
  if (!flags.quiet()) {
    observer.settings = [](const TrainConfig& resolved) {
      fmt::print(stderr, "{}\n", resolved.to_ini());
    };
  }
  const TrainResult result = train(config, flags.out(), flags.resume(), observer);
  if (result.stopped) {
    fmt::print(
        "stopped after step {} of {}, all saved; go on with: filigree train --out {} "
        "--resume\n",
        result.state.step, result.steps, flags.out());
    return 0;
  }
  fmt::print(
      "{} {:.4f} at step {} (density {:.2f}%, {} steps, {}, {:.0f} tokens/s); model: "
      "{}/best/model.safetensors\n",
      result.metric, result.state.best_metric, result.state.best_step, 100 * result.last.density,
      result.state.step, human_seconds(result.state.seconds), result.tokens_per_second,
      flags.out());
  return 0;
}

const RegisterCommand registered{{"train", "train a model on a tokenized dataset", run}};

}  // namespace

}  // namespace filigree
