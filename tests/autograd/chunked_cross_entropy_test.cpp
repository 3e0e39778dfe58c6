// The loss of a large vocabulary: what it costs in memory, and that chunks change nothing.
#include "autograd/ops/chunked_cross_entropy.h"

#include <cmath>
#include <gtest/gtest.h>

#include "autograd/backward.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/linear.h"
#include "core/allocator.h"
#include "core/random.h"

namespace filigree {
namespace {

struct Problem {
  Variable h, weight, bias;
  Tensor labels;
};

/// Every `period`-th row has a label.
Problem problem_for(int64_t rows, int64_t width, int64_t classes, int64_t period, DType dtype) {
  RandomStream random(3, Purpose::test);
  const auto made = [&](const Shape& shape, double size) {
    Tensor values(shape, DType::f64);
    for (double& value : values.span<double>()) value = size * random.normal();
    return Variable(values.to(dtype), true);
  };
  Problem p{made({rows, width}, 1), made({classes, width}, 0.3), made({classes}, 0.3), {}};
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < rows; ++i) {
    const auto drawn = static_cast<int32_t>(random.below(static_cast<uint64_t>(classes)));
    labels.push_back(i % period == 0 ? drawn : -1);
  }
  p.labels = Tensor::from(labels);
  return p;
}

/// Loss, then the gradients of h, weight and bias.
Tensors gradients(const Problem& p, const Variable& loss) {
  backward(loss);
  Tensors all{loss.value(), p.h.grad(), p.weight.grad(), p.bias.grad()};
  for (Variable leaf : {p.h, p.weight, p.bias}) leaf.zero_grad();
  return all;
}
Tensors chunked(const Problem& p) {
  return gradients(p, chunked_cross_entropy(p.h, p.weight, p.bias, p.labels, {.mean = true}));
}
Tensors whole(const Problem& p) {
  return gradients(p, cross_entropy(linear(p.h, p.weight, p.bias), p.labels, {.mean = true}));
}

/// Largest deviation, relative to the largest wanted number of each tensor.
double deviation(const Tensors& got, const Tensors& want) {
  double worst = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    double size = 0, off = 0;
    for (int64_t i = 0; i < want[k].numel(); ++i) {
      size = std::max(size, std::abs(want[k].at(i)));
      const double difference = std::abs(got[k].at(i) - want[k].at(i));
      if (!(difference <= off)) off = difference;  // keeps a NaN
    }
    if (!(off / size <= worst)) worst = off / size;
  }
  return worst;
}

/// The same numbers in f64.
Problem in_double(const Problem& p) {
  const auto wide = [](const Variable& x) { return Variable(x.value().to(DType::f64), true); };
  return {wide(p.h), wide(p.weight), wide(p.bias), p.labels};
}

TEST(ChunkedCrossEntropy, GivesLossAndGradientsOfTheWholeMatrix) {
  // 2048 rows and 4099 classes: chunks of 2048, 2048 and 3 classes.
  for (const int64_t period : {1, 7}) {
    const Problem single = problem_for(2048, 24, 4099, period, DType::f32);
    const Problem twice = in_double(single);
    const Tensors want = whole(twice);
    EXPECT_LE(deviation(chunked(twice), want), 1e-13);
    EXPECT_LE(deviation(whole(single), want), 1e-5);
    EXPECT_LE(deviation(chunked(single), want), 1e-5);
  }
}

/// Bytes that loss and backward take beyond what is there before.
template <class Call>
int64_t peak_of(const Problem& p, Call call) {
  release_cached();
  const int64_t before = memory_stats().in_use;
  reset_peak();
  call(p);
  return memory_stats().peak - before;
}

TEST(ChunkedCrossEntropy, TakesLessThanAThirdOfTheLogitsAndTheirGradient) {
  constexpr int64_t kRows = 8192, kClasses = 32'000, kWidth = 64;
  const Problem p = problem_for(kRows, kWidth, kClasses, 1, DType::f32);
  const int64_t whole_matrix = 2 * kRows * kClasses * size_of(DType::f32);
  const int64_t peak = peak_of(p, chunked);
  RecordProperty("peak", human_bytes(peak));
  EXPECT_LT(peak, whole_matrix / 3) << human_bytes(peak) << " of " << human_bytes(whole_matrix);
}

TEST(ChunkedCrossEntropy, TheMeasureSeesAWholeMatrix) {
  const Problem p = problem_for(512, 8, 4000, 1, DType::f32);
  EXPECT_GE(peak_of(p, whole), 2 * 512 * 4000 * size_of(DType::f32));
}

TEST(ChunkedCrossEntropy, NoLabelAtAllIsALossOfZero) {
  const Problem p = problem_for(5, 4, 9, 1, DType::f64);
  const Tensor none = Tensor::full({5}, -1, DType::i32);
  const Problem empty{p.h, p.weight, p.bias, none};
  for (const Tensor& tensor : chunked(empty)) {
    for (int64_t i = 0; i < tensor.numel(); ++i) EXPECT_EQ(tensor.at(i), 0);
  }
}

}  // namespace
}  // namespace filigree
