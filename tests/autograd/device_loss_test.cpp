// What a CUDA device makes of chunks of classes: rows whose classes it takes 16 bytes at a time,
// and rows of which it cannot.
#include <limits>

#include "core/kernels/chunked_cross_entropy.h"
#include "tests/autograd/device_numbers.h"

namespace filigree {
namespace {

using testing_device::expect_close;
using testing_device::expect_same_bits;
using testing_device::kCuda;
using testing_device::numbers_of;
using testing_device::placed;

constexpr int64_t kRows = 19;
constexpr double kInf = std::numeric_limits<double>::infinity();

/// Logits of two chunks, (kRows, C) each, and what belongs to them; f64 on the CPU.
struct Chunks {
  Tensor x[2], bias[2], labels, dloss;
};

Chunks chunks_of(int64_t classes, DType stored) {
  RandomStream random(57, Purpose::test);
  Chunks made;
  for (int k = 0; k < 2; ++k) {
    made.x[k] = numbers_of(random, {kRows, classes}, statistics_dtype(stored));
    made.bias[k] = numbers_of(random, {classes}, statistics_dtype(stored));
  }
  // A top that rises from chunk to chunk, and from class to class.
  for (double& z : made.x[1].span<double>()) z *= 9;
  std::vector<int32_t> labels;
  for (int64_t row = 0; row < kRows; ++row) {
    labels.push_back(static_cast<int32_t>(random.below(2 * static_cast<uint64_t>(classes))));
  }
  labels[0] = static_cast<int32_t>(2 * classes - 1);
  made.labels = Tensor::from(labels);
  made.dloss = Tensor::full({}, 0.75, DType::f64);
  return made;
}

/// top, sum, target, then dx of both chunks, on the CPU or, `stored`, on the device.
std::vector<Tensor> results(const Chunks& c, DType stored, Device device, bool shifted) {
  const DType exact = statistics_dtype(stored);
  const auto there = [&](const Tensor& x, DType dtype) {
    return device.is_cpu() ? x.to(dtype) : placed(x.to(dtype), shifted);
  };
  const Tensor labels = c.labels.to(device), dloss = c.dloss.to(exact).to(device);
  Tensor top = Tensor::full({kRows}, -kInf, exact, device),
         sum = Tensor::zeros({kRows}, exact, device),
         target = Tensor::full({kRows}, 5, exact, device);
  const int64_t classes = c.bias[0].numel();
  for (int k = 0; k < 2; ++k) {
    kernels::add_chunk_to_softmax(there(c.x[k], exact), there(c.bias[k], exact), labels,
                                  k * classes, top, sum, target);
  }
  std::vector<Tensor> all{top, sum, target};
  Tensor log_sum({kRows}, DType::f64);
  const Tensor tops = top.to(kCpu), sums = sum.to(kCpu);
  for (int64_t row = 0; row < kRows; ++row) {
    log_sum.span<double>()[static_cast<size_t>(row)] = tops.at(row) + std::log(sums.at(row));
  }
  for (int k = 0; k < 2; ++k) {
    Tensor dx = there(Tensor::zeros({kRows, classes}, DType::f64), stored);
    kernels::chunk_softmax_gradient(there(c.x[k], exact), there(c.bias[k], exact), labels,
                                    log_sum.to(exact).to(device), k * classes, 0.5, dloss, dx);
    all.push_back(dx);
  }
  return all;
}

}  // namespace

TEST(DeviceLoss, ChunksOfAnySizeAreAsOnTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const DType stored : {DType::f32, DType::f64, DType::bf16}) {
    for (const int64_t classes : {1, 2, 4, 7, 64, 1023, 1024, 1028, 2501}) {
      SCOPED_TRACE(std::string(name_of(stored)) + ", " + std::to_string(classes) + " classes");
      const Chunks c = chunks_of(classes, stored);
      const std::vector<Tensor> want = results(c, DType::f64, kCpu, false);
      for (const bool shifted : {false, true}) {
        const std::vector<Tensor> got = results(c, stored, kCuda, shifted),
                                  again = results(c, stored, kCuda, shifted);
        for (size_t k = 0; k < want.size(); ++k) {
          const double exact = stored == DType::f64 ? 1e-12 : 1e-5;
          expect_close(got[k], want[k], k >= 3 && stored == DType::bf16 ? 1.0 / 256 : exact, 0.05);
          expect_same_bits(again[k], got[k]);
        }
      }
    }
  }
}

// Classes that are ruled out, by -Inf, whole runs of them or all of a chunk; a NaN is not lost
// among them.
TEST(DeviceLoss, ChunksMayRuleOutClasses) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const DType stored : {DType::f32, DType::f64, DType::bf16}) {
    for (const int64_t classes : {7, 1024, 1100}) {
      SCOPED_TRACE(std::string(name_of(stored)) + ", " + std::to_string(classes) + " classes");
      Chunks c = chunks_of(classes, stored);
      for (int64_t i = 2; i < classes; ++i)
        c.bias[0].span<double>()[static_cast<size_t>(i)] = -kInf;
      std::fill_n(c.x[1].data<double>() + 3 * classes, classes, -kInf);
      c.x[1].data<double>()[4 * classes + classes - 1] = std::nan("");
      std::fill_n(c.x[0].data<double>() + 5 * classes, classes, -kInf);
      const std::vector<Tensor> want = results(c, DType::f64, kCpu, false);
      ASSERT_TRUE(std::isfinite(want[1].at(3)));
      ASSERT_TRUE(std::isfinite(want[1].at(5)));
      ASSERT_TRUE(std::isnan(want[1].at(4)));
      for (const bool shifted : {false, true}) {
        const std::vector<Tensor> got = results(c, stored, kCuda, shifted);
        for (size_t k = 0; k < want.size(); ++k) {
          const double exact = stored == DType::f64 ? 1e-12 : 1e-5;
          expect_close(got[k], want[k], k >= 3 && stored == DType::bf16 ? 1.0 / 256 : exact, 0.05);
        }
      }
    }
  }
}

}  // namespace filigree
