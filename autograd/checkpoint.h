// Activation recomputation: memory for time.
#pragma once

#include <functional>

#include "autograd/variable.h"

namespace filigree {

/// f(inputs), keeping nothing but the inputs: in the backward pass f runs again. Same bits as
/// without, since random numbers are keyed and not drawn. Leaves that f captures get their
/// gradients too (of a leaf that several checkpoints share, summed checkpoint by checkpoint, so
/// that its last bits may differ). (Chen et al. 2016, arXiv 1604.06174.)
Variables checkpoint(const std::function<Variables(const Variables&)>& f, const Variables& inputs);

}  // namespace filigree
