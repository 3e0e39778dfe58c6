#include "core/kernels/dropout.h"
#include "core/kernels/dropout_mask.h"
#include "core/kernels/loops.h"

namespace filigree::kernels::cpu {

void dropout(const Tensor& x, double p, uint64_t key, Tensor& y) {
  dispatch_float("dropout", x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_ranges(x.numel(), kElementGrain, [&](int64_t first, int64_t last) {
      for_dropped<T>({p, key}, first, last - first,
                     [&](int64_t i, T factor) { to[i] = factor > T(0) ? from[i] * factor : T(0); });
    });
  });
}

}  // namespace filigree::kernels::cpu
