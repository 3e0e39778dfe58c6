#include "attention/token_vectors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include "core/error.h"
#include "core/kernels/simd.h"

namespace filigree {

namespace {

constexpr size_t kRows = 4;
constexpr int kLanes = 8;

/// dots[r] = <row r, other> for R rows of `width` doubles. Eight sums a row on every machine, so
/// that the order of summation is one.
template <size_t R>
void dot_block(const double* rows, const float* other, int64_t width, double* dots) {
  using Doubles = kernels::VectorOf<double, kLanes>::type;
  using Floats = kernels::VectorOf<float, kLanes>::type;
  std::array<Doubles, R> sums{};
  int64_t e = 0;
  for (; e + kLanes <= width; e += kLanes) {
    Floats narrow;
    std::memcpy(&narrow, other + e, sizeof narrow);
    const Doubles y = __builtin_convertvector(narrow, Doubles);
    for (size_t r = 0; r < R; ++r) {
      Doubles x;
      std::memcpy(&x, rows + static_cast<int64_t>(r) * width + e, sizeof x);
      sums[r] += x * y;
    }
  }
  for (size_t r = 0; r < R; ++r) {
    double sum = 0;
    for (int64_t k = e; k < width; ++k) {
      sum += rows[static_cast<int64_t>(r) * width + k] * static_cast<double>(other[k]);
    }
    for (int lane = 0; lane < kLanes; ++lane) sum += sums[r][lane];
    dots[r] = sum;
  }
}

void dot_rows(const double* rows, size_t count, const float* other, int64_t width, double* dots) {
  for (size_t r = 0; r < count; ++r) {
    dot_block<1>(rows + static_cast<int64_t>(r) * width, other, width, dots + r);
  }
}

}  // namespace

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
  const int64_t width = table.size(1);
  const std::vector<double> wide(to, to + table.numel());
  for (int32_t id = 0; id < vocabulary(); ++id) {
    double square = 0;
    dot_block<1>(wide.data() + id * width, to + id * width, width, &square);
    if (!std::isfinite(square)) {
      throw NumericError("token vectors", fmt::format("the vector of token {} is not finite", id));
    }
    inverse_[static_cast<size_t>(id)] = square > 0 ? 1 / std::sqrt(square) : 0;
  }
}

double TokenVectors::cosine(int32_t a, int32_t b) const {
  double cosine = 0;
  cosines({&a, 1}, {&b, 1}, {&cosine, 1});
  return cosine;
}

void TokenVectors::cosines(std::span<const int32_t> rows, std::span<const int32_t> others,
                           std::span<double> out) const {
  const int64_t width = table_.size(1);
  const float* table = table_.data<float>();
  std::vector<double> block(kRows * static_cast<size_t>(width));  // some rows, in double
  for (size_t first = 0; first < rows.size(); first += kRows) {
    const size_t count = std::min(kRows, rows.size() - first);
    for (size_t r = 0; r < count; ++r) {
      const float* row = table + rows[first + r] * width;
      std::copy(row, row + width, block.begin() + static_cast<int64_t>(r) * width);
    }
    for (size_t c = 0; c < others.size(); ++c) {
      std::array<double, kRows> dots;
      const float* other = table + others[c] * width;
      count == kRows ? dot_block<kRows>(block.data(), other, width, dots.data())
                     : dot_rows(block.data(), count, other, width, dots.data());
      for (size_t r = 0; r < count; ++r) {
        // The product of the norms first: the same rounding for (a, b) and (b, a).
        out[(first + r) * others.size() + c] =
            dots[r] * (inverse_[static_cast<size_t>(rows[first + r])] *
                       inverse_[static_cast<size_t>(others[c])]);
      }
    }
  }
}

}  // namespace filigree
