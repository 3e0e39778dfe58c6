// Activation recomputation: memory for time.
#pragma once

#include <functional>

#include "autograd/variable.h"

namespace filigree {

/// f(inputs), keeping nothing but the inputs: in the backward pass f runs again, under the same
/// module path. Same bits as without, since random numbers are keyed and not drawn. Variables that
/// f captures, parameters above all, get their gradients too, even if no input wants one (of a leaf
/// that several checkpoints share, summed checkpoint by checkpoint, so that its last bits may
/// differ). f must give the same values whenever it runs, and must outlive the graph in all it
/// captures by reference. (Chen et al. 2016, arXiv 1604.06174.)
Variables checkpoint(const std::function<Variables(const Variables&)>& f, const Variables& inputs);

}  // namespace filigree
