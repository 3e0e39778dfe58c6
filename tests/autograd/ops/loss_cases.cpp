// Cases of chunked_cross_entropy.h.
#include <cmath>

#include "autograd/ops/chunked_cross_entropy.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/linear.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

// Chunks of 2 or 3 classes and a width of 4: OpenBLAS divides the sums of larger products, and
// those of a matrix by a vector, among its threads, and rounds otherwise for another number of
// them.
constexpr int64_t kWidth = 4;

/// h, weight and bias for so many classes.
template <int64_t kClasses>
std::vector<Shape> with_bias(int64_t n) {
  return {{n, kWidth}, {kClasses, kWidth}, {kClasses}};
}
std::vector<Shape> without_bias(int64_t n) { return {{n, kWidth}, {3, kWidth}}; }

/// Classes in turn, in steps of 3; every `period`-th row counts for nothing (0: all count).
Tensor labels_for(int64_t n, int64_t classes, int64_t period) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < n; ++i) {
    const bool ignored = period > 0 && i % period == period - 1;
    labels.push_back(ignored ? -1 : static_cast<int32_t>((3 * i + i / classes) % classes));
  }
  return Tensor::from(labels);
}

ChunkedCrossEntropyOptions chunks_of(int64_t chunk, bool mean) {
  ChunkedCrossEntropyOptions options;
  options.chunk = chunk;
  options.mean = mean;
  return options;
}

/// Chunks of 3, 3 and 2 classes; the mean over three of four rows.
const RegisterOpCase mean_case{
    {"chunked_cross_entropy",
     with_bias<8>,
     [](const Variables& v) {
       return chunked_cross_entropy(v[0], v[1], v[2], labels_for(v[0].shape()[0], 8, 4),
                                    chunks_of(3, true));
     },
     [](const Variables& v) {
       return cross_entropy(linear(v[0], v[1], v[2]), labels_for(v[0].shape()[0], 8, 4),
                            {.mean = true});
     },
     {},
     [] {
       chunked_cross_entropy(zeros({3, 2}), zeros({2, 2}), zeros({2}), labels_for(3, 7, 0));
     },
     "label 3 of row 1 is outside [0, 2)"}};

/// The op's own choice of chunks, no bias, every row counts.
const RegisterOpCase sum_case{
    {"chunked_cross_entropy/sum",
     without_bias,
     [](const Variables& v) {
       return chunked_cross_entropy(v[0], v[1], {}, labels_for(v[0].shape()[0], 3, 0));
     },
     [](const Variables& v) {
       return cross_entropy(linear(v[0], v[1]), labels_for(v[0].shape()[0], 3, 0));
     },
     {},
     [] {
       chunked_cross_entropy(zeros({3, 2}), zeros({7, 3}), {}, labels_for(3, 7, 0));
     },
     "weight"}};

/// Two chunks, with one class each in the literal values. Logits log 2 - log 2 = 0 and log 3 in the
/// two rows that count, label 0 in both: twice -log(1 / 4). The row between them has no label, and
/// its NaN goes nowhere.
const RegisterOpCase halves_case{
    {"chunked_cross_entropy/halves",
     with_bias<6>,
     [](const Variables& v) {
       std::vector<int32_t> labels(static_cast<size_t>(v[0].shape()[0]), 0);
       if (labels.size() > 1) labels[1] = -1;
       return chunked_cross_entropy(v[0], v[1], v[2], Tensor::from(labels),
                                    chunks_of(v[1].shape()[0] / 2, false));
     },
     [](const Variables& v) {
       std::vector<int32_t> labels(static_cast<size_t>(v[0].shape()[0]), 0);
       if (labels.size() > 1) labels[1] = -1;
       return cross_entropy(linear(v[0], v[1], v[2]), Tensor::from(labels));
     },
     {{{numbers({1, NAN, 1}, {3, 1}), numbers({std::log(2.0), std::log(3.0)}, {2, 1}),
        numbers({-std::log(2.0), 0}, {2})},
       {2 * std::log(4.0)}}},
     [] {
       chunked_cross_entropy(zeros({3, 2}), zeros({7, 2}), zeros({7}), labels_for(3, 7, 0),
                             chunks_of(-1, false));
     },
     "expected a chunk of 1 class or more, got -1"}};

}  // namespace

}  // namespace filigree::testing
