// Filling on a CUDA device: numbers of equal bytes, others, in whole packs and not.
#include <limits>

#include "core/kernels/fill.h"
#include "tests/autograd/device_numbers.h"

namespace filigree {

using testing_device::expect_same_bits;
using testing_device::kCuda;

TEST(DeviceFill, GivesTheBitsOfTheCpuAndNothingBeside) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64, DType::u8}) {
    for (const double value : {0.0, -0.0, 1.0, -1.0, 3.25, std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()}) {
      for (const int64_t count : {0, 1, 7, 16, 37, 5000}) {
        for (const int64_t from : {0, 1, 5}) {
          SCOPED_TRACE(std::string(name_of(dtype)) + ", " + std::to_string(count) + " of " +
                       std::to_string(value) + " from " + std::to_string(from));
          const auto filled = [&](Device device) {
            std::vector<int32_t> before(static_cast<size_t>(count + 7));
            for (size_t i = 0; i < before.size(); ++i)
              before[i] = static_cast<int32_t>(i % 100 + 2);
            Tensor all = Tensor::from(before).to(dtype).to(device);
            Tensor part = all.slice(from, count);
            kernels::fill(part, value);
            return all;
          };
          expect_same_bits(filled(kCuda), filled(kCpu));
        }
      }
    }
  }
}

}  // namespace filigree
