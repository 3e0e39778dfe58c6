#include "tasks/training/metrics.h"

#include <cmath>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

ConfusionMatrix::ConfusionMatrix(int64_t classes)
    : classes_(classes), counts_(static_cast<size_t>(classes * classes)) {}

void ConfusionMatrix::add(int64_t truth, int64_t predicted) {
  ++counts_.at(static_cast<size_t>(truth * classes_ + predicted));
  ++total_;
}

int64_t ConfusionMatrix::count(int64_t truth, int64_t predicted) const {
  return counts_.at(static_cast<size_t>(truth * classes_ + predicted));
}

double ConfusionMatrix::accuracy() const {
  int64_t right = 0;
  for (int64_t c = 0; c < classes_; ++c) right += count(c, c);
  return total_ == 0 ? 0 : static_cast<double>(right) / static_cast<double>(total_);
}

double ConfusionMatrix::f1_of(int64_t c) const {
  int64_t true_or_predicted = 0;
  for (int64_t k = 0; k < classes_; ++k) true_or_predicted += count(c, k) + count(k, c);
  if (true_or_predicted == 0) return 0;
  return 2 * static_cast<double>(count(c, c)) / static_cast<double>(true_or_predicted);
}

double ConfusionMatrix::f1() const {
  if (classes_ == 2) return f1_of(1);
  double sum = 0;
  for (int64_t c = 0; c < classes_; ++c) sum += f1_of(c);
  return sum / static_cast<double>(classes_);
}

double ConfusionMatrix::matthews() const {
  // (n s - sum p_k t_k) / sqrt((n^2 - sum p_k^2)(n^2 - sum t_k^2)), s right ones of n.
  double right = 0, both = 0, predicted_squares = 0, true_squares = 0;
  for (int64_t c = 0; c < classes_; ++c) {
    double predicted = 0, truth = 0;
    for (int64_t k = 0; k < classes_; ++k) {
      predicted += static_cast<double>(count(k, c));
      truth += static_cast<double>(count(c, k));
    }
    right += static_cast<double>(count(c, c));
    both += predicted * truth;
    predicted_squares += predicted * predicted;
    true_squares += truth * truth;
  }
  const auto n = static_cast<double>(total_);
  const double below = std::sqrt((n * n - predicted_squares) * (n * n - true_squares));
  return below == 0 ? 0 : (n * right - both) / below;
}

double Metrics::get(std::string_view name) const {
  if (name == "loss") return loss;
  std::string known;
  for (const NamedValue& each : values) {
    if (each.name == name) return each.value;
    known += each.name + ", ";
  }
  throw ConfigError("metric", fmt::format("expected {}loss, got \"{}\"", known, name));
}

bool better(const MetricKind& metric, double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a);
  return metric.higher_is_better ? a > b : a < b;
}

}  // namespace filigree
