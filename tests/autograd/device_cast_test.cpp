// Rounding to bf16 on a CUDA device, which may have an instruction for it.
#include <bit>

#include "core/convert.h"
#include "core/kernels/cast.h"
#include "tests/autograd/device_numbers.h"

namespace filigree {

using testing_device::kCuda;

// All signs, exponents and kept bits, with what decides how the others round: nothing, less than
// half, half and its neighbours, all ones.
TEST(DeviceCast, RoundsToBfloat16AsTheCpuDoes) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  Tensor x({int64_t{7} << 16}, DType::f32);
  const auto numbers = x.span<float>();
  size_t k = 0;
  for (uint32_t upper = 0; upper < 1U << 16; ++upper) {
    for (const uint32_t lower : {0U, 1U, 0x1234U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      numbers[k++] = std::bit_cast<float>(upper << 16 | lower);
    }
  }
  Tensor y(x.shape(), DType::bf16, kCuda);
  kernels::cast(x.to(kCuda), y);
  const Tensor got = y.to(kCpu);
  for (size_t i = 0; i < k; ++i) {
    const BFloat16 have = got.span<BFloat16>()[i], want = to_bfloat16(numbers[i]);
    if (numbers[i] != numbers[i]) {
      ASSERT_NE(to_float(have), to_float(have)) << "NaN " << i;
    } else {
      ASSERT_EQ(have.bits, want.bits) << numbers[i];
    }
  }
}

}  // namespace filigree
