// Cases of reduce.h, softmax.h, cross_entropy.h, segment_pool.h and shape.h.
#include <cmath>

#include "autograd/ops/arithmetic.h"
#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/exponential.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/segment_pool.h"
#include "autograd/ops/shape.h"
#include "autograd/ops/softmax.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

std::vector<Shape> matrix(int64_t n) { return {Shape{n, 4}}; }
std::vector<Shape> wide(int64_t n) { return {Shape{3, n + 1}}; }

const RegisterOpCase sum_case{{"sum",
                               matrix,
                               [](const Variables& v) { return sum(v[0]); },
                               {},
                               {{{numbers({1, 2, 4}, {3})}, {7}}}}};
const RegisterOpCase mean_case{{"mean",
                                matrix,
                                [](const Variables& v) { return mean(v[0]); },
                                [](const Variables& v) {
                                  const auto n = static_cast<double>(v[0].shape().numel());
                                  return scale(sum(v[0]), n == 0 ? 0 : 1 / n);
                                },
                                {{{numbers({1, 2, 6}, {3})}, {3}}}}};
const RegisterOpCase sum_last_case{{"sum_last",
                                    matrix,
                                    [](const Variables& v) { return sum_last(v[0]); },
                                    {},
                                    {{{numbers({1, 2, 3, 4}, {2, 2})}, {3, 7}}},
                                    [] { sum_last(zeros({})); },
                                    "expected rank 1 or more"}};
const RegisterOpCase spread_last_case{{"spread_last",
                                       matrix,
                                       [](const Variables& v) { return spread_last(v[0], 3); },
                                       {},
                                       {{{numbers({1, 2}, {2})}, {1, 1, 1, 2, 2, 2}}}}};

Variable composite_softmax(const Variable& x) {
  const Variable e = exp(x);
  return mul(e, spread_last(exp(scale(log(sum_last(e)), -1)), x.shape().last()));
}
const RegisterOpCase softmax_case{{"softmax",
                                   wide,
                                   [](const Variables& v) { return softmax(v[0]); },
                                   [](const Variables& v) { return composite_softmax(v[0]); },
                                   {{{numbers({0, std::log(3.0)}, {1, 2})}, {0.25, 0.75}}}}};
const RegisterOpCase log_softmax_case{
    {"log_softmax",
     wide,
     [](const Variables& v) { return log_softmax(v[0]); },
     [](const Variables& v) { return log(composite_softmax(v[0])); },
     {{{numbers({0, std::log(3.0)}, {1, 2})}, {std::log(0.25), std::log(0.75)}}}}};

/// Two of three entries, and nothing in row 1.
Tensor mask_for(const Shape& shape) {
  Tensor mask(shape, DType::u8);
  const int64_t width = shape.last();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    mask.data<uint8_t>()[i] = i % 3 != 2 && i / width != 1 ? 1 : 0;
  }
  return mask;
}
const RegisterOpCase masked_softmax_case{
    {"masked_softmax",
     wide,
     [](const Variables& v) { return masked_softmax(v[0], mask_for(v[0].shape())); },
     [](const Variables& v) {
       const Tensor mask = mask_for(v[0].shape()).to(v[0].dtype());
       const Variable e = mul_constant(exp(v[0]), mask);
       // An empty row has the sum 0: 1 is added there, and its exponentials are 0 anyhow.
       const Variable total = sum_last(e);
       Tensor empty = Tensor::zeros(total.shape(), v[0].dtype());
       for (int64_t i = 0; i < empty.numel(); ++i) {
         if (total.value().at(i) == 0) empty.slice(i, 1).fill(1);
       }
       const Variable inverse = exp(scale(log(add(total, Variable(empty))), -1));
       return mul(e, spread_last(inverse, v[0].shape().last()));
     },
     {{{numbers({5, 5, NAN}, {1, 3})}, {0.5, 0.5, 0}}},
     [] {
       masked_softmax(zeros({2, 3}), Tensor::zeros({2, 2}, DType::u8));
     },
     "mask"}};

/// 0, 1, 2, -1, 0 ...: -1 counts for nothing.
Tensor labels_for(int64_t n) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(static_cast<int32_t>(i % 4 == 3 ? -1 : i % 4));
  return Tensor::from(labels);
}
CrossEntropyOptions smooth() {
  CrossEntropyOptions options;
  options.smoothing = 0.2;
  options.mean = true;
  return options;
}
const RegisterOpCase cross_entropy_case{
    {"cross_entropy",
     matrix,
     [](const Variables& v) { return cross_entropy(v[0], labels_for(v[0].shape()[0]), smooth()); },
     [](const Variables& v) {  // - sum of target * log softmax, over the rows that count
       const int64_t n = v[0].shape()[0];
       const Tensor labels = labels_for(n);
       Tensor target = Tensor::zeros(v[0].shape(), DType::f64);
       int64_t counted = 0;
       for (int64_t i = 0; i < n; ++i) {
         const int32_t label = labels.data<int32_t>()[i];
         if (label < 0) continue;
         ++counted;
         for (int64_t c = 0; c < 4; ++c) {
           target.data<double>()[i * 4 + c] = 0.2 / 4 + (c == label ? 0.8 : 0);
         }
       }
       const Variable all = sum(mul_constant(log_softmax(v[0]), target.to(v[0].dtype())));
       return scale(all, counted == 0 ? 0 : -1.0 / static_cast<double>(counted));
     },
     {},
     [] {
       cross_entropy(zeros({3, 2}), labels_for(3));
     },
     "label 2 of row 2"}};

/// Sequences of 2 tokens, an empty one, and the rest.
Tensor offsets_for(int64_t n) {
  const int64_t first = std::min<int64_t>(n, 2);
  return Tensor::from(std::vector<int64_t>{0, first, first, n});
}
const RegisterOpCase segment_pool_case{
    {"segment_pool",
     matrix,
     [](const Variables& v) {
       return segment_pool(v[0], offsets_for(v[0].shape()[0]), Pool::mean);
     },
     [](const Variables& v) {  // a matrix of shares
       const int64_t n = v[0].shape()[0];
       const Tensor offsets = offsets_for(n);
       Tensor shares = Tensor::zeros({3, n}, DType::f64);
       for (int64_t b = 0; b < 3; ++b) {
         const int64_t begin = offsets.data<int64_t>()[b], end = offsets.data<int64_t>()[b + 1];
         for (int64_t i = begin; i < end; ++i) {
           shares.data<double>()[b * n + i] = 1.0 / static_cast<double>(end - begin);
         }
       }
       return matmul(Variable(shares.to(v[0].dtype())), v[0]);
     },
     {{{numbers({1, 3, 5}, {3, 1})}, {2, 0, 5}}},
     [] {
       segment_pool(zeros({3, 2}), offsets_for(4), Pool::first);
     },
     "offsets do not ascend"}};

const RegisterOpCase first_token_case{
    {"segment_pool/first",
     [](int64_t n) {
       return std::vector<Shape>{{n + 3, 4}};
     },
     [](const Variables& v) {
       const int64_t n = v[0].shape()[0];
       return segment_pool(v[0], Tensor::from(std::vector<int64_t>{0, 2, n}), Pool::first);
     },
     [](const Variables& v) {
       return concat_rows({slice_rows(v[0], 0, 1), slice_rows(v[0], 2, 1)});
     },
     {{{numbers({1, 3, 5}, {3, 1})}, {1, 5}}}}};

const RegisterOpCase reshape_case{{"reshape",
                                   matrix,
                                   [](const Variables& v) {
                                     return reshape(v[0], {4, v[0].shape()[0]});
                                   },
                                   {},
                                   {{{numbers({1, 2, 3, 4}, {1, 4})}, {1, 2, 3, 4}}},
                                   [] {
                                     reshape(zeros({2, 3}), {4});
                                   },
                                   "does not hold the elements"}};
const RegisterOpCase swap_axes_case{
    {"swap_axes",
     [](int64_t n) {
       return std::vector<Shape>{{n, 2, 3}};
     },
     [](const Variables& v) { return swap_axes(v[0], 0, 2); },
     {},
     {{{numbers({1, 2, 3, 4, 5, 6}, {1, 2, 3})}, {1, 4, 2, 5, 3, 6}}},
     [] {
       swap_axes(zeros({2, 3}), 0, 2);
     },
     "dimension 2"}};
const RegisterOpCase slice_rows_case{
    {"slice_rows",
     [](int64_t n) {
       return std::vector<Shape>{{n + 2, 3}};
     },
     [](const Variables& v) { return slice_rows(v[0], 1, v[0].shape()[0] - 2); },
     {},
     {{{numbers({1, 2, 3, 4}, {4, 1})}, {2, 3}}},
     [] {
       slice_rows(zeros({2, 3}), 1, 2);
     },
     "slice"}};
const RegisterOpCase concat_rows_case{{"concat_rows",
                                       [](int64_t n) {
                                         return std::vector<Shape>{{n, 3}, {2, 3}, {n, 3}};
                                       },
                                       [](const Variables& v) { return concat_rows(v); },
                                       {},
                                       {{{numbers({1, 2}, {2}), numbers({3}, {1})}, {1, 2, 3}}},
                                       [] {
                                         concat_rows({zeros({2, 3}), zeros({2, 4})});
                                       },
                                       "concat_rows"}};
const RegisterOpCase cast_case{{"cast",
                                matrix,
                                [](const Variables& v) { return cast(v[0], DType::f64); },
                                {},
                                {{{numbers({1, 2.5}, {2})}, {1, 2.5}}},
                                [] { cast(zeros({2}), DType::i32); },
                                "a floating dtype"}};

// From the CPU to the CPU it is x itself; from the device and back, two copies.
const RegisterOpCase to_device_case{
    {"to_device",
     matrix,
     [](const Variables& v) { return to_device(to_device(v[0], kCpu), v[0].device()); },
     {},
     {{{numbers({1, 2.5}, {2})}, {1, 2.5}}},
     [] {
       to_device(zeros({2}), Device{DeviceType::cuda, 99});
     },
     "cuda:99"}};

}  // namespace

}  // namespace filigree::testing
