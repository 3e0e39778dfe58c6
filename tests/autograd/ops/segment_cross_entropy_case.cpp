// Case of segment_cross_entropy.h.
#include <cmath>

#include "autograd/ops/arithmetic.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/segment_cross_entropy.h"
#include "autograd/ops/shape.h"
#include "autograd/ops/softmax.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

/// Sequences of 2 tokens, none, 1 token, and the rest.
std::vector<int64_t> offsets_for(int64_t n) {
  return {0, std::min<int64_t>(n, 2), std::min<int64_t>(n, 2), std::min<int64_t>(n, 3), n};
}

/// The last token for column 0, the first one for column 1, none where there is none, and none for
/// column 1 of the third sequence.
std::vector<int32_t> targets_for(const std::vector<int64_t>& offsets) {
  std::vector<int32_t> targets;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const auto length = static_cast<int32_t>(offsets[b + 1] - offsets[b]);
    targets.push_back(length - 1);
    targets.push_back(length == 0 || b == 2 ? -1 : 0);
  }
  return targets;
}

Variable call(const Variables& v) {
  const auto offsets = offsets_for(v[0].shape()[0]);
  return segment_cross_entropy(v[0], Tensor::from(offsets),
                               Tensor::from(targets_for(offsets)).view({4, 2}));
}

/// - sum of onehot * log softmax of every sequence, columns as rows.
Variable composite(const Variables& v) {
  const auto offsets = offsets_for(v[0].shape()[0]);
  const auto targets = targets_for(offsets);
  Variable total = scale(sum(v[0]), 0);
  for (size_t b = 0; b < 4; ++b) {
    const int64_t length = offsets[b + 1] - offsets[b];
    if (length == 0) continue;
    const Variable rows = swap_axes(slice_rows(v[0], offsets[b], length), 0, 1);  // (2, length)
    Tensor chosen = Tensor::zeros({2, length}, DType::f64);
    for (int64_t c = 0; c < 2; ++c) {
      const int32_t target = targets[2 * b + static_cast<size_t>(c)];
      if (target >= 0) chosen.data<double>()[c * length + target] = -1;
    }
    total = add(total, sum(mul_constant(log_softmax(rows), chosen.to(v[0].dtype()))));
  }
  return total;
}

const RegisterOpCase registered{
    {"segment_cross_entropy",
     [](int64_t n) {
       return std::vector<Shape>{{n, 2}};
     },
     call,
     composite,
     // Rows (0, 0) and (log 3, 0) are the first sequence: -log 3/4 - log 1/2.
     {{{numbers({0, 0, std::log(3.0), 0}, {2, 2})}, {std::log(4.0 / 3) + std::log(2.0)}}},
     [] {
       segment_cross_entropy(zeros({3, 1}), Tensor::from(std::vector<int64_t>{0, 2, 3}),
                             Tensor::from(std::vector<int32_t>{0, 1}).view({2, 1}));
     },
     "target 1 of sequence 1 is outside its 1 tokens"}};

}  // namespace

}  // namespace filigree::testing
