// TokenVectors: a frozen vector for every token id, for similarity between tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace filigree {

/// A copy of an embedding table, so that graphs do not move while the table is trained. Immutable.
class TokenVectors {
 public:
  /// table (V, E) f32 or f64, kept in float. Throws ShapeError, DTypeError, and NumericError for a
  /// vector that is not finite. Cost O(V E).
  explicit TokenVectors(const Tensor& table);

  int64_t vocabulary() const { return table_.size(0); }
  /// <a, b> / (|a| |b|), 0 if one of them is 0; products are exact and sums in double, in a fixed
  /// order: the same pair gives the same bits everywhere, and cosine(a, b) = cosine(b, a). Cost
  /// O(E).
  double cosine(int32_t a, int32_t b) const;
  /// out[r * others + c] = cosine(rows[r], others[c]), the same bits. Reads each of the others once
  /// for four rows. Cost O(rows x others x E).
  void cosines(std::span<const int32_t> rows, std::span<const int32_t> others,
               std::span<double> out) const;
  /// The float table (V, E), for files.
  const Tensor& table() const { return table_; }

 private:
  Tensor table_;                 // (V, E) f32
  std::vector<double> inverse_;  // (V) 1 / |v|, 0 for a zero vector
};

}  // namespace filigree
