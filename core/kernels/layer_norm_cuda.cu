#include <cmath>

#include "core/cuda/rows.h"
#include "core/kernels/layer_norm.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::WarpRow;

template <class T>
struct Forward {
  const T *x, *gamma, *beta;
  T *y, *mean, *rstd;
  T eps;

  __device__ void operator()(WarpRow row) const {
    const T* in = x + row.row * row.width;
    T* out = y + row.row * row.width;
    const T m = row.sum<T>([&](int64_t j) { return in[j]; }) / T(row.width);
    const T variance =
        row.sum<T>([&](int64_t j) { return (in[j] - m) * (in[j] - m); }) / T(row.width);
    const T r = T(1) / std::sqrt(variance + eps);
    row.each([&](int64_t j) { out[j] = (in[j] - m) * r * gamma[j] + beta[j]; });
    if (row.lane == 0) {
      mean[row.row] = m;
      rstd[row.row] = r;
    }
  }
};

template <class T>
struct Backward {
  const T *x, *gamma, *mean, *rstd, *dy;
  T* dx;

  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T *in = x + at, *grad = dy + at;
    T* out = dx + at;
    const T m = mean[row.row], r = rstd[row.row];
    const T mean_g = row.sum<T>([&](int64_t j) { return grad[j] * gamma[j]; }) / T(row.width);
    const T mean_gn = row.sum<T>([&](int64_t j) {
      return grad[j] * gamma[j] * ((in[j] - m) * r);
    }) / T(row.width);
    row.each(
        [&](int64_t j) { out[j] = r * (grad[j] * gamma[j] - mean_g - (in[j] - m) * r * mean_gn); });
  }
};

/// dy n, whose column sums are dgamma.
template <class T>
struct GammaTerm {
  const T *x, *mean, *rstd, *dy;
  int64_t width;
  __device__ T operator()(int64_t row, int64_t column) const {
    const int64_t at = row * width + column;
    return dy[at] * ((x[at] - mean[row]) * rstd[row]);
  }
};

}  // namespace

void layer_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps,
                        Tensor& y, Tensor& mean, Tensor& rstd) {
  dispatch_float("layer_norm", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows("layer_norm", x, mean.numel(), gamma.numel(),
                             Forward<T>{x.data<T>(), gamma.data<T>(), beta.data<T>(), y.data<T>(),
                                        mean.data<T>(), rstd.data<T>(), static_cast<T>(eps)});
  });
}

void layer_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& mean,
                         const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma,
                         Tensor& dbeta) {
  dispatch_float("layer_norm", x.dtype(), [&]<class T>() {
    const int64_t rows = mean.numel(), width = gamma.numel();
    const T *means = mean.data<T>(), *rstds = rstd.data<T>(), *grads = dy.data<T>();
    filigree::cuda::for_rows(
        "layer_norm", x, rows, width,
        Backward<T>{x.data<T>(), gamma.data<T>(), means, rstds, grads, dx.data<T>()});
    filigree::cuda::column_sums<T>("layer_norm", x, rows, width,
                                   GammaTerm<T>{x.data<T>(), means, rstds, grads, width},
                                   dgamma.data<T>());
    filigree::cuda::column_sums<T>("layer_norm", x, rows, width,
                                   filigree::cuda::RowsOf<T>{grads, width}, dbeta.data<T>());
  });
}

}  // namespace filigree::kernels::cuda
