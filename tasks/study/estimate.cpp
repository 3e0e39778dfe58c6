#include "tasks/study/estimate.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "core/kernels/matmul.h"
#include "tasks/study/study_plan.h"

namespace filigree {

namespace {

// Speed of training over that of a large matrix product, with operations as counted here (attention
// as if it were dense): what makes the guess right for tasks/studies/masks_minutes.ini.
constexpr double kShareOfPeak = 0.7;

/// Multiplications and additions a second of a matrix product here.
double matmul_speed() {
  const Tensor a = Tensor::full(Shape{1024, 512}, 1), b = Tensor::full(Shape{512, 512}, 1);
  Tensor c(Shape{1024, 512});
  kernels::matmul(a, b, {}, c);
  const auto start = std::chrono::steady_clock::now();
  std::chrono::duration<double> spent{0};
  double operations = 0;
  while (spent.count() < 0.1) {
    kernels::matmul(a, b, {}, c);
    operations += 2.0 * 1024 * 512 * 512;
    spent = std::chrono::steady_clock::now() - start;
  }
  return operations / spent.count();
}

int64_t parameter_count(const EncoderConfig& config) {
  const int64_t E = config.width, F = config.ffn;
  const int64_t layer = 4 * E * E + 2 * E * F + 9 * E + F;
  return (config.vocabulary + config.max_positions) * E + config.layers * layer + E * E;
}

}  // namespace

RunCost cost_of(const TrainConfig& config, const EncoderConfig& encoder, const TokenDataset& train,
                const TokenDataset& dev, double work) {
  const auto E = static_cast<double>(encoder.width), F = static_cast<double>(encoder.ffn);
  const auto L = static_cast<double>(encoder.layers);
  const auto a_token = [&](const TokenDataset& data) {
    const double length =
        static_cast<double>(data.tokens()) / static_cast<double>(std::max<int64_t>(1, data.size()));
    return 6 * L * (4 * E * E + 2 * E * F) + 12 * L * E * length;
  };
  const auto in_pass = static_cast<double>(train.tokens());
  const auto a_step = static_cast<double>(config.train.batch_tokens * config.train.accumulate);
  const double tokens =
      work * (config.train.steps > 0 ? static_cast<double>(config.train.steps) * a_step
                                     : config.train.epochs * in_pass);
  const double between = config.train.evaluate_every > 0
                             ? static_cast<double>(config.train.evaluate_every) * a_step
                             : in_pass;
  const double evaluations = 1 + std::max(1.0, tokens / std::max(1.0, between));
  RunCost cost;
  cost.operations =
      tokens * a_token(train) + evaluations * static_cast<double>(dev.tokens()) * a_token(dev) / 3;
  const int64_t model = parameter_count(encoder) * (config.model.precision == "f64" ? 8 : 4);
  cost.bytes = model;
  cost.working = 3 * model * config.train.keep;  // weights and two moments each
  return cost;
}

StudyEstimate estimate(const std::vector<PlannedRun>& plan, const RunStore* store, int workers) {
  std::map<std::string, double> seconds;  // of runs that are done
  if (store != nullptr) {
    for (const RunRecord& run : store->all()) seconds[run.id] = run.seconds;
  }
  StudyEstimate result;
  double done_operations = 0, done_seconds = 0, left = 0;
  int64_t working = 0;
  std::set<std::string> seen;
  for (const PlannedRun& run : plan) {
    if (!seen.insert(run.id).second) continue;
    const auto done = seconds.find(run.id);
    if (done != seconds.end()) {
      done_operations += run.cost.operations;
      done_seconds += done->second;
      continue;
    }
    left += run.cost.operations;
    result.bytes += run.cost.bytes;
    working = std::max(working, run.cost.working);
  }
  if (left == 0) return result;
  result.bytes += working * workers;
  result.measured = done_seconds > 0;
  // Processes share the cores: runs of the store were made so, a matrix product had all of them.
  const double speed =
      result.measured ? done_operations / done_seconds * workers : matmul_speed() * kShareOfPeak;
  result.seconds = left / speed;
  return result;
}

}  // namespace filigree
