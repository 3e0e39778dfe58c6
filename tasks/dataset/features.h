// Features: a question with parts of its context, as a model takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "tasks/dataset/questions.h"
#include "tasks/dataset/sample.h"

namespace filigree {

struct FeatureOptions {
  int64_t max_length = 384;   ///< tokens of a feature at most, special ones included
  int64_t doc_stride = 128;   ///< tokens of the context that neighbouring features share
  int64_t max_question = 64;  ///< tokens of the question at most; longer is cut
};

/// Throws ConfigError where the options leave no room: a feature must hold the question, three
/// special tokens and more than doc_stride tokens of the context.
void check(const FeatureOptions& options);

/// [CLS] question [SEP] part of the context [SEP], segments 0 and 1.
struct ContextPart {
  Sample sample;      ///< truncated: the question was cut
  size_t begin, end;  ///< the context's pieces in it
  /// Token of the sample that is the context's piece `begin`.
  size_t first_token() const { return sample.ids.size() - 1 - (end - begin); }
};

/// The context in parts as long as fit, each doc_stride tokens back from the end of the one before
/// (the meaning of "stride" in Hugging Face's tokenizers). Cost O(parts x length).
std::vector<ContextPart> make_parts(const TokenizedText& question, const TokenizedText& context,
                                    const FeatureOptions& options);

/// First and last piece that stand on bytes of `place`; nothing if no piece does. Cost O(pieces).
std::optional<std::pair<size_t, size_t>> pieces_on(const std::vector<Piece>& pieces,
                                                   const ByteSpan& place);

/// Where the tokens of a part stand in the context. Without an answer: start and end are 0.
Feature feature_of(const ContextPart& part, int32_t question);

}  // namespace filigree
