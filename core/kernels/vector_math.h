// Branch-free exp and erf for loops that the compiler turns into SIMD. Private to CPU kernels.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace filigree::kernels {

/// e^x in float, relative error below 2e-7; 0 below -87.3, clamped above 88. NaN stays NaN.
/// Cody-Waite reduction x = n ln 2 + r, degree-6 polynomial in r, scaled by 2^n in the exponent
/// bits.
inline float exp_of(float x) {
  const float clamped = x > -87.3f ? (x < 88.0f ? x : 88.0f) : -87.3f;  // NaN too: a number
  const float n = std::nearbyint(clamped * 1.44269504088896341f);
  float r = clamped - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const auto bits = (static_cast<int32_t>(n) + 127) << 23;
  const float result = p * std::bit_cast<float>(bits);
  return x < -87.3f ? 0.0f : (x != x ? x : result);
}
inline double exp_of(double x) { return std::exp(x); }

/// erf in float, absolute error below 6e-7 (Abramowitz and Stegun 7.1.26).
inline float erf_of(float x) {
  const float a = std::fabs(x);
  const float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float y = 1.0f - p * t * exp_of(-a * a);
  return std::copysign(y, x);
}
inline double erf_of(double x) { return std::erf(x); }

/// tanh; absolute error below 3e-7 in float.
inline float tanh_of(float x) {
  const float e = exp_of(-2.0f * std::fabs(x));
  return std::copysign((1.0f - e) / (1.0f + e), x);
}
inline double tanh_of(double x) { return std::tanh(x); }

}  // namespace filigree::kernels
