// Kernels on a CUDA device where OpCases do not reach: data that no pack fits, many tensors at
// once.
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "core/convert.h"
#include "core/kernels/accumulate.h"
#include "core/kernels/activation.h"
#include "core/kernels/cast.h"
#include "core/kernels/dropout.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/layer_norm.h"
#include "core/kernels/linear.h"
#include "core/kernels/optimizer.h"
#include "core/kernels/reduce.h"
#include "core/random.h"
#include "tests/cuda_device.h"

namespace filigree {

namespace {

using testing_device::kCuda;

Tensor random_numbers(RandomStream& random, int64_t count, DType dtype) {
  Tensor values({count}, DType::f64);
  for (double& value : values.span<double>()) value = random.normal();
  return values.to(dtype);
}

/// `made` behind one element of a block on the device, so that it lies at no multiple of 16 bytes.
Tensor shifted(const Tensor& made) {
  Tensor longer({made.numel() + 1}, made.dtype());
  std::memcpy(static_cast<char*>(longer.raw()) + size_of(made.dtype()), made.raw(),
              static_cast<size_t>(made.bytes()));
  return longer.to(kCuda).slice(1, made.numel());
}

/// y of kernel(y) where y lies as `like` does.
template <class Kernel>
Tensor result(Kernel kernel, int64_t count, DType dtype, bool shift) {
  Tensor y({count + 1}, dtype, kCuda);
  y.fill(0);
  Tensor part = shift ? y.slice(1, count) : y.slice(0, count);
  kernel(part);
  return part.to(kCpu);
}

void expect_same(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_EQ(a.bytes(), b.bytes());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0) << what;
}

}  // namespace

TEST(DeviceKernels, GiveTheSameBitsWhereNoPackFits) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(51, Purpose::test);
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    for (const int64_t count : {1, 7, 8, 37, 4099}) {
      const Tensor a = random_numbers(random, count, dtype),
                   b = random_numbers(random, count, dtype);
      const auto compare = [&](const char* what, auto call, DType to) {
        const Tensor a_there = a.to(kCuda), b_there = b.to(kCuda), a_off = shifted(a),
                     b_off = shifted(b);
        const Tensor want = result([&](Tensor& y) { call(a_there, b_there, y); }, count, to, false);
        expect_same(result([&](Tensor& y) { call(a_off, b_off, y); }, count, to, true), want, what);
        expect_same(result([&](Tensor& y) { call(a_there, b_off, y); }, count, to, true), want,
                    what);
      };
      const auto add = [](const Tensor& x, const Tensor& z, Tensor& y) { kernels::add(x, z, y); };
      compare("add", add, dtype);
      compare(
          "scale", [](const Tensor& x, const Tensor&, Tensor& y) { kernels::scale(x, 0.3, y); },
          dtype);
      compare(
          "add_bias",
          [](const Tensor& x, const Tensor& z, Tensor& y) { kernels::add_bias(x, z, y); }, dtype);
      compare(
          "dropout",
          [](const Tensor& x, const Tensor&, Tensor& y) { kernels::dropout(x, 0.4, 77, y); },
          dtype);
      compare(
          "accumulate",
          [](const Tensor& x, const Tensor& z, Tensor& y) {
            kernels::accumulate(x, y);
            kernels::accumulate(z, y);
          },
          dtype);
      for (const DType to : {DType::f32, DType::f64, DType::bf16, DType::i64}) {
        compare(
            "cast", [](const Tensor& x, const Tensor&, Tensor& y) { kernels::cast(x, y); }, to);
      }
    }
  }
}

// More parameters than one launch takes, of all sizes, some of them empty, some where no pack fits.
TEST(DeviceKernels, StepManyParametersAsTheCpuDoes) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(52, Purpose::test);
  for (const DType dtype : {DType::f32, DType::f64}) {
    std::vector<AdamWParameter> here, there;
    std::vector<Tensor> gradients_here, gradients_there;
    const std::vector<int64_t> sizes{0, 1, 3, 4, 5, 0, 4096, 4097, 9000};
    for (size_t k = 0; k < 300; ++k) {
      const int64_t count = k == 299 ? 0 : sizes[k % sizes.size()];
      AdamWParameter one{
          random_numbers(random, count, dtype),      random_numbers(random, count, dtype),
          random_numbers(random, count, dtype),      Tensor::full({count}, 0.5, dtype),
          0.01 + 0.001 * static_cast<double>(k % 7), k % 2 == 0 ? 0.1 : 0.0};
      AdamWParameter copy = one;
      for (auto tensor : {&AdamWParameter::gradient, &AdamWParameter::weight, &AdamWParameter::m,
                          &AdamWParameter::v}) {
        copy.*tensor = k % 5 == 0 ? shifted(one.*tensor) : (one.*tensor).to(kCuda);
      }
      gradients_here.push_back(one.gradient);
      gradients_there.push_back(copy.gradient);
      here.push_back(one);
      there.push_back(copy);
    }
    Tensor norm_here({}, DType::f64), norm_there({}, DType::f64, kCuda);
    kernels::sum_squares(norm_here, gradients_here);
    kernels::sum_squares(norm_there, gradients_there);
    EXPECT_NEAR(norm_there.item(), norm_here.item(), 1e-12 * norm_here.item());

    const AdamWStep step{0.9, 0.99, 1e-8, 3, 0.7};
    kernels::adamw(here.front().weight, here, step);
    kernels::adamw(there.front().weight, there, step);
    const double tolerance = dtype == DType::f32 ? 1e-5 : 1e-13;
    for (size_t k = 0; k < here.size(); ++k) {
      for (auto tensor : {&AdamWParameter::weight, &AdamWParameter::m, &AdamWParameter::v}) {
        const Tensor got = (there[k].*tensor).to(kCpu);
        for (int64_t i = 0; i < got.numel(); ++i) {
          ASSERT_NEAR(got.at(i), (here[k].*tensor).at(i), tolerance) << "parameter " << k;
        }
      }
    }
  }
}

// Rows of all the widths for which there is a kernel of its own, and of none: more rows than a
// block has, the last block not full.
TEST(DeviceKernels, NormaliseRowsOfAnyWidthAsTheCpuDoes) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(53, Purpose::test);
  constexpr int64_t kRows = 131;
  for (const int64_t width : {4, 37, 256, 264, 520, 776, 1024, 1032}) {
    const auto matrix = [&] {
      return random_numbers(random, kRows * width, DType::f64).view({kRows, width});
    };
    Tensor x = matrix(), branch = matrix(), dy = matrix(), dsum = matrix(),
           gamma = random_numbers(random, width, DType::f64),
           beta = random_numbers(random, width, DType::f64);
    const KeyedDropout dropout{0.3, 99};
    const auto all = [&](DType dtype, Device device) {
      const auto there = [&](const Tensor& t) { return t.to(dtype).to(device); };
      const auto like = [&](const Tensor& t) { return Tensor(t.shape(), dtype, device); };
      const DType kept = statistics_dtype(dtype);
      const Tensor g = gamma.to(kept).to(device), b = beta.to(kept).to(device);
      Tensor sum = like(x), y = like(x), dx = like(x), dbranch = like(x),
             dgamma({width}, kept, device), dbeta({width}, kept, device),
             mean({kRows}, kept, device), rstd({kRows}, kept, device);
      kernels::layer_norm_forward(there(x), there(branch), dropout, g, b, 1e-5, sum, y, mean, rstd);
      kernels::layer_norm_backward(sum, g, mean, rstd, there(dy), there(dsum), dropout, dx, dbranch,
                                   dgamma, dbeta);
      return std::vector<Tensor>{sum, y, mean, rstd, dx, dbranch, dgamma, dbeta};
    };
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
      // The same rounded inputs.
      for (Tensor* t : {&x, &branch, &dy, &dsum}) *t = t->to(dtype).to(DType::f64);
      for (Tensor* t : {&gamma, &beta}) *t = t->to(statistics_dtype(dtype)).to(DType::f64);
      const std::vector<Tensor> want = all(DType::f64, kCpu);
      const std::vector<Tensor> got = all(dtype, kCuda), again = all(dtype, kCuda);
      for (size_t k = 0; k < got.size(); ++k) {
        const Tensor here = got[k].to(kCpu);
        expect_same(here, again[k].to(kCpu), "twice");
        const bool sums = k >= 6;  // of kRows products with a sum that was rounded to bf16
        const double tolerance = dtype == DType::f64   ? 1e-11
                                 : dtype == DType::f32 ? 1e-4
                                 : sums                ? 0.1
                                                       : 0.02;
        for (int64_t i = 0; i < here.numel(); ++i) {
          const double size = dtype == DType::bf16 ? std::max(1.0, std::abs(want[k].at(i))) : 1.0;
          ASSERT_NEAR(here.at(i), want[k].at(i), tolerance * size) << width << ", tensor " << k;
        }
      }
    }
  }
}

// Sums of columns and the products that do them on the way, in chunks and across them.
TEST(DeviceKernels, AddUpColumnsAsTheCpuDoes) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  RandomStream random(54, Purpose::test);
  const auto rounded = [&](const Shape& shape) {  // to bf16, so that all dtypes have the same
    return random_numbers(random, shape.numel(), DType::bf16).to(DType::f64).view(shape);
  };
  for (const int64_t rows : {1, 33, 128, 700, 1024, 1025, 1300}) {
    for (const int64_t width : {1, 8, 37, 264}) {
      const Tensor dy = rounded({rows, width}), x = rounded({rows, 8});
      Tensor want({width}, DType::f64), product({width, 8}, DType::f64);
      kernels::linear_weight_backward(x, dy, product, want);
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
        Tensor sums({width}, dtype, kCuda), also({width}, dtype, kCuda),
            shift({width}, dtype, kCuda), weights({width, 8}, dtype, kCuda);
        const Tensor there = dy.to(dtype).to(kCuda);
        kernels::sum_rows(there, sums);
        kernels::sum_rows(shifted(dy.to(dtype)).view({rows, width}), shift);
        kernels::linear_weight_backward(x.to(dtype).to(kCuda), there, weights, also);
        expect_same(sums.to(kCpu), shift.to(kCpu), "where no pack fits");
        const auto expect_close = [&](const Tensor& got, const Tensor& wanted) {
          const Tensor here = got.to(kCpu);
          for (int64_t i = 0; i < wanted.numel(); ++i) {
            const double tolerance = dtype == DType::f64   ? 1e-11
                                     : dtype == DType::f32 ? 1e-3
                                                           : 1e-3 + std::abs(wanted.at(i)) / 256;
            ASSERT_NEAR(here.at(i), wanted.at(i), tolerance) << rows << " x " << width;
          }
        };
        expect_close(sums, want);
        expect_close(also, want);
        expect_close(weights, product);
      }
    }
  }
}

// In bf16 they are approximated; on every number from -12 to 12, and on far ones, not worse than by
// the rounding.
TEST(DeviceKernels, ActivationsOfBfloat16AreThoseOfTheCpuRounded) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  std::vector<double> numbers;
  for (uint32_t bits = 0; bits < 1U << 16; ++bits) {
    const auto value = static_cast<double>(std::bit_cast<float>(bits << 16));
    if (std::abs(value) <= 12) numbers.push_back(value);
  }
  for (const double far : {1e3, 1e15, 1e18}) {
    numbers.push_back(far);
    numbers.push_back(-far);
  }
  for (double& number : numbers) {  // what bf16 has
    number = static_cast<double>(convert<float>(convert<BFloat16>(static_cast<float>(number))));
  }
  const Tensor x = Tensor::from(numbers), ones = Tensor::full(x.shape(), 1, DType::f64);
  const Tensor there = x.to(DType::bf16).to(kCuda), ones_there = ones.to(DType::bf16).to(kCuda);
  for (const Activation f :
       {Activation::gelu_erf, Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
    Tensor y(x.shape(), DType::f64), dx(x.shape(), DType::f64);
    kernels::activation_forward(x, f, y);
    kernels::activation_backward(x, ones, f, dx);
    Tensor y_there(x.shape(), DType::bf16, kCuda), dx_there(x.shape(), DType::bf16, kCuda);
    kernels::activation_forward(there, f, y_there);
    kernels::activation_backward(there, ones_there, f, dx_there);
    const Tensor y_here = y_there.to(kCpu), dx_here = dx_there.to(kCpu);
    for (int64_t i = 0; i < x.numel(); ++i) {
      ASSERT_NEAR(y_here.at(i), y.at(i), std::abs(y.at(i)) / 256 + 5e-7) << "at " << x.at(i);
      ASSERT_NEAR(dx_here.at(i), dx.at(i), std::abs(dx.at(i)) / 256 + 5e-7) << "at " << x.at(i);
    }
  }
}

TEST(DeviceKernels, SquaresOfNothingAreZero) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  Tensor squares = Tensor::full({}, 5, DType::f64).to(kCuda);
  kernels::sum_squares(squares, {});
  EXPECT_EQ(squares.item(), 0);
}

}  // namespace filigree
