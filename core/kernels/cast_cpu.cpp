#include <algorithm>

#include "core/convert.h"
#include "core/kernels/cast.h"

namespace filigree::kernels::cpu {

void cast(const Tensor& x, Tensor& y) {
  dispatch_any(x.dtype(), [&](auto from) {
    using From = decltype(from);
    dispatch_any(y.dtype(), [&](auto to) {
      using To = decltype(to);
      std::ranges::transform(x.span<From>(), y.span<To>().begin(),
                             [](From value) { return convert<To>(value); });
    });
  });
}

void cast_many(const Tensor&, std::span<const CastPair> pairs) {
  for (const CastPair& pair : pairs) {
    Tensor to = pair.to;
    cast(pair.from, to);
  }
}

}  // namespace filigree::kernels::cpu
