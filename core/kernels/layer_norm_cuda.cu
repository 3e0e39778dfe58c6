#include <cmath>

#include "core/cuda/held_row.cuh"
#include "core/cuda/map.cuh"
#include "core/cuda/random.cuh"
#include "core/kernels/layer_norm.h"

namespace filigree::kernels::cuda {

namespace {

using filigree::cuda::Compute;
using filigree::cuda::DropoutMask;
using filigree::cuda::HeldRow;
using filigree::cuda::kWarp;
using filigree::cuda::load;
using filigree::cuda::load_values;
using filigree::cuda::store_values;
using filigree::cuda::WarpRow;

template <class S>
struct Forward {
  using T = Compute<S>;
  const S *x, *branch, *gamma, *beta;  // branch: null for none
  S *sum, *y;
  T *mean, *rstd;
  T eps;
  DropoutMask<T> mask;
};

/// Rows that a warp holds in its registers.
template <class S, int Packs>
struct HeldForward {
  Forward<S> with;

  __device__ void operator()(WarpRow warp) const {
    using T = Compute<S>;
    constexpr int N = HeldRow<S, Packs>::N;
    const HeldRow<S, Packs> row{warp.width, warp.lane};
    const int64_t at = warp.row * warp.width;
    typename HeldRow<S, Packs>::Values in;
    row.each_pack([&](int q, int64_t column) {
      load_values<S, N>(with.x + at + column, in[q]);
      if (!with.branch) return;
      T more[N], factor[N];
      load_values<S, N>(with.branch + at + column, more);
      if (with.mask.drops()) with.mask.factors(at + column, factor);
      for (int i = 0; i < N; ++i) {
        if (with.mask.drops()) more[i] = factor[i] > T(0) ? more[i] * factor[i] : T(0);
        in[q][i] = load(convert<S>(in[q][i] + more[i]));  // as it is kept
      }
      store_values<S, N>(in[q], with.sum + at + column);
    });
    const T m = row.sum([&](int q, int i) { return in[q][i]; }) / T(row.width);
    const T variance = row.sum([&](int q, int i) { return (in[q][i] - m) * (in[q][i] - m); });
    const T r = T(1) / std::sqrt(variance / T(row.width) + with.eps);
    row.each_pack([&](int q, int64_t column) {
      T gamma[N], beta[N];
      load_values<S, N>(with.gamma + column, gamma);
      load_values<S, N>(with.beta + column, beta);
      for (int i = 0; i < N; ++i) gamma[i] = (in[q][i] - m) * r * gamma[i] + beta[i];
      store_values<S, N>(gamma, with.y + at + column);
    });
    if (row.lane != 0) return;
    with.mean[warp.row] = m;
    with.rstd[warp.row] = r;
  }
};

/// Rows of any width: read again for every sum.
template <class S>
struct WideForward {
  Forward<S> with;

  __device__ void operator()(WarpRow row) const {
    using T = Compute<S>;
    const int64_t at = row.row * row.width;
    if (with.branch) {
      row.each([&](int64_t j) {
        T factor[1] = {T(1)};
        if (with.mask.drops()) with.mask.factors(at + j, factor);
        const T more = factor[0] > T(0) ? load(with.branch[at + j]) * factor[0] : T(0);
        with.sum[at + j] = convert<S>(load(with.x[at + j]) + more);
      });
    }
    const S* in = (with.branch ? with.sum : with.x) + at;
    const T m = row.sum<T>([&](int64_t j) { return load(in[j]); }) / T(row.width);
    const T variance = row.sum<T>([&](int64_t j) {
      const T d = load(in[j]) - m;
      return d * d;
    }) / T(row.width);
    const T r = T(1) / std::sqrt(variance + with.eps);
    row.each([&](int64_t j) {
      with.y[at + j] = convert<S>((load(in[j]) - m) * r * load(with.gamma[j]) + load(with.beta[j]));
    });
    if (row.lane != 0) return;
    with.mean[row.row] = m;
    with.rstd[row.row] = r;
  }
};

template <class S>
struct Backward {
  using T = Compute<S>;
  const S *sum, *gamma, *dy, *dsum;  // dsum: null for 0
  const T *mean, *rstd;
  S *dx, *dbranch;  // dbranch: null if not wanted
  DropoutMask<T> mask;
};

constexpr int kWarps = 8;           // of a block
constexpr int64_t kBlockRows = 64;  // whose dgamma and dbeta a block adds up

/// kBlockRows rows a block, every row in the registers of a warp. dgamma, dbeta: (blocks, E), of
/// the block's rows in order.
template <class S, int Packs>
__global__ void __launch_bounds__(kWarps* kWarp)
    held_backward(int64_t rows, int64_t width, Backward<S> with, Compute<S>* dgamma,
                  Compute<S>* dbeta) {
  using T = Compute<S>;
  constexpr int N = HeldRow<S, Packs>::N;
  __shared__ T sums[2][Packs * N * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  const HeldRow<S, Packs> row{width, lane};
  typename HeldRow<S, Packs>::Values of_gamma = {}, of_beta = {};
  for (int64_t k = warp; k < kBlockRows; k += kWarps) {
    const int64_t index = blockIdx.x * kBlockRows + k, at = index * width;
    if (index >= rows) break;
    const T m = with.mean[index], r = with.rstd[index];
    typename HeldRow<S, Packs>::Values n, g;
    row.each_pack([&](int q, int64_t column) {
      T gamma[N];
      load_values<S, N>(with.sum + at + column, n[q]);
      load_values<S, N>(with.dy + at + column, g[q]);
      load_values<S, N>(with.gamma + column, gamma);
      for (int i = 0; i < N; ++i) {
        n[q][i] = (n[q][i] - m) * r;
        of_gamma[q][i] += g[q][i] * n[q][i];
        of_beta[q][i] += g[q][i];
        g[q][i] *= gamma[i];
      }
    });
    const T mean_g = row.sum([&](int q, int i) { return g[q][i]; }) / T(width);
    const T mean_gn = row.sum([&](int q, int i) { return g[q][i] * n[q][i]; }) / T(width);
    row.each_pack([&](int q, int64_t column) {
      T more[N] = {};
      if (with.dsum) load_values<S, N>(with.dsum + at + column, more);
      for (int i = 0; i < N; ++i) {
        g[q][i] = load(convert<S>(r * (g[q][i] - mean_g - n[q][i] * mean_gn) + more[i]));
      }
      store_values<S, N>(g[q], with.dx + at + column);
      if (!with.dbranch) return;
      T factor[N];
      with.mask.factors(at + column, factor);
      for (int i = 0; i < N; ++i) more[i] = factor[i] > T(0) ? g[q][i] * factor[i] : T(0);
      store_values<S, N>(more, with.dbranch + at + column);
    });
  }
  for (int w = 0; w < kWarps; ++w) {  // one after the other: a fixed order
    if (warp == w) {
      row.each_pack([&](int q, int64_t column) {
        for (int i = 0; i < N; ++i) {
          sums[0][column + i] = (w == 0 ? T(0) : sums[0][column + i]) + of_gamma[q][i];
          sums[1][column + i] = (w == 0 ? T(0) : sums[1][column + i]) + of_beta[q][i];
        }
      });
    }
    __syncthreads();
  }
  for (int64_t j = threadIdx.x; j < width; j += kWarps * kWarp) {
    dgamma[blockIdx.x * width + j] = sums[0][j];
    dbeta[blockIdx.x * width + j] = sums[1][j];
  }
}

template <class S>
struct WideBackward {
  Backward<S> with;

  __device__ void operator()(WarpRow row) const {
    using T = Compute<S>;
    const int64_t at = row.row * row.width;
    const T m = with.mean[row.row], r = with.rstd[row.row];
    const auto g = [&](int64_t j) { return load(with.dy[at + j]) * load(with.gamma[j]); };
    const auto n = [&](int64_t j) { return (load(with.sum[at + j]) - m) * r; };
    const T mean_g = row.sum<T>(g) / T(row.width);
    const T mean_gn = row.sum<T>([&](int64_t j) { return g(j) * n(j); }) / T(row.width);
    row.each([&](int64_t j) {
      const T more = with.dsum ? load(with.dsum[at + j]) : T(0);
      const S to = convert<S>(r * (g(j) - mean_g - n(j) * mean_gn) + more);
      with.dx[at + j] = to;
      if (!with.dbranch) return;
      T factor[1];
      with.mask.factors(at + j, factor);
      with.dbranch[at + j] = factor[0] > T(0) ? convert<S>(load(to) * factor[0]) : convert<S>(0);
    });
  }
};

/// dy n, whose column sums are dgamma.
template <class S>
struct GammaTerm {
  using T = Compute<S>;
  const S *sum, *dy;
  const T *mean, *rstd;
  int64_t width;
  __device__ void add(int64_t row, int64_t column, T (&total)[1]) const {
    const int64_t at = row * width + column;
    total[0] += load(dy[at]) * ((load(sum[at]) - mean[row]) * rstd[row]);
  }
};

template <class S>
const S* data_or_null(const Tensor& x) {
  return x.defined() ? x.data<S>() : nullptr;
}
template <class S>
S* data_or_null(Tensor& x) {
  return x.defined() ? x.data<S>() : nullptr;
}

/// Packs fit where there is something.
template <class S, class... Pointers>
bool packs_fit_all(Pointers... at) {
  return filigree::cuda::packs_fit<filigree::cuda::kPack<S>>(static_cast<const S*>(at)...);
}

}  // namespace

void layer_norm_forward(const Tensor& x, const Tensor& branch, KeyedDropout dropout,
                        const Tensor& gamma, const Tensor& beta, double eps, Tensor& sum, Tensor& y,
                        Tensor& mean, Tensor& rstd) {
  filigree::cuda::dispatch_stored("layer_norm", x.dtype(), [&]<class S>() {
    using T = Compute<S>;
    const int64_t rows = mean.numel(), width = gamma.numel();
    const Forward<S> with{x.data<S>(),
                          data_or_null<S>(branch),
                          gamma.data<S>(),
                          beta.data<S>(),
                          branch.defined() ? sum.data<S>() : nullptr,
                          y.data<S>(),
                          mean.data<T>(),
                          rstd.data<T>(),
                          static_cast<T>(eps),
                          DropoutMask<T>(dropout)};
    const bool held =
        packs_fit_all<S>(with.x, with.branch, with.gamma, with.beta, with.sum, with.y) &&
        filigree::cuda::with_held_row<S>(width, [&]<int Packs>() {
          filigree::cuda::for_rows("layer_norm", x, rows, width, HeldForward<S, Packs>{with});
        });
    if (!held) filigree::cuda::for_rows("layer_norm", x, rows, width, WideForward<S>{with});
  });
}

void layer_norm_backward(const Tensor& sum, const Tensor& gamma, const Tensor& mean,
                         const Tensor& rstd, const Tensor& dy, const Tensor& dsum,
                         KeyedDropout dropout, Tensor& dx, Tensor& dbranch, Tensor& dgamma,
                         Tensor& dbeta) {
  filigree::cuda::dispatch_stored("layer_norm", sum.dtype(), [&]<class S>() {
    using T = Compute<S>;
    const int64_t rows = mean.numel(), width = gamma.numel();
    const Backward<S> with{
        sum.data<S>(),         gamma.data<S>(),          dy.data<S>(),
        data_or_null<S>(dsum), mean.data<T>(),           rstd.data<T>(),
        dx.data<S>(),          data_or_null<S>(dbranch), DropoutMask<T>(dropout)};
    const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    const bool fits = rows > 0 && packs_fit_all<S>(with.sum, with.gamma, with.dy, with.dsum,
                                                   with.dx, with.dbranch);
    const bool held =
        fits && filigree::cuda::with_held_row<S>(width, [&]<int Packs>() {
          Tensor of_gamma({blocks, width}, dtype_of<T>, sum.device());
          Tensor of_beta({blocks, width}, dtype_of<T>, sum.device());
          filigree::cuda::launch("layer_norm", sum, {.blocks = blocks, .threads = kWarps * kWarp},
                                 held_backward<S, Packs>, rows, width, with, of_gamma.data<T>(),
                                 of_beta.data<T>());
          const auto add_up = [&](const Tensor& parts, Tensor& total) {
            filigree::cuda::column_sums("layer_norm", sum, blocks, width, parts.data<T>(),
                                        total.data<S>());
          };
          add_up(of_gamma, dgamma);
          add_up(of_beta, dbeta);
        });
    if (held) return;
    filigree::cuda::for_rows("layer_norm", sum, rows, width, WideBackward<S>{with});
    filigree::cuda::column_sums<T, 1>("layer_norm", sum, rows, width,
                                      GammaTerm<S>{with.sum, with.dy, with.mean, with.rstd, width},
                                      dgamma.data<S>());
    filigree::cuda::column_sums("layer_norm", sum, rows, width, with.dy, dbeta.data<S>());
  });
}

}  // namespace filigree::kernels::cuda
