// Conversion of elements, and dispatch over every dtype.
#pragma once

#include <limits>
#include <type_traits>

#include "core/dtype.h"

namespace filigree {

/// Calls body with a value of the element type of `dtype`.
template <class Body>
decltype(auto) dispatch_any(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
      return body(BFloat16{});
    case DType::i32:
      return body(int32_t{});
    case DType::i64:
      return body(int64_t{});
    case DType::u8:
      break;
  }
  return body(uint8_t{});
}

/// As a cast; what an integer type cannot hold goes to its nearest end, NaN to 0.
template <class To, class From>
constexpr To convert(From value) {
  if constexpr (std::is_same_v<From, BFloat16>) {
    return convert<To>(to_float(value));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (value != value) return 0;
    if (value <= static_cast<From>(Limits::lowest())) return Limits::lowest();
    if (value >= static_cast<From>(Limits::max())) return Limits::max();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace filigree
