#include <cmath>

#include "core/kernels/dropout_mask.h"
#include "core/kernels/layer_norm.h"
#include "core/kernels/loops.h"

namespace filigree::kernels::cpu {

namespace {

/// sum_i = x_i + dropout(branch)_i for `count` elements from `first`.
template <class T>
void add_branch(const T* x, const T* branch, KeyedDropout dropout, int64_t first, int64_t count,
                T* sum) {
  if (dropout.p > 0) {
    for_dropped<T>(dropout, first, count, [&](int64_t i, T factor) {
      sum[i] = x[i] + (factor > T(0) ? branch[i] * factor : T(0));
    });
  } else {
    for (int64_t i = first; i < first + count; ++i) sum[i] = x[i] + branch[i];
  }
}

}  // namespace

void layer_norm_forward(const Tensor& x, const Tensor& branch, KeyedDropout dropout,
                        const Tensor& gamma, const Tensor& beta, double eps, Tensor& sum, Tensor& y,
                        Tensor& mean, Tensor& rstd) {
  dispatch_float("layer_norm", x.dtype(), [&]<class T>() {
    const int64_t width = gamma.numel();
    const T *from = x.data<T>(), *g = gamma.data<T>(), *b = beta.data<T>();
    const T* added = branch.defined() ? branch.data<T>() : nullptr;
    T *sums = added ? sum.data<T>() : nullptr, *to = y.data<T>();
    T *means = mean.data<T>(), *rstds = rstd.data<T>();
    for_rows(mean.numel(), width, [&](int64_t row) {
      if (added) add_branch(from, added, dropout, row * width, width, sums);
      const T* in = (added ? sums : from) + row * width;
      T* out = to + row * width;
      const T m = sum_of<T>(width, [&](int64_t j) { return in[j]; }) / T(width);
      const T variance =
          sum_of<T>(width, [&](int64_t j) { return (in[j] - m) * (in[j] - m); }) / T(width);
      const T r = T(1) / std::sqrt(variance + static_cast<T>(eps));
      for (int64_t j = 0; j < width; ++j) out[j] = (in[j] - m) * r * g[j] + b[j];
      means[row] = m;
      rstds[row] = r;
    });
  });
}

void layer_norm_backward(const Tensor& sum, const Tensor& gamma, const Tensor& mean,
                         const Tensor& rstd, const Tensor& dy, const Tensor& dsum,
                         KeyedDropout dropout, Tensor& dx, Tensor& dbranch, Tensor& dgamma,
                         Tensor& dbeta) {
  dispatch_float("layer_norm", sum.dtype(), [&]<class T>() {
    const int64_t width = gamma.numel(), rows = mean.numel();
    const T *from = sum.data<T>(), *g = gamma.data<T>(), *grads = dy.data<T>();
    const T *means = mean.data<T>(), *rstds = rstd.data<T>();
    const T* more = dsum.defined() ? dsum.data<T>() : nullptr;
    T *to = dx.data<T>(), *branch = dbranch.defined() ? dbranch.data<T>() : nullptr;
    std::vector<T> sums(static_cast<size_t>(2 * width));
    reduce_rows<T>(rows, 2 * width, sums.data(), [&](int64_t first, int64_t last, T* partial) {
      for (int64_t row = first; row < last; ++row) {
        const T *in = from + row * width, *grad = grads + row * width;
        T* out = to + row * width;
        const T m = means[row], r = rstds[row];
        const T mean_g = sum_of<T>(width, [&](int64_t j) { return grad[j] * g[j]; }) / T(width);
        const T mean_gn =
            sum_of<T>(width, [&](int64_t j) { return grad[j] * g[j] * ((in[j] - m) * r); }) /
            T(width);
        for (int64_t j = 0; j < width; ++j) {
          const T n = (in[j] - m) * r;
          out[j] = r * (grad[j] * g[j] - mean_g - n * mean_gn);
          partial[j] += grad[j] * n;
          partial[width + j] += grad[j];
        }
        if (more) {
          for (int64_t j = 0; j < width; ++j) out[j] += more[row * width + j];
        }
        if (branch) {
          for_dropped<T>(dropout, row * width, width, [&](int64_t i, T factor) {
            branch[i] = factor > T(0) ? to[i] * factor : T(0);
          });
        }
      }
    });
    std::copy(sums.begin(), sums.begin() + width, dgamma.data<T>());
    std::copy(sums.begin() + width, sums.end(), dbeta.data<T>());
  });
}

}  // namespace filigree::kernels::cpu
