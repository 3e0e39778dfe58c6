// Gradients of gathered rows on a CUDA device: ids that come again and again, across pieces, and
// ids of which each comes once; rows of any width.
#include <numeric>

#include "autograd/backward.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/reduce.h"
#include "core/kernels/embedding.h"
#include "tests/autograd/device_numbers.h"

namespace filigree {
namespace {

using testing_device::expect_close;
using testing_device::expect_same_bits;
using testing_device::kCuda;
using testing_device::numbers_of;
using testing_device::placed;

constexpr int64_t kTable = 90;

struct Ids {
  const char* name;
  std::vector<int32_t> ids;
};

std::vector<Ids> all_ids() {
  RandomStream random(58, Purpose::test);
  std::vector<Ids> all{{"one", {7}}, {"the same", std::vector<int32_t>(300, 3)}};
  Ids positions{"positions of sequences", {}}, drawn{"drawn", {}}, falling{"falling", {}},
      rising{"rising", {}}, once_twice{"rising, one twice", {}};
  for (int32_t i = 0; i < 400; ++i) {
    positions.ids.push_back(i % 80);
    // Half of them one id, as where tokens are hidden.
    drawn.ids.push_back(random.below(2) == 0 ? 4 : static_cast<int32_t>(random.below(kTable)));
  }
  for (int32_t i = 0; i < kTable; i += 2) {
    rising.ids.push_back(i);
    falling.ids.push_back(static_cast<int32_t>(kTable) - 1 - i);
    once_twice.ids.push_back(i);
    if (i == 40) once_twice.ids.push_back(i);
  }
  for (Ids* ids : {&positions, &drawn, &falling, &rising, &once_twice}) all.push_back(*ids);
  return all;
}

double tolerance_of(DType dtype) {
  return dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 1e-5 : 1.0 / 256;
}

}  // namespace

TEST(DeviceEmbedding, SumsOfAnyIdsAreAsOnTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(59, Purpose::test);
  for (const Ids& each : all_ids()) {
    const Tensor ids = Tensor::from(each.ids);
    for (const int64_t width : {1, 5, 8, 36, 264, 1100, 2056}) {
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
        SCOPED_TRACE(std::string(each.name) + ", width " + std::to_string(width) + ", " +
                     std::string(name_of(dtype)));
        const Tensor dy = numbers_of(random, {ids.numel(), width}, dtype);
        Tensor want({kTable, width}, DType::f64);
        kernels::embedding_backward(dy, ids, want);
        Tensor first;
        for (const bool shifted : {false, true}) {
          Tensor got({kTable, width}, dtype, kCuda);
          kernels::embedding_backward(placed(dy.to(dtype), shifted), ids.to(kCuda), got);
          expect_close(got, want, tolerance_of(dtype), 1);
          if (shifted) expect_same_bits(got, first);
          first = got;
        }
      }
    }
  }
}

TEST(DeviceEmbedding, RowsOfDistinctIdsGoToTheirPlaces) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(60, Purpose::test);
  const Tensor none({0}, DType::i32);
  for (const Ids& each : all_ids()) {
    if (std::string_view(each.name) != "rising" && std::string_view(each.name) != "falling")
      continue;
    for (const Tensor& ids : {Tensor::from(each.ids), none}) {
      for (const int64_t width : {1, 5, 8, 264}) {
        for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
          const Tensor x = numbers_of(random, {ids.numel(), width}, dtype);
          Tensor want({kTable, width}, DType::f64), sums({kTable, width}, DType::f64);
          kernels::scatter_rows(x, ids, want);
          kernels::embedding_backward(x, ids, sums);
          expect_close(sums, want, 0, 0);
          for (const bool shifted : {false, true}) {
            Tensor y({kTable, width}, dtype, kCuda);
            kernels::scatter_rows(placed(x.to(dtype), shifted), ids.to(kCuda), y);
            expect_same_bits(y, want.to(dtype));
          }
        }
      }
    }
  }
}

// Whatever the op finds out about its ids: the gradient is the sum of what comes back.
TEST(DeviceEmbedding, GradientIsThatOfTheCpuForAnyIds) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(61, Purpose::test);
  for (const Ids& each : all_ids()) {
    SCOPED_TRACE(each.name);
    const Tensor ids = Tensor::from(each.ids);
    const Tensor table = numbers_of(random, {kTable, 12}, DType::f64),
                 weights = numbers_of(random, {ids.numel(), 12}, DType::f64);
    const auto gradient = [&](Device device, const Tensor& given) {
      const Variable leaf(table.to(device), true);
      backward(sum(mul(embedding(leaf, given), Variable(weights.to(device)))));
      return leaf.grad();
    };
    std::vector<double> want(static_cast<size_t>(kTable * 12), 0);
    for (int64_t t = 0; t < ids.numel(); ++t) {
      for (int64_t j = 0; j < 12; ++j) {
        want[static_cast<size_t>(each.ids[static_cast<size_t>(t)] * 12 + j)] +=
            weights.at(t * 12 + j);
      }
    }
    const Tensor wanted = Tensor::from(want);
    expect_close(gradient(kCpu, ids), wanted, 1e-13, 1);
    expect_close(gradient(kCuda, ids), wanted, 1e-13, 1);
    expect_close(gradient(kCuda, ids.to(kCuda)), wanted, 1e-13, 1);
  }
}

}  // namespace filigree
