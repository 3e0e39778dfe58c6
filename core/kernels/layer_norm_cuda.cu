#include <algorithm>
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
  const S *x, *branch;  // branch: null for none
  const T *gamma, *beta;
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
      load_values<T, N>(with.gamma + column, gamma);
      load_values<T, N>(with.beta + column, beta);
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
      with.y[at + j] = convert<S>((load(in[j]) - m) * r * with.gamma[j] + with.beta[j]);
    });
    if (row.lane != 0) return;
    with.mean[row.row] = m;
    with.rstd[row.row] = r;
  }
};

template <class S>
struct Backward {
  using T = Compute<S>;
  const S *sum, *dy, *dsum;  // dsum: null for 0
  const T *gamma, *mean, *rstd;
  S *dx, *dbranch;  // dbranch: null if not wanted
  DropoutMask<T> mask;
};

constexpr int kWarps = 8;           // of a block
constexpr int64_t kBlockRows = 64;  // whose dgamma and dbeta a block adds up

/// kBlockRows rows a block, every row in the registers of a warp. parts (blocks, 2 E): dgamma and
/// dbeta of the block's rows in order.
template <class S, int Packs>
__global__ void __launch_bounds__(kWarps* kWarp)
    held_backward(int64_t rows, int64_t width, Backward<S> with, Compute<S>* parts) {
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
      load_values<T, N>(with.gamma + column, gamma);
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
  T* mine = parts + 2 * width * blockIdx.x;
  for (int64_t j = threadIdx.x; j < width; j += kWarps * kWarp) {
    mine[j] = sums[0][j];
    mine[width + j] = sums[1][j];
  }
}

template <class S>
struct WideBackward {
  Backward<S> with;

  __device__ void operator()(WarpRow row) const {
    using T = Compute<S>;
    const int64_t at = row.row * row.width;
    const T m = with.mean[row.row], r = with.rstd[row.row];
    const auto g = [&](int64_t j) { return load(with.dy[at + j]) * with.gamma[j]; };
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

/// Columns 0 .. E-1: dy n, whose sums are dgamma; E .. 2E-1: dy, whose sums are dbeta. N divides E.
template <class S>
struct GammaAndBetaTerms {
  using T = Compute<S>;
  const S *sum, *dy;
  const T *mean, *rstd;
  int64_t width;  // E
  template <int N>
  __device__ void add(int64_t row, int64_t column, T (&total)[N]) const {
    const bool of_beta = column >= width;
    const int64_t at = row * width + (of_beta ? column - width : column);
    T terms[N];
    load_values<S, N>(dy + at, terms);
    if (!of_beta) {
      T x[N];
      load_values<S, N>(sum + at, x);
#pragma unroll
      for (int i = 0; i < N; ++i) terms[i] *= (x[i] - mean[row]) * rstd[row];
    }
#pragma unroll
    for (int i = 0; i < N; ++i) total[i] += terms[i];
  }
};

/// Where sums of 2 E columns go.
template <class T>
struct ToGammaAndBeta {
  T *dgamma, *dbeta;
  int64_t width;  // E
  __device__ void operator()(int64_t, int64_t column, T sum) const {
    (column < width ? dgamma + column : dbeta + column - width)[0] = sum;
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

/// Whether rows of S, where there are any, and of what they are computed in may be loaded by packs.
template <class S, int Rows, int Columns>
bool packs_fit_all(const S* const (&rows)[Rows], const Compute<S>* const (&columns)[Columns]) {
  constexpr int N = filigree::cuda::kPack<S>;
  const auto fits = [](const auto* at) { return filigree::cuda::packs_fit<N>(at); };
  return std::ranges::all_of(rows, fits) && std::ranges::all_of(columns, fits);
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
                          gamma.data<T>(),
                          beta.data<T>(),
                          branch.defined() ? sum.data<S>() : nullptr,
                          y.data<S>(),
                          mean.data<T>(),
                          rstd.data<T>(),
                          static_cast<T>(eps),
                          DropoutMask<T>(dropout)};
    const bool held =
        packs_fit_all<S>({with.x, with.branch, with.sum, with.y}, {with.gamma, with.beta}) &&
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
        sum.data<S>(),          dy.data<S>(),   data_or_null<S>(dsum), gamma.data<T>(),
        mean.data<T>(),         rstd.data<T>(), dx.data<S>(),          data_or_null<S>(dbranch),
        DropoutMask<T>(dropout)};
    const ToGammaAndBeta<T> to{dgamma.data<T>(), dbeta.data<T>(), width};
    const bool fits =
        rows > 0 &&
        packs_fit_all<S>({with.sum, with.dy, with.dsum, with.dx, with.dbranch}, {with.gamma});
    const bool held =
        fits && filigree::cuda::with_held_row<S>(width, [&]<int Packs>() {
          const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
          Tensor made({blocks, 2 * width}, dtype_of<T>, sum.device());
          T* parts = made.data<T>();
          filigree::cuda::launch("layer_norm", sum, {.blocks = blocks, .threads = kWarps * kWarp},
                                 held_backward<S, Packs>, rows, width, with, parts);
          constexpr int N = filigree::cuda::kPack<T>;
          filigree::cuda::column_sums<T, N>("layer_norm", sum, blocks, 2 * width,
                                            filigree::cuda::RowsOf<T>{parts, 2 * width}, to);
        });
    if (held) return;
    filigree::cuda::for_rows("layer_norm", sum, rows, width, WideBackward<S>{with});
    const GammaAndBetaTerms<S> terms{with.sum, with.dy, with.mean, with.rstd, width};
    const auto call = [&]<int N>() {
      filigree::cuda::column_sums<T, N>("layer_norm", sum, rows, 2 * width, terms, to);
    };
    filigree::cuda::with_pack<S>(width, call, with.sum, with.dy);
  });
}

}  // namespace filigree::kernels::cuda
