// Sample: a text, or a pair, as a model takes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/readers/record_reader.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

/// Tokens of one sample; the arrays mean what they mean in a TokenDataset.
struct Sample {
  std::vector<int32_t> ids, words;  // (n)
  std::vector<uint8_t> segments;    // (n), empty without a second text
  std::vector<int32_t> heads;       // (n), empty without a tree
  std::vector<int32_t> classes;     // (n)
  bool truncated = false;           // cut to max_length
};

/// [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with segments 0 and 1. Of a pair that is too long the
/// longer text loses tokens first. `tree`: the words of a tree over the first text, or none; the
/// words of a contraction ("don't") share a place in the text and count as one word here, whose
/// head is the first one outside. Words are of one class if their lemmas are equal up to case, or
/// their forms where the tree has no lemma or there is no tree. Throws DataError at `where` for an
/// empty text and for malformed UTF-8. Cost O(bytes).
Sample make_sample(std::string_view where, const Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, int64_t max_length,
                   const std::vector<TreeWord>& tree = {});

}  // namespace filigree
