// SpecialIds: where the special pieces stand in a vocabulary.
#pragma once

#include <cstdint>

namespace filigree {

/// Ids of the five special pieces. The defaults are those of every tokenizer that Filigree trains;
/// imported vocabularies keep their own.
struct SpecialIds {
  int32_t pad = 0;   ///< [PAD], padding (Filigree packs and never writes it)
  int32_t unk = 1;   ///< [UNK], what the vocabulary cannot spell
  int32_t cls = 2;   ///< [CLS], before the first text
  int32_t sep = 3;   ///< [SEP], behind every text
  int32_t mask = 4;  ///< [MASK], a token to be predicted

  /// True for all of them but [UNK], which stands for text.
  bool marks(int32_t id) const { return id == pad || id == cls || id == sep || id == mask; }
  bool operator==(const SpecialIds&) const = default;
};

}  // namespace filigree
