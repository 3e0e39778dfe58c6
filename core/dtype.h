// Data types of tensor elements.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/error.h"

namespace filigree {

enum class DType : uint8_t { f32, f64, bf16, i32, i64, u8 };

/// bfloat16 storage: the upper half of a float32. Arithmetic is done in float32.
struct BFloat16 {
  uint16_t bits;
};

/// Rounds to nearest, ties to even; NaN stays NaN.
constexpr BFloat16 to_bfloat16(float value) {
#ifdef __CUDA_ARCH__  // a GPU has an instruction for it, from sm_80 on
  if (!std::is_constant_evaluated()) {
    uint16_t rounded = 0;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded) : "f"(value));
    return {rounded};
  }
#endif
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  const uint32_t rounding = 0x7fffu + ((bits >> 16) & 1u);
  return {static_cast<uint16_t>((bits + rounding) >> 16)};
}
constexpr float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

/// Bytes of one element.
int64_t size_of(DType dtype);
/// "f32", "f64", "bf16", "i32", "i64", "u8".
std::string_view name_of(DType dtype);
/// f32, f64 or bf16.
bool is_floating(DType dtype);
/// What means, log-sums and the like of such elements are kept in: f32 for bf16, else the same.
constexpr DType statistics_dtype(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

/// DType of a C++ element type: dtype_of<float> == DType::f32.
template <class T>
inline constexpr DType dtype_of = [] { static_assert(sizeof(T) == 0, "no such element type"); }();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::u8;

[[noreturn]] void throw_dtype(std::string_view where, std::string_view expected, DType got);

/// Calls `body.template operator()<T>()` with T = float or double; any other dtype is a DTypeError.
template <class Body>
decltype(auto) dispatch_float(std::string_view where, DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return std::forward<Body>(body).template operator()<float>();
    case DType::f64:
      return std::forward<Body>(body).template operator()<double>();
    default:
      throw_dtype(where, "f32 or f64", dtype);
  }
}

}  // namespace filigree
