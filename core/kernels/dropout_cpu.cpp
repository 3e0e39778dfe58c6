#include <Random123/philox.h>

#include "core/kernels/dropout.h"
#include "core/kernels/loops.h"
#include "core/random.h"

namespace filigree::kernels::cpu {

void dropout(const Tensor& x, double p, uint64_t key, Tensor& y) {
  dispatch_float("dropout", x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.data<T>();
    const T kept = static_cast<T>(1 / (1 - p));
    const float threshold = static_cast<float>(p);
    const auto low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
    // The same bits as philox(key, 0, i / 4), inlined so that the rounds of many counters overlap.
    parallel_ranges((x.numel() + 3) / 4, kElementGrain / 4, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) {
        const auto bits = r123::Philox4x32()(
            {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}},
            {{low, high}});
        const int64_t end = std::min<int64_t>(4, x.numel() - 4 * block);
        for (int64_t j = 0; j < end; ++j) {
          const int64_t i = 4 * block + j;
          to[i] = to_uniform(bits[static_cast<size_t>(j)]) >= threshold ? from[i] * kept : T(0);
        }
      }
    });
  });
}

}  // namespace filigree::kernels::cpu
