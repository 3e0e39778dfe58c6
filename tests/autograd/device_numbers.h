// Numbers for tests of kernels on a device, there and on the CPU.
#pragma once

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tensor.h"
#include "tests/cuda_device.h"

namespace filigree::testing_device {

/// Standard normal numbers, rounded to `dtype`, as f64.
inline Tensor numbers_of(RandomStream& random, const Shape& shape, DType dtype) {
  Tensor values(shape, DType::f64);
  for (double& value : values.span<double>()) value = random.normal();
  return values.to(dtype).to(DType::f64);
}

/// `made` on the device: at its block's begin, or behind one element, so that it lies at no
/// multiple of 16 bytes.
inline Tensor placed(const Tensor& made, bool shifted) {
  if (!shifted) return made.to(kCuda);
  Tensor longer({made.numel() + 1}, made.dtype());
  std::memset(longer.raw(), 0, static_cast<size_t>(longer.bytes()));
  std::memcpy(static_cast<char*>(longer.raw()) + size_of(made.dtype()), made.raw(),
              static_cast<size_t>(made.bytes()));
  return longer.to(kCuda).slice(1, made.numel()).view(made.shape());
}

/// |got - want| <= tolerance (floor + |want|) everywhere, and NaN and Inf where those are wanted.
inline void expect_close(const Tensor& got, const Tensor& want, double tolerance, double floor) {
  ASSERT_EQ(got.numel(), want.numel());
  const Tensor here = got.to(kCpu);
  for (int64_t i = 0; i < want.numel(); ++i) {
    const double a = here.at(i), b = want.at(i);
    if (std::isnan(b)) {
      ASSERT_TRUE(std::isnan(a)) << "element " << i << ": " << a;
    } else if (std::isinf(b)) {
      ASSERT_EQ(a, b) << "element " << i;
    } else {
      ASSERT_LE(std::abs(a - b), tolerance * (floor + std::abs(b))) << "element " << i << ": " << a;
    }
  }
}

inline void expect_same_bits(const Tensor& got, const Tensor& want) {
  ASSERT_EQ(got.bytes(), want.bytes());
  const Tensor a = got.to(kCpu), b = want.to(kCpu);
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0);
}

}  // namespace filigree::testing_device
