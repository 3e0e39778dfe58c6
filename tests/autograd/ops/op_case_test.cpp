// The one driver of all OpCases.
#include "op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "autograd/backward.h"
#include "autograd/gradient_check.h"
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/reduce.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "tests/cuda_device.h"

namespace filigree::testing {

std::vector<OpCase>& op_cases() {
  static std::vector<OpCase> cases;
  return cases;
}

Variable zeros(const Shape& shape) { return Variable(Tensor::zeros(shape, DType::f64), true); }

Tensor numbers(const std::vector<double>& values, const Shape& shape) {
  return Tensor::from(values, shape);
}

namespace {

class Op : public ::testing::TestWithParam<OpCase> {
 protected:
  static constexpr int64_t kSizes[] = {0, 1, 5, 33};

  /// Inputs away from kinks and poles: |x| in [0.1, 1.1), or positive.
  static Variables inputs(int64_t n, DType dtype, Device device = kCpu) {
    const OpCase& c = GetParam();
    Variables made;
    RandomStream random(17, Purpose::test, {hash_name(c.op), static_cast<uint64_t>(n)});
    for (const Shape& shape : c.shapes(n)) {
      Tensor values(shape, DType::f64);
      for (double& value : values.span<double>()) {
        value = (0.1 + random.uniform()) * (c.positive || random.below(2) == 0 ? 1 : -1);
      }
      made.emplace_back(values.to(dtype).to(device), true);
    }
    return made;
  }

  /// Output, then the gradient of every input under a fixed weighting of the output, rounded to
  /// `weights`.
  static Tensors run(const std::function<Variable(const Variables&)>& call, const Variables& in,
                     DType weights = DType::f64) {
    const Variable out = call(in);
    Tensor seed(out.shape(), DType::f64);
    for (int64_t i = 0; i < seed.numel(); ++i) {
      seed.data<double>()[i] = std::cos(static_cast<double>(i + 1));
    }
    backward(out, seed.to(weights).to(out.dtype()).to(out.device()));
    Tensors results{out.value()};
    for (const Variable& input : in) {
      results.push_back(input.grad().defined() ? input.grad()
                                               : Tensor::zeros(input.shape(), input.dtype()));
    }
    for (Tensor& result : results) result = result.to(kCpu);
    return results;
  }

  static void expect_near(const Tensors& a, const Tensors& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k) {
      ASSERT_EQ(a[k].shape(), b[k].shape());
      for (int64_t i = 0; i < a[k].numel(); ++i) {
        const double x = a[k].at(i), y = b[k].at(i);
        ASSERT_NEAR(x, y, tolerance * std::max({1.0, std::abs(x), std::abs(y)}))
            << (k == 0 ? "output" : "gradient " + std::to_string(k - 1)) << " at " << i;
      }
    }
  }

  static void expect_same_bits(const Tensors& a, const Tensors& b) {
    for (size_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(std::memcmp(a[k].raw(), b[k].raw(), static_cast<size_t>(a[k].bytes())), 0)
          << (k == 0 ? "output" : "gradient " + std::to_string(k - 1));
    }
  }
};

}  // namespace

TEST_P(Op, GradientsEqualCentralDifferences) {
  for (const int64_t n : kSizes) {
    SCOPED_TRACE("size " + std::to_string(n));
    const Variables in = inputs(n, DType::f64);
    const GradientCheck check =
        check_gradient([](const Variables& v) { return Variables{GetParam().call(v)}; }, in);
    EXPECT_LE(check.largest_error, 1e-6) << check.worst;
  }
}

TEST_P(Op, HasARightSecondDerivativeOrRefusesIt) {
  for (const int64_t n : {0, 1, 5}) {
    SCOPED_TRACE("size " + std::to_string(n));
    const Variables in = inputs(n, DType::f64);
    try {
      const GradientCheck check = check_double_gradient(
          [](const Variables& v) { return Variables{GetParam().call(v)}; }, in);
      EXPECT_LE(check.largest_error, 1e-6) << check.worst;
    } catch (const GradientError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("has no double backward"));
      EXPECT_TRUE(GetParam().composite) << "a simple op must have one";
    }
  }
}

TEST_P(Op, EqualsItsComposite) {
  if (!GetParam().composite) return;  // a simple op
  for (const int64_t n : kSizes) {
    SCOPED_TRACE("size " + std::to_string(n));
    expect_near(run(GetParam().call, inputs(n, DType::f64)),
                run(GetParam().composite, inputs(n, DType::f64)), 1e-12);
  }
}

TEST_P(Op, GivesItsLiteralValues) {
  for (const OpLiteral& literal : GetParam().literals) {
    Variables in;
    for (const Tensor& tensor : literal.inputs) in.emplace_back(tensor, true);
    const Tensor out = GetParam().call(in).value();
    ASSERT_EQ(out.numel(), static_cast<int64_t>(literal.expected.size()));
    for (int64_t i = 0; i < out.numel(); ++i) {
      EXPECT_NEAR(out.at(i), literal.expected[static_cast<size_t>(i)], 1e-12) << "at " << i;
    }
  }
}

TEST_P(Op, Float32AgreesWithFloat64) {
  for (const int64_t n : kSizes) {
    SCOPED_TRACE("size " + std::to_string(n));
    expect_near(run(GetParam().call, inputs(n, DType::f32)),
                run(GetParam().call, inputs(n, DType::f64)), 1e-5);
  }
}

TEST_P(Op, GivesTheSameBitsTwiceAndOnAnyNumberOfThreads) {
  const int before = thread_count();
  for (const int64_t n : {33, 20'000}) {  // one piece of work, and several
    for (const DType dtype : {DType::f32, DType::f64}) {
      set_thread_count(1);
      const Tensors one = run(GetParam().call, inputs(n, dtype));
      expect_same_bits(one, run(GetParam().call, inputs(n, dtype)));
      set_thread_count(2);
      expect_same_bits(one, run(GetParam().call, inputs(n, dtype)));
    }
  }
  set_thread_count(before);
}

/// ||a - b|| / ||b||, or ||a - b|| where b is 0.
double relative_error(const Tensor& a, const Tensor& b) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < b.numel(); ++i) {
    difference += (a.at(i) - b.at(i)) * (a.at(i) - b.at(i));
    size += b.at(i) * b.at(i);
  }
  return std::sqrt(size > 0 ? difference / size : difference);
}

TEST_P(Op, OnTheDeviceEqualsTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const int64_t n : {0, 1, 5, 33, 700}) {
    SCOPED_TRACE("size " + std::to_string(n));
    const Tensors expected = run(GetParam().call, inputs(n, DType::f64));
    const Tensors exact = run(GetParam().call, inputs(n, DType::f64, testing_device::kCuda));
    expect_near(exact, expected, 1e-11);
    const Tensors single = run(GetParam().call, inputs(n, DType::f32, testing_device::kCuda));
    for (size_t k = 0; k < expected.size(); ++k) {
      EXPECT_LE(relative_error(single[k], expected[k]), 1e-5) << "tensor " << k;
      double largest = 1;
      for (int64_t i = 0; i < expected[k].numel(); ++i) {
        largest = std::max(largest, std::abs(expected[k].at(i)));
      }
      for (int64_t i = 0; i < expected[k].numel(); ++i) {  // nor is one element far off
        ASSERT_NEAR(single[k].at(i), expected[k].at(i), 1e-5 * largest) << "tensor " << k;
      }
    }
    expect_same_bits(single, run(GetParam().call, inputs(n, DType::f32, testing_device::kCuda)));
  }
}

TEST_P(Op, OnTheDeviceInBfloat16IsCloseToTheCpu) {
  if (!testing_device::has_cuda()) GTEST_SKIP() << testing_device::kNoCuda;
  for (const int64_t n : {1, 33, 200}) {
    SCOPED_TRACE("size " + std::to_string(n));
    Tensors got;
    try {
      got = run(GetParam().call, inputs(n, DType::bf16, testing_device::kCuda));
    } catch (const DTypeError&) {
      // Heads and losses are computed in f32.
      const std::set<std::string> single{
          "softmax",       "log_softmax",           "masked_softmax", "sum",      "mean",
          "cross_entropy", "segment_cross_entropy", "segment_pool",   "swap_axes"};
      const std::string op = GetParam().op.substr(0, GetParam().op.find('/'));
      ASSERT_TRUE(single.contains(op)) << op << " has no bf16";
      return;
    }
    // The same rounded inputs and weights, so that what is compared is the op.
    Variables rounded;
    for (const Variable& input : inputs(n, DType::bf16)) {
      rounded.emplace_back(input.value().to(DType::f64), true);
    }
    const Tensors want = run(GetParam().call, rounded, DType::bf16);
    for (size_t k = 0; k < want.size(); ++k) {
      EXPECT_LE(relative_error(got[k], want[k]), 2e-2) << "tensor " << k;
    }
  }
}

TEST_P(Op, SaysWhatIsWrong) {
  if (!GetParam().wrong) return;
  try {
    GetParam().wrong();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Op, ::testing::ValuesIn(op_cases()), [](const auto& info) {
  std::string name = info.param.op;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
});

}  // namespace filigree::testing
