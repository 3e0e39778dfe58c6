#include "attention/token_vectors.h"

#include <array>
#include <cmath>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

TokenVectors::TokenVectors(const Tensor& table) {
  expect_rank("token vectors", "table", table, 2);
  if (table.dtype() != DType::f32 && table.dtype() != DType::f64) {
    throw DTypeError("token vectors",
                     fmt::format("expected f32 or f64, got {}", name_of(table.dtype())));
  }
  table_ = Tensor(table.shape(), DType::f32);
  float* to = table_.data<float>();
  for (int64_t k = 0; k < table.numel(); ++k) to[k] = static_cast<float>(table.at(k));
  inverse_.resize(static_cast<size_t>(vocabulary()));
  for (int32_t id = 0; id < vocabulary(); ++id) {
    const double square = dot(id, id);
    if (!std::isfinite(square)) {
      throw NumericError("token vectors", fmt::format("the vector of token {} is not finite", id));
    }
    inverse_[static_cast<size_t>(id)] = square > 0 ? 1 / std::sqrt(square) : 0;
  }
}

double TokenVectors::dot(int32_t a, int32_t b) const {
  constexpr int64_t kLanes = 8;  // independent sums: the compiler's vector registers
  const int64_t width = table_.size(1);
  const float* x = table_.data<float>() + a * width;
  const float* y = table_.data<float>() + b * width;
  std::array<double, kLanes> sums{};
  int64_t e = 0;
  for (; e + kLanes <= width; e += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums[static_cast<size_t>(lane)] +=
          static_cast<double>(x[e + lane]) * static_cast<double>(y[e + lane]);
    }
  }
  double sum = 0;
  for (; e < width; ++e) sum += static_cast<double>(x[e]) * static_cast<double>(y[e]);
  for (const double lane : sums) sum += lane;
  return sum;
}

double TokenVectors::cosine(int32_t a, int32_t b) const {
  // The product of the norms first: the same rounding for (a, b) and (b, a).
  return dot(a, b) * (inverse_[static_cast<size_t>(a)] * inverse_[static_cast<size_t>(b)]);
}

}  // namespace filigree
