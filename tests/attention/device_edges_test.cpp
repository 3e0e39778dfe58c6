// Attention edge by edge on a CUDA device.
#include "core/error.h"
#include "tests/attention/gated_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

class DeviceAttentionByEdges : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(EveryKind, DeviceAttentionByEdges,
                         testing::Values(Kind::intervals, Kind::scattered, Kind::mixed));

/// Of heads of `dim` elements, 0 to draw them, without bias.
Case plain_case(RandomStream& random, Kind kind, int64_t dim, double dropout) {
  Case c = random_case(random, kind, 60, DType::f64, dim);
  c.bias = Tensor();
  c.options.dropout = dropout;
  return c;
}

Case on_device(const Case& c, DType dtype) {
  Case there = c;
  for (auto member : {&Case::q, &Case::k, &Case::v, &Case::seed}) {
    there.*member = (c.*member).to(dtype);
  }
  there.use(AttentionKernel::edges, testing_device::kCuda);
  return there;
}

double distance(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    sum += (a.at(i) - b.at(i)) * (a.at(i) - b.at(i));
  }
  return std::sqrt(sum);
}

}  // namespace

// Heads of all the sizes for which lanes are divided otherwise, and of none that packs fit.
TEST_P(DeviceAttentionByEdges, EqualsTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(47, Purpose::test, {static_cast<uint64_t>(GetParam())});
  const std::pair<DType, double> bounds[] = {
      {DType::f64, 1e-11}, {DType::f32, 1e-5}, {DType::bf16, 2e-2}};
  for (const int64_t dim : {0, 3, 16, 40, 64, 128, 200, 256}) {
    for (const double dropout : {0.0, 0.3}) {
      SCOPED_TRACE("heads of " + std::to_string(dim) + ", dropout " + std::to_string(dropout));
      const Case drawn = plain_case(random, GetParam(), dim, dropout);
      for (const auto& [dtype, bound] : bounds) {
        const Case there = on_device(drawn, dtype);
        const Case here = [&] {  // the same rounded inputs
          Case c = drawn;
          for (auto member : {&Case::q, &Case::k, &Case::v, &Case::seed}) {
            c.*member = (there.*member).to(DType::f64);
          }
          return c;
        }();
        const Tensors got = run(sparse_attention, there), want = run(sparse_attention, here);
        const double least = distance(want[3], Tensor::zeros(want[3].shape(), DType::f64));
        for (size_t k = 0; k < want.size(); ++k) {
          const double size = distance(want[k], Tensor::zeros(want[k].shape(), DType::f64));
          EXPECT_LE(distance(got[k], want[k]), bound * std::max({size, least, 1e-3}))
              << name_of(dtype) << ", tensor " << k;
        }
        expect_same_bits(run(sparse_attention, there), got, "twice");
      }
    }
  }
}

TEST_P(DeviceAttentionByEdges, PassesNothingUnseen) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(48, Purpose::test, {static_cast<uint64_t>(GetParam())});
  for (const int64_t dim : {5, 64}) {
    Case c = plain_case(random, GetParam(), dim, 0);
    c.graph = without_some_keys(*c.graph);
    Case there = on_device(c, DType::f32);
    const Tensors clean = run(sparse_attention, there);
    int planted = 0;
    const int64_t width = there.k.size(1);
    for (int64_t j = 3; j < there.k.size(0); j += 7) {
      ++planted;
      std::fill_n(there.k.data<float>() + j * width, width, std::nanf(""));
      std::fill_n(there.v.data<float>() + j * width, width, HUGE_VALF);
    }
    EXPECT_GT(planted + (c.graph->tokens() <= 3 ? 1 : 0), 0);
    expect_same_bits(run(sparse_attention, there), clean, "unseen");
  }
}

TEST(DeviceAttentionEdges, RefusesWhatItHasNoKernelFor) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(49, Purpose::test);
  Case biased = random_case(random, Kind::scattered, 20, DType::f32, 8);
  biased.bias = random_tensor(random, {biased.graph->heads(), 5}, DType::f32);
  biased.use(AttentionKernel::edges, testing_device::kCuda);
  EXPECT_THROW(run(sparse_attention, biased), ConfigError);
  Case other = biased;
  other.bias = Tensor();
  for (const AttentionKernel kernel : {AttentionKernel::rows, AttentionKernel::mixed}) {
    other.use(kernel, testing_device::kCuda);
    EXPECT_THROW(run(sparse_attention, other), ConfigError);
  }
  Case wide = plain_case(random, Kind::scattered, 257, 0);
  EXPECT_THROW(run(sparse_attention, on_device(wide, DType::f32)), ShapeError);
}

}  // namespace filigree
