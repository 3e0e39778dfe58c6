// Random choices of patterns: keyed numbers of one row, and columns drawn without replacement.
// Private to attention.
#pragma once

#include <cstdint>

#include "attention/runs.h"
#include "core/random.h"

namespace filigree {

/// The random words of one row: philox(key, row)(0, 1, ..).
class RowDraws {
 public:
  RowDraws(uint64_t key, int64_t row) : key_(key), row_(static_cast<uint64_t>(row)) {}

  /// Uniform in [0, bound), without bias and mostly without a division (Lemire 2019, arXiv
  /// 1805.10941).
  int64_t below(uint32_t bound) {
    uint64_t product = uint64_t{word()} * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t least = -bound % bound;
      while (static_cast<uint32_t>(product) < least) product = uint64_t{word()} * bound;
    }
    return static_cast<int64_t>(product >> 32);
  }

 private:
  uint32_t word() {
    if (used_ == 4) {
      block_ = philox(key_, row_, counter_++);
      used_ = 0;
    }
    return block_[used_++];
  }

  uint64_t key_, row_, counter_ = 0;
  RandomBlock block_{};
  size_t used_ = 4;
};

/// Appends `count` of the columns 0 .. length-1 outside `taken` to the empty `out`, each such set
/// as likely: Floyd's sampling without replacement (Bentley and Floyd 1987). With fewer than
/// `count` candidates it is all of them. Cost O(count + length / 64 + runs of taken).
void draw_columns(RowDraws& draws, int64_t count, int64_t length, const Runs& taken, Runs& out);

}  // namespace filigree
