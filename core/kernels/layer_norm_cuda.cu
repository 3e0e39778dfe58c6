#include <cmath>

#include "core/cuda/rows.cuh"
#include "core/kernels/layer_norm.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::WarpRow;

using filigree::cuda::Compute;
using filigree::cuda::load;

template <class S>
struct Forward {
  using T = Compute<S>;
  const S *x, *gamma, *beta;
  S* y;
  T *mean, *rstd;
  T eps;

  __device__ void operator()(WarpRow row) const {
    const S* in = x + row.row * row.width;
    S* out = y + row.row * row.width;
    const T m = row.sum<T>([&](int64_t j) { return load(in[j]); }) / T(row.width);
    const T variance = row.sum<T>([&](int64_t j) {
      const T d = load(in[j]) - m;
      return d * d;
    }) / T(row.width);
    const T r = T(1) / std::sqrt(variance + eps);
    row.each([&](int64_t j) {
      out[j] = convert<S>((load(in[j]) - m) * r * load(gamma[j]) + load(beta[j]));
    });
    if (row.lane == 0) {
      mean[row.row] = m;
      rstd[row.row] = r;
    }
  }
};

template <class S>
struct Backward {
  using T = Compute<S>;
  const S *x, *gamma, *dy;
  const T *mean, *rstd;
  S* dx;

  __device__ void operator()(WarpRow row) const {
    const int64_t at = row.row * row.width;
    const T m = mean[row.row], r = rstd[row.row];
    const auto g = [&](int64_t j) { return load(dy[at + j]) * load(gamma[j]); };
    const auto n = [&](int64_t j) { return (load(x[at + j]) - m) * r; };
    const T mean_g = row.sum<T>(g) / T(row.width);
    const T mean_gn = row.sum<T>([&](int64_t j) { return g(j) * n(j); }) / T(row.width);
    row.each([&](int64_t j) { dx[at + j] = convert<S>(r * (g(j) - mean_g - n(j) * mean_gn)); });
  }
};

/// dy n, whose column sums are dgamma.
template <class S>
struct GammaTerm {
  using T = Compute<S>;
  const S *x, *dy;
  const T *mean, *rstd;
  int64_t width;
  __device__ T operator()(int64_t row, int64_t column) const {
    const int64_t at = row * width + column;
    return load(dy[at]) * ((load(x[at]) - mean[row]) * rstd[row]);
  }
};

}  // namespace

void layer_norm_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps,
                        Tensor& y, Tensor& mean, Tensor& rstd) {
  filigree::cuda::dispatch_stored("layer_norm", x.dtype(), [&]<class S>() {
    using T = Compute<S>;
    filigree::cuda::for_rows("layer_norm", x, mean.numel(), gamma.numel(),
                             Forward<S>{x.data<S>(), gamma.data<S>(), beta.data<S>(), y.data<S>(),
                                        mean.data<T>(), rstd.data<T>(), static_cast<T>(eps)});
  });
}

void layer_norm_backward(const Tensor& x, const Tensor& gamma, const Tensor& mean,
                         const Tensor& rstd, const Tensor& dy, Tensor& dx, Tensor& dgamma,
                         Tensor& dbeta) {
  filigree::cuda::dispatch_stored("layer_norm", x.dtype(), [&]<class S>() {
    using T = Compute<S>;
    const int64_t rows = mean.numel(), width = gamma.numel();
    const S *in = x.data<S>(), *grads = dy.data<S>();
    const T *means = mean.data<T>(), *rstds = rstd.data<T>();
    filigree::cuda::for_rows("layer_norm", x, rows, width,
                             Backward<S>{in, gamma.data<S>(), grads, means, rstds, dx.data<S>()});
    filigree::cuda::column_sums<T>("layer_norm", x, rows, width,
                                   GammaTerm<S>{in, grads, means, rstds, width}, dgamma.data<S>());
    filigree::cuda::column_sums<T>("layer_norm", x, rows, width,
                                   filigree::cuda::RowsOf<S>{grads, width}, dbeta.data<S>());
  });
}

}  // namespace filigree::kernels::cuda
