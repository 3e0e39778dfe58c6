#include "tasks/degrees/learn.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "attention/degrees/water_filling.h"
#include "core/error.h"
#include "core/file.h"
#include "tasks/degrees/degree_plot.h"
#include "tasks/degrees/hard_heads.h"
#include "tasks/degrees/learned_json.h"
#include "tasks/training/degree_attention.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/run_lock.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

StageResult stage_result(const Metrics& metrics, const std::string& metric) {
  return {metrics.loss, metrics.get(metric), metrics.density};
}

TrainConfig with_learner(TrainConfig config) {
  if (config.degrees.learner.empty()) config.degrees.learner = "degrees";
  return config;
}

/// Takes the head of model.init along where nothing is said and it is for the same task.
TrainConfig with_head(TrainConfig config) {
  const bool said =
      std::find(config.given.begin(), config.given.end(), "model.init_head") != config.given.end();
  if (said || config.model.init.empty()) return config;
  const std::string task = config.train.task.empty()
                               ? TokenDataset::open(config.data.train).info().task
                               : config.train.task;
  config.model.init_head = read_model_info(find_model(config.model.init)).task == task;
  return config;
}

/// Of the ensemble that goes on from the soft model: target or price hold from the start.
TrainConfig irregular_config(TrainConfig config, const fs::path& soft, int64_t steps) {
  config.degrees.draws = true;
  config.degrees.anneal = config.degrees.hold = 0;
  config.model.init = soft.string();
  config.model.init_head = true;
  config.train.steps = steps;
  return config;
}

/// Of the hardened model: nothing is learned of degrees, and its own attention.
TrainConfig finetune_config(TrainConfig config, const fs::path& hard, const ModelInfo& info,
                            int64_t steps) {
  config.degrees = {};
  config.model.init = hard.string();
  config.model.init_head = true;
  config.attention = {info.pattern, info.layers, info.heads};
  config.train.steps = steps;
  return config;
}

/// One learning of degrees: its stages share this.
class Learning {
 public:
  Learning(const TrainConfig& config, fs::path folder, bool resume, const LearnObserver& observer)
      : config_(with_head(with_learner(config.with_absolute_paths()))),
        folder_(std::move(folder)),
        resume_(resume),
        observer_(observer) {}

  LearnResult run() {
    expect_target();
    begin("soft");
    const TrainResult soft = train_in("soft", part_of_schedule(config_, 0, 1));
    result_.metric = soft.metric;
    if (result_.stopped) return result_;
    result_.soft = result_of(soft, folder_ / "soft");
    std::string learned = "soft";

    if (const int64_t steps = share_of(soft.steps, config_.degrees.irregular); steps > 0) {
      begin(learned = "irregular");
      const TrainResult irregular =
          train_in(learned, part_of_schedule(irregular_config(config_, folder_ / "soft", steps), 1,
                                             config_.degrees.irregular));
      if (result_.stopped) return result_;
      result_.soft = result_of(irregular, folder_ / learned);
    }

    begin("harden");
    const ModelInfo hard = harden_model(folder_ / learned);
    const int64_t steps = share_of(soft.steps, config_.degrees.finetune);
    if (steps == 0) {
      finish(folder_ / "hard" / "model.safetensors");
      result_.finetuned = result_.hard;
      return result_;
    }

    begin("finetune");
    TrainConfig config = finetune_config(config_, folder_ / "hard", hard, steps);
    config.train.lr *= config_.degrees.finetune_lr;
    const TrainResult finetuned =
        train_in("finetune",
                 part_of_schedule(config, 1 + config_.degrees.irregular, config_.degrees.finetune));
    if (result_.stopped) return result_;
    finish(folder_ / "finetune" / "best" / "model.safetensors");
    result_.finetuned = result_of(finetuned, folder_ / "finetune");
    return result_;
  }

 private:
  /// Before anything is trained: a target below what is always on cannot be met.
  void expect_target() const {
    if (config_.objective(1).kind != ObjectiveKind::target) return;
    DegreeConfig nearest;
    nearest.learner = config_.degrees.learner;
    nearest.reach = 1;  // what is always on is the same for all
    nearest.globals = config_.degrees.globals;
    count_pairs(nearest, TokenDataset::open(config_.data.train))
        .expect_feasible("degrees.density", config_.degrees.density);
  }

  /// A stage's part of the one schedule, if there is one: `before` and `own` in soft stages.
  TrainConfig part_of_schedule(TrainConfig config, double before, double own) const {
    const auto& degrees = config_.degrees;
    if (!degrees.one_schedule) return config;
    const double whole = 1 + degrees.irregular + degrees.finetune;
    config.train.schedule_from = before / whole;
    config.train.schedule_to = (before + own) / whole;
    return config;
  }

  static int64_t share_of(int64_t steps, double share) {
    return std::llround(share * static_cast<double>(steps));
  }

  void begin(const std::string& stage) {
    result_.stage = stage;
    if (observer_.begin) observer_.begin(stage);
  }

  TrainResult train_in(const std::string& stage, const TrainConfig& config) {
    const fs::path folder = folder_ / stage;
    const TrainResult result =
        train(config, folder, resume_ && fs::exists(folder / "config.ini"), observer_.train);
    result_.stopped = result.stopped;
    result_.last = result;
    result_.steps += result.state.step;
    result_.seconds += result.state.seconds;
    return result;
  }

  /// The metrics of a run's best model, which may have been found before an interruption.
  StageResult result_of(const TrainResult& run, const fs::path& folder) const {
    return run.best.samples > 0 ? stage_result(run.best, result_.metric)
                                : evaluated(find_model(folder));
  }

  /// The metrics of a model file on the data that models are evaluated on.
  StageResult evaluated(const fs::path& path) const {
    const LoadedModel loaded = load_model(path, parse_device(config_.train.device));
    const TokenDataset dev = TokenDataset::open(config_.data.dev);
    return stage_result(evaluate(loaded, loaded.info.plan(), dev), result_.metric);
  }

  /// Writes the hard model and what was learned.
  ModelInfo harden_model(const fs::path& run) {
    const LoadedModel soft = load_model(find_model(run));
    const DegreeLearner& learner = *soft.model->encoder().degrees();
    const DegreeConfig& degrees = learner.shape().config;
    const TokenDataset data = TokenDataset::open(config_.data.train);
    const DistanceCounts counts = count_pairs(degrees, data);
    const LearnedHeads heads = learned_heads(learner, counts);
    HardenOptions options{&counts, 0, config_.train.seed};
    options.budget = edge_budget(goal(heads), counts, static_cast<int64_t>(heads.all.size()));
    const std::vector<HardHead> hard = harden_heads(config_.degrees.harden, heads, options);

    ModelInfo info = soft.info;
    info.encoder.degrees = {};
    info.pattern = result_.pattern = hard_pattern(hard, heads.heads, degrees.globals);
    StateDict weights = soft.model->state_dict();
    std::erase_if(weights, [](const auto& each) { return is_degree_parameter(each.first); });
    const fs::path path = folder_ / "hard" / "model.safetensors";
    make_folders(path.parent_path());
    save_model(path, info, weights);
    result_.hard = evaluated(path);
    write_file(folder_ / "degrees.txt", to_text(heads, hard));
    write_file(folder_ / "degrees.json", to_json(heads, hard, info.pattern) + "\n");
    draw(heads, hard);
    if (observer_.hardened) observer_.hardened(heads, hard);
    return info;
  }

  void draw(const LearnedHeads& heads, const std::vector<HardHead>& hard) const {
    const fs::path script = folder_ / "degrees.gp";
    write_file(script, plot_script(heads, hard, fs::absolute(folder_) / "degrees.svg"));
    if (!run_gnuplot(script) && observer_.train.note) {
      observer_.train.note(
          fmt::format("no picture: install gnuplot, then run gnuplot {}", script.string()));
    }
  }

  /// The density that is hardened to.
  double goal(const LearnedHeads& heads) const {
    return config_.objective(1).kind == ObjectiveKind::target ? config_.degrees.density
                                                              : heads.density;
  }

  void finish(const fs::path& model) {
    result_.model = folder_ / "model.safetensors";
    write_file(result_.model, read_file(model));
    if (fs::exists(folder_ / "soft" / "tokenizer.model")) {
      write_file(folder_ / "tokenizer.model", read_file(folder_ / "soft" / "tokenizer.model"));
    }
  }

  TrainConfig config_;
  fs::path folder_;
  bool resume_;
  const LearnObserver& observer_;
  LearnResult result_;
};

}  // namespace

LearnResult learn_degrees(const TrainConfig& config, const fs::path& folder, bool resume,
                          const LearnObserver& observer) {
  with_learner(config).validate();
  // Settings alone are left by a start that failed.
  const fs::path soft = folder / "soft";
  const bool holds_run =
      fs::exists(soft / "checkpoints") || fs::exists(soft / "best" / "model.safetensors");
  if (!resume && holds_run) {
    throw ConfigError(folder.string(), "the folder already holds a run",
                      "go on with --resume, or give another --out");
  }
  make_folders(folder);
  const RunLock lock(folder);
  return Learning(config, folder, resume, observer).run();
}

}  // namespace filigree
