// Learning degrees from end to end: soft, harden, finetune.
#pragma once

#include <filesystem>
#include <string>

#include "tasks/degrees/learned_heads.h"
#include "tasks/training/trainer.h"

namespace filigree {

/// A stage of learning, and how training in it goes.
struct LearnObserver {
  TrainObserver train = {};
  std::function<void(const std::string& stage)> begin = {};  ///< "soft" ..
  std::function<void(const LearnedHeads&, const std::vector<HardHead>&)> hardened = {};
};

/// The loss and the first metric of one model on the data that models are evaluated on.
struct StageResult {
  double loss = 0, metric = 0, density = 0;
};

struct LearnResult {
  bool stopped = false;         ///< asked to stop; the same call with `resume` goes on
  std::string stage;            ///< in which one
  std::string metric, pattern;  ///< the metric's name, and the attention that was learned
  StageResult soft, hard, finetuned;
  std::filesystem::path model;  ///< the finished one
  TrainResult last;             ///< of the stage that was trained last
  int64_t steps = 0;            ///< of all stages
  double seconds = 0;           ///< of training in all stages
};

/// Learns how far every head looks, into `folder`:
///     soft/            a run (train()), whose config.ini has the settings of all stages, with
///     degrees.learner ("degrees" if none is named) irregular/       with degrees.irregular a run
///     that goes on from it, whose tokens draw reaches degrees.json     what was learned: every
///     head's gate, distribution of reaches (of nodes and
///                      of edges), mean reach, density, hardened reach
///     degrees.txt      the same as a table
///     degrees.svg      the same as a picture, where gnuplot is installed (degrees.gp: its script)
///     hard/            the hardened model: the weights up to there, and a pattern for its gates
///     finetune/        a run that starts from it, degrees.finetune times as many steps long
///     model.safetensors, tokenizer.model    the finished model, an ordinary one
/// A head of model.init that is for the same task is taken along, unless model.init_head says no.
/// water_filling and exact harden to degrees.density of the training data's pairs (with the
/// objective `penalty`: to the density that the gates have). The difference of soft and hard in the
/// result is the hardening gap. With `resume` it goes on in the stage that was interrupted, to the
/// same bits.
///
/// Throws as train() and harden_heads().
LearnResult learn_degrees(const TrainConfig& config, const std::filesystem::path& folder,
                          bool resume, const LearnObserver& observer = {});

}  // namespace filigree
