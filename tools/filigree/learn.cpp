// filigree learn: how far every head looks, under a limit on density.
#include "tasks/degrees/learn.h"

#include <fmt/format.h>

#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/run_flags.h"

namespace filigree {

namespace {

void print_stage(const char* name, const StageResult& stage, const std::string& metric) {
  fmt::print("{:<10} loss {:.4f}  {} {:.4f}  density {:.2f}%\n", name, stage.loss, metric,
             stage.metric, 100 * stage.density);
}

void print_result(const LearnResult& result, bool finetuned) {
  print_stage("soft", result.soft, result.metric);
  print_stage("hardened", result.hard, result.metric);
  if (finetuned) print_stage("finetuned", result.finetuned, result.metric);
  fmt::print("attention  {}\nmodel      {}\n", result.pattern, result.model.string());
}

int run(std::span<const std::string> words) {
  Options cli(
      "learn --out FOLDER --data.train FILE --data.dev FILE [--model.init RUN] "
      "[--section.key VALUE ...]",
      "Learns how far every head looks: softly, under a limit on density, then hardened to "
      "windows\nand finetuned. --resume goes on where it was interrupted.");
  RunFlags flags(cli, "soft/config.ini");
  if (!cli.parse(words)) return 0;
  const TrainConfig config = flags.config();
  const StopRequest stop;
  LearnObserver observer;
  observer.train = flags.observer(config);
  observer.begin = [quiet = flags.quiet()](const std::string& stage) {
    if (!quiet) fmt::print(stderr, "--- {}\n", stage);
  };
  observer.hardened = [quiet = flags.quiet()](const LearnedHeads& heads,
                                              const std::vector<HardHead>& hard) {
    if (!quiet) fmt::print(stderr, "{}", to_text(heads, hard));
  };
  const LearnResult result = learn_degrees(config, flags.out(), flags.resume(), observer);
  if (result.stopped) {
    fmt::print("stopped in the stage {}, all saved; go on with: filigree learn --out {} --resume\n",
               result.stage, flags.out());
    return 0;
  }
  print_result(result, config.degrees.finetune > 0);
  return 0;
}

const RegisterCommand registered{
    {"learn", "learn how far every head looks, harden and finetune", run}};

}  // namespace

}  // namespace filigree
