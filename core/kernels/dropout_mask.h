// The mask of kernels::dropout on the CPU, for kernels that drop while they do something else.
#pragma once

#include <Random123/philox.h>
#include <algorithm>

#include "core/kernels/dropout.h"
#include "core/random.h"

namespace filigree::kernels {

/// body(i, factor) for the elements first .. first+count-1 in order, factor being 1 / (1 - p) or 0.
/// A counter gives four numbers: the same bits as philox(key, 0, i / 4), inlined so that the rounds
/// of many counters overlap.
template <class T, class Body>
void for_dropped(KeyedDropout dropout, int64_t first, int64_t count, Body body) {
  const T kept = static_cast<T>(1 / (1 - dropout.p));
  const auto threshold = static_cast<float>(dropout.p);
  const auto low = static_cast<uint32_t>(dropout.key),
             high = static_cast<uint32_t>(dropout.key >> 32);
  const auto some = [&](int64_t block, int64_t from, int64_t to) {
    const auto bits = r123::Philox4x32()(
        {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0}}, {{low, high}});
    for (int64_t j = from; j < to; ++j) {
      body(4 * block + j, to_uniform(bits[static_cast<size_t>(j)]) >= threshold ? kept : T(0));
    }
  };
  const int64_t last = first + count;
  int64_t block = first / 4;
  if (first % 4 != 0) {
    some(block, first % 4, std::min<int64_t>(4, last - 4 * block));
    ++block;
  }
  for (; 4 * block + 4 <= last; ++block) some(block, 0, 4);
  if (4 * block < last) some(block, 0, last - 4 * block);
}

}  // namespace filigree::kernels
