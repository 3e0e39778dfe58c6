// What the attention of a model's layers is computed from, to be looked at.
#pragma once

#include <vector>

#include "attention/report/attention_statistics.h"
#include "tasks/dataset/batch.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// The inputs of every layer's attention on a batch under these graphs, from one forward pass
/// without dropout. (L)
std::vector<AttentionInputs> attention_inputs(const LoadedModel& loaded, const Batch& batch,
                                              const LayerGraphs& graphs);

/// The first samples of a dataset, at most so many.
Batch first_batch(const TokenDataset& dataset, int64_t samples);

}  // namespace filigree
