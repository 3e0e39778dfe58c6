#include <algorithm>

#include "core/kernels/loops.h"
#include "core/kernels/segment_pool.h"

namespace filigree::kernels::cpu {

void segment_pool_forward(const Tensor& x, const Tensor& offsets, Pool pool, Tensor& y) {
  dispatch_float("segment_pool", x.dtype(), [&]<class T>() {
    const int64_t width = x.size(1);
    const T* from = x.data<T>();
    const int64_t* offset = offsets.data<int64_t>();
    T* to = y.data<T>();
    parallel_for(y.size(0), 1, [&](int64_t b) {
      T* out = to + b * width;
      std::fill(out, out + width, T(0));
      const int64_t length = offset[b + 1] - offset[b];
      const int64_t used = pool == Pool::first ? std::min<int64_t>(1, length) : length;
      for (int64_t t = offset[b]; t < offset[b] + used; ++t) {
        for (int64_t j = 0; j < width; ++j) out[j] += from[t * width + j];
      }
      for (int64_t j = 0; used > 1 && j < width; ++j) out[j] /= T(used);
    });
  });
}

void segment_pool_backward(const Tensor& dy, const Tensor& offsets, Pool pool, Tensor& dx) {
  dispatch_float("segment_pool", dy.dtype(), [&]<class T>() {
    const int64_t width = dx.size(1);
    const T* grads = dy.data<T>();
    const int64_t* offset = offsets.data<int64_t>();
    T* to = dx.data<T>();
    std::fill(to, to + dx.numel(), T(0));
    parallel_for(dy.size(0), 1, [&](int64_t b) {
      const int64_t length = offset[b + 1] - offset[b];
      const int64_t used = pool == Pool::first ? std::min<int64_t>(1, length) : length;
      for (int64_t t = offset[b]; t < offset[b] + used; ++t) {
        for (int64_t j = 0; j < width; ++j) to[t * width + j] = grads[b * width + j] / T(used);
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
