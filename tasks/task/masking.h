// Masking: which tokens of a batch are hidden, and behind what.
#pragma once

#include <cstdint>

namespace filigree {

struct Batch;

struct MaskingOptions {
  double share = 0.15;       ///< share of the tokens of a sample that is hidden, in (0, 1)
  bool whole_words = false;  ///< all pieces of a word or none
  bool fixed = false;        ///< the same tokens in every epoch (BERT); else others (RoBERTa)
  bool operator==(const MaskingOptions&) const = default;
};

/// Throws ConfigError [train.mask_share] for a share outside (0, 1).
void check(const MaskingOptions& options);

/// Hides tokens of a batch, and says which in batch.hidden and what they were in batch.hidden_ids.
/// Of them 80 % become [MASK], 10 % any piece but [PAD], [CLS], [SEP] and [MASK] (uniform), and
/// 10 % stay (Devlin et al., arXiv 1810.04805, 3.1). Tokens that belong to no
/// word are never hidden. Of n others, floor(n share + u) are, u uniform in [0, 1), and at least
/// one: n share on average. With `whole_words` words are taken in random order until there are so
/// many tokens; the last one, where it holds more than are wanted, with such a probability that the
/// average is the same.
///
/// The words of a hidden token's class would give it away to patterns that link equal words: its
/// class becomes -1, none.
///
/// Pure: the same (options, batch, seed, epoch) give the same, and a sample's tokens depend on its
/// number in the dataset, never on the batch that it is in. The batch's tensors must be its own.
/// Leaves a batch that is of no dataset (vocabulary 0) as it is. Cost O(T).
void hide_tokens(const MaskingOptions& options, Batch& batch, uint64_t seed, int64_t epoch);

}  // namespace filigree
