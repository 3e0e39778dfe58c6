#include "tasks/dataset/features.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kSpecialTokens = 3;  // [CLS], and [SEP] twice

}  // namespace

void check(const FeatureOptions& options) {
  if (options.doc_stride < 0) {
    throw ConfigError("doc-stride", fmt::format("expected 0 or more, got {}", options.doc_stride));
  }
  if (options.max_question < 1) {
    throw ConfigError("max-question",
                      fmt::format("expected at least 1, got {}", options.max_question));
  }
  constexpr int64_t kMost = 1'000'000;
  for (const auto& [name, value] : {std::pair("doc-stride", options.doc_stride),
                                    std::pair("max-question", options.max_question)}) {
    if (value <= kMost) continue;
    throw ConfigError(name, fmt::format("expected at most {}, got {}", kMost, value));
  }
  const int64_t least = kSpecialTokens + options.max_question + options.doc_stride + 1;
  if (options.max_length >= least) return;
  throw ConfigError(
      "max-length",
      fmt::format("expected at least {} ({} tokens of the question, {} shared by neighbouring "
                  "features, {} special ones and a new one), got {}",
                  least, options.max_question, options.doc_stride, kSpecialTokens,
                  options.max_length),
      "lower --doc-stride or --max-question, or raise --max-length");
}

std::vector<ContextPart> make_parts(const TokenizedText& question, const TokenizedText& context,
                                    const FeatureOptions& options) {
  const size_t asked = std::min(question.pieces.size(), static_cast<size_t>(options.max_question));
  const size_t room = static_cast<size_t>(options.max_length - kSpecialTokens) - asked;
  const size_t total = context.pieces.size();
  std::vector<ContextPart> parts;
  for (size_t begin = 0;; begin += room - static_cast<size_t>(options.doc_stride)) {
    const size_t end = std::min(begin + room, total);
    const TextPart texts[] = {{&question, 0, asked}, {&context, begin, end}};
    parts.push_back({join_parts(texts), begin, end});
    parts.back().sample.truncated = asked < question.pieces.size();
    if (end == total) return parts;
  }
}

std::optional<std::pair<size_t, size_t>> pieces_on(const std::vector<Piece>& pieces,
                                                   const ByteSpan& place) {
  std::optional<std::pair<size_t, size_t>> found;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (piece.begin == piece.end || piece.end <= place.begin || piece.begin >= place.end) continue;
    if (!found) found = {i, i};
    found->second = i;
  }
  return found;
}

Feature feature_of(const ContextPart& part, int32_t question) {
  Feature feature;
  feature.question = question;
  feature.begins.assign(part.sample.ids.size(), -1);
  feature.ends.assign(part.sample.ids.size(), -1);
  const size_t first = part.first_token();
  for (size_t i = first; i < first + part.end - part.begin; ++i) {
    feature.begins[i] = static_cast<int32_t>(part.sample.pieces[i].begin);
    feature.ends[i] = static_cast<int32_t>(part.sample.pieces[i].end);
  }
  return feature;
}

}  // namespace filigree
