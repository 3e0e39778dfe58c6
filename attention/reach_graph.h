// The graph of tokens that have reaches of their own.
#pragma once

#include <memory>

#include "attention/graph.h"

namespace filigree {

struct AlwaysOn;

/// The graph of own reaches (H, T) i32, each at most `most`, that may be exceeded by `margin`: row
/// intervals and the rows and columns of `always`. 8 bytes a token and head. Throws ShapeError,
/// ConfigError, DataError for reaches outside of 0 to `most`.
std::shared_ptr<const AttentionGraph> reach_graph(const Tensor& offsets, const Tensor& own,
                                                  int64_t margin, int64_t most,
                                                  const AlwaysOn* always);

}  // namespace filigree
