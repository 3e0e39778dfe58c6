// The rows kernel: one query at a time. Private to kernels.
#pragma once

#include <limits>
#include <vector>

#include "attention/kernels/head_view.h"
#include "core/kernels/loops.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels {

/// Scratch of one thread, sized for the longest row.
template <class T>
struct RowScratch {
  std::vector<int32_t> columns;
  std::vector<T> weights, slopes, factors;
  void reserve(int64_t length) {
    const auto size = static_cast<size_t>(length);
    if (columns.size() >= size) return;
    columns.resize(size);
    weights.resize(size);
    slopes.resize(size);
    factors.assign(size, T(1));
  }
};

/// <a, b> over D elements; D = 0 means a run-time size. One order of summation for every caller.
template <int D, class T>
T dot(const T* a, const T* b, int64_t dim) {
  const int64_t width = D > 0 ? D : dim;
  return sum_of<T>(width, [&](int64_t d) { return a[d] * b[d]; });
}

template <int D, class T>
void axpy(T factor, const T* x, T* y, int64_t dim) {
  const int64_t width = D > 0 ? D : dim;
  for (int64_t d = 0; d < width; ++d) y[d] += factor * x[d];
}

/// Scores s_ij of the `count` columns of row i into scratch.weights.
template <int D, class T>
void row_scores(const HeadView<T>& head, int64_t i, int64_t count, RowScratch<T>& scratch) {
  const T* query = head.q + i * head.stride;
  for (int64_t e = 0; e < count; ++e) {
    const int32_t j = scratch.columns[static_cast<size_t>(e)];
    scratch.weights[static_cast<size_t>(e)] =
        head.scale * dot<D>(query, head.k + j * head.stride, head.dim) + bias_of(head, i, j);
  }
  if (head.gate.on()) {
    add_gate(head.gate, i, scratch.weights.data(), count, Listed{scratch.columns.data()});
  }
}

/// Factors of dropout of row i's columns into scratch.factors.
template <class T>
void row_factors(const HeadView<T>& head, int64_t i, int64_t count, RowScratch<T>& scratch) {
  if (head.keep.drops()) {
    head.keep.listed(i, scratch.columns.data(), count, scratch.factors.data());
  } else {
    std::fill(scratch.factors.begin(), scratch.factors.begin() + count, T(1));
  }
}

template <int D, class T>
void forward_row(const HeadView<T>& head, int64_t i, int64_t count, RowScratch<T>& scratch) {
  T* out = head.out + i * head.width;
  std::fill(out, out + head.dim, T(0));
  if (count == 0) {
    head.lse[i * head.heads] = -std::numeric_limits<T>::infinity();
    return;
  }
  row_scores<D>(head, i, count, scratch);
  T* weight = scratch.weights.data();
  T top = weight[0];
  for (int64_t e = 1; e < count; ++e)
    if (!(weight[e] <= top) && top == top) top = weight[e];  // a NaN stays
  if (top == -std::numeric_limits<T>::infinity()) {          // nothing that counts is seen
    head.lse[i * head.heads] = top;
    return;
  }
  for (int64_t e = 0; e < count; ++e) weight[e] = exp_of(weight[e] - top);
  const T sum = sum_of<T>(count, [&](int64_t e) { return weight[e]; });
  head.lse[i * head.heads] = top + std::log(sum);
  row_factors(head, i, count, scratch);
  for (int64_t e = 0; e < count; ++e) {
    const int32_t j = scratch.columns[static_cast<size_t>(e)];
    const T a = weight[e] / sum * scratch.factors[static_cast<size_t>(e)];
    axpy<D>(a, head.v + j * head.stride, out, head.dim);
  }
}

/// Adds row i's part to dq, dk, dv and to dbias and dgate (pointing at distance 0; null for none).
template <int D, class T>
void backward_row(const HeadView<T>& head, int64_t i, int64_t count, RowScratch<T>& scratch,
                  T* dbias, T* dgate) {
  const T lse = head.lse[i * head.heads];
  if (lse == -std::numeric_limits<T>::infinity()) return;
  row_scores<D>(head, i, count, scratch);
  const T* grad = head.grad + i * head.width;
  const T* query = head.q + i * head.stride;
  T* dquery = head.dq + i * head.stride;
  const T delta = dot<D>(grad, head.o + i * head.width, head.dim);
  T *weight = scratch.weights.data(), *slopes = scratch.slopes.data();
  const Listed columns{scratch.columns.data()};
  if (dgate) clamp_closed(head.gate, i, lse, weight, count, columns);
  for (int64_t e = 0; e < count; ++e) weight[e] = exp_of(weight[e] - lse);
  row_factors(head, i, count, scratch);
  for (int64_t e = 0; e < count; ++e) {
    const T factor = scratch.factors[static_cast<size_t>(e)];
    const T dp = factor * dot<D>(grad, head.v + columns(e) * head.stride, head.dim);
    slopes[e] = weight[e] == 0 ? T(0) : weight[e] * (dp - delta);  // <do, v> may overflow there
  }
  if (dgate) gate_slopes(head.gate, i, weight, slopes, count, columns, dgate);
  for (int64_t e = 0; e < count; ++e) {
    const int64_t j = columns(e);
    const T factor = scratch.factors[static_cast<size_t>(e)], ds = slopes[e];
    axpy<D>(weight[e] * factor, grad, head.dv + j * head.stride, head.dim);
    axpy<D>(ds * head.scale, head.k + j * head.stride, dquery, head.dim);
    axpy<D>(ds * head.scale, query, head.dk + j * head.stride, head.dim);
    if (dbias && std::abs(j - i) <= head.reach) dbias[j - i] += ds;
  }
}

/// Calls body.template operator()<D>() with D = dim where that size is specialised, else 0.
template <class Body>
void with_head_dim(int64_t dim, Body body) {
  switch (dim) {
    case 16:
      return body.template operator()<16>();
    case 32:
      return body.template operator()<32>();
    case 64:
      return body.template operator()<64>();
    case 128:
      return body.template operator()<128>();
    default:
      return body.template operator()<0>();
  }
}

}  // namespace filigree::kernels
