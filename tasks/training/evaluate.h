// Evaluation and prediction of a classifier.
#pragma once

#include <functional>
#include <vector>

#include "nn/classifier.h"
#include "tasks/dataset/batch.h"
#include "tasks/training/metrics.h"

namespace filigree {

/// What a model needs of a batch.
TokenBatch token_batch(const Batch& batch);

/// Loss and metrics on every sample, and the exact density of the attention. No gradients, no
/// dropout. `each`, if given, gets every sample's class probabilities (C), in dataset order.
/// Throws DataError if the dataset has no labels or other classes.
Metrics evaluate(const SequenceClassifier& model, const AttentionPlan& plan,
                 const TokenDataset& dataset, uint64_t seed, int64_t batch_tokens = 8192,
                 const std::function<void(int64_t sample, const std::vector<double>&)>& each = {});

/// Class probabilities (B, C) of a batch.
std::vector<std::vector<double>> predict(const SequenceClassifier& model, const AttentionPlan& plan,
                                         const Batch& batch, uint64_t seed);

}  // namespace filigree
