// Cross-entropy over the rows of packed sequences.
#pragma once

#include "autograd/variable.h"

namespace filigree {

/// sum over sequences b and columns c of -log p_bc, a scalar, where p_bc is the softmax of column c
/// over the rows of sequence b, taken at row targets_bc of the sequence: the loss of finding a
/// place in a sequence, start and end of an answer being two columns. logits (T, C), offsets i64
/// (B+1), targets i32 (B, C), -1: counts for nothing. Equals a composite of log_softmax. Throws
/// ShapeError; DataError if offsets do not ascend from 0 to T, or a target is outside its sequence.
/// Cost O(T C).
Variable segment_cross_entropy(const Variable& logits, const Tensor& offsets,
                               const Tensor& targets);

}  // namespace filigree
