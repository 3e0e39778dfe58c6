#include <algorithm>
#include <cstring>

#include "core/kernels/embedding.h"
#include "core/kernels/loops.h"

namespace filigree::kernels::cpu {

void embedding_forward(const Tensor& weight, const Tensor& ids, Tensor& y) {
  dispatch_float("embedding", weight.dtype(), [&]<class T>() {
    const int64_t width = weight.size(1);
    const T* table = weight.data<T>();
    const int32_t* id = ids.data<int32_t>();
    T* to = y.data<T>();
    for_rows(ids.numel(), width,
             [&](int64_t t) { std::copy_n(table + id[t] * width, width, to + t * width); });
  });
}

void embedding_backward(const Tensor& dy, const Tensor& ids, Tensor& dweight) {
  dispatch_float("embedding", dy.dtype(), [&]<class T>() {
    const int64_t width = dweight.size(1);
    const T* grads = dy.data<T>();
    const int32_t* id = ids.data<int32_t>();
    T* to = dweight.data<T>();
    // Columns are split over the threads: every sum runs in order of t, without sharing.
    parallel_ranges(width, std::max<int64_t>(16, (width + 7) / 8),
                    [&](int64_t first, int64_t last) {
                      for (int64_t v = 0; v < dweight.size(0); ++v) {
                        std::fill(to + v * width + first, to + v * width + last, T(0));
                      }
                      for (int64_t t = 0; t < ids.numel(); ++t) {
                        T* sum = to + id[t] * width;
                        const T* grad = grads + t * width;
                        for (int64_t j = first; j < last; ++j) sum[j] += grad[j];
                      }
                    });
  });
}

void scatter_rows(const Tensor& x, const Tensor& ids, Tensor& y) {
  y.fill(0);
  dispatch_float("embedding", x.dtype(), [&]<class T>() {
    const int64_t width = y.size(1);
    const T* from = x.data<T>();
    const int32_t* id = ids.data<int32_t>();
    T* to = y.data<T>();
    for_rows(ids.numel(), width,
             [&](int64_t t) { std::copy_n(from + t * width, width, to + id[t] * width); });
  });
}

}  // namespace filigree::kernels::cpu
