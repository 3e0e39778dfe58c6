#include "tasks/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include "attention/degrees/draws.h"
#include "attention/report/flow.h"
#include "autograd/backward.h"
#include "autograd/nan_locator.h"
#include "autograd/ops/arithmetic.h"
#include "core/allocator.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/readback.h"
#include "nn/optimizer.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/attention_setup.h"
#include "tasks/training/degree_training.h"
#include "tasks/training/evaluate.h"
#include "tasks/training/forecast.h"
#include "tasks/training/metrics_log.h"
#include "tasks/training/model_setup.h"
#include "tasks/training/run_lock.h"
#include "tasks/training/run_schedule.h"
#include "tasks/training/step_source.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kMostSkippedInARow = 100;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

SamplerOptions sampler_options(const TrainConfig& config) {
  SamplerOptions options;
  options.token_budget = config.train.batch_tokens;
  options.max_sequences = config.train.max_sequences;
  options.seed = config.order_seed();
  return options;
}

/// One run: everything that its steps share.
class Trainer {
 public:
  Trainer(const TrainConfig& config, fs::path folder, const TrainObserver& observer)
      : folder_(std::move(folder)),
        observer_(observer),
        data_(TokenDataset::open(config.data.train)),
        dev_(TokenDataset::open(config.data.dev)),
        setup_(set_up_model(config.with_absolute_paths(), data_, dev_)),
        plan_(info_.plan()),
        sampler_(data_, sampler_options(config)) {
    set_up_attention(info_, model_.encoder(), data_, [this](const auto& text) { note(text); });
    config_.attention.pattern = info_.pattern;
    plan_ = info_.plan();
    for (const TokenDataset* data : {&data_, &dev_}) expect_attention_fits(plan_, *data);
    checkpoints_.emplace(folder_ / "checkpoints", config.train.keep, config_.hash(data_, dev_));
    optimizer_ = make_optimizer(config.train, setup_);
    schedule_.emplace(config.train, sampler_.batches_per_epoch());
    steps_ = schedule_->steps();
    const TrainConfig::Train& t = config.train;
    const int64_t epoch = std::max<int64_t>(1, sampler_.batches_per_epoch() / t.accumulate);
    if (DegreeLearner* learner = model_.encoder().degrees()) {
      degrees_ = std::make_unique<DegreeTraining>(config_, *learner, setup_.degrees, steps_);
    }
    evaluate_every_ = t.evaluate_every == 0 ? epoch : t.evaluate_every;
    save_every_ = t.save_every == 0 ? evaluate_every_ : t.save_every;
  }

  TrainResult run(bool resume) {
    start(resume);
    if (state_.best_step < 0) evaluate_now();
    StepSource source(config_, data_, sampler_, *setup_.task, plan_,
                      model_.encoder().attention_use(), state_.cursor);
    while (state_.step < steps_ && !out_of_patience() && !result_.stopped) {
      step(source);
      const bool last = state_.step == steps_;
      if (last || state_.step % evaluate_every_ == 0) {
        settle_now();
        evaluate_now();
      }
      result_.stopped = !last && observer_.stop && observer_.stop();
      if (last || out_of_patience() || result_.stopped || state_.step % save_every_ == 0) {
        settle_now();
        save();
      }
    }
    if (evaluated_step_ != state_.step && !result_.stopped) {
      result_.last = evaluate(view(), plan_, dev_);
    }
    if (degrees_ && degrees_->misses_limit(state_.best_density)) {
      note("no model that was evaluated has a loss within degrees.loss: raise it, or learn longer");
    }
    result_.state = state_;
    result_.pattern = info_.pattern;
    result_.metric = metric_.name;
    result_.higher_is_better = metric_.higher_is_better;
    result_.steps = steps_;
    result_.tokens_per_second = speed();
    return result_;
  }

 private:
  void start(bool resume) {
    make_folders(folder_);
    lock_.emplace(folder_);
    std::optional<LoadedCheckpoint> loaded;
    if (resume) loaded = load_latest();
    if (loaded) {
      model_.load_state_dict(loaded->weights);
      const auto [degrees, others] = split_degrees(loaded->optimizer);
      optimizer_->load_state_dict(others);
      if (degrees_) degrees_->load_state_dict(degrees);
      state_ = loaded->state;
      info_.vectors = loaded->vectors;
      plan_ = info_.plan();
      note(fmt::format("resumed after step {} of {}", state_.step, steps_));
    } else if (resume && fs::exists(folder_ / "config.ini")) {
      note("no checkpoint yet: starting at step 0");
    }
    make_folders(folder_ / "best");
    if (!config_.data.tokenizer.empty()) {
      const Tokenizer tokenizer = Tokenizer::load(config_.data.tokenizer);
      data_.expect_tokenizer(tokenizer);
      tokenizer.save(folder_ / "tokenizer.model");
    }
    write_file(folder_ / "config.ini", config_.to_ini());
    if (observer_.settings) observer_.settings(config_);
    log_.emplace(folder_ / "metrics.jsonl", state_.step);
    if (!loaded) {
      for (const std::string& text : setup_.notes) note(text);
    }
    say_what_is_trained();
  }

  void say_what_is_trained() const {
    TrainedShape trained;
    trained.parameters = model_.parameter_count();
    for (const NamedParameters* parameters : {&setup_.learning, &setup_.degrees}) {
      for (const NamedParameter& each : *parameters) trained.learning += each.value.value().numel();
    }
    trained.tokens =
        std::max(std::min(config_.train.batch_tokens, data_.tokens()), data_.longest());
    trained.moments = config_.train.optimizer == "sgd" ? 1 : 2;
    trained.dtype = info_.dtype;
    trained.compute = model_.encoder().compute_dtype();
    trained.rounded = model_.rounded_count();
    trained.recompute = config_.model.recompute;
    const int64_t frozen = trained.parameters - trained.learning;
    note(fmt::format("{}: {} samples, {} tokens, {} steps; {} parameters{}; attention {}",
                     info_.task, data_.size(), data_.tokens(), steps_, trained.parameters,
                     frozen > 0 ? fmt::format(", {} of them frozen", frozen) : "",
                     plan_.describe()));
    note("memory forecast: " + forecast_memory(info_.encoder, trained).describe());
  }

  /// As CheckpointStore's, and says which settings differ, if any do.
  std::optional<LoadedCheckpoint> load_latest() const {
    try {
      return checkpoints_->load_latest([this](const auto& text) { note(text); });
    } catch (const ConfigError&) {
      const fs::path stored = folder_ / "config.ini";
      if (!fs::exists(stored)) throw;
      const std::string differ = config_.difference(parse_train_config({}, stored.string()));
      throw ConfigError(folder_.string(),
                        "the run was made under other settings" +
                            (differ.empty() ? ", or its datasets have changed" : ": " + differ),
                        "resume with the settings and datasets of the run, or train into another "
                        "folder");
    }
  }

  /// Sum of the losses of batch k, divided by the step's units; adds to the gradients. Stays on the
  /// device: reading it waits. between(): when the forward pass has been asked for.
  template <class Between>
  Tensor accumulate(const StepData& data, size_t k, Between between) {
    const Batch& batch = data.batches[k];
    ForwardContext context{true, config_.train.seed, static_cast<uint64_t>(batch.cursor)};
    context.draw_temperature = draw_temperature(state_.step, steps_);
    const LayerGraphs graphs =
        data.graphs.empty() ? graphs_of(batch, plan_, config_) : data.graphs[k];
    if (!std::exchange(graphs_seen_, true)) look_at(graphs);
    const Variable outputs = model_.forward(token_batch(model_, batch), graphs, context);
    const Variable loss =
        scale(setup_.task->loss(model_, outputs, batch), 1.0 / static_cast<double>(data.units));
    between();
    backward(loss);
    return loss.value();
  }

  /// Before the first batch of a run: where information cannot flow, and what observers want.
  void look_at(const LayerGraphs& graphs) {
    const std::string empty = empty_rows_warning(graphs, plan_.pattern());
    if (!empty.empty()) note(empty);
    if (setup_.task->reads_first_token(info_)) {
      const std::string warning = flow_warning(graphs, plan_.pattern());
      if (!warning.empty()) note(warning);
    }
    if (observer_.graphs) {
      observer_.graphs(graphs, model_.encoder().attention_use(),
                       parse_device(config_.train.device));
    }
  }

  /// A step that has been asked for, and what is known of it.
  struct AskedStep {
    StepData data;
    Progress progress;
    bool refused = false;  // its update was not asked for
  };

  void step(StepSource& source) {
    clock_ = Clock::now();
    AskedStep asked;
    std::vector<Tensor> losses;
    const bool more = state_.step + 1 < steps_;
    try {
      asked.data = source.next();
      for (size_t k = 0; k < asked.data.batches.size(); ++k) {
        const bool waits = degrees_ && k + 1 == asked.data.batches.size();
        losses.push_back(accumulate(asked.data, k, [&] {
          if (waits && more) source.look_ahead();  // backward, it waits for the degrees' gradient
        }));
      }
    } catch (...) {
      settle_now();  // what the step before has to tell comes first
      throw;
    }
    if (more) source.look_ahead();
    settle();  // the step before, which the device has done meanwhile
    asked.progress.step = state_.step + 1;
    asked.progress.learning_rate = schedule_->learning_rate(state_.step);
    const Tensor numbers = optimizer_->judge(losses, config_.train.clip);
    if (!numbers_) numbers_.emplace(numbers.shape(), numbers.dtype(), numbers.device());
    numbers_->start(numbers);
    if (degrees_) {
      asked.progress.density =
          degrees_->add_objective(state_.step, numbers_->get().at(1), asked.data.batches);
      asked.refused = !std::isfinite(degrees_->gradient_norm());
    }
    if (!asked.refused) optimizer_->step(asked.progress.learning_rate, numbers);
    asked.data.graphs.clear();  // the device has been told all that they say
    asked_ = std::move(asked);
    if (degrees_ || device_.is_cpu()) settle();  // nothing is gained by waiting
    zero_grad();
    ++state_.step;
    state_.cursor += config_.train.accumulate;
    charge();
  }

  /// Reads how the step that was asked for went, and does what follows from it. On a device that is
  /// behind the next step's passes, so that it always has work.
  void settle() {
    if (!asked_) return;
    const AskedStep asked = *std::exchange(asked_, std::nullopt);
    Progress progress = asked.progress;
    state_.tokens += asked.data.tokens;
    const Tensor& numbers = numbers_->get();
    progress.gradient_norm = std::sqrt(numbers.at(0));
    progress.loss = numbers.at(1);
    if (!asked.refused && std::isfinite(progress.gradient_norm) && std::isfinite(progress.loss)) {
      state_.skipped_in_a_row = 0;
      if (degrees_) degrees_->step(progress.step - 1, progress.density, progress.loss);
    } else {
      if (!asked.refused) optimizer_->take_back();
      on_not_finite(asked);
    }
    charge();
    report(progress);
    clock_ = Clock::now();  // telling is no training
  }
  void settle_now() {
    clock_ = Clock::now();
    settle();
  }
  /// Adds the time since the clock was set to the run's, and sets it.
  void charge() {
    state_.seconds += seconds_since(clock_);
    clock_ = Clock::now();
  }
  void zero_grad() {
    optimizer_->zero_grad();
    if (degrees_) degrees_->zero_grad();
  }

  void on_not_finite(const AskedStep& asked) {
    if (config_.train.nan == "skip" && ++state_.skipped_in_a_row <= kMostSkippedInARow) {
      ++state_.skipped_steps;
      note(fmt::format("step {}: loss or gradient is not finite; skipped", asked.progress.step));
      return;
    }
    zero_grad();
    {  // once more, with every op watched: the error names op and module
      const DetectNaN detect;
      for (size_t k = 0; k < asked.data.batches.size(); ++k) accumulate(asked.data, k, [] {});
    }
    throw NumericError(fmt::format("step {}", asked.progress.step), "the gradient norm overflows",
                       "lower train.lr or train.clip, or train with train.nan = skip");
  }

  void report(Progress& progress) {
    progress.steps = steps_;
    progress.tokens_per_second = speed();
    progress.memory = memory_stats(device_).in_use;
    progress.seconds_left = static_cast<double>(steps_ - progress.step) * state_.seconds /
                            static_cast<double>(progress.step);
    if (progress.step % config_.train.log_every == 0 || progress.step == steps_) {
      const double multiplier = degrees_ ? degrees_->state().multiplier : 0;
      log_->write_step(progress, memory_stats(device_).peak, multiplier);
    }
    if (observer_.step) observer_.step(progress);
  }

  void evaluate_now() {
    result_.last = evaluate(view(), plan_, dev_);
    evaluated_step_ = state_.step;
    const double value = result_.last.get(metric_.name);
    if (!std::isfinite(result_.last.loss) && config_.train.nan == "stop") {
      throw NumericError("evaluation",
                         fmt::format("the loss at step {} is {}", state_.step, result_.last.loss),
                         "lower the learning rate or model.init_std; --train.nan skip goes on");
    }
    const bool best =
        state_.best_step < 0 || (degrees_ ? degrees_->keeps(result_.last, state_.best_density)
                                          : better(metric_, value, state_.best_metric));
    if (best) {
      state_.best_step = state_.step;
      state_.best_metric = value;
      state_.without_gain = 0;
      result_.best = result_.last;
      save_model(folder_ / "best" / "model.safetensors", info_, model_.state_dict());
    } else {
      ++state_.without_gain;
    }
    log_->write_evaluation(state_.step, result_.last, best);
    if (observer_.evaluated) observer_.evaluated(state_.step, result_.last, best);
  }

  bool out_of_patience() const {
    return config_.train.patience > 0 && state_.without_gain >= config_.train.patience;
  }
  double speed() const {
    return state_.seconds == 0 ? 0 : static_cast<double>(state_.tokens) / state_.seconds;
  }
  void save() {
    StateDict optimizer = optimizer_->state_dict();
    if (degrees_) optimizer.merge(degrees_->state_dict());
    checkpoints_->save(state_, info_, model_.state_dict(), optimizer);
  }
  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }

  ModelView view() const { return {info_, *setup_.task, model_}; }

  fs::path folder_;
  const TrainObserver& observer_;
  TokenDataset data_, dev_;
  ModelSetup setup_;
  TrainConfig& config_ = setup_.config;  // with the pattern that a match:density gave
  ModelInfo& info_ = setup_.info;
  Model& model_ = *setup_.model;
  const MetricKind& metric_ = setup_.metric;
  AttentionPlan plan_;
  Sampler sampler_;
  std::optional<CheckpointStore> checkpoints_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<DegreeTraining> degrees_;  // null where they are not learned
  std::optional<RunSchedule> schedule_;
  int64_t steps_ = 0;
  int64_t evaluate_every_ = 1, save_every_ = 1, evaluated_step_ = -1;
  bool graphs_seen_ = false;
  Device device_ = parse_device(config_.train.device);
  std::optional<AskedStep> asked_;
  std::optional<Readback> numbers_;  // of Optimizer::judge()
  Clock::time_point clock_;
  TrainState state_;
  TrainResult result_;
  std::optional<MetricsLog> log_;
  std::optional<RunLock> lock_;
};

}  // namespace

TrainResult train(const TrainConfig& config, const fs::path& folder, bool resume,
                  const TrainObserver& observer) {
  config.validate();
  // Settings alone are left by a start that failed.
  const bool holds_run =
      fs::exists(folder / "checkpoints") || fs::exists(folder / "best" / "model.safetensors");
  if (!resume && fs::exists(folder / "config.ini") && holds_run) {
    throw ConfigError(folder.string(), "the folder already holds a run",
                      "go on with --resume, or give another --out");
  }
  if (config.train.threads > 0) set_thread_count(config.train.threads);
  return Trainer(config, folder, observer).run(resume);
}

}  // namespace filigree
