#include <cmath>
#include <limits>

#include "core/kernels/chunked_cross_entropy.h"
#include "core/kernels/loops.h"
#include "core/kernels/vector_math.h"

namespace filigree::kernels::cpu {

void add_chunk_to_softmax(const Tensor& x, const Tensor& bias, const Tensor& labels, int64_t first,
                          Tensor& top, Tensor& sum, Tensor& target) {
  dispatch_float("chunked_cross_entropy", x.dtype(), [&]<class T>() {
    const int64_t classes = x.size(1);
    const T *logits = x.data<T>(), *b = bias.data<T>();
    const int32_t* label = labels.data<int32_t>();
    T *tops = top.data<T>(), *sums = sum.data<T>(), *targets = target.data<T>();
    for_rows(x.size(0), classes, [&](int64_t row) {
      const T* in = logits + row * classes;
      T highest = tops[row];
      for (int64_t c = 0; c < classes; ++c) {
        const T z = in[c] + b[c];
        highest = z > highest ? z : highest;
      }
      // Where all is -Inf so far, exponents are measured from 0: -Inf - -Inf is NaN.
      const T base = highest == -std::numeric_limits<T>::infinity() ? T(0) : highest;
      sums[row] = sums[row] * exp_of(tops[row] - base) +
                  sum_of<T>(classes, [&](int64_t c) { return exp_of(in[c] + b[c] - base); });
      tops[row] = highest;
      const int64_t own = label[row] - first;
      if (own >= 0 && own < classes) targets[row] = in[own] + b[own];
    });
  });
}

void chunk_softmax_gradient(const Tensor& x, const Tensor& bias, const Tensor& labels,
                            const Tensor& log_sum, int64_t first, double factor,
                            const Tensor& dloss, Tensor& dx) {
  dispatch_float("chunked_cross_entropy", x.dtype(), [&]<class T>() {
    const int64_t classes = x.size(1);
    const T *logits = x.data<T>(), *b = bias.data<T>(), *log_sums = log_sum.data<T>();
    const int32_t* label = labels.data<int32_t>();
    T* gradient = dx.data<T>();
    const T f = static_cast<T>(factor * dloss.item());
    for_rows(x.size(0), classes, [&](int64_t row) {
      const T* in = logits + row * classes;
      T* out = gradient + row * classes;
      const T shift = log_sums[row];
      for (int64_t c = 0; c < classes; ++c) out[c] = f * exp_of(in[c] + b[c] - shift);
      const int64_t own = label[row] - first;
      if (own >= 0 && own < classes) out[own] -= f;
    });
  });
}

}  // namespace filigree::kernels::cpu
