#include "tasks/training/degree_training.h"

#include <cmath>
#include <string>

#include "attention/degrees/progress.h"
#include "autograd/backward.h"
#include "autograd/ops/arithmetic.h"
#include "core/error.h"
#include "tasks/training/degree_attention.h"

namespace filigree {

namespace {

constexpr std::string_view kPrefix = "degrees.";
constexpr const char* kMultiplier = "degrees.multiplier";

}  // namespace

std::pair<StateDict, StateDict> split_degrees(const StateDict& state) {
  std::pair<StateDict, StateDict> parts;
  for (const auto& [name, tensor] : state) {
    (name.starts_with(kPrefix) ? parts.first : parts.second)[name] = tensor;
  }
  return parts;
}

DegreeTraining::DegreeTraining(const TrainConfig& config, DegreeLearner& learner,
                               NamedParameters parameters, int64_t steps)
    : settings_(config.degrees),
      learner_(learner),
      objective_(config.objective(steps)),
      optimizer_(make_adamw(std::move(parameters), {.beta2 = 0.95, .weight_decay = 0})) {}

double DegreeTraining::add_objective(int64_t step, double task_loss,
                                     std::span<const Batch> batches) {
  const DegreeConfig& degrees = learner_.shape().config;
  DistanceCounts counts(degrees.reach);
  for (const Batch& batch : batches) counts.add(count_pairs(degrees, batch));
  const Variable density = expected_density(learner_, counts);
  const double rho = density.value().item();
  Variable objective = scale(density, objective_.at(step, rho, task_loss, state_).slope);
  const double kappa = settings_.entropy * progress_of(step, objective_.steps);
  if (const Variable entropy = kappa > 0 ? learner_.mean_entropy() : Variable();
      entropy.defined()) {
    objective = add(objective, scale(entropy, kappa));
  }
  backward(objective);
  return rho;
}

void DegreeTraining::step(int64_t step, double density, double task_loss) {
  if (static_cast<double>(step) >= settings_.hold * static_cast<double>(objective_.steps)) {
    const double norm = gradient_norm();
    const bool clipped = settings_.clip > 0 && norm > settings_.clip;
    optimizer_->step(settings_.lr, clipped ? settings_.clip / norm : 1);
    learner_.project();
  }
  objective_.advance(step, density, task_loss, state_);
}

bool DegreeTraining::keeps(const Metrics& now, double& best_density) const {
  if (!has_limit()) return true;
  const bool first = best_density > 1;
  const bool sparser = now.loss <= settings_.loss && now.density < best_density;
  if (sparser) best_density = now.density;
  return sparser || first;
}

StateDict DegreeTraining::state_dict() const {
  StateDict state;
  for (const auto& [name, tensor] : optimizer_->state_dict()) {
    state[std::string(kPrefix) + name] = tensor;
  }
  state[kMultiplier] = Tensor::scalar(state_.multiplier, DType::f64);
  return state;
}

void DegreeTraining::load_state_dict(const StateDict& state) {
  StateDict optimizer = split_degrees(state).first;
  const auto multiplier = optimizer.find(kMultiplier);
  if (multiplier == optimizer.end()) {
    throw CheckpointError("optimizer", std::string("the state lacks ") + kMultiplier,
                          "the checkpoint was made without learned degrees");
  }
  const double value = multiplier->second.item();
  optimizer.erase(multiplier);
  StateDict own;
  for (const auto& [name, tensor] : optimizer) own[name.substr(kPrefix.size())] = tensor;
  optimizer_->load_state_dict(own);
  state_.multiplier = value;
}

}  // namespace filigree
