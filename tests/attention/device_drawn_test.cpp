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

double bound(const Tensors& want, size_t k) { return 2e-2 * norm(want[k]) + 2e-3 * norm(want[1]); }

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

// Gradients of logits and bias are sums of slopes of both signs, each with the rounding of bf16:
// they may be off by 2 % of their norm and 0.2 % of that of dqkv, which is mostly far less than
// they are.
TEST_F(DeviceDrawn, Bfloat16IsCloseToTheCpu) {
  RandomStream random(62, Purpose::test);
  int sharp = 0;
  for (int trial = 0; trial < 15; ++trial) {
    SCOPED_TRACE("trial " + std::to_string(trial));
    IrregularCase c = case_for(random, trial);
    const IrregularCase rounded = in_dtype(c, DType::bf16);
    c = in_dtype(rounded, DType::f64);
    const Tensors got = run(rounded, testing_device::kCuda), want = run(c);
    expect_close_in_norm({got[0]}, {want[0]});
    expect_close_in_norm({got[1]}, {want[1]});
    for (size_t k = 2; k < want.size(); ++k) {
      EXPECT_LE(norm(got[k], &want[k]), bound(want, k)) << k;
    }
    if (bound(want, 2) < norm(want[2]) / 5) ++sharp;
    EXPECT_EQ(got[2].dtype(), c.logits.dtype());
    expect_same_bits(run(rounded, testing_device::kCuda), got, "twice");
  }
  EXPECT_GT(sharp, 7) << "the bound lets anything pass";
}

// Where shared memory has no room for the sums of all reaches, they are in global memory.
TEST_F(DeviceDrawn, ManyReachesAndWideHeadsNeedNoSharedMemory) {
  RandomStream random(63, Purpose::test);
  std::vector<int64_t> every(1500);  // 64 of them in f32: 375 KiB
  std::iota(every.begin(), every.end(), 0);
  const std::pair<int64_t, DType> kinds[] = {
      {64, DType::f64}, {160, DType::f32}, {64, DType::bf16}, {128, DType::bf16}};
  for (const auto& [dim, dtype] : kinds) {
    IrregularCase c = random_irregular_case(random, 150, 120, dim);
    c.reaches = Reaches(every);
    c.logits = random_tensor(random, {c.heads(), c.reaches.count()}, DType::f64);
    c = in_dtype(in_dtype(c, dtype), DType::f64);
    const Tensors want = run(c), got = run(in_dtype(c, dtype), testing_device::kCuda);
    if (dtype == DType::bf16) {
      EXPECT_LE(norm(got[2], &want[2]), bound(want, 2));
    } else {
      expect_close(got, want, dtype == DType::f64 ? 1e-11 : 2e-5, "global sums");
    }
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

/// One sequence of n tokens, two heads of 64 elements, all of which draw 0.
IrregularCase case_of_zeros(RandomStream& random, int64_t n) {
  IrregularCase c = random_irregular_case(random, 5, 3, 64);
  const int64_t heads = 2, dim = 64;
  c.offsets = Tensor::from(std::vector<int64_t>{0, n});
  c.always = nullptr;
  c.bias = Tensor();
  c.margin = 0;
  c.qkv = random_tensor(random, {n, 3 * heads * dim}, DType::f64);
  c.seed = random_tensor(random, {n, heads * dim}, DType::f64);
  c.logits = Tensor::zeros({heads, c.reaches.count()}, DType::f64);
  for (int64_t h = 0; h < heads; ++h) c.logits.data<double>()[h * c.reaches.count()] = 200;
  return c;
}
/// NaN in key and value of a token.
void spoil(IrregularCase& c, int64_t token) {
  const DType dtype = c.qkv.dtype();
  Tensor wide = c.qkv.to(DType::f64).clone();
  const int64_t width = wide.size(1) / 3;
  for (int64_t d = width; d < 3 * width; ++d) {
    wide.data<double>()[token * 3 * width + d] = std::nan("");
  }
  c.qkv = wide.to(dtype);
}
/// The rows but one.
Tensor without_row(const Tensor& x, int64_t row) {
  Tensor rest = x.to(DType::f64).clone();
  for (int64_t d = 0; d < x.size(1); ++d) rest.data<double>()[row * x.size(1) + d] = 0;
  return rest;
}

// What no query has drawn, and is beyond the margin, may be NaN.
TEST_F(DeviceDrawn, UnseenNanReachesNothing) {
  RandomStream random(65, Purpose::test);
  const int64_t bad = 150;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    IrregularCase c = in_dtype(case_of_zeros(random, 200), dtype);
    const Tensors clean = run(c, testing_device::kCuda);
    spoil(c, bad);
    const Tensors got = run(c, testing_device::kCuda);
    // Where everybody sees one token alone, dq and dk are what rounding leaves.
    for (size_t k = 0; k < 2; ++k) {
      expect_close_in_norm({without_row(got[k], bad)}, {without_row(clean[k], bad)},
                           norm(clean[k]));
    }
    for (int64_t e = 0; e < got[2].numel(); ++e) ASSERT_EQ(got[2].at(e), 0) << "logits";
  }
}

// Within the margin it reaches the logits, and nothing else.
TEST_F(DeviceDrawn, NanWithinTheMarginReachesTheLogitsAlone) {
  RandomStream random(67, Purpose::test);
  const int64_t bad = 70;
  IrregularCase c = case_of_zeros(random, 100);
  c.margin = c.reaches.largest();
  spoil(c, bad);
  const Tensors got = run(c, testing_device::kCuda);
  for (size_t k = 0; k < 2; ++k) {
    const Tensor rest = without_row(got[k], bad);
    for (int64_t e = 0; e < rest.numel(); ++e) ASSERT_TRUE(std::isfinite(rest.at(e)));
  }
  EXPECT_TRUE(std::isnan(got[2].at(1)));
}

// Distances that share a reach, over the borders of tiles and on both sides of the diagonal; a
// sequence of whole tiles, one of none, and one token.
TEST_F(DeviceDrawn, ReachesWithGaps) {
  RandomStream random(68, Purpose::test);
  for (const DType dtype : {DType::f64, DType::bf16}) {
    IrregularCase c = random_irregular_case(random, 5, 3, 64);
    c.offsets = Tensor::from(std::vector<int64_t>{0, 300, 300, 428, 429});
    const int64_t heads = 5, n = 429;
    c.reaches = Reaches({0, 1, 4, 16, 60, 64, 130, 131});
    c.margin = 70;
    c.tau = 0.7;
    c.bias = Tensor();
    c.always = std::make_shared<AlwaysOn>(AlwaysOn{{0, 2, 2, 3, 3}, {0, 200, 127}});
    c.qkv = random_tensor(random, {n, 3 * heads * 64}, dtype).to(DType::f64);
    c.seed = random_tensor(random, {n, heads * 64}, dtype).to(DType::f64);
    c.logits = random_tensor(random, {heads, c.reaches.count()}, DType::f64);
    const Tensors want = run(c), got = run(in_dtype(c, dtype), testing_device::kCuda);
    if (dtype == DType::f64) {
      expect_close(got, want, 1e-11, "f64");
    } else {
      expect_close_in_norm(got, want);
    }
  }
}

TEST_F(DeviceDrawn, ExtremesOfSizeAndTemperature) {
  RandomStream random(69, Purpose::test);
  IrregularCase none = random_irregular_case(random, 5, 3, 64);
  none.offsets = Tensor::from(std::vector<int64_t>{0, 0});
  none.always = nullptr;
  none.bias = Tensor();
  none.qkv = Tensor({0, none.qkv.size(1)}, DType::f64);
  none.seed = Tensor({0, none.seed.size(1)}, DType::f64);
  const Tensors nothing = run(none, testing_device::kCuda);
  for (int64_t e = 0; e < nothing[2].numel(); ++e) EXPECT_EQ(nothing[2].at(e), 0);

  IrregularCase cold = random_irregular_case(random, 90, 90, 64);
  cold.tau = 0.01;
  expect_close(run(cold, testing_device::kCuda), run(cold), 1e-9, "cold");
  expect_close_in_norm(run(in_dtype(cold, DType::f32), testing_device::kCuda), run(cold), 1);

  IrregularCase whole = random_irregular_case(random, 90, 20, 64);  // all is always on
  whole.always = std::make_shared<AlwaysOn>();
  whole.always->bounds.push_back(0);
  const auto offsets = whole.offsets.span<int64_t>();
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; ++i) {
      whole.always->tokens.push_back(static_cast<int32_t>(i));
    }
    whole.always->bounds.push_back(static_cast<int64_t>(whole.always->tokens.size()));
  }
  expect_close(run(whole, testing_device::kCuda), run(whole), 1e-11, "all always on");
}

// On the CPU such logits are an error; a device does not look.
TEST_F(DeviceDrawn, LogitsThatAreNotFiniteDrawTheLargestReach) {
  RandomStream random(70, Purpose::test);
  IrregularCase c = random_irregular_case(random, 60, 12, 64), all = c;
  c.logits = c.logits.clone();
  c.logits.fill(std::nan(""));
  all.logits.fill(0);
  for (int64_t h = 0; h < all.heads(); ++h) {
    all.logits.data<double>()[(h + 1) * all.reaches.count() - 1] = 200;
  }
  EXPECT_THROW(run(c), NumericError);
  expect_same_bits({run(c, testing_device::kCuda)[0]}, {run(all, testing_device::kCuda)[0]},
                   "output");
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
