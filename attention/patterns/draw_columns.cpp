#include "attention/patterns/draw_columns.h"

#include <algorithm>
#include <bit>

namespace filigree {

void draw_columns(RowDraws& draws, int64_t count, int64_t length, const Runs& taken, Runs& out) {
  const int64_t candidates = length - size_of(taken);
  const int64_t wanted = std::min(count, candidates);
  thread_local std::vector<uint64_t> drawn;  // a bit for every candidate
  drawn.assign(static_cast<size_t>((candidates + 63) / 64), 0);
  const auto word = [](int64_t rank) -> uint64_t& { return drawn[static_cast<size_t>(rank / 64)]; };
  for (int64_t top = candidates - wanted; top < candidates; ++top) {
    int64_t rank = draws.below(static_cast<uint32_t>(top) + 1);
    if (word(rank) >> (rank % 64) & 1) rank = top;
    word(rank) |= uint64_t{1} << (rank % 64);
  }
  // The k-th candidate is the k-th column outside `taken`.
  int64_t skipped = 0;
  size_t run = 0;
  for (size_t w = 0; w < drawn.size(); ++w) {
    for (uint64_t bits = drawn[w]; bits != 0; bits &= bits - 1) {
      const int64_t rank = static_cast<int64_t>(w) * 64 + std::countr_zero(bits);
      while (run < taken.size() && taken[run].lo <= rank + skipped) {
        skipped += taken[run].hi - taken[run].lo;
        ++run;
      }
      append_run(out, rank + skipped, rank + skipped + 1);
    }
  }
}

}  // namespace filigree
