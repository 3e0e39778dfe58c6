// Graph export for Graphviz.
#pragma once

#include <string>

#include "autograd/variable.h"

namespace filigree {

/// The graph that computed `root`, in Graphviz's DOT language: ops as boxes (grouped by module
/// path), leaves as ellipses with name and shape. `filigree ... | dot -Tsvg`.
std::string to_graphviz(const Variable& root);

}  // namespace filigree
