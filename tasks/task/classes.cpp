#include "tasks/task/classes.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "autograd/ops/softmax.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr size_t kMostLabels = 1000;

bool is_number(const std::string& text) {
  return text.find_first_not_of("0123456789") == std::string::npos;
}

Tensor log_probabilities(const Tensor& logits) {
  const NoGrad no_grad;
  return log_softmax(Variable(logits)).value();
}

}  // namespace

std::vector<std::vector<double>> probabilities_of(const Tensor& logits) {
  const Tensor logs = log_probabilities(logits);
  const int64_t classes = logs.size(1);
  std::vector<std::vector<double>> rows(static_cast<size_t>(logs.size(0)));
  for (int64_t i = 0; i < logs.numel(); ++i) {
    rows[static_cast<size_t>(i / classes)].push_back(std::exp(logs.at(i)));
  }
  return rows;
}

void ClassCounts::add(const Tensor& logits, std::span<const int32_t> labels) {
  const Tensor logs = log_probabilities(logits);
  const int64_t classes = logs.size(1);
  std::vector<double> row(static_cast<size_t>(classes));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    for (int64_t c = 0; c < classes; ++c) {
      row[static_cast<size_t>(c)] = logs.at(static_cast<int64_t>(i) * classes + c);
    }
    loss_ -= row.at(static_cast<size_t>(labels[i]));
    confusion_.add(labels[i], std::max_element(row.begin(), row.end()) - row.begin());
  }
}

double ClassCounts::loss() const {
  return confusion_.total() == 0 ? 0 : loss_ / static_cast<double>(confusion_.total());
}

LabelNames::LabelNames(const TargetOptions& options) : map_(options.map), names_(options.labels) {
  std::vector<std::string> sorted = names_;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw ConfigError("labels", "a label is named twice", "name each once");
  }
  for (const auto& [label, name] : map_) {
    if (name.empty() || std::find(names_.begin(), names_.end(), name) != names_.end()) continue;
    if (!options.labels.empty()) {
      throw ConfigError("label-map",
                        fmt::format("\"{}\" becomes \"{}\", which is not among --labels {}", label,
                                    name, fmt::join(options.labels, ",")));
    }
    names_.push_back(name);
  }
  fixed_ = !names_.empty();
}

int32_t LabelNames::number(const std::string& where, const std::string& label) {
  if (label.empty()) throw DataError(where, "the label is empty");
  std::string name = label;
  if (!map_.empty()) {
    const auto found = std::find_if(map_.begin(), map_.end(),
                                    [&](const auto& entry) { return entry.first == label; });
    if (found == map_.end()) {
      std::vector<std::string> known;
      for (const auto& entry : map_) known.push_back(entry.first);
      throw DataError(
          where,
          fmt::format("expected a label among {}, got {}", fmt::join(known, ", "), excerpt(label)),
          "name it in --label-map; LABEL= leaves its samples out");
    }
    name = found->second;
    if (name.empty()) return -1;
  }
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<int32_t>(found - names_.begin());
  if (fixed_) {
    throw DataError(where, fmt::format("expected a label among {}, got {}", fmt::join(names_, ", "),
                                       excerpt(label)));
  }
  if (names_.size() == kMostLabels) {
    throw DataError(where, fmt::format("more than {} different labels", kMostLabels),
                    "check that --label names the right column");
  }
  names_.push_back(name);
  return static_cast<int32_t>(names_.size()) - 1;
}

void LabelNames::count(int32_t label) {
  counts_.resize(std::max(counts_.size(), names_.size()));
  ++counts_.at(static_cast<size_t>(label));
}

TargetReport LabelNames::finish(DatasetWriter& writer) {
  TargetReport report;
  report.labels = names_;
  if (!fixed_) {
    const bool numbers = std::all_of(names_.begin(), names_.end(), is_number);
    std::sort(report.labels.begin(), report.labels.end(), [&](const auto& a, const auto& b) {
      return numbers && a.size() != b.size() ? a.size() < b.size() : a < b;
    });
  }
  std::vector<int32_t> order;
  report.label_counts.resize(names_.size());
  counts_.resize(names_.size());
  for (size_t c = 0; c < names_.size(); ++c) {
    const auto at = std::find(report.labels.begin(), report.labels.end(), names_[c]);
    order.push_back(static_cast<int32_t>(at - report.labels.begin()));
    report.label_counts[static_cast<size_t>(order.back())] = counts_[c];
  }
  writer.renumber_labels(order);
  writer.info().label_names = report.labels;
  return report;
}

void expect_classes(std::string_view task, size_t labels) {
  if (labels >= 2) return;
  throw ConfigError(task, fmt::format("expected at least 2 classes, got {}", labels),
                    "check the labels of the training data");
}

LabelMap parse_label_map(const std::string& text) {
  LabelMap map;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string entry = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw ConfigError("label-map", fmt::format("expected LABEL=CLASS, got {}", excerpt(entry)),
                        "for example not_entailment=0,entailment=1; LABEL= leaves samples out");
    }
    const std::string label = entry.substr(0, equals);
    for (const auto& other : map) {
      if (other.first == label) {
        throw ConfigError("label-map", fmt::format("\"{}\" is named twice", label),
                          "name each label once");
      }
    }
    map.emplace_back(label, entry.substr(equals + 1));
  }
  return map;
}

}  // namespace filigree
