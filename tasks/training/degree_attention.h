// What a model whose degrees are learned looks at in a batch, and how dense that is.
#pragma once

#include <memory>
#include <string>

#include "attention/degrees/density.h"
#include "attention/kernels/sparse_attention.h"
#include "nn/degrees/degree_learner.h"
#include "tasks/dataset/batch.h"

namespace filigree {

/// The pattern of the pairs that such a model may look at: "neighbour:R", or "neighbour:R|GLOBALS".
std::string attention_pattern(const DegreeConfig& degrees);

/// The tokens of a batch that its `globals` choose; null if it has none. Throws ConfigError for a
/// pattern of another kind: each token that it chooses must see all and be seen by all. Cost of the
/// pattern's rows.
std::shared_ptr<const AlwaysOn> always_on(const DegreeConfig& degrees, const Batch& batch);

/// The pairs of a batch, or of all samples of a dataset, by distance.
DistanceCounts count_pairs(const DegreeConfig& degrees, const Batch& batch);
DistanceCounts count_pairs(const DegreeConfig& degrees, const TokenDataset& dataset);

/// The mean over heads and layers of the expected density (DistanceCounts::density()) of
/// DegreeLearner::open(), differentiable: a scalar.
Variable expected_density(const DegreeLearner& learner, const DistanceCounts& counts);

}  // namespace filigree
