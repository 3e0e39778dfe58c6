// Random sequences with everything that patterns look at, for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/pattern.h"
#include "attention/token_vectors.h"
#include "core/random.h"

namespace filigree::testing_attention {

/// A sentence between two special tokens: words of one to three pieces, a tree over them, classes.
struct TextSequence {
  std::vector<int32_t> ids, words, heads, classes;
  std::vector<uint8_t> special;

  SequenceView view(const TokenVectors* vectors = nullptr) const {
    return {static_cast<int64_t>(ids.size()), ids, special, 0, words, heads, classes, vectors};
  }
};

constexpr int64_t kVocabulary = 12;

/// `words` words, numbered from `first_word`. Every seventh word is a root, a few heads were cut
/// off, now and then a special token stands in the middle.
inline TextSequence random_text(uint64_t seed, int64_t words, int32_t first_word = 0) {
  RandomStream random(seed, Purpose::test, {static_cast<uint64_t>(words)});
  TextSequence text;
  const auto push = [&](int32_t id, int32_t word, int32_t head, int32_t of) {
    text.ids.push_back(id);
    text.words.push_back(word);
    text.heads.push_back(head);
    text.classes.push_back(of);
    text.special.push_back(word < 0);
  };
  push(0, -1, -1, -1);
  for (int32_t w = 0; w < words; ++w) {
    auto head = static_cast<int32_t>(random.below(static_cast<uint64_t>(words)));
    // Upwards in a random order of the words: no circles.
    if (random.below(7) == 0 || (head * 5) % 11 * 1000 + head >= (w * 5) % 11 * 1000 + w) head = -1;
    const auto of = static_cast<int32_t>(random.below(5));
    for (uint64_t piece = random.below(3) + 1; piece > 0; --piece) {
      push(static_cast<int32_t>(random.below(kVocabulary - 1)) + 1, first_word + w,
           head < 0 ? -1 : first_word + head, of);
    }
    if (random.below(9) == 0) push(0, -1, -1, -1);
  }
  push(0, -1, -1, -1);
  return text;
}

/// A vector for every id; some are equal, one is zero, so that cosines tie.
inline std::shared_ptr<const TokenVectors> some_vectors(uint64_t seed, int64_t width = 3) {
  RandomStream random(seed, Purpose::test, {77});
  Tensor table({kVocabulary, width}, DType::f32);
  float* values = table.data<float>();
  for (int64_t id = 0; id < kVocabulary; ++id) {
    for (int64_t e = 0; e < width; ++e) {
      values[id * width + e] = id % 4 == 3 ? 2 * values[(id - 1) * width + e]
                               : id == 5   ? 0
                                           : static_cast<float>(random.normal());
    }
  }
  return std::make_shared<TokenVectors>(table);
}

}  // namespace filigree::testing_attention
