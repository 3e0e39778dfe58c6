// e^x lane by lane. Private to CPU kernels.
#pragma once

#include "core/kernels/simd.h"

namespace filigree::kernels {

/// e^x, relative error below 2e-7; 0 below -87.3, e^88 above 88; NaN stays NaN. Cody and Waite's
/// reduction x = n ln 2 + r, a polynomial of degree 6 in r, and 2^n through the exponent bits.
inline Vec<float> exp_lanes(Vec<float> x) {
  using Int = VectorOf<int32_t, kLanes<float>>::type;
  constexpr float kRound = 12582912.0f;  // 1.5 2^23: adding it rounds to a whole number
  const Vec<float> low = x < -87.3f ? broadcast(-87.3f) : x;
  const Vec<float> clamped = low > 88.0f ? broadcast(88.0f) : low;
  const Vec<float> n = (clamped * 1.44269504088896341f + kRound) - kRound;
  Vec<float> r = clamped - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Vec<float> p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Int bits = (__builtin_convertvector(n, Int) + 127) << 23;
  Vec<float> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return x < -87.3f ? Vec<float>{} : p * scale;
}

/// The same in double, relative error below 1e-15; 0 below -708, e^709 above 709. Taylor series to
/// degree 13: its rest is below (ln 2 / 2)^14 / 14! = 4e-18.
inline Vec<double> exp_lanes(Vec<double> x) {
  using Int = VectorOf<int64_t, kLanes<double>>::type;
  constexpr double kRound = 6755399441055744.0;  // 1.5 2^52
  const Vec<double> low = x < -708.0 ? broadcast(-708.0) : x;
  const Vec<double> clamped = low > 709.0 ? broadcast(709.0) : low;
  const Vec<double> n = (clamped * 1.4426950408889634074 + kRound) - kRound;
  Vec<double> r = clamped - n * 6.93145751953125e-1;
  r = r - n * 1.42860682030941723212e-6;
  Vec<double> p = broadcast(1.0 / 6227020800.0);
  for (const double inverse_factorial :
       {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
        1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0}) {
    p = p * r + inverse_factorial;
  }
  const Int bits = (__builtin_convertvector(n, Int) + 1023) << 52;
  Vec<double> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return x < -708.0 ? Vec<double>{} : p * scale;
}

}  // namespace filigree::kernels
