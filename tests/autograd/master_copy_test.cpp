// Ops in bf16 whose parameters are f32 master copies: dtypes, and gradients that bf16 would round.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/nan_locator.h"
#include "autograd/ops/chunked_cross_entropy.h"
#include "autograd/ops/layer_norm.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/residual_norm.h"
#include "core/error.h"
#include "core/random.h"
#include "tests/cuda_device.h"

namespace filigree {

namespace {

using testing_device::kCuda;

/// Normal numbers, f64, that `dtype` has.
Tensor random_matrix(RandomStream& random, const Shape& shape, DType dtype) {
  Tensor values(shape, DType::f64);
  for (double& value : values.span<double>()) value = random.normal();
  return values.to(dtype).to(DType::f64);
}

/// Gradients of the leaves, on the CPU.
template <class Op>
Tensors gradients(const Op& op, const Tensors& leaves, const std::vector<DType>& dtypes,
                  Device device, const Tensor& seed) {
  Variables in;
  for (size_t i = 0; i < leaves.size(); ++i) {
    in.emplace_back(leaves[i].to(dtypes[i]).to(device), true);
  }
  const Variable out = op(in);
  backward(out, seed.to(out.dtype()).to(device));
  Tensors found;
  for (const Variable& leaf : in) found.push_back(leaf.grad().to(kCpu));
  return found;
}

/// ||a - b|| / ||b||.
double relative_error(const Tensor& a, const Tensor& b) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < b.numel(); ++i) {
    difference += (a.at(i) - b.at(i)) * (a.at(i) - b.at(i));
    size += b.at(i) * b.at(i);
  }
  return std::sqrt(difference / size);
}

constexpr DType kHalf = DType::bf16, kSingle = DType::f32, kDouble = DType::f64;

}  // namespace

// x and dy are what bf16 has, so that all that is lost is f32's rounding: bf16's is a
// thousandth and more.
TEST(MasterCopy, LayerNormOnTheDeviceGivesGradientsInFloat32) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(61, Purpose::test);
  for (const int64_t width : {37, 64}) {
    const Shape shape{300, width};
    const Tensors leaves{random_matrix(random, shape, kHalf),
                         random_matrix(random, {width}, kSingle),
                         random_matrix(random, {width}, kSingle)};
    const Tensor seed = random_matrix(random, shape, kHalf);
    const auto op = [](const Variables& v) { return layer_norm(v[0], v[1], v[2], 1e-5); };
    const Tensors want = gradients(op, leaves, {kDouble, kDouble, kDouble}, kCpu, seed);
    const Tensors got = gradients(op, leaves, {kHalf, kSingle, kSingle}, kCuda, seed);
    EXPECT_EQ(got[0].dtype(), kHalf);
    EXPECT_LE(relative_error(got[0], want[0]), 1e-2);
    for (const size_t k : {1, 2}) {
      EXPECT_EQ(got[k].dtype(), kSingle);
      EXPECT_LE(relative_error(got[k], want[k]), 1e-5) << width << ", gradient " << k;
    }
  }
}

TEST(MasterCopy, ResidualNormOnTheDeviceGivesGradientsInFloat32) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(62, Purpose::test);
  for (const int64_t width : {37, 64}) {
    const Shape shape{300, width};
    const Tensors leaves{random_matrix(random, shape, kHalf), random_matrix(random, shape, kHalf),
                         random_matrix(random, {width}, kSingle),
                         random_matrix(random, {width}, kSingle)};
    const Tensor seed = random_matrix(random, shape, kHalf);
    for (const size_t output : {0, 1}) {  // the sum alone gives gamma and beta nothing
      const auto op = [&](const Variables& v) {
        return residual_norm(v[0], v[1], v[2], v[3], 1e-5, {0.5, 3})[output];
      };
      const Tensors want = gradients(op, leaves, {kDouble, kDouble, kDouble, kDouble}, kCpu, seed);
      const Tensors got = gradients(op, leaves, {kHalf, kHalf, kSingle, kSingle}, kCuda, seed);
      for (const size_t k : {2, 3}) {
        EXPECT_EQ(got[k].dtype(), kSingle);
        if (output == 1) {
          EXPECT_LE(relative_error(got[k], want[k]), 5e-3) << width << ", gradient " << k;
          EXPECT_GT(relative_error(got[k].to(kHalf).to(kSingle), got[k]), 1e-4);  // not rounded
        } else {
          EXPECT_EQ(got[k].at(0), 0);
        }
      }
      EXPECT_LE(relative_error(got[0], want[0]), 1e-2);
      EXPECT_LE(relative_error(got[1], want[1]), 1e-2);
    }
  }
}

// Sums over more rows than one block adds up, in registers and not.
TEST(MasterCopy, NormsOfManyRowsOnTheDeviceEqualTheCpus) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(63, Purpose::test);
  for (const Shape& shape :
       {Shape{64 * 1024 + 7, 8}, Shape{1300, 5}, Shape{1030, 1104}, Shape{1030, 1101}}) {
    const int64_t width = shape[1];
    const Tensors leaves{random_matrix(random, shape, kHalf),
                         random_matrix(random, {width}, kSingle),
                         random_matrix(random, {width}, kSingle)};
    const Tensor seed = random_matrix(random, shape, kHalf);
    const auto op = [](const Variables& v) { return layer_norm(v[0], v[1], v[2], 1e-5); };
    const Tensors want = gradients(op, leaves, {kDouble, kDouble, kDouble}, kCpu, seed);
    for (const DType rows : {kSingle, kHalf}) {
      SCOPED_TRACE(testing::Message() << shape[0] << " x " << width << ", " << name_of(rows));
      const Tensors got = gradients(op, leaves, {rows, kSingle, kSingle}, kCuda, seed);
      for (const size_t k : {1, 2}) EXPECT_LE(relative_error(got[k], want[k]), 1e-5);
    }
  }
}

// The output table: chunks of one class and of all, rows that count and rows that do not.
TEST(MasterCopy, CrossEntropyOnTheDeviceGivesGradientsInFloat32) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(65, Purpose::test);
  const Tensors leaves{random_matrix(random, {90, 24}, kHalf),
                       random_matrix(random, {200, 24}, kHalf),
                       random_matrix(random, {200}, kHalf)};
  std::vector<int32_t> labels;
  for (int i = 0; i < 90; ++i) labels.push_back(i % 5 == 0 ? -1 : i);
  for (const int64_t chunk : {0, 64, 1}) {
    ChunkedCrossEntropyOptions options;
    options.chunk = chunk;
    const auto op = [&](const Variables& v) {
      return chunked_cross_entropy(v[0], v[1], v.size() > 2 ? v[2] : Variable(),
                                   Tensor::from(labels), options);
    };
    const Tensor seed = Tensor::full({}, 1, kDouble);
    const Tensors want = gradients(op, leaves, {kDouble, kDouble, kDouble}, kCpu, seed);
    const Tensors got = gradients(op, leaves, {kHalf, kSingle, kSingle}, kCuda, seed.to(kSingle));
    EXPECT_EQ(got[0].dtype(), kHalf);
    EXPECT_LE(relative_error(got[0], want[0]), 1e-2);
    for (const size_t k : {1, 2}) {  // slopes of the logits are rounded, their sums are not
      EXPECT_EQ(got[k].dtype(), kSingle);
      EXPECT_LE(relative_error(got[k], want[k]), 5e-3) << chunk << ", gradient " << k;
      EXPECT_GT(relative_error(got[k].to(kHalf).to(kSingle), got[k]), 1e-4);
    }
  }
}

// Logits are f32, and so is the bias that is added to them: no part of the loss is rounded.
TEST(MasterCopy, CrossEntropyOnTheDeviceAddsTheBiasInFloat32) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(66, Purpose::test);
  const Tensor h = random_matrix(random, {40, 24}, kHalf),
               table = random_matrix(random, {200, 24}, kHalf);
  Tensor bias = random_matrix(random, {200}, kSingle);
  for (double& b : bias.span<double>()) b -= 8.01;
  std::vector<int32_t> labels;
  for (int i = 0; i < 40; ++i) labels.push_back(3 * i);
  const auto loss = [&](DType dtype, DType master, Device device) {
    return chunked_cross_entropy(Variable(h.to(dtype).to(device)),
                                 Variable(table.to(master).to(device)),
                                 Variable(bias.to(master).to(device)), Tensor::from(labels))
        .value()
        .item();
  };
  const double want = loss(kDouble, kDouble, kCpu);
  EXPECT_NEAR(loss(kHalf, kSingle, kCuda), want, 1e-6 * want);
}

// A frozen table costs no gradient, and nothing that was not computed is handed back.
TEST(MasterCopy, CrossEntropyGivesNoGradientsThatAreNotWanted) {
  RandomStream random(67, Purpose::test);
  const Tensor h = random_matrix(random, {9, 8}, kSingle),
               table = random_matrix(random, {70, 8}, kSingle),
               bias = random_matrix(random, {70}, kSingle);
  const Tensor labels = Tensor::from(std::vector<int32_t>{1, -1, 3, 0, 69, 64, 2, -1, 5});
  for (const Device device : {kCpu, kCuda}) {
    if (device == kCuda && !testing_device::has_cuda()) continue;
    const auto leaves = [&](unsigned wanted) {
      Variables all;
      for (const Tensor* each : {&h, &table, &bias}) {
        all.emplace_back(each->to(kSingle).to(device), (wanted >> all.size() & 1u) != 0);
      }
      const DetectNaN detect;
      backward(chunked_cross_entropy(all[0], all[1], all[2], labels));
      return all;
    };
    const Variables want = leaves(7);
    for (unsigned wanted = 1; wanted < 7; ++wanted) {
      const Variables got = leaves(wanted);
      for (size_t k = 0; k < 3; ++k) {
        SCOPED_TRACE(testing::Message() << name_of(device) << ", " << wanted << ", leaf " << k);
        ASSERT_EQ(got[k].grad().defined(), (wanted >> k & 1u) != 0);
        if (!got[k].grad().defined()) continue;
        EXPECT_LE(relative_error(got[k].grad().to(kCpu), want[k].grad().to(kCpu)), 1e-6);
      }
    }
  }
}

// What a product reads is not written, as far as versions tell: copies of it stay current.
TEST(MasterCopy, AForwardPassLeavesVersionsAsTheyAre) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  const auto made = [](const Shape& shape) { return Tensor::full(shape, 1, kSingle).to(kCuda); };
  const Tensor x = made({16, 32}), weight = made({8, 32}), bias = made({8});
  const uint64_t before[] = {x.version(), weight.version(), bias.version()};
  const NoGrad no_grad;
  linear(Variable(x), Variable(weight), Variable(bias));
  EXPECT_THAT(before, testing::ElementsAre(x.version(), weight.version(), bias.version()));
}

// 256 tokens, and the products of whole packs and of none; with and without what else is wanted.
TEST(MasterCopy, LinearOnTheDeviceGivesGradientsInFloat32) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(64, Purpose::test);
  for (const int64_t width : {37, 64}) {
    // What bf16 has, so that the rounded copy is exact.
    const Tensors leaves{random_matrix(random, {256, width}, kHalf),
                         random_matrix(random, {24, width}, kHalf),
                         random_matrix(random, {24}, kHalf)};
    const Tensor seed = random_matrix(random, {256, 24}, kHalf);
    const auto op = [](const Variables& v) {
      return linear(v[0], v[1], v.size() > 2 ? v[2] : Variable());
    };
    const Tensors want = gradients(op, leaves, {kDouble, kDouble, kDouble}, kCpu, seed);
    const Tensors got = gradients(op, leaves, {kHalf, kSingle, kSingle}, kCuda, seed);
    EXPECT_EQ(got[0].dtype(), kHalf);
    EXPECT_LE(relative_error(got[0], want[0]), 1e-2);
    for (const size_t k : {1, 2}) {
      EXPECT_EQ(got[k].dtype(), kSingle);
      EXPECT_LE(relative_error(got[k], want[k]), 1e-5) << width << ", gradient " << k;
      // What it was before: rounded to bf16.
      EXPECT_GT(relative_error(want[k].to(kHalf), want[k]), 1e-3);
    }
    const Tensors plain = gradients(op, {leaves[0], leaves[1]}, {kHalf, kSingle}, kCuda, seed);
    EXPECT_EQ(plain[1].dtype(), kSingle);
    EXPECT_LE(relative_error(plain[1], want[1]), 1e-5);
    const auto of_bias = [&](const Variables& v) {
      return linear(Variable(leaves[0].to(kHalf).to(kCuda)),
                    Variable(leaves[1].to(kSingle).to(kCuda)), v[0]);
    };
    const Tensors bias = gradients(of_bias, {leaves[2]}, {kSingle}, kCuda, seed);
    EXPECT_EQ(bias[0].dtype(), kSingle);
    EXPECT_LE(relative_error(bias[0], want[2]), 1e-5);
  }
}

// A norm in f64 has no f32 parameters, nor have those of f32 rows ones in bf16; checked on the CPU,
// before anything is computed.
TEST(MasterCopy, OtherDtypesAreRefused) {
  const auto made = [](const Shape& shape, DType dtype) {
    return Variable(Tensor::full(shape, 0.5, DType::f32).to(dtype), true);
  };
  const auto expect_refused = [](const auto& call, const char* text) {
    try {
      call();
      FAIL() << "no error";
    } catch (const DTypeError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
    }
  };
  for (const auto& [x, parameter] : {std::pair{kSingle, kHalf}, std::pair{kDouble, kSingle},
                                     std::pair{kSingle, kDouble}, std::pair{kHalf, kDouble}}) {
    const Variable rows = made({2, 4}, x), gain = made({4}, parameter);
    const std::string wanted = x == kHalf ? "expected dtype bf16 or f32 for a parameter, got f64"
                                          : "expected one dtype, got " + std::string(name_of(x)) +
                                                " and " + std::string(name_of(parameter));
    const Variable weight = made({3, 4}, parameter);
    expect_refused([&] { layer_norm(rows, gain, gain); }, wanted.c_str());
    expect_refused([&] { residual_norm(rows, rows, gain, gain); }, wanted.c_str());
    expect_refused([&] { linear(rows, weight); }, wanted.c_str());
  }
  const Variable rows = made({2, 4}, kHalf);
  expect_refused([&] { layer_norm(rows, made({4}, kSingle), made({4}, kHalf)); },
                 "expected one dtype, got f32 and bf16");
  expect_refused(
      [&] {
        residual_norm(rows, made({2, 4}, kSingle), made({4}, kSingle), made({4}, kSingle));
      },
      "expected one dtype, got bf16 and f32");
}

}  // namespace filigree
