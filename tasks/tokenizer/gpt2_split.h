// The parts that GPT-2's byte-level BPE never merges across.
#pragma once

#include <string_view>
#include <vector>

#include "tasks/text/utf8.h"

namespace filigree {

/// Divides a text as GPT-2's regular expression does (Radford et al. 2019, encoder.py):
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// The spans cover the text without a gap. Well-formed UTF-8. Cost O(bytes).
std::vector<ByteSpan> split_gpt2(std::string_view text);

}  // namespace filigree
