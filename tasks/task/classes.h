// What tasks with classes share: the counts of an evaluation, and the labels of a file.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tasks/task/task.h"

namespace filigree {

/// Rows of softmax(logits): (N, C) to N rows of C probabilities, each the exponential of its
/// log-softmax.
std::vector<std::vector<double>> probabilities_of(const Tensor& logits);

/// Mean cross-entropy and the confusion of the rows of some logits.
class ClassCounts {
 public:
  explicit ClassCounts(int64_t classes) : confusion_(classes) {}
  /// logits (N, C), labels (N); a row with label -1 is not counted.
  void add(const Tensor& logits, std::span<const int32_t> labels);
  const ConfusionMatrix& confusion() const { return confusion_; }
  /// Nats a row; 0 without rows.
  double loss() const;

 private:
  ConfusionMatrix confusion_;
  double loss_ = 0;
};

/// Names of classes as they come, or as they are known.
class LabelNames {
 public:
  /// Throws ConfigError for a label that is named twice, and a map to a class that is not known.
  explicit LabelNames(const TargetOptions& options);
  /// The class of a label as it stands in the file; -1: left out. Throws DataError at `where` for
  /// an unknown one, with those that are known.
  int32_t number(const std::string& where, const std::string& label);
  /// Forgets names that came after there were `count`.
  void shrink(size_t count) { names_.resize(std::min(count, names_.size())); }
  size_t size() const { return names_.size(); }
  /// Counts one more of a class.
  void count(int32_t label);
  /// Sorts names that were not given, gives them to the writer, renumbers, and reports.
  TargetReport finish(DatasetWriter& writer);

 private:
  LabelMap map_;
  std::vector<std::string> names_;
  std::vector<int64_t> counts_;
  bool fixed_;
};

/// Throws ConfigError unless there are two labels at least.
void expect_classes(std::string_view task, size_t labels);

}  // namespace filigree
