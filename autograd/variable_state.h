// Private to autograd: what the copies of a Variable share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace filigree {

struct Variable::State {
  Tensor value;
  Tensor grad;
  bool requires_grad = false;
  std::shared_ptr<Function> function;  // null for a leaf
  int output_index = 0;
  std::string name;
  std::vector<Hook> hooks;
};

}  // namespace filigree
