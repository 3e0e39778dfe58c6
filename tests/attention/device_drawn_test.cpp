// Attention in which tokens draw their reaches on a CUDA device: the CPU's draws, numbers and
// slopes.
#include <gtest/gtest.h>
#include <numeric>

#include "core/error.h"
#include "tests/attention/bfloat16_case.h"
#include "tests/attention/irregular_case.h"

namespace filigree {

namespace {

using namespace testing_attention;

/// Inputs that are not small: reaches beyond one tile of 64, heads of all kernels.
IrregularCase case_for(RandomStream& random, int trial) {
  const int64_t dims[] = {0, 64, 40, 128, 16};
  const int64_t largest = trial % 3 == 0 ? 12 : trial % 3 == 1 ? 90 : 200;
  IrregularCase c = random_irregular_case(random, trial % 2 == 0 ? 90 : 260, largest,
                                          dims[static_cast<size_t>(trial) % std::size(dims)]);
  if (trial % 4 < 2) c.options.dropout = 0.3;
  return c;
}

IrregularCase in_dtype(const IrregularCase& c, DType dtype) {
  IrregularCase other = c;
  for (Tensor* tensor : {&other.qkv, &other.bias, &other.seed}) {
    if (tensor->defined()) *tensor = tensor->to(dtype);
  }
  return other;
}

class DeviceDrawn : public testing::Test {
 protected:
  void SetUp() override {
    if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  }
};

}  // namespace

TEST_F(DeviceDrawn, IsTheCpusInFloat64AndFloat32) {
  RandomStream random(61, Purpose::test);
  for (int trial = 0; trial < 15; ++trial) {
    SCOPED_TRACE("trial " + std::to_string(trial));
    const IrregularCase c = case_for(random, trial);
    const Tensors want = run(c);
    expect_close(run(c, testing_device::kCuda), want, 1e-11, "f64");
    IrregularCase single = in_dtype(c, DType::f32);
    single.logits = c.logits.to(DType::f32);
    const Tensors got = run(single, testing_device::kCuda);
    expect_close(got, want, 2e-5, "f32");
    expect_same_bits(run(single, testing_device::kCuda), got, "twice");
  }
}

TEST_F(DeviceDrawn, Bfloat16IsCloseToTheCpu) {
  RandomStream random(62, Purpose::test);
  for (int trial = 0; trial < 15; ++trial) {
    SCOPED_TRACE("trial " + std::to_string(trial));
    IrregularCase c = case_for(random, trial);
    const IrregularCase rounded = in_dtype(c, DType::bf16);
    c = in_dtype(rounded, DType::f64);
    const Tensors got = run(rounded, testing_device::kCuda), want = run(c);
    expect_close_in_norm(got, want, norm(want[1]));
    EXPECT_EQ(got[2].dtype(), c.logits.dtype());
    expect_same_bits(run(rounded, testing_device::kCuda), got, "twice");
  }
}

// Where shared memory has no room for the sums of all reaches, they are in global memory.
TEST_F(DeviceDrawn, ManyReachesAndWideHeadsNeedNoSharedMemory) {
  RandomStream random(63, Purpose::test);
  for (const int64_t dim : {64, 160}) {
    const DType dtype = dim == 64 ? DType::f64 : DType::f32;
    IrregularCase c = random_irregular_case(random, 150, 120, dim);
    std::vector<int64_t> every(420);
    std::iota(every.begin(), every.end(), 0);
    c.reaches = Reaches(every);
    c.logits = random_tensor(random, {c.heads(), c.reaches.count()}, DType::f64);
    expect_close(run(in_dtype(c, dtype), testing_device::kCuda), run(c),
                 dtype == DType::f64 ? 1e-11 : 2e-5, "global sums");
  }
}

// Tokens of dense and of empty neighbourhoods: everybody draws the largest reach, or none.
TEST_F(DeviceDrawn, AllOrNothing) {
  RandomStream random(64, Purpose::test);
  for (const bool all : {false, true}) {
    IrregularCase c = random_irregular_case(random, 200, 130, 64);
    c.logits.fill(0);
    for (int64_t h = 0; h < c.heads(); ++h) {
      const int64_t k = all ? c.reaches.count() - 1 : 0;
      c.logits.data<double>()[h * c.reaches.count() + k] = 200;
    }
    expect_close(run(c, testing_device::kCuda), run(c), 1e-11, "f64");
  }
}

// What no query has drawn, and is beyond the margin, may be NaN.
TEST_F(DeviceDrawn, UnseenNanReachesNothing) {
  RandomStream random(65, Purpose::test);
  for (const DType dtype : {DType::f64, DType::bf16}) {
    IrregularCase c = random_irregular_case(random, 5, 3, 64);
    const int64_t n = 200, heads = c.heads(), dim = 64, bad = 150;
    c.offsets = Tensor::from(std::vector<int64_t>{0, n});
    c.always = nullptr;
    c.bias = Tensor();
    c.margin = 0;
    c.qkv = random_tensor(random, {n, 3 * heads * dim}, DType::f64);
    c.seed = random_tensor(random, {n, heads * dim}, DType::f64);
    c.logits.fill(0);
    for (int64_t h = 0; h < heads; ++h) c.logits.data<double>()[h * c.reaches.count()] = 200;
    c = in_dtype(c, dtype);
    const Tensors clean = run(c, testing_device::kCuda);
    Tensor wide = c.qkv.to(DType::f64);
    for (int64_t d = 0; d < heads * dim; ++d) {  // its key and value, which it alone sees
      wide.data<double>()[bad * 3 * heads * dim + heads * dim + d] = std::nan("");
    }
    c.qkv = wide.to(dtype);
    const Tensors got = run(c, testing_device::kCuda);
    for (size_t k = 0; k < 2; ++k) {
      const int64_t width = got[k].size(1);
      for (int64_t e = 0; e < got[k].numel(); ++e) {
        if (e / width == bad) continue;
        ASSERT_EQ(got[k].at(e), clean[k].at(e)) << "tensor " << k << " at " << e;
      }
    }
  }
}

TEST_F(DeviceDrawn, RefusesWhatDoesNotFit) {
  RandomStream random(66, Purpose::test);
  const IrregularCase good = random_irregular_case(random, 20, 10);
  EXPECT_NO_THROW(run(good, testing_device::kCuda));
  for (const AttentionKernel kernel :
       {AttentionKernel::rows, AttentionKernel::mixed, AttentionKernel::edges}) {
    IrregularCase c = good;
    c.options.kernel = kernel;
    EXPECT_THROW(run(c, testing_device::kCuda), ConfigError);
  }
  const Variable qkv = leaf_on(good.qkv, testing_device::kCuda);
  const Variable logits = leaf_on(good.logits, kCpu);
  EXPECT_THROW(irregular_attention_qkv(qkv, good.offsets, good.degrees(logits), good.options),
               DeviceError);
}

}  // namespace filigree
