// OpCase: all that the one driver needs to test an op. Every op has one (registry_test.cpp).
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace filigree::testing {

/// A literal check: inputs (f64) and the values of the op's only output, worked out by hand.
struct OpLiteral {
  std::vector<Tensor> inputs;
  std::vector<double> expected;
};

struct OpCase {
  std::string op;  ///< as declared in autograd/ops; "op/variant" for a further case of one
  /// Shapes of the inputs for a size n >= 0 (edge sizes 0, 1, 33 are run).
  std::function<std::vector<Shape>(int64_t n)> shapes;
  /// The op on inputs of those shapes; integer arguments are made inside, from the shapes.
  std::function<Variable(const Variables&)> call;
  /// What it must equal, made of simple ops; empty for a simple op, which must have a second
  /// derivative; a fused op may refuse one.
  std::function<Variable(const Variables&)> composite = {};
  std::vector<OpLiteral> literals = {};
  /// A wrong call, and a part of the message that it must give.
  std::function<void()> wrong = {};
  std::string message = {};
  bool positive = false;  ///< inputs must be above 0 (log)
};

inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.op; }

std::vector<OpCase>& op_cases();

struct RegisterOpCase {
  explicit RegisterOpCase(OpCase op_case) { op_cases().push_back(std::move(op_case)); }
};

/// A leaf of zeros that wants a gradient; for wrong calls.
Variable zeros(const Shape& shape);
/// f64 tensor of these values.
Tensor numbers(const std::vector<double>& values, const Shape& shape);

}  // namespace filigree::testing
