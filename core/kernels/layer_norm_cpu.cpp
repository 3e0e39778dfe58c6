#include <cmath>

#include "core/kernels/layer_norm.h"
#include "core/kernels/loops.h"

namespace filigree::kernels::cpu {

void layer_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps,
                        Tensor& y, Tensor& mean, Tensor& rstd) {
  dispatch_float("layer_norm", x.dtype(), [&]<class T>() {
    const int64_t width = gamma.numel();
    const T *from = x.data<T>(), *g = gamma.data<T>(), *b = beta.data<T>();
    T *to = y.data<T>(), *means = mean.data<T>(), *rstds = rstd.data<T>();
    for_rows(mean.numel(), width, [&](int64_t row) {
      const T* in = from + row * width;
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

void layer_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& mean,
                         const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma,
                         Tensor& dbeta) {
  dispatch_float("layer_norm", x.dtype(), [&]<class T>() {
    const int64_t width = gamma.numel(), rows = mean.numel();
    const T *from = x.data<T>(), *g = gamma.data<T>(), *grads = dy.data<T>();
    const T *means = mean.data<T>(), *rstds = rstd.data<T>();
    T* to = dx.data<T>();
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
      }
    });
    std::copy(sums.begin(), sums.begin() + width, dgamma.data<T>());
    std::copy(sums.begin() + width, sums.end(), dbeta.data<T>());
  });
}

}  // namespace filigree::kernels::cpu
