#include "core/shape.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace filigree {

Shape::Shape(std::initializer_list<int64_t> sizes) : Shape(sizes.begin(), sizes.end()) {}

int64_t Shape::operator[](int dim) const {
  const int at = dim < 0 ? dim + rank_ : dim;
  if (at < 0 || at >= rank_) {
    throw ShapeError("shape", fmt::format("dimension {} of a shape of rank {} {}", dim, rank_,
                                          to_string(*this)));
  }
  return sizes_[static_cast<size_t>(at)];
}

int64_t Shape::rows() const {
  int64_t rows = 1;
  for (int dim = 0; dim + 1 < rank_; ++dim) rows *= sizes_[static_cast<size_t>(dim)];
  return rows;
}

void Shape::append(int64_t size) {
  if (rank_ == kMaxRank) {
    throw ShapeError("shape", fmt::format("more than {} dimensions", kMaxRank));
  }
  if (size < 0) throw ShapeError("shape", fmt::format("negative size {}", size));
  int64_t numel = 0;
  if (__builtin_mul_overflow(numel_, size, &numel)) {
    throw ShapeError("shape", fmt::format("{} x {} elements overflow int64", numel_, size));
  }
  sizes_[static_cast<size_t>(rank_++)] = size;
  numel_ = numel;
}

Shape Shape::with(int dim, int64_t size) const {
  (*this)[dim];  // range check
  const int at = dim < 0 ? dim + rank_ : dim;
  Shape result;
  for (int d = 0; d < rank_; ++d) result.append(d == at ? size : sizes_[static_cast<size_t>(d)]);
  return result;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

void expect_shape(std::string_view where, std::string_view name, const Shape& expected,
                  const Shape& got) {
  if (expected == got) return;
  throw ShapeError(where, fmt::format("expected {} of shape {}, got {}", name, to_string(expected),
                                      to_string(got)));
}

}  // namespace filigree
