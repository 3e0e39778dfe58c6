// Learned degrees as differentiable functions: logits to a gate, a gate to its density.
#pragma once

#include "attention/degrees/density.h"
#include "attention/degrees/reaches.h"
#include "autograd/variable.h"

namespace filigree {

/// g (G, R+1) of logits (G, K) over a grid of K reaches: a row is reach_tail() of
/// reach_probabilities(), computed in double. Throws ShapeError unless there are K columns,
/// NumericError unless all logits are finite. Cost O(G (K + R)). No double backward.
Variable degree_gate(const Variable& logits, const Reaches& reaches);

/// The mean over rows of H(p), p the softmax of logits (G, K), in nats: a scalar, computed in
/// double. Throws ShapeError without a row, NumericError unless all logits are finite. Cost O(G K).
/// No double backward.
Variable mean_entropy(const Variable& logits);

/// Expected density, the mean over heads, of a gate (H, R+1): see DistanceCounts::density(). A
/// scalar. Throws ShapeError unless the gate reaches as far as the counts do. Cost O(H R).
Variable expected_density(const Variable& gate, const DistanceCounts& counts);

}  // namespace filigree
