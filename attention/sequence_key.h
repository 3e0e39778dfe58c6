// What the graphs of a sequence depend on, as one number. Private to attention.
#pragma once

#include "attention/pattern.h"
#include "core/content_hash.h"

namespace filigree {

/// Equal for sequences in which patterns that look at `reads` (Reads, but for the step and the
/// vectors) give the same edges under a seed. Cost: O(1), or O(n) where they look at tokens.
ContentHash sequence_key(const SequenceView& view, unsigned reads, uint64_t seed);

}  // namespace filigree
