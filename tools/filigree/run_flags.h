// The options of commands that train into a folder.
#pragma once

#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "tasks/training/train_config.h"
#include "tools/filigree/options.h"
#include "tools/filigree/progress.h"

namespace filigree {

/// --out, --config, --resume, --quiet and the settings of training.
class RunFlags {
 public:
  /// `stored`: where a run keeps its settings, below its folder.
  explicit RunFlags(Options& cli, std::string stored = "config.ini")
      : cli_(cli), stored_(std::move(stored)) {
    cli.require("out", out_, "folder of the run");
    cli.add("config", file_, "INI file with settings; the command line wins");
    cli.add("device", device_, "where to compute: cpu, cuda or cuda:N; as --train.device");
    cli.flag("resume", resume_, "go on where the run in the folder was interrupted");
    cli.flag("quiet", quiet_, "print the result only");
    cli.take_settings(train_config_help);
  }

  /// After Options::parse(): the settings, with --resume those of the run unless a file is given.
  /// Throws ConfigError, also if there is no run to go on with.
  TrainConfig config() const {
    std::vector<std::string> words = cli_.settings();
    if (!device_.empty()) words.insert(words.end(), {"--train.device", device_});
    if (!resume_ || !file_.empty()) return parse_train_config(words, file_);
    const std::string stored = out_ + "/" + stored_;
    if (!std::filesystem::exists(stored)) {
      throw ConfigError("resume", fmt::format("{} holds no run", out_),
                        "check the folder, or start without --resume");
    }
    return parse_train_config(words, stored);
  }
  /// What is shown of a training.
  TrainObserver observer(const TrainConfig& config) const {
    const TrainObserver shown = print_progress(config.train.log_every);
    return quiet_ ? TrainObserver{.stop = shown.stop} : shown;
  }

  const std::string& out() const { return out_; }
  bool resume() const { return resume_; }
  bool quiet() const { return quiet_; }

 private:
  Options& cli_;
  std::string stored_, out_, file_, device_;
  bool resume_ = false, quiet_ = false;
};

}  // namespace filigree
