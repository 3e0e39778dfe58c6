// A run by `filigree learn`: what counts is the finished model.
#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/degrees/learn.h"
#include "tasks/study/kinds.h"

namespace filigree {

namespace {

void check(const TrainConfig& config) {
  TrainConfig learned = config;
  if (learned.degrees.learner.empty()) learned.degrees.learner = "degrees";
  learned.validate();
  if (config.degrees.finetune <= 0) {
    throw ConfigError("degrees.finetune", "a study's learned runs are finetuned",
                      "give a share of the steps above 0");
  }
}

/// What comes after the soft stage.
std::string identity(const TrainConfig& config) {
  const auto& degrees = config.degrees;
  return fmt::format("learn {} {} {} {} {} {} {}", degrees.learner, degrees.irregular,
                     degrees.harden, degrees.density, degrees.finetune, degrees.finetune_lr,
                     degrees.one_schedule);
}

double work(const TrainConfig& config) {
  return 1 + config.degrees.irregular + config.degrees.finetune;
}

RunRecord run(const RunRequest& request, bool& stopped) {
  LearnObserver observer;
  observer.train = request.observer;
  const LearnResult result = learn_degrees(request.config, request.folder, true, observer);
  stopped = result.stopped;
  if (stopped) return {};
  const std::filesystem::path finished = request.folder / "finetune";
  RunRecord run = record_of(parse_train_config({}, finished / "config.ini"), result.last, finished);
  run.steps = result.steps;
  run.seconds = result.seconds;
  run.details.degrees = read_file(request.folder / "degrees.json");
  return run;
}

}  // namespace

const RunKind kLearnKind{"learn", "as `filigree learn`", false, check, identity, work, run};

}  // namespace filigree
