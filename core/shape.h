// Shape: the sizes of a tensor's dimensions.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace filigree {

/// Sizes of up to kMaxRank dimensions, outermost first. Rank 0 is a scalar (one element).
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  /// Throws ShapeError if a size is negative, the rank exceeds kMaxRank or the element count
  /// overflows int64_t.
  Shape(std::initializer_list<int64_t> sizes);
  template <class Iterator>
  Shape(Iterator first, Iterator last) {
    for (; first != last; ++first) append(*first);
  }

  int rank() const { return rank_; }
  /// Size of a dimension; negative counts from the last. Throws ShapeError if out of range.
  int64_t operator[](int dim) const;
  /// Number of elements.
  int64_t numel() const { return numel_; }
  /// Product of all sizes but the last (1 for rank 0): the rows of a token-wise op.
  int64_t rows() const;
  /// Last size (1 for rank 0).
  int64_t last() const { return rank_ == 0 ? 1 : sizes_[rank_ - 1]; }
  /// Adds an innermost dimension.
  void append(int64_t size);
  /// The same with one dimension replaced.
  Shape with(int dim, int64_t size) const;

  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
  int64_t numel_ = 1;
};

/// "(2, 3)".
std::string to_string(const Shape& shape);

/// Throws ShapeError "[where] expected name of shape (..), got (..)" unless equal.
void expect_shape(std::string_view where, std::string_view name, const Shape& expected,
                  const Shape& got);

}  // namespace filigree
