// Metrics of classification.
#pragma once

#include <cstdint>
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

/// What an evaluation found.
struct Metrics {
  double loss = 0;  ///< mean cross-entropy, nats a sample
  double accuracy = 0, f1 = 0, matthews = 0;
  double density = 1;  ///< mean over layers of the attention's exact density
  int64_t samples = 0, tokens = 0;
  double seconds = 0;

  /// "accuracy", "f1", "matthews" or "loss".
  double get(std::string_view name) const;
};

/// True if `a` is better than `b` in this metric.
bool better(std::string_view metric, double a, double b);

}  // namespace filigree
