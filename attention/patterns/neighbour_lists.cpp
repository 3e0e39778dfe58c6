#include "attention/patterns/neighbour_lists.h"

#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

void expect_data(const SequenceView& sequence, size_t entries, std::string_view pattern,
                 std::string_view what, std::string_view hint) {
  if (entries == static_cast<size_t>(sequence.length)) return;
  throw DataError(fmt::format("pattern {}", pattern),
                  entries == 0 ? fmt::format("the sequence has no {}", what)
                               : fmt::format("expected {} for {} tokens, got {}", what,
                                             sequence.length, entries),
                  hint);
}

}  // namespace filigree
