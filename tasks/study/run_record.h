// RunRecord: what is kept of one run of a study.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace filigree {

/// One evaluation on the dev split.
struct EvaluationRecord {
  int64_t step = 0;
  double loss = 0, metric = 0, density = 1;
};

/// One point of the training loss.
struct LossPoint {
  int64_t step = 0;
  double loss = 0;
};

/// What is big of a run, and read for the runs alone that are looked at.
struct RunDetails {
  std::string config;                         ///< its settings as an INI file
  std::vector<EvaluationRecord> evaluations;  ///< ascending steps
  std::vector<LossPoint> curve;               ///< of the training loss, thinned
  std::string degrees;  ///< what was learned of degrees (learned_json.h), else empty
};

/// One finished run.
struct RunRecord {
  std::string id;       ///< hash of its settings and data
  std::string command;  ///< how it was made: "train", "learn", or a null model's name
  std::string pattern;  ///< of the attention, with every match:density solved
  std::string layers, heads;
  uint64_t seed = 0;
  std::string metric;  ///< name of what `value` is
  bool higher_is_better = true;
  double value = 0;                   ///< of the best model on the dev split
  double density = 1;                 ///< mean over the layers
  std::vector<double> layer_density;  ///< (L); empty if not known
  double tokens_per_second = 0, seconds = 0;
  int64_t best_step = 0, steps = 0;
  int64_t memory_peak = 0;  ///< bytes held by tensors; 0: not known
  std::string version;      ///< of the code
  std::string machine;      ///< processor, cores and host
  std::string finished;     ///< when, UTC, "2026-01-31T12:00:00Z"
  RunDetails details;       ///< empty where only a summary was asked for
};

}  // namespace filigree
