#include "core/cuda/rows.cuh"
#include "core/kernels/reduce.h"

namespace filigree::kernels::cuda {

namespace {

inline constexpr int64_t kChunk = 4096;  // elements of a warp

/// The sum of every chunk, in double: row r of a warp is chunk r.
template <class T, bool kSquares>
struct ChunkSum {
  const T* x;
  int64_t count;
  double* sums;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t first = row.row * kChunk;
    row.width = first + kChunk < count ? kChunk : count - first;
    const double sum = row.sum<double>([&](int64_t j) {
      const double value = static_cast<double>(x[first + j]);
      return kSquares ? value * value : value;
    });
    if (row.lane == 0) sums[row.row] = sum;
  }
};

/// y = factor times the sum, or y += that.
template <class T>
struct LastSum {
  const double* sums;
  double factor;
  bool add;
  T* y;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const double sum = row.sum<double>([&](int64_t j) { return sums[j]; });
    if (row.lane == 0) *y = static_cast<T>((add ? static_cast<double>(*y) : 0.0) + factor * sum);
  }
};

template <class T, bool kSquares>
Tensor chunk_sums(std::string_view op, const Tensor& x) {
  Tensor sums({(x.numel() + kChunk - 1) / kChunk}, DType::f64, x.device());
  filigree::cuda::for_rows(op, x, sums.numel(), kChunk,
                           ChunkSum<T, kSquares>{x.data<T>(), x.numel(), sums.data<double>()});
  return sums;
}

}  // namespace

void sum_all(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(), [&]<class T>() {
    const Tensor sums = chunk_sums<T, false>("sum", x);
    filigree::cuda::for_rows("sum", x, 1, sums.numel(),
                             LastSum<T>{sums.data<double>(), factor, false, y.data<T>()});
  });
}

void add_squares(const Tensor& x, Tensor& squares) {
  dispatch_float("add_squares", x.dtype(), [&]<class T>() {
    const Tensor sums = chunk_sums<T, true>("add_squares", x);
    filigree::cuda::for_rows("add_squares", x, 1, sums.numel(),
                             LastSum<double>{sums.data<double>(), 1, true, squares.data<double>()});
  });
}

}  // namespace filigree::kernels::cuda
