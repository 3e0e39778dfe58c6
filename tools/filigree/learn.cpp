// filigree learn: how far every head looks, under a limit on density.
#include "tasks/degrees/learn.h"

#include <fmt/format.h>

#include "core/error.h"
#include "tasks/training/stop_request.h"
#include "tools/filigree/command.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

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
  std::string out, file;
  bool resume = false, quiet = false;
  Options cli(
      "learn --out FOLDER --data.train FILE --data.dev FILE [--model.init RUN] "
      "[--section.key VALUE ...]",
      "Learns how far every head looks: softly, under a limit on density, then hardened to "
      "windows\nand finetuned. --resume goes on where it was interrupted.");
  cli.require("out", out, "folder of all stages");
  cli.add("config", file, "INI file with settings; the command line wins");
  cli.flag("resume", resume, "go on in the folder");
  cli.flag("quiet", quiet, "print the result only");
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
  const StopRequest stop;
  LearnObserver observer;
  observer.train = print_progress(config.train.log_every);
  if (quiet) observer.train = {.stop = observer.train.stop};
  observer.begin = [quiet](const std::string& stage) {
    if (!quiet) fmt::print(stderr, "--- {}\n", stage);
  };
  observer.hardened = [quiet](const LearnedHeads& heads, const std::vector<HardHead>& hard) {
    if (!quiet) fmt::print(stderr, "{}", to_text(heads, hard));
  };
  const LearnResult result = learn_degrees(config, out, resume, observer);
  if (result.stopped) {
    fmt::print("stopped in the stage {}, all saved; go on with: filigree learn --out {} --resume\n",
               result.stage, out);
    return 0;
  }
  print_result(result, config.degrees.finetune > 0);
  return 0;
}

const RegisterCommand registered{
    {"learn", "learn how far every head looks, harden and finetune", run}};

}  // namespace

}  // namespace filigree
