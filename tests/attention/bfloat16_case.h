// What is expected of results in bfloat16, for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

#include "core/tensor.h"

namespace filigree::testing_attention {

inline double norm(const Tensor& x, const Tensor* minus = nullptr) {
  double sum = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double value = x.at(i) - (minus ? minus->at(i) : 0);
    sum += value * value;
  }
  return std::sqrt(sum);
}

/// Within 2 % of each tensor's norm, or of `least`: where rows see few tokens dq, dk and dbias are
/// differences of nearly equal terms, each as large as what goes into dv, and what is left of them
/// is rounding.
inline void expect_close_in_norm(const Tensors& got, const Tensors& want, double least = 1e-3) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t k = 0; k < want.size(); ++k) {
    EXPECT_LE(norm(got[k], &want[k]), 2e-2 * std::max(norm(want[k]), least)) << "tensor " << k;
  }
}

}  // namespace filigree::testing_attention
