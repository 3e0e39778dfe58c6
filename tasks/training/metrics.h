// Metrics: their names and values, and those of classification.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace filigree {

/// Counts of (true class, predicted class), from which every metric follows.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes);
  void add(int64_t truth, int64_t predicted);
  int64_t count(int64_t truth, int64_t predicted) const;
  int64_t total() const { return total_; }

  /// Share of right predictions; 0 without samples.
  double accuracy() const;
  /// Two classes: 2 tp / (2 tp + fp + fn) of class 1, as GLUE. More: the mean of the classes' F1
  /// (macro). 0 where nothing is true or predicted.
  double f1() const;
  /// Matthews correlation, for more than two classes after Gorodkin (2004); 0 if undefined.
  double matthews() const;

 private:
  double f1_of(int64_t c) const;
  int64_t classes_, total_ = 0;
  std::vector<int64_t> counts_;  // (C, C)
};

/// A metric that a task has, and which way is better.
struct MetricKind {
  std::string name;
  bool higher_is_better = true;
};

/// A number under its name.
struct NamedValue {
  std::string name;
  double value = 0;
};

/// What an evaluation found.
struct Metrics {
  double loss = 0;                 ///< mean over the units, nats (or what the task's loss measures)
  std::vector<NamedValue> values;  ///< the task's metrics, in its order
  double density = 1;              ///< mean over layers of the attention's exact density
  std::vector<double> layer_density;  ///< (L) of every layer; empty while degrees are learned
  int64_t units = 0;                  ///< what the loss is a mean over: samples, words, ...
  int64_t samples = 0, tokens = 0;
  double seconds = 0;

  /// "loss", or one of the values. Throws ConfigError that lists the names there are.
  double get(std::string_view name) const;
};

/// True if `a` is better than `b` in this metric. Any number is better than none (NaN).
bool better(const MetricKind& metric, double a, double b);

}  // namespace filigree
