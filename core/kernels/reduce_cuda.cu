#include <algorithm>

#include "core/cuda/map.cuh"
#include "core/cuda/rows.cuh"
#include "core/kernels/reduce.h"

namespace filigree::kernels::cuda {

namespace {

inline constexpr int64_t kChunk = 4096;  // elements of a warp

/// The sum of every chunk, in double: row r of a warp is chunk r.
template <class T>
struct ChunkSum {
  const T* x;
  int64_t count;
  double* sums;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t first = row.row * kChunk;
    row.width = first + kChunk < count ? kChunk : count - first;
    const double sum =
        row.sum<double>([&](int64_t j) { return static_cast<double>(x[first + j]); });
    if (row.lane == 0) sums[row.row] = sum;
  }
};

/// So many tensors a launch that a kernel's arguments (4 KB) hold them.
inline constexpr int kTogether = 128;

/// The sum of squares of every chunk of several tensors, in double.
template <class T>
struct ChunkSquares {
  const T* x[kTogether];
  int64_t count[kTogether];
  int64_t first[kTogether];  // chunk
  int tensors;
  double* sums;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int k = filigree::cuda::last_not_above<kTogether>(row.row, tensors,
                                                            [&](int i) { return first[i]; });
    const int64_t begin = (row.row - first[k]) * kChunk;
    row.width = begin + kChunk < count[k] ? kChunk : count[k] - begin;
    const T* from = x[k] + begin;
    const double sum = row.sum<double>(
        [&](int64_t j) { return static_cast<double>(from[j]) * static_cast<double>(from[j]); });
    if (row.lane == 0) sums[row.row] = sum;
  }
};

/// y = factor times the sum.
template <class T>
struct LastSum {
  const double* sums;
  double factor;
  T* y;
  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const double sum = row.sum<double>([&](int64_t j) { return sums[j]; });
    if (row.lane == 0) *y = static_cast<T>(factor * sum);
  }
};

template <class T>
struct Spread {
  const T* x;
  double factor;
  T* y;
  __device__ void operator()(int64_t i) const {
    y[i] = static_cast<T>(static_cast<double>(*x) * factor);
  }
};

int64_t chunks_of(int64_t count) { return (count + kChunk - 1) / kChunk; }

template <class T>
Tensor chunk_sums(std::string_view op, const Tensor& x) {
  Tensor sums({chunks_of(x.numel())}, DType::f64, x.device());
  filigree::cuda::for_rows(op, x, sums.numel(), kChunk,
                           ChunkSum<T>{x.data<T>(), x.numel(), sums.data<double>()});
  return sums;
}

/// y = factor times the sum of sums (n), f64.
template <class T>
void finish(std::string_view op, Tensor sums, double factor, Tensor& y) {
  while (sums.numel() > kChunk) sums = chunk_sums<double>(op, sums);
  filigree::cuda::for_rows(op, sums, 1, sums.numel(),
                           LastSum<T>{sums.data<double>(), factor, y.data<T>()});
}

}  // namespace

void sum_all(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(),
                 [&]<class T>() { finish<T>("sum", chunk_sums<T>("sum", x), factor, y); });
}

void spread_scalar(const Tensor& x, double factor, Tensor& y) {
  dispatch_float("sum", x.dtype(), [&]<class T>() {
    filigree::cuda::for_each("sum", y, y.numel(), Spread<T>{x.data<T>(), factor, y.data<T>()});
  });
}

void sum_squares(Tensor& squares, std::span<const Tensor> tensors) {
  if (tensors.empty()) return squares.fill(0);
  expect_one_kind("sum_squares", tensors, squares.device());
  int64_t chunks = 0;
  for (const Tensor& x : tensors) chunks += chunks_of(x.numel());
  Tensor sums({chunks}, DType::f64, squares.device());
  dispatch_float("sum_squares", tensors.front().dtype(), [&]<class T>() {
    double* to = sums.data<double>();
    while (!tensors.empty()) {
      const auto now = tensors.first(std::min<size_t>(tensors.size(), kTogether));
      tensors = tensors.subspan(now.size());
      ChunkSquares<T> body{};
      static_assert(sizeof(body) <= 4000);
      body.sums = to;
      int64_t rows = 0;
      for (const Tensor& x : now) {
        const int k = body.tensors++;
        body.x[k] = x.data<T>();
        body.count[k] = x.numel();
        body.first[k] = rows;
        rows += chunks_of(x.numel());
      }
      filigree::cuda::for_rows("sum_squares", squares, rows, kChunk, body);
      to += rows;
    }
  });
  finish<double>("sum_squares", sums, 1, squares);
}

}  // namespace filigree::kernels::cuda
