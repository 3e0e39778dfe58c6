#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/convert.h"
#include "core/kernels/fill.h"

namespace filigree::kernels::cpu {

void fill(Tensor& x, double value) {
  if (x.numel() == 0) return;
  if (value == 0 && !std::signbit(value)) {  // zeros of every dtype
    std::memset(x.raw(), 0, static_cast<size_t>(x.bytes()));
    return;
  }
  dispatch_any(x.dtype(), [&](auto element) {
    using T = decltype(element);
    std::ranges::fill(x.span<T>(), convert<T>(value));
  });
}

}  // namespace filigree::kernels::cpu
