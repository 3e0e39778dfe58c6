#include <cmath>
#include <limits>

#include "core/cuda/rows.cuh"
#include "core/kernels/segment_cross_entropy.h"

namespace filigree::kernels::cuda {

namespace {

/// What a warp does for column c of sequence b is row b C + c of the loops.
template <class T>
struct Forward {
  const T* x;
  const int64_t* offsets;
  const int32_t* targets;
  T *losses, *probabilities;
  int64_t columns;

  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t b = row.row / columns, c = row.row % columns;
    row.width = offsets[b + 1] - offsets[b];
    const T* in = x + offsets[b] * columns + c;
    T* out = probabilities + offsets[b] * columns + c;
    const T top = row.largest(-std::numeric_limits<T>::infinity(),
                              [&](int64_t i) { return in[i * columns]; });
    const T sum = row.sum<T>([&](int64_t i) { return std::exp(in[i * columns] - top); });
    row.each([&](int64_t i) { out[i * columns] = std::exp(in[i * columns] - top) / sum; });
    if (row.lane != 0) return;
    const int32_t wanted = row.width > 0 ? targets[row.row] : -1;
    losses[row.row] = wanted < 0 ? T(0) : top + std::log(sum) - in[wanted * columns];
  }
};

template <class T>
struct Backward {
  const T* probabilities;
  const int64_t* offsets;
  const int32_t* targets;
  const T* dloss;
  T* dx;
  int64_t columns;

  __device__ void operator()(filigree::cuda::WarpRow row) const {
    const int64_t b = row.row / columns, c = row.row % columns;
    const int32_t wanted = targets[row.row];
    if (wanted < 0) return;
    row.width = offsets[b + 1] - offsets[b];
    row.each([&](int64_t i) {
      const int64_t at = (offsets[b] + i) * columns + c;
      dx[at] = *dloss * (probabilities[at] - (i == wanted ? T(1) : T(0)));
    });
  }
};

}  // namespace

void segment_cross_entropy_forward(const Tensor& x, const Tensor& offsets, const Tensor& targets,
                                   Tensor& losses, Tensor& probabilities) {
  probabilities.fill(0);
  dispatch_float("segment_cross_entropy", x.dtype(), [&]<class T>() {
    filigree::cuda::for_rows(
        "segment_cross_entropy", x, losses.numel(), 0,
        Forward<T>{x.data<T>(), offsets.data<int64_t>(), targets.data<int32_t>(), losses.data<T>(),
                   probabilities.data<T>(), x.size(1)});
  });
}

void segment_cross_entropy_backward(const Tensor& probabilities, const Tensor& offsets,
                                    const Tensor& targets, const Tensor& dloss, Tensor& dx) {
  dx.fill(0);
  dispatch_float("segment_cross_entropy", probabilities.dtype(), [&]<class T>() {
    filigree::cuda::for_rows(
        "segment_cross_entropy", dx, targets.numel(), 0,
        Backward<T>{probabilities.data<T>(), offsets.data<int64_t>(), targets.data<int32_t>(),
                    dloss.data<T>(), dx.data<T>(), dx.size(1)});
  });
}

}  // namespace filigree::kernels::cuda
