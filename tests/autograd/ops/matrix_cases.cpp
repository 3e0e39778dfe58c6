// Cases of matmul.h, linear.h, embedding.h and select_rows.h.
#include "autograd/ops/arithmetic.h"
#include "autograd/ops/embedding.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/matmul.h"
#include "autograd/ops/reduce.h"
#include "autograd/ops/select_rows.h"
#include "autograd/ops/shape.h"
#include "op_case.h"

namespace filigree::testing {

namespace {

const RegisterOpCase matmul_case{
    {"matmul",
     [](int64_t n) {
       return std::vector<Shape>{{n, 3}, {2, n}};
     },
     [](const Variables& v) { return matmul(v[0], v[1], true, true); },  // (3, n) x (n, 2)
     [](const Variables& v) { return matmul(swap_axes(v[0], 0, 1), swap_axes(v[1], 0, 1)); },
     {{{numbers({1, 2, 3}, {1, 3}), numbers({10, 20}, {2, 1})}, {10, 20, 20, 40, 30, 60}}},
     [] {
       matmul(zeros({2, 3}), zeros({2, 3}));
     },
     "expected (M, K) and (K, N)"}};

/// A product of the matrices of each batch entry.
const RegisterOpCase batched_matmul_case{
    {"matmul/batched",
     [](int64_t n) {
       return std::vector<Shape>{{2, n, 3}, {2, 4, 3}};
     },
     [](const Variables& v) { return matmul(v[0], v[1], false, true); },  // (2, n, 4)
     [](const Variables& v) {
       const int64_t n = v[0].shape()[1];
       const auto product = [&](int64_t b) {
         const Variable a = reshape(slice_rows(v[0], b, 1), {n, 3});
         const Variable weight = reshape(slice_rows(v[1], b, 1), {4, 3});
         return reshape(linear(a, weight), {1, n, 4});
       };
       return concat_rows({product(0), product(1)});
     },
     {},
     [] {
       matmul(zeros({2, 2, 3}), zeros({3, 3, 2}));
     },
     "matmul"}};

const RegisterOpCase linear_case{
    {"linear",
     [](int64_t n) {
       return std::vector<Shape>{{n, 4}, {3, 4}, {3}};
     },
     [](const Variables& v) { return linear(v[0], v[1], v[2]); },
     [](const Variables& v) { return add_bias(matmul(v[0], v[1], false, true), v[2]); },
     {{{numbers({1, 2}, {1, 2}), numbers({3, 4, 5, 6}, {2, 2}), numbers({0.5, -1}, {2})},
       {11.5, 16}}},
     [] {
       linear(zeros({2, 3}), zeros({4, 5}));
     },
     "linear"}};

const RegisterOpCase add_bias_case{
    {"add_bias",
     [](int64_t n) {
       return std::vector<Shape>{{n, 3}, {3}};
     },
     [](const Variables& v) { return add_bias(v[0], v[1]); },
     [](const Variables& v) {  // a column of ones times the bias as a row
       const Variable ones(Tensor::full({v[0].shape()[0], 1}, 1, v[0].dtype()));
       return add(v[0], linear(ones, spread_last(v[1], 1)));
     },
     {{{numbers({1, 2, 3, 4}, {2, 2}), numbers({10, 20}, {2})}, {11, 22, 13, 24}}},
     [] {
       add_bias(zeros({2, 3}), zeros({2}));
     },
     "add_bias"}};

/// Rows 0, 2, 4, 1, 3, 0, ...: some several times, in no order.
Tensor ids_for(int64_t n) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<int32_t>(2 * i % 5));
  return Tensor::from(ids);
}
const RegisterOpCase embedding_case{{"embedding",
                                     [](int64_t n) {
                                       return std::vector<Shape>{{5, n}};
                                     },
                                     [](const Variables& v) { return embedding(v[0], ids_for(7)); },
                                     [](const Variables& v) {  // a matrix with a 1 where the id is
                                       Tensor one_hot = Tensor::zeros({7, 5}, v[0].dtype());
                                       for (int64_t i = 0; i < 7; ++i)
                                         one_hot.slice(i, 1).view({5}).slice(2 * i % 5, 1).fill(1);
                                       return matmul(Variable(one_hot), v[0]);
                                     },
                                     {{{numbers({1, 2, 3, 4, 5}, {5, 1})}, {1, 3, 5, 2, 4, 1, 3}}},
                                     [] {
                                       embedding(zeros({3, 2}), ids_for(7));
                                     },
                                     "embedding"}};

/// The second, fourth, .. of n rows.
Tensor every_second(int64_t n) {
  std::vector<int32_t> rows;
  for (int64_t r = 1; r < n; r += 2) rows.push_back(static_cast<int32_t>(r));
  return Tensor::from(rows);
}
/// A matrix with a 1 where a row is one of these.
Tensor rows_selected(int64_t n, DType dtype) {
  Tensor one_hot = Tensor::zeros({n / 2, n}, dtype);
  for (int64_t r = 0; r < n / 2; ++r) one_hot.slice(r, 1).view({n}).slice(2 * r + 1, 1).fill(1);
  return one_hot;
}
const RegisterOpCase select_rows_case{
    {"select_rows",
     [](int64_t n) {
       return std::vector<Shape>{{n, 3}, {n, 3}};
     },
     [](const Variables& v) {
       const Variables y = select_rows(v, every_second(v[0].shape()[0]));
       return sub(y[0], y[1]);
     },
     [](const Variables& v) {
       return matmul(Variable(rows_selected(v[0].shape()[0], v[0].dtype())), sub(v[0], v[1]));
     },
     {{{numbers({1, 2, 3, 4, 5, 6}, {3, 2}), numbers({0, 0, 1, 2, 0, 0}, {3, 2})}, {2, 2}}},
     [] {
       select_rows({zeros({3, 2})}, Tensor::from(std::vector<int32_t>{1, 1}));
     },
     "expected ascending rows in [0, 3), got 1 after 1 at position 1"}};
const RegisterOpCase one_of_selected_case{
    {"select_rows/one",
     [](int64_t n) {
       return std::vector<Shape>{{n, 3}, {n, 2}};
     },
     [](const Variables& v) { return select_rows(v, every_second(v[0].shape()[0]))[1]; },
     [](const Variables& v) {  // the other one has a gradient, of 0
       const Variable rows(rows_selected(v[0].shape()[0], v[0].dtype()));
       const Variable nothing(Tensor::zeros({3, 2}, v[0].dtype()));
       return add(matmul(rows, v[1]), matmul(matmul(rows, v[0]), nothing));
     },
     {{{numbers({1, 2, 1, 2}, {2, 2}), numbers({3, 4, 5, 6}, {2, 2})}, {5, 6}}}}};

}  // namespace

}  // namespace filigree::testing
